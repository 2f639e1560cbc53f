"""What a training run tells after each iteration, under names that do not change."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.environments import EpisodeBatch
from engine.events import Metrics

if TYPE_CHECKING:
    from engine.ppo.trainer import IterationSummary, Trainer

_EPISODES = 32
_ROBOT_NUMBERS = ("return", "episode_length", "falls", "speed")


class EpisodeWindow:
    """A ring of the last episodes per robot: (R, 32, 4)."""

    def __init__(self, robots: int) -> None:
        self._rings = np.zeros((robots, _EPISODES, len(_ROBOT_NUMBERS)))
        self._counts = np.zeros(robots, dtype=np.int64)

    def add(self, episodes: EpisodeBatch, robots: Sequence[int]) -> None:
        """Take ended episodes in; ``robots`` maps the batch's robot indices to the window's."""
        rows = np.stack(
            [
                episodes.episode_return,
                episodes.length.astype(np.float64),
                episodes.terminated.astype(np.float64),
                episodes.mean_speed_m_s,
            ],
            axis=1,
        )
        for index, row in zip(episodes.robot, rows, strict=True):
            robot = robots[index]
            self._rings[robot, self._counts[robot] % _EPISODES] = row
            self._counts[robot] += 1

    def means(self) -> dict[int, dict[str, float]]:
        """Mean numbers of every robot that has ended an episode."""
        return {
            int(robot): dict(
                zip(_ROBOT_NUMBERS, self._rings[robot, : self._counts[robot]].mean(0), strict=True)
            )
            for robot in np.flatnonzero(self._counts)
        }

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Copies of rings and counts."""
        return {"rings": self._rings.copy(), "counts": self._counts.copy()}

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        """Continue from a ``state``."""
        self._rings[:] = state["rings"]
        self._counts[:] = state["counts"]


_TIMED = ("physics", "observation", "inference")


def own_report(trainer: "Trainer", summary: "IterationSummary") -> dict[str, Any]:
    """What only this process knows: its robots' episodes and where its time went."""
    means = trainer.simulations.episode_means()
    return {
        **asdict(summary.collection),
        "robots": {trainer.digests[robot]: numbers for robot, numbers in means.items()},
    }


def iteration_metrics(
    trainer: "Trainer",
    summary: "IterationSummary",
    reports: Sequence[Mapping[str, Any]],
    seconds: float,
    steps_per_second: float,
) -> Metrics:
    """An iteration's metrics, finite or not; robots that ended no episode yet are left out."""
    robots: dict[str, dict[str, float]] = {}
    for report in reports:
        robots |= report["robots"]
    shares = {
        f"share_{name}": sum(report[f"{name}_s"] for report in reports) / (seconds * len(reports))
        for name in _TIMED
    }
    values = {
        **_means_over_robots(robots),
        **summary.update.statistics,
        "explained_variance": summary.explained_variance,
        "action_std": trainer.deviation.std(),
        "learning_rate": summary.learning_rate,
        "gradient_norm": summary.update.gradient_norm,
        "steps_per_second": steps_per_second,
        **shares,
        "share_update": max(1.0 - sum(shares.values()), 0.0),
        "exploded": float(sum(report["exploded"] for report in reports)),
    }
    return Metrics(
        step=trainer.env_steps,
        iteration=trainer.iteration,
        values=values,
        robots=robots,
    )


def _means_over_robots(robots: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Every robot counts the same, however many episodes it ended."""
    if not robots:
        return {}
    return {
        name: sum(numbers[name] for numbers in robots.values()) / len(robots)
        for name in _ROBOT_NUMBERS
    }
