"""A workspace as large as the cockpit promises to bear: what ``hdtui bench cockpit`` looks at."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from db.queries.artifacts import NewFile, insert_artifact
from db.queries.evaluations import insert_episodes, set_policies
from db.queries.histories import WholeCurve, write_curves, write_pipelines, write_runs
from db.queries.metrics import delete_points_after
from db.queries.runs import get_run
from db.queries.settings import get_setting, set_setting
from db.queries.supervisors import register_supervisor
from db.records import NewEpisode, Pipeline, Run, RunKind, RunState, Supervisor
from db.session import Database
from engine.errors import UsageError
from engine.morphology.generation import candidate
from engine.morphology.poses import ARTIFACT_KIND, PosesHeader, encode_poses, recording_name
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.workers.library import make_set
from engine.workers.liveness import host_name, this_process
from engine.workers.workspace import Workspace
from hdtui.services.cockpit import PREFERENCES_KEY
from hdtui.services.demo.gait import Walk, walking
from hdtui.services.demo.runs import TRAINING_SET, blank, working

NUM_RUNS, NUM_ROBOTS, NUM_POINTS, LONG_CURVE = 1_000, 1_000, 10_000_000, 1_000_000
LIVE_RUN, LONG_RUN = NUM_RUNS - 1, NUM_RUNS
LONG_METRIC = "episode_length"
_CURVES = ("return", "episode_length", "falls", "speed", "value_loss", "policy_loss")
_MORE_CURVES = ("approximate_kl", "clip_fraction", "action_std", "gradient_norm", "learning_rate")
_MARK, _VERSION = "bench.cockpit", 1
_TEACHERS, _STUDENTS = 500, 200
_POLICIES, _EPISODES = 4, 10


def prepare(home: Path) -> None:
    """Make the workspace in ``home``, or take the one that is there, and start its live run anew.

    Raises:
        UsageError: The folder holds something else.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "hdtui.db").exists() and any(home.iterdir()):
        raise UsageError(f"{home} is not empty; the benchmark needs a folder of its own")
    database = Database.open(home, checkpointing=True)
    try:
        found = get_setting(database, _MARK)
        if found is None and (home / "runs").exists():
            raise UsageError(f"{home} is a workspace, or a broken benchmark; delete it or choose")
        if found is None:
            _fill(database)
            set_setting(database, _MARK, _VERSION)
        _start_live_run(database)
    finally:
        database.checkpoint_log(truncate=True)
        database.close()


def _fill(database: Database) -> None:
    now = datetime.now(UTC)
    robots = _write_robots(database)
    with database.write() as session:
        write_pipelines(session, [Pipeline(1, "bench", "laptop", TRAINING_SET, 1, now)])
        write_runs(session, (_run(number, now) for number in range(1, NUM_RUNS + 1)))
        write_curves(session, _curves())
    for number in range(_POLICIES):
        _write_evaluation(database, _TEACHERS + _STUDENTS + 1 + number, robots)
    _write_film(database, _TEACHERS + _STUDENTS + 1, robots[0])


def _write_robots(database: Database) -> list[Morphology]:
    """Bodies that differ in the sixth digit: a thousand files and rows, made at once."""
    body = candidate(11, 1)
    robots = [
        replace(
            body,
            name=f"bench-robot-{number:04d}",
            limbs=tuple(
                replace(limb, radius_m=limb.radius_m * (1 + 1e-6 * number)) for limb in body.limbs
            ),
        )
        for number in range(NUM_ROBOTS)
    ]
    make_set(
        database, Workspace(database.home), TRAINING_SET, [(robot, "training") for robot in robots]
    )
    return robots


def _run(number: int, now: datetime) -> Run:
    kind = RunKind.EVALUATION
    if number <= _TEACHERS or number >= LIVE_RUN:
        kind = RunKind.TEACHER
    elif number <= _TEACHERS + _STUDENTS:
        kind = RunKind.STUDENT
    start = now - timedelta(hours=2 * (NUM_RUNS - number) + 2)
    run = blank(number, kind, f"bench-{number}", start, "laptop")
    inputs: tuple[int, ...] = ()
    if kind is RunKind.STUDENT:
        inputs = (number - _TEACHERS,)
    if kind is RunKind.EVALUATION:
        place = number - _TEACHERS - _STUDENTS
        inputs = (place, _TEACHERS + (place - 1) % _STUDENTS + 1)
    run = replace(
        run,
        state=RunState.FINISHED,
        seed=number % 3 + 1,
        pipeline=1 if number > NUM_RUNS - 8 else None,
        inputs=inputs,
        attempt=1,
        started_at=start,
        ended_at=start + timedelta(minutes=20),
        done=2e6,
        total=2e6,
        unit="steps",
        exit_code=0,
        result=float(number),
        result_text=f"mean return {number}",
    )
    if number == LIVE_RUN:
        return replace(run, total=20e6, result=None, result_text=None)
    return run


def _curves() -> Iterator[WholeCurve]:
    names = (*_CURVES, *_MORE_CURVES)
    points = -(-(NUM_POINTS - LONG_CURVE) // (_TEACHERS * len(names)))
    for number in range(1, _TEACHERS + 1):
        for name in names:
            yield _curve(number, name, points)
    yield _curve(LONG_RUN, "return", 200)
    yield _curve(LONG_RUN, LONG_METRIC, LONG_CURVE)


def _curve(run_id: int, name: str, points: int) -> WholeCurve:
    random = generator(run_id, "bench", name)
    rising = 1_500 * np.linspace(0, 1, points) ** 1.4 * random.normal(1, 0.08, points)
    number = np.arange(1, points + 1)
    return WholeCurve(
        run_id,
        name,
        "",
        (8_192 * number).tolist(),
        number.tolist(),
        (2.2 * number).tolist(),
        rising.tolist(),
    )


def _write_evaluation(database: Database, run_id: int, robots: list[Morphology]) -> None:
    run = get_run(database, run_id)
    values = generator(run_id, "bench episodes").normal(2_000, 300, (len(robots), 2, _EPISODES))
    episodes = [
        NewEpisode(policy, robot.digest, "flat", 7, episode, value, 1_000, False, 40.0, 2.0, 9.0)
        for robot, of_robot in zip(robots, values.tolist(), strict=True)
        for policy, of_policy in zip(("teacher", "student"), of_robot, strict=True)
        for episode, value in enumerate(of_policy)
    ]
    with database.write() as session:
        insert_episodes(session, run_id, episodes)
        set_policies(session, run_id, dict(zip(("teacher", "student"), run.inputs, strict=True)))


def _write_film(database: Database, run_id: int, robot: Morphology) -> None:
    header = PosesHeader("", "", "teacher", 1, "flat", 7, 0, 0.0, 0.0, False)
    data = encode_poses(walking(robot, Walk(7, 3_000), header))
    path = Workspace(database.home).run_folder(run_id) / "poses.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    stored = str(path.relative_to(database.home))
    file = NewFile(1, stored, hashlib.sha256(data).hexdigest(), len(data))
    with database.write() as session:
        name = recording_name("teacher", robot.digest, "flat", 0)
        insert_artifact(session, run_id, file, ARTIFACT_KIND, name)


def _start_live_run(database: Database) -> None:
    """The live run works in this process, which also stands for the supervisor."""
    now = datetime.now(UTC)
    live = working(get_run(database, LIVE_RUN), now)
    live = replace(live, done=8_192.0, rate=3_700.0, reported_at=now, ended_at=None, exit_code=None)
    me = this_process()
    set_setting(database, PREFERENCES_KEY, {})  # an earlier benchmark changed how robots are drawn
    with database.write() as session:
        delete_points_after(session, LIVE_RUN, None)
        write_runs(session, [live])
    supervisor = Supervisor(host_name(), me.pid, me.started_at, me.boot_id, 2, now, now)
    register_supervisor(database, supervisor)
