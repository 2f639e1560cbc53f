"""A workspace as large as the cockpit promises to bear: what ``hdtui bench cockpit`` looks at."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.address import FILE_NAME
from db.queries.artifacts import NewFile, insert_artifact
from db.queries.bulk import write_alike, write_events, write_pipelines, write_runs
from db.queries.evaluations import insert_episodes, set_policies
from db.queries.metrics import NewPoint, append_points, delete_points_after
from db.queries.runs import get_run
from db.queries.settings import get_setting, set_setting
from db.records import NewEpisode, Pipeline
from db.session import Database
from engine.errors import DatabaseError, UsageError
from engine.morphology.generation import candidate
from engine.morphology.poses import ARTIFACT_KIND, PosesHeader, encode_poses, recording_name
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.workers.process import start_ticks, worker_environment
from engine.workers.robot_library import make_set
from engine.workers.supervisor import stand_in
from engine.workers.workspace import Workspace
from hdtui.bench.workspace_runs import (
    LIVE_RUN,
    NUM_POINTS,
    NUM_RUNS,
    STUDENTS,
    TEACHERS,
    make_curves,
    make_events,
    make_runs,
)
from hdtui.data.cockpit import PREFERENCES_KEY
from hdtui.demo.curves import ITERATION_S, ITERATION_STEPS, teacher_values
from hdtui.demo.gait import Walk, walking
from hdtui.demo.live_feed import FINAL_RETURN
from hdtui.demo.runs import TRAINING_SET, working

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
    runs = make_runs(now)
    with database.write() as session:
        write_pipelines(session, [Pipeline(1, "bench", "laptop", TRAINING_SET, 1, now)])
        write_runs(session, runs)
        write_events(session, make_events(runs))
    written = 0
    for shape in make_curves([robot.digest for robot in robots]):
        with database.write() as session:  # one by one, or the log would grow as large as the file
            write_alike(session, shape.first, shape.others)
        written += len(shape.first.step) * (1 + len(shape.others))
        say(f"{written:,} points are written ...")
    for number in range(_POLICIES):
        _write_evaluation(database, TEACHERS + STUDENTS + 1 + number, robots)
    _write_film(database, TEACHERS + STUDENTS + 1, robots[0])


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


def play_worker(home: Path, run_id: int) -> "subprocess.Popen[bytes]":
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
