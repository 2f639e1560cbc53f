"""A workspace to look at: real robots, made-up runs, walks that nobody learned."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.queries.artifacts import NewFile, insert_artifact
from db.queries.bulk import write_curves, write_events, write_pipelines, write_runs
from db.queries.evaluations import insert_episodes, set_policies
from db.records import Pipeline, Run, RunEvent, RunKind, RunState
from db.session import Database
from engine.events import Episode
from engine.files import write_bytes
from engine.morphology.generation import candidate
from engine.morphology.mutation import mutants
from engine.morphology.poses import ARTIFACT_KIND, PosesHeader, encode_poses, recording_name
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.workers.robot_library import TRAINING, UNSEEN, make_set
from engine.workers.supervisor import stand_in
from engine.workers.workspace import Workspace
from hdtui.demo.costs import write_costs
from hdtui.demo.curves import student_curves, teacher_curves
from hdtui.demo.gait import Walk, walking
from hdtui.demo.runs import (
    MUTANT_SET,
    TRAINING_SET,
    UNSEEN_SET,
    blank,
    finished_pipeline,
    lone_teachers,
    working,
    working_pipeline,
)
from hdtui.demo.studies import demo_studies, learning_speed, write_studies

SENTENCE = "Demo: real robots, made-up runs and walks. Nothing was trained, nothing starts."
LIVE_ITERATIONS = 122
_ROBOT_SEEDS = ((11, 0), (11, 1), (11, 2), (11, 6), (11, 4))
_NUM_UNSEEN = 1
_SLOTS = 3
_LEVELS = (2_310.0, 2_240.0, 2_190.0)
_EPISODES = 16
_FILM_STEPS = 600


def build(home: Path, now: datetime | None = None) -> None:
    """Write the whole demo into an empty folder; about two seconds."""
    now = now or datetime.now(UTC)
    home.mkdir(parents=True, exist_ok=True)
    database = Database.open(home, checkpointing=True)
    try:
        robots = _write_robots(database)
        studies = demo_studies(now, between=len(_runs(now, 1)))
        in_studies = [run for each in studies for run in each.runs.values()]
        ended = [run for run in in_studies if run.state is RunState.FINISHED]
        runs = [*ended, *_runs(now, len(ended) + 1)]
        runs += [run for run in in_studies if run.state is not RunState.FINISHED]
        with database.write() as session:
            write_pipelines(session, _pipelines(now))
            write_runs(session, runs)
            write_events(session, _events(runs))
            for run in runs:
                if run.kind is RunKind.TEACHER and run.done is not None:
                    digests = [robot.digest for robot in robots]
                    iterations = max(2, int(run.done / 8_192) // (1 if run.done < 2e6 else 4))
                    write_curves(
                        session,
                        teacher_curves(run.id, digests[:4], iterations, run.result or 0.0),
                    )
                if run.kind is RunKind.STUDENT and run.state is RunState.FINISHED:
                    write_curves(session, student_curves(run.id, speed=learning_speed(run)))
        for run in runs:
            if run.kind is RunKind.EVALUATION and run.state is RunState.FINISHED and run.pipeline:
                _write_evaluation(database, run, robots)
        write_studies(database, studies, robots[: len(_ROBOT_SEEDS)])
        _write_films(database, runs, robots)
        _write_logs(home, runs)
        write_costs(database)
        stand_in(
            database, slots=_SLOTS
        )  # for the supervisor: the screen need not warn that none is there
    finally:
        database.close()


def _write_robots(database: Database) -> list[Morphology]:
    workspace = Workspace(database.home)
    made = [
        replace(candidate(seed, index), name=f"demo-robot-{place + 1}")
        for place, (seed, index) in enumerate(_ROBOT_SEEDS)
    ]
    training, unseen = made[:-_NUM_UNSEEN], made[-_NUM_UNSEEN:]
    changed = [
        replace(robot, name=f"demo-mutant-{place + 1}")
        for place, robot in enumerate(mutants(training, 4, 1))
    ]
    for name, robots, role in (
        (TRAINING_SET, training, TRAINING),
        (UNSEEN_SET, unseen, UNSEEN),
        (MUTANT_SET, changed, TRAINING),
    ):
        make_set(database, workspace, name, [(robot, role) for robot in robots])
    return [*training, *unseen, *changed]


def _pipelines(now: datetime) -> list[Pipeline]:
    done = [
        Pipeline(
            seed, f"demo-laptop-s{seed}", "laptop", TRAINING_SET, seed, now - timedelta(hours=9)
        )
        for seed in (1, 2, 3)
    ]
    working = Pipeline(
        4, "demo-quick-s1", "quick", TRAINING_SET, 1, now - timedelta(minutes=4, seconds=54)
    )
    return [*done, working]


def _runs(now: datetime, first: int) -> list[Run]:
    """The runs of pipelines, and those that stand alone, numbered from ``first``."""
    *done, at_work = _pipelines(now)
    runs: list[Run] = []
    for pipeline, level in zip(done, _LEVELS, strict=True):
        runs += finished_pipeline(pipeline, first + len(runs), level)
    runs += lone_teachers(first + len(runs), now)
    archived = finished_pipeline(done[0], first + len(runs) - 1, 1_900.0)[1]  # its teacher
    runs.append(replace(archived, name="demo-archived", archived=True, inputs=(), pipeline=None))
    quick = working_pipeline(at_work, first + len(runs), now)
    quick[1] = replace(
        quick[1],
        done=8_192.0 * LIVE_ITERATIONS,
        rate=3_700.0,
        reported_at=now,
        result=787.0,
        checkpoint_step=8_192 * 120,
    )
    runs += quick
    stalled = blank(first + len(runs), RunKind.EVALUATION, "demo-stalled", now, "quick")
    runs.append(
        replace(
            working(stalled, now - timedelta(minutes=9)),
            reported_at=now - timedelta(seconds=130),
            done=312.0,
            total=800.0,
            unit="episodes",
            inputs=(first + 1, first + 4),
        )
    )
    return runs


def _events(runs: Sequence[Run]) -> list[RunEvent]:
    events = []
    for run in runs:
        if run.started_at is not None:
            events.append(_event(run, run.started_at, "started", "demo: started, attempt 1"))
        if run.ended_at is not None:
            text = run.result_text or run.reason or f"demo: {run.state}"
            events.append(_event(run, run.ended_at, str(run.state), f"{run.state}: {text}"))
    return sorted(events, key=lambda event: event.at)


def _event(run: Run, at: datetime, kind: str, text: str) -> RunEvent:
    bad = run.state in (RunState.FAILED, RunState.LOST, RunState.INTERRUPTED)
    return RunEvent(0, run.id, at, "error" if bad and kind != "started" else "info", kind, text)


def _write_evaluation(database: Database, run: Run, robots: Sequence[Morphology]) -> None:
    """Returns of teacher and student on all robots, the student a little behind."""
    teacher, student = run.inputs
    random = generator(run.id, "demo evaluation")
    episodes = []
    for robot in robots:
        level = 600 + 260 * robot.num_joints * float(random.uniform(0.7, 1.3))
        for policy, share in (("teacher", 1.0), ("student", float(random.uniform(0.86, 1.02)))):
            for number in range(_EPISODES):
                value = level * share * float(random.normal(1.0, 0.05))
                fell = bool(random.random() < 0.12)
                distance_m = value / 50
                episodes.append(
                    Episode(
                        policy=policy,
                        robot_digest=robot.digest,
                        task="flat",
                        seed=7,
                        episode=number,
                        episode_return=value,
                        length=700 if fell else 1_000,
                        terminated=fell,
                        distance_m=distance_m,
                        mean_speed_m_s=distance_m / 20,
                        energy_j=40.0 * robot.num_joints,
                    )
                )
    with database.write() as session:
        insert_episodes(session, run.id, episodes)
        set_policies(session, run.id, {"teacher": teacher, "student": student})


def _write_films(database: Database, runs: Sequence[Run], robots: Sequence[Morphology]) -> None:
    evaluations = [
        run for run in runs if run.kind is RunKind.EVALUATION and run.state is RunState.FINISHED
    ]
    run = evaluations[-1]
    for place, robot in enumerate(robots[:6]):
        for policy, policy_run, swing in zip(
            ("teacher", "student"), run.inputs, (1.0, 0.9), strict=True
        ):
            falls = policy == "student" and place == 2
            walk = Walk(7, _FILM_STEPS // 2 if falls else _FILM_STEPS, swing, falls)
            write_film(database, run.id, robot, walk, (policy, policy_run))


def write_film(
    database: Database, run_id: int, robot: Morphology, walk: Walk, policy: tuple[str, int]
) -> None:
    """Write a walk as the evaluation ``run_id`` would have recorded it of a policy: name, run."""
    header = PosesHeader("", "", *policy, "flat", walk.seed, 0, 0.0, 0.0, False)
    data = encode_poses(walking(robot, walk, header))
    path = Workspace(database.home).run_folder(run_id) / f"poses-{policy[0]}-{robot.name}"
    path = path.with_suffix(".safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = str(path.relative_to(database.home))
    file = NewFile(1, stored, write_bytes(path, data), len(data))
    with database.write() as session:
        name = recording_name(policy[0], robot.digest, "flat", 0)
        insert_artifact(session, run_id, file, ARTIFACT_KIND, name)


def _write_logs(home: Path, runs: Sequence[Run]) -> None:
    for run in runs:
        if run.started_at is None:
            continue
        lines = [f"{run.started_at:%H:%M:%S} info  demo: these lines are made up"]
        for index in range(LIVE_ITERATIONS):
            at = run.started_at + timedelta(seconds=2.2 * (index + 1))
            lines.append(
                f"{at:%H:%M:%S} info  iteration {index + 1}  steps {8_192 * (index + 1)}  "
                f"return {6.4 * index:.0f}"
            )
        if run.reason:
            lines.append(f"{run.ended_at or run.started_at:%H:%M:%S} error  {run.reason}")
        folder = home / run.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.txt").write_text("\n".join(lines) + "\n")
