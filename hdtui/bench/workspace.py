"""A workspace as large as the cockpit promises to bear: what ``hdtui bench cockpit`` looks at."""

import math
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from db.address import FILE_NAME
from db.queries.bulk import (
    LikeCurve,
    WholeCurve,
    write_alike,
    write_events,
    write_pipelines,
    write_runs,
)
from db.queries.evaluations import insert_episodes, set_policies
from db.queries.metrics import NewPoint, append_points, delete_points_after
from db.queries.runs import get_run
from db.queries.settings import get_setting, set_setting
from db.records import Pipeline, Run, RunEvent, RunKind, RunState
from db.session import Database
from engine.errors import DatabaseError, UsageError
from engine.events import Episode
from engine.morphology.generation import candidate
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.workers.process import start_ticks, worker_environment
from engine.workers.robot_library import make_set
from engine.workers.supervisor import stand_in
from engine.workers.workspace import Workspace
from hdtui.data.cockpit import PREFERENCES_KEY
from hdtui.demo.curves import ITERATION_S, ITERATION_STEPS, teacher_values
from hdtui.demo.gait import Walk
from hdtui.demo.live_feed import FINAL_RETURN
from hdtui.demo.runs import TRAINING_SET, blank, working
from hdtui.demo.world import write_film

NUM_RUNS, NUM_POINTS, LONG_CURVE = 1_000, 10_000_000, 1_000_000
TEACHERS, STUDENTS = 500, 200
LIVE_RUN, LONG_RUN = NUM_RUNS - 1, NUM_RUNS
LONG_METRIC = "episode_length"
_CURVES = (
    *("return", "episode_length", "falls", "speed", "value_loss", "policy_loss"),
    *("approximate_kl", "clip_fraction", "action_std", "gradient_norm", "learning_rate"),
)
_ROBOT_CURVES = ("return", "falls", "episode_length")
_RUNS_WITH_ROBOTS, _ROBOTS_EACH, _POINTS_EACH = 20, 100, 200
_EVERY_HALTED = 7
_HALTED = (RunState.STOPPED, RunState.FAILED, RunState.LOST)
NUM_ROBOTS = 1_000
LIVE_ITERATIONS, LIVE_BEGINS_AT = 120, 60
_MARK, _VERSION = "bench.cockpit", 2
_POLICIES, _EPISODES = 4, 10

_PLAYERS: list[subprocess.Popen[bytes]] = []

Say = Callable[[str], None]


def prepare(home: Path, say: Say) -> None:
    """Make the workspace in ``home``, or take the one that is there, and start its live run anew.

    It is made beside ``home`` and takes its place when it is whole; ``say`` hears what is done.

    Raises:
        UsageError: The folder holds something else.
    """
    if _version(home) != _VERSION:
        _build(home, say)
    database = Database.open(home, checkpointing=True)
    try:
        _start_live_run(database)
    finally:
        database.checkpoint_log(truncate=True)
        database.close()


def _version(home: Path) -> object:
    """Which of our workspaces lies in ``home``; None for an empty or absent folder."""
    if not home.exists() or not any(home.iterdir()):
        return None
    refusal = f"{home} is not the benchmark's; it needs a folder of its own, empty or absent."
    if not (home / FILE_NAME).is_file():
        raise UsageError(refusal)
    try:
        database = Database.open(home, readonly=True)
    except DatabaseError as error:
        raise UsageError(refusal) from error
    try:
        found = get_setting(database, _MARK)
    finally:
        database.close()
    if found is None:
        raise UsageError(refusal)
    return found


def _build(home: Path, say: Say) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    site = home.with_name(f"{home.name}.unfinished")
    shutil.rmtree(site, ignore_errors=True)
    say(
        f"Making {NUM_RUNS:,} runs, {NUM_ROBOTS:,} robots and {NUM_POINTS:,} points in {home}, "
        "about 0.5 GB; once, later calls take them as they are ..."
    )
    try:
        database = Database.open(site, checkpointing=True)
        try:
            _fill(database, say)
            set_setting(database, _MARK, _VERSION)
        finally:
            database.checkpoint_log(truncate=True)
            database.close()
        shutil.rmtree(home, ignore_errors=True)
        site.rename(home)
    finally:
        shutil.rmtree(site, ignore_errors=True)


def _fill(database: Database, say: Say) -> None:
    now = datetime.now(UTC)
    robots = _write_robots(database)
    say("Robots are written; runs follow ...")
    runs = [_run(number, now) for number in range(1, NUM_RUNS + 1)]
    with database.write() as session:
        write_pipelines(session, [Pipeline(1, "bench", "laptop", TRAINING_SET, 1, now)])
        write_runs(session, runs)
        write_events(session, _make_events(runs))
    written = 0
    for shape in _make_curves([robot.digest for robot in robots]):
        with database.write() as session:  # one by one, or the log would grow as large as the file
            write_alike(session, shape.first, shape.others)
        written += len(shape.first.step) * (1 + len(shape.others))
        say(f"{written:,} points are written ...")
    for number in range(_POLICIES):
        _write_evaluation(database, TEACHERS + STUDENTS + 1 + number, robots)
    write_film(database, TEACHERS + STUDENTS + 1, robots[0], Walk(7, 3_000), ("teacher", 1))


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


def _write_evaluation(database: Database, run_id: int, robots: list[Morphology]) -> None:
    run = get_run(database, run_id)
    values = generator(run_id, "bench episodes").normal(2_000, 300, (len(robots), 2, _EPISODES))
    episodes = [
        Episode(policy, robot.digest, "flat", 7, episode, value, 1_000, False, 40.0, 2.0, 9.0)
        for robot, of_robot in zip(robots, values.tolist(), strict=True)
        for policy, of_policy in zip(("teacher", "student"), of_robot, strict=True)
        for episode, value in enumerate(of_policy)
    ]
    with database.write() as session:
        insert_episodes(session, run_id, episodes)
        set_policies(session, run_id, dict(zip(("teacher", "student"), run.inputs, strict=True)))


def _start_live_run(database: Database) -> None:
    """The live run is half through; this process stands for its supervisor, a child for its worker.

    A report moves its curve by most of a column of the chart, as in a run of minutes.
    """
    now = datetime.now(UTC)
    player = play_worker(database.home, LIVE_RUN)
    live = working(
        get_run(database, LIVE_RUN), now - timedelta(seconds=ITERATION_S * LIVE_BEGINS_AT)
    )
    live = replace(
        live,
        done=float(ITERATION_STEPS * LIVE_BEGINS_AT),
        total=float(ITERATION_STEPS * LIVE_ITERATIONS),
        rate=ITERATION_STEPS / ITERATION_S,
        result=None,
        result_text=None,
        result_kind=None,
        reported_at=now,
        ended_at=None,
        exit_code=None,
        pid=player.pid,
        pid_ticks=start_ticks(player.pid),
    )
    set_setting(database, PREFERENCES_KEY, {})  # an earlier benchmark changed how robots are drawn
    with database.write() as session:
        delete_points_after(session, LIVE_RUN, None)
        append_points(session, LIVE_RUN, _begun())
        write_runs(session, [live])
    stand_in(database)


def play_worker(home: Path, run_id: int) -> subprocess.Popen[bytes]:
    """A process that everybody takes for the run's worker; it ends with this one."""
    player = subprocess.Popen(
        ["cat"],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **worker_environment(home, run_id)},
    )
    _PLAYERS.append(player)
    return player


def _begun() -> list[NewPoint]:
    values = teacher_values(LIVE_RUN, LIVE_ITERATIONS + 1, FINAL_RETURN)
    return [
        NewPoint(name, "", ITERATION_STEPS * at, at, ITERATION_S * at, series[at])
        for name, series in values.items()
        for at in range(1, LIVE_BEGINS_AT + 1)
    ]


def _run(number: int, now: datetime) -> Run:
    """A teacher, a student of one, or an evaluation of both; the newest two are teachers again."""
    kind = _kind(number)
    start = now - timedelta(hours=2 * (NUM_RUNS - number) + 2)
    run = replace(
        blank(number, kind, f"bench-{number}", start, "laptop"),
        state=RunState.FINISHED,
        seed=number % 3 + 1,
        pipeline=1 if number > NUM_RUNS - 8 else None,
        inputs=_inputs(number, kind),
        attempt=1,
        started_at=start,
        ended_at=start + timedelta(minutes=20),
        reported_at=start + timedelta(minutes=20),
        done=2e6,
        total=2e6,
        unit="steps",
        exit_code=0,
        result=float(number),
        result_text=f"mean return {number}",
        result_kind="sampled_return" if kind is RunKind.TEACHER else "return",
    )
    if kind is RunKind.TEACHER and number % _EVERY_HALTED == 0 and number < LIVE_RUN:
        state = _HALTED[number // _EVERY_HALTED % len(_HALTED)]
        return replace(run, state=state, done=9e5, checkpoint_step=900_000, result_text=None)
    return run


def _kind(number: int) -> RunKind:
    if number <= TEACHERS or number >= LIVE_RUN:
        return RunKind.TEACHER
    return RunKind.STUDENT if number <= TEACHERS + STUDENTS else RunKind.EVALUATION


def _inputs(number: int, kind: RunKind) -> tuple[int, ...]:
    if kind is RunKind.STUDENT:
        return (number - TEACHERS,)
    if kind is RunKind.EVALUATION:
        place = number - TEACHERS - STUDENTS
        return (place, TEACHERS + (place - 1) % STUDENTS + 1)
    return ()


def _make_events(runs: Sequence[Run]) -> list[RunEvent]:
    """What the runs told: each its start and its end."""
    told = []
    for run in runs:
        start, end = run.started_at or run.created_at, run.ended_at or run.created_at
        told.append(RunEvent(0, run.id, start, "info", "started", "started: attempt 1"))
        level = "info" if run.state is RunState.FINISHED else "warning"
        if run.id != LIVE_RUN:
            told.append(RunEvent(0, run.id, end, level, str(run.state), f"{run.state} in 20m 00s"))
    return sorted(told, key=lambda event: event.at)


@dataclass(frozen=True)
class Shape:
    """A curve and the others that are drawn like it."""

    first: WholeCurve
    others: tuple[LikeCurve, ...]


def _make_curves(digests: Sequence[str]) -> Iterator[Shape]:
    """NUM_POINTS points: the teachers' metrics, some by robot, and one curve of LONG_CURVE."""
    by_robot = _RUNS_WITH_ROBOTS * _ROBOTS_EACH * _POINTS_EACH * len(_ROBOT_CURVES)
    points = math.ceil((NUM_POINTS - LONG_CURVE - by_robot) / (TEACHERS * len(_CURVES)))
    for name in _CURVES:
        factors = generator(1, "bench", name).uniform(0.5, 1.5, TEACHERS).tolist()
        others = (LikeCurve(run, name, "", factors[run - 1]) for run in range(2, TEACHERS + 1))
        yield Shape(_rising(1, name, "", points), tuple(others))
    runs = range(TEACHERS - _RUNS_WITH_ROBOTS + 1, TEACHERS + 1)
    for name in _ROBOT_CURVES:
        places = [(run, digest) for run in runs for digest in digests[:_ROBOTS_EACH]]
        factors = generator(2, "bench", name).uniform(0.5, 1.5, len(places)).tolist()
        alike = [
            LikeCurve(run, name, digest, factor)
            for (run, digest), factor in zip(places, factors, strict=True)
        ]
        yield Shape(_rising(*places[0][:1], name, places[0][1], _POINTS_EACH), tuple(alike[1:]))
    yield Shape(_rising(LONG_RUN, "return", "", _POINTS_EACH), ())
    yield Shape(_rising(LONG_RUN, LONG_METRIC, "", LONG_CURVE), ())


def _rising(run_id: int, name: str, digest: str, points: int) -> WholeCurve:
    random = generator(run_id, "bench", name)
    rising = 1_500 * np.linspace(0, 1, points) ** 1.4 * random.normal(1, 0.08, points)
    number = np.arange(1, points + 1)
    return WholeCurve(
        run_id,
        name,
        digest,
        (8_192 * number).tolist(),
        number.tolist(),
        (2.2 * number).tolist(),
        rising.tolist(),
    )
