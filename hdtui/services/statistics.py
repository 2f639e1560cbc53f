"""Intervals of means over few values, without leaving the standard library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95
_CELLS = 160


@dataclass(frozen=True)
class Interval:
    """A mean, half the width of its 95 % t interval (None for a single value), and how many."""

    mean: float
    half_width: float | None
    count: int


@dataclass(frozen=True)
class Difference:
    """The difference of two means with its 95 % interval (Welch), None where one has no spread."""

    mean: float
    low: float | None
    high: float | None


def _density(t: float, freedom: float) -> float:
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    log_scale -= 0.5 * math.log(freedom * math.pi)
    return math.exp(log_scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def _share_within(t: float, freedom: float) -> float:
    """Probability that |T| <= t: Simpson's rule on t = tan, which tames the tails."""
    top = math.atan(t)
    step = top / _CELLS
    total = 0.0
    for place in range(_CELLS + 1):
        angle = place * step
        weight = 1 if place in (0, _CELLS) else 4 if place % 2 else 2
        total += weight * _density(math.tan(angle), freedom) / math.cos(angle) ** 2
    return 2 * total * step / 3


@lru_cache(maxsize=1024)
def t_quantile(freedom: float) -> float:
    """The t with 95 % of Student's distribution within -t and t."""
    low, high = 1.0, 2.0
    while _share_within(high, freedom) < CONFIDENCE:
        low, high = high, 2 * high
    for _ in range(32):
        middle = 0.5 * (low + high)
        if _share_within(middle, freedom) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def half_width(spread: float, count: int) -> float | None:
    """Half the 95 % interval of a mean of ``count`` values with this sample deviation."""
    if count < 2:
        return None
    return t_quantile(float(count - 1)) * spread / math.sqrt(count)


def interval(values: Sequence[float]) -> Interval:
    """The mean of values and its t interval."""
    mean = sum(values) / len(values)
    return Interval(mean, half_width(_deviation(values, mean), len(values)), len(values))


def _deviation(values: Sequence[float], mean: float) -> float:
    if len(values) < 2:
        return 0.0
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def welch_difference(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Mean of ``values`` minus mean of ``baseline`` with Welch's interval (Biometrika 1947)."""
    first, second = interval(values), interval(baseline)
    mean = first.mean - second.mean
    if first.count < 2 or second.count < 2:
        return Difference(mean, None, None)
    parts = [
        _deviation(sample, found.mean) ** 2 / found.count
        for sample, found in ((values, first), (baseline, second))
    ]
    variance = sum(parts)
    if variance == 0:
        return Difference(mean, mean, mean)
    counts = (first.count, second.count)
    shares = [part / variance for part in parts]
    inverse = sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))
    half = t_quantile(round(1 / inverse, 3)) * math.sqrt(variance)
    return Difference(mean, mean - half, mean + half)
