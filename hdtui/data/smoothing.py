"""Curves as pure functions: smoothing that keeps extremes, buckets, outliers, seeds as a band."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.statistics import interval

WEIGHTS = (0.0, 0.6, 0.9, 0.97)


@dataclass(frozen=True)
class Break:
    """Where a curve has no height: its value is not finite, or beyond what is drawn."""

    x: float
    value: float


@dataclass(frozen=True)
class Path:
    """A curve to draw: equal lengths, ascending ``x``; low and high bound what was measured.

    ``breaks`` are its points without a height, by ascending x.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    breaks: tuple[Break, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    @property
    def end(self) -> float:
        """The x of the last point, with or without a height; 0 where there is none."""
        return max([*self.x[-1:], *(each.x for each in self.breaks[-1:])], default=0.0)


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
        path.breaks,
    )


def within(path: Path, start: float, end: float) -> Path:
    """The part of a curve between two values of x, with one point more at either side."""
    first = max(0, bisect.bisect_left(path.x, start) - 1)
    last = bisect.bisect_right(path.x, end) + 1
    breaks = tuple(each for each in path.breaks if start <= each.x <= end)
    x, y, low, high = (each[first:last] for each in (path.x, path.y, path.low, path.high))
    return Path(x, y, low, high, breaks)


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
        path.breaks,
    )


def mean_and_interval(paths: Sequence[Path]) -> Path:
    """Mean of several curves at the first one's x, from where all have begun to where one ends.

    The band is the 95 % t interval. Where a curve's value is not finite there is no mean: a break.
    """
    paths = [path for path in paths if len(path) or path.breaks]
    if len(paths) < 2:
        return paths[0] if paths else EMPTY
    end = min(path.end for path in paths)
    means: list[tuple[float, float, float, float]] = []
    breaks: list[Break] = []
    for at in sorted({*paths[0].x, *(each.x for path in paths for each in path.breaks)}):
        values = [value_at(path, at) for path in paths]
        known = [value for value in values if value is not None]
        if at > end or len(known) < len(paths):
            continue
        found = interval(known)
        half = found.half_width or 0.0
        if math.isfinite(found.mean) and math.isfinite(half):
            means.append((at, found.mean, found.mean - half, found.mean + half))
        else:
            breaks.append(Break(at, found.mean))
    x, y, low, high = list(zip(*means, strict=True)) or [()] * 4
    return Path(x, y, low, high, tuple(breaks))


def value_at(path: Path, x: float) -> float | None:
    """The newest value at or before x, finite or not; None before the first: nothing is invented.

    Values between two points were never measured.
    """
    right = bisect.bisect_right(path.x, x)
    broken = bisect.bisect_right([each.x for each in path.breaks], x)
    if broken and (not right or path.breaks[broken - 1].x >= path.x[right - 1]):
        return path.breaks[broken - 1].value
    return path.y[right - 1] if right else None
