"""The whole training loop against the environment alone, for ``hdtui bench ppo``."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from engine.config.teacher import TeacherConfig, named_teacher
from engine.environments import benchmark
from engine.events import Event, Metrics, StageContext
from engine.morphology.tree import Morphology
from engine.ppo import train_teacher
from engine.workers.robot_library import UNIMAL_VARIABLE, built_in_files
from engine.workers.tools.bench_simulation import viable_robots

GENERATED = 8
ITERATIONS = 24
SKIPPED = 4
"""Iterations that warm up: processes start, caches fill."""


def run(*, seed: int) -> dict[str, Any]:
    """Control steps a second of the ``quick`` teacher's loop and of its environments alone.

    The robots are the set ``unimal8`` where its folder is known, else generated ones.
    """
    known = bool(os.environ.get(UNIMAL_VARIABLE))
    robots = (
        [file.robot for file in built_in_files("unimal8")]
        if known
        else viable_robots(GENERATED, seed)
    )
    config = named_teacher("quick").model_copy(update={"seed": seed})
    alone = benchmark.run(
        config.task, robots, config.simulations_per_robot, seed, config.processes
    )["environment_steps_per_s"]
    reports = _trained(config, robots)[SKIPPED:]
    training = median(report["steps_per_second"] for report in reports)
    shares = sorted(name for name in reports[0] if name.startswith("share_"))
    return {
        "robots": "unimal8" if known else f"{GENERATED} generated",
        "simulations_per_robot": config.simulations_per_robot,
        "processes": config.processes,
        "training_steps_per_s": training,
        "environment_steps_per_s": float(alone),
        "ratio": training / float(alone),
        **{name: median(report[name] for report in reports) for name in shares},
    }


def _trained(config: TeacherConfig, robots: Sequence[Morphology]) -> list[dict[str, float]]:
    """The metrics of every iteration of a short training."""
    steps = len(robots) * config.simulations_per_robot * config.ppo.horizon * ITERATIONS
    short = config.model_copy(update={"total_env_steps": steps})
    reports: list[dict[str, float]] = []

    def report(event: Event) -> None:
        if isinstance(event, Metrics):
            reports.append(dict(event.values))

    with tempfile.TemporaryDirectory(prefix="hdtui-bench-") as folder:
        train_teacher(short, robots, StageContext(Path(folder), 1, report, lambda: False))
    return reports
