"""Means with their intervals over few values: the only home of Student's t, on plain floats.

It needs the standard library alone, so that screens may use it before numpy is loaded. What
resamples robots is ``engine.evaluation.statistics``, which takes its t from here.
"""

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

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Where the interval begins and ends."""
        width = self.half_width
        return None if width is None else (self.mean - width, self.mean + width)


@dataclass(frozen=True)
class Difference:
    """The difference of two means with its 95 % interval (Welch), None where one has no spread."""

    mean: float
    low: float | None
    high: float | None


@lru_cache(maxsize=1024)
def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """The t with this share of Student's distribution within -t and t."""
    low, high = 0.0, 2.0
    while probability_within(high, freedom) < confidence:
        low, high = high, 2 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        if probability_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def probability_within(t: float, freedom: float) -> float:
    """Probability that |T| <= t: Simpson's rule on t = tan, which tames the tails."""
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    scale = math.exp(log_scale - 0.5 * math.log(freedom * math.pi))
    step = math.atan(t) / _CELLS
    total = 0.0
    for place in range(_CELLS + 1):
        angle = place * step
        weight = 1 if place in (0, _CELLS) else 4 if place % 2 else 2
        tail = math.exp(-(freedom + 1) / 2 * math.log1p(math.tan(angle) ** 2 / freedom))
        total += weight * tail / math.cos(angle) ** 2
    return 2 * scale * total * step / 3


def half_width(spread: float, count: int) -> float | None:
    """Half the 95 % interval of a mean of ``count`` values with this sample deviation."""
    if count < 2:
        return None
    return t_quantile(float(count - 1)) * spread / math.sqrt(count)


def mean(values: Sequence[float]) -> float:
    """The mean; not finite where a value is not, which plain sums survive and ``fsum`` does not."""
    return sum(values) / len(values)


def interval(values: Sequence[float]) -> Interval:
    """The mean of values and its t interval."""
    return Interval(mean(values), half_width(sample_deviation(values), len(values)), len(values))


def sample_deviation(values: Sequence[float]) -> float:
    """The standard deviation with n - 1, 0 of a single value."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    # A product overflows to infinity where a power would raise.
    squares = sum((each - middle) * (each - middle) for each in values)
    return math.sqrt(squares / (len(values) - 1))


def welch_difference(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Mean of ``values`` minus mean of ``baseline`` with Welch's interval (Biometrika 1947)."""
    samples = (values, baseline)
    difference = mean(values) - mean(baseline)
    if min(map(len, samples)) < 2:
        return Difference(difference, None, None)
    deviations = [sample_deviation(sample) for sample in samples]
    parts = [each * each / len(own) for each, own in zip(deviations, samples, strict=True)]
    variance = sum(parts)
    if variance == 0:
        return Difference(difference, difference, difference)
    if not math.isfinite(variance):
        return Difference(difference, None, None)
    shares = [part / variance for part in parts]
    inverse = sum(share**2 / (len(own) - 1) for share, own in zip(shares, samples, strict=True))
    half = t_quantile(1 / inverse) * math.sqrt(variance)
    return Difference(difference, difference - half, difference + half)
