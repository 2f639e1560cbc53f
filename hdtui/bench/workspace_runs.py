"""The thousand runs of the benchmark's workspace: what they are, how they ended, their curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from db.queries.bulk import LikeCurve, WholeCurve
from db.records import Run, RunEvent, RunKind, RunState
from engine.random import generator
from hdtui.demo.runs import blank

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


def make_runs(now: datetime) -> list[Run]:
    """Teachers, students of them, evaluations of both; the newest two are teachers again."""
    return [_run(number, now) for number in range(1, NUM_RUNS + 1)]


def _run(number: int, now: datetime) -> Run:
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


def make_events(runs: Sequence[Run]) -> list[RunEvent]:
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


def make_curves(digests: Sequence[str]) -> Iterator[Shape]:
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
