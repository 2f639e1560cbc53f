"""Aggregates over robots with bootstrap intervals, as pure functions.

A policy's score is the mean over robots of each robot's mean episode return. Robots are the units
that intervals resample: episodes of one robot are far more alike than robots are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from engine.random import generator
from engine.statistics import half_width, t_quantile

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""Reduces the last axis: (..., R) -> (...)."""

_RESAMPLES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A statistic and the interval it lies in at some confidence; None, None of one robot alone."""

    value: float
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Half the interval, for display after a plus-minus sign."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def bootstrap_draws() -> np.random.Generator:
    """What every interval of returns is drawn with: the same robots have one interval anywhere."""
    return generator(0, "bootstrap")


ABOUT_NOTHING = 10.0
"""A return below this is no walk: a robot that lets itself fall earns about 3, and 10 are 20 cm."""


@dataclass(frozen=True)
class RobotReturn:
    """What a policy earned on a robot: mean and sample deviation over its episodes."""

    mean: float
    deviation: float
    episodes: int


def earns(returns: Sequence[RobotReturn]) -> bool:
    """Whether a policy earns enough for another's return to be a share of its: the only rule.

    The mean over robots is no less than ``ABOUT_NOTHING``, and above zero for sure; of one robot
    alone its episodes decide.
    """
    means = [each.mean for each in returns]
    if not means or not sum(means) / len(means) >= ABOUT_NOTHING:
        return False
    if len(means) == 1:
        half = half_width(returns[0].deviation, returns[0].episodes)
        return half is not None and means[0] - half > 0.0
    return surely_positive(means)


def kept_ratio(
    own: Mapping[str, RobotReturn], reference: Mapping[str, RobotReturn]
) -> float | None:
    """Mean return of one policy over that of another, on the robots (digests) that both have.

    Both are of one evaluation. None where the other earns about nothing, or no robot is shared.
    """
    common = sorted(own.keys() & reference.keys())
    below = [reference[digest] for digest in common]
    if not earns(below):
        return None
    return sum(own[digest].mean for digest in common) / sum(each.mean for each in below)


def surely_positive(returns: npt.ArrayLike) -> bool:
    """Whether robots' returns have a mean above zero for sure.

    Of one robot alone nothing is sure.
    """
    low = bootstrap(returns, mean, bootstrap_draws(), samples=500).low
    return low is not None and low > 0.0


def robot_means(episode_returns: Sequence[npt.ArrayLike]) -> FloatArray:
    """Mean return of each robot: a sequence of its episodes' returns per robot -> (R,)."""
    return np.array([np.mean(np.asarray(own, dtype=np.float64)) for own in episode_returns])


def mean(values: FloatArray) -> FloatArray:
    """The mean of the last axis."""
    averaged: FloatArray = np.mean(values, axis=-1)
    return averaged


def interquartile_mean(values: FloatArray) -> FloatArray:
    """Mean of the middle half of the last axis, weighing the values at its borders in part.

    Robust to a few robots that always or never walk (arXiv 2108.13264, section 4.3).
    """
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    ranks = np.arange(count)
    # The share of each value's unit interval [rank, rank + 1) within [count / 4, 3 count / 4).
    weights = np.clip(np.minimum(ranks + 1, 0.75 * count) - np.maximum(ranks, 0.25 * count), 0, 1)
    middle: FloatArray = ordered @ (weights / weights.sum())
    return middle


def bootstrap(
    values: npt.ArrayLike,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """A statistic of robots' values (R,) with its expanded percentile interval.

    Robots are drawn with replacement, from their values in order, so that equal values and an
    equal ``rng`` give equal intervals. One robot alone has no interval.
    """
    own = np.sort(np.asarray(values, dtype=np.float64))
    value = float(statistic(own))
    if own.size < 2:
        return Estimate(value, None, None)
    drawn = _resampled(own, statistic, rng, samples)
    return _interval(value, drawn, own.size, confidence)


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Mean of ``first - second`` over the same robots in the same order, with its interval."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return bootstrap(difference, mean, rng, samples=samples, confidence=confidence)


def ratio_of_means(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Mean of ``first`` over mean of ``second``, robots resampled in pairs."""
    pairs = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    pairs = pairs[:, np.lexsort(pairs)]
    value = float(pairs[0].mean() / pairs[1].mean())
    count = pairs.shape[1]
    if count < 2:
        return Estimate(value, None, None)
    picks = rng.integers(0, count, size=(samples, count))
    drawn = pairs[0][picks].mean(axis=1) / pairs[1][picks].mean(axis=1)
    return _interval(value, drawn, count, confidence)


def generalization_gap(
    trained: npt.ArrayLike,
    unseen: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Mean over trained robots minus mean over unseen ones; both sets are resampled."""
    sets = [np.sort(np.asarray(values, dtype=np.float64)) for values in (trained, unseen)]
    value = float(sets[0].mean() - sets[1].mean())
    means = [_resampled(own, mean, rng, samples) for own in sets]
    smallest = min(own.size for own in sets)
    if smallest < 2:
        return Estimate(value, None, None)
    return _interval(value, means[0] - means[1], smallest, confidence)


def _interval(value: float, drawn: FloatArray, robots: int, confidence: float) -> Estimate:
    """The percentiles of resampled statistics, expanded about the value for few robots.

    Resampling n values understates the spread of a mean by sqrt((n - 1) / n) and ignores that the
    spread is itself an estimate (expanded percentile interval, arXiv 1411.5279, section 4.5).
    """
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    normal = NormalDist().inv_cdf(1.0 - tail)
    expansion = math.sqrt(robots / (robots - 1)) * t_quantile(robots - 1, confidence) / normal
    return Estimate(
        value, float(value + (low - value) * expansion), float(value + (high - value) * expansion)
    )


def _resampled(
    values: FloatArray, statistic: Statistic, rng: np.random.Generator, samples: int
) -> FloatArray:
    """The statistic of each resample: (samples,), drawn in blocks that fit in memory."""
    block = max(_RESAMPLES_AT_ONCE // values.size, 1)
    parts = [
        statistic(
            values[rng.integers(0, values.size, size=(min(block, samples - start), values.size))]
        )
        for start in range(0, samples, block)
    ]
    return np.concatenate(parts)
