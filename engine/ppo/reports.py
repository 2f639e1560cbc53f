"""What a training run tells after each iteration, under names that do not change."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.events import Metrics
from engine.ppo.share import IterationSummary, Share

_ROBOT_NUMBERS = ("return", "episode_length", "falls", "speed")
_TIMED = ("physics", "observation", "inference")


def own_report(share: Share, summary: IterationSummary) -> dict[str, Any]:
    """What only this process knows: its robots' episodes and where its time went."""
    means = share.simulators.window.means()
    return {
        **asdict(summary.collection),
        "robots": {share.digests[robot]: numbers for robot, numbers in means.items()},
    }


def iteration_metrics(
    share: Share,
    summary: IterationSummary,
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
        "action_std": share.deviation.std(),
        "learning_rate": summary.learning_rate,
        "gradient_norm": summary.update.gradient_norm,
        "steps_per_second": steps_per_second,
        **shares,
        "share_update": max(1.0 - sum(shares.values()), 0.0),
        "exploded": float(sum(report["exploded"] for report in reports)),
    }
    return Metrics(
        step=share.env_steps,
        iteration=share.iteration,
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
