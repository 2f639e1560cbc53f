"""Curves as pure functions: smoothing that keeps extremes, buckets, outliers, seeds as a band."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

WEIGHTS = (0.0, 0.6, 0.9, 0.97)
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Path:
    """A curve to draw: equal lengths, ascending ``x``; low and high bound what was measured."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.x)


EMPTY = Path((), (), (), ())


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average, corrected for its start, so that the first value is the first."""
    if weight <= 0:
        return list(values)
    total, norm = 0.0, 0.0
    averages = []
    for value in values:
        total = weight * total + (1 - weight) * value
        norm = weight * norm + (1 - weight)
        averages.append(total / norm)
    return averages


def bucketed(path: Path, num_buckets: int) -> Path:
    """At most ``num_buckets`` points: mean of y, lowest low and highest high of each bucket."""
    if len(path) <= num_buckets or num_buckets <= 0:
        return path
    edges = [len(path) * bucket // num_buckets for bucket in range(num_buckets + 1)]
    parts = list(itertools.pairwise(edges))
    return Path(
        tuple(path.x[end - 1] for _, end in parts),
        tuple(sum(path.y[start:end]) / (end - start) for start, end in parts),
        tuple(min(path.low[start:end]) for start, end in parts),
        tuple(max(path.high[start:end]) for start, end in parts),
    )


def within(path: Path, start: float, end: float) -> Path:
    """The part of a curve between two values of x, with one point more at either side."""
    first = max(0, bisect.bisect_left(path.x, start) - 1)
    last = bisect.bisect_right(path.x, end) + 1
    return Path(path.x[first:last], path.y[first:last], path.low[first:last], path.high[first:last])


def percentile_limits(values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The values at two shares of the sorted list, for clipping outliers."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(low * last)], ordered[round(high * last)]


def logarithmic(path: Path) -> Path:
    """Base-10 logarithms of y; points that have none are left out."""
    kept = [index for index, value in enumerate(path.y) if value > 0]
    floor = min((path.y[index] for index in kept), default=1.0)
    return Path(
        tuple(path.x[index] for index in kept),
        tuple(math.log10(path.y[index]) for index in kept),
        tuple(math.log10(max(path.low[index], floor)) for index in kept),
        tuple(math.log10(max(path.high[index], floor)) for index in kept),
    )


def mean_and_interval(paths: Sequence[Path]) -> Path:
    """Mean of several curves at the first one's x, as far as all reach; 95 % t interval as band."""
    paths = [path for path in paths if len(path)]
    if len(paths) < 2:
        return paths[0] if paths else EMPTY
    end = min(path.x[-1] for path in paths)
    xs = [x for x in paths[0].x if x <= end]
    means, lows, highs = [], [], []
    for x in xs:
        values = [value_at(path, x) for path in paths]
        mean = sum(values) / len(values)
        half = half_width(values)
        means.append(mean)
        lows.append(mean - half)
        highs.append(mean + half)
    return Path(tuple(xs), tuple(means), tuple(lows), tuple(highs))


def value_at(path: Path, x: float) -> float:
    """Y at x, linearly between points, constant beyond the ends."""
    right = bisect.bisect_left(path.x, x)
    if right == 0:
        return path.y[0]
    if right == len(path.x):
        return path.y[-1]
    left = right - 1
    share = (x - path.x[left]) / (path.x[right] - path.x[left])
    return path.y[left] + share * (path.y[right] - path.y[left])


def half_width(values: Sequence[float]) -> float:
    """Half width of the 95 % t interval of a mean; 0 for a single value."""
    count = len(values)
    if count < 2:
        return 0.0
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    t = _T95[count - 2] if count - 2 < len(_T95) else 1.96
    return t * math.sqrt(variance / count)
