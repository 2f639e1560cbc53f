"""Environment speed against pure physics, for ``hdtui bench simulation``."""

from itertools import islice
from typing import Any

from engine.config.base import TaskConfig
from engine.environments import benchmark
from engine.environments.viability import viable
from engine.morphology.generation import candidates
from engine.morphology.tree import Morphology

CANDIDATES_AT_ONCE = 16


def run(*, task: str, robots: int, per_robot: int, seed: int) -> dict[str, Any]:
    """Rates in control steps a second on generated robots that can stand or move."""
    config = TaskConfig.model_validate({"name": task})
    return dict(benchmark.run(config, viable_robots(robots, seed), per_robot, seed))


def viable_robots(count: int, seed: int) -> list[Morphology]:
    """The first ``count`` candidates of a seed that can stand or move."""
    found: list[Morphology] = []
    source = candidates(seed)
    while len(found) < count:
        batch = list(islice(source, CANDIDATES_AT_ONCE))
        verdicts = viable(batch, seed)
        found += [robot for robot, good in zip(batch, verdicts, strict=True) if good]
    return found[:count]
