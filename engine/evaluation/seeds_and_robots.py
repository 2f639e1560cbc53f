"""Intervals over seeds and robots at once: what a difference of two settings is worth.

Training again with another seed and judging on other robots both change a score, so both are drawn
again: a hierarchical bootstrap of seeds, then robots. It says the shape of an interval; how wide it
is says the analysis of variance, as a bootstrap of few seeds is too narrow by sqrt((n - 1) / n) and
one of two crossed factors counts what is left over three times (Owen, Annals of Applied Statistics
2007). Interquartile mean, probability of improvement and performance profiles are defined as in
rliable (arXiv 2108.13264), whose library is not used: it brings arch, scipy and seaborn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import Estimate, interquartile_mean
from engine.random import generator
from engine.statistics import probability_within, t_quantile

FloatArray = npt.NDArray[np.float64]
SAMPLES = 2000
_MOST_SEEDS = 1000
_SMALLEST_P = 1e-6
_LARGEST_T = 1e6
_HALVINGS = 32


@dataclass(frozen=True)
class Spread:
    """The variance of a mean and its degrees of freedom (Satterthwaite).

    ``of_seeds`` is the part that more seeds would make smaller, ``of_robots`` the part that only
    more robots would.
    """

    of_seeds: float
    of_robots: float
    freedom: float

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.of_seeds + self.of_robots)


@dataclass(frozen=True)
class Scores:
    """Numbers of one setting (or differences of two): for each seed those of its robots.

    ``crossed`` says that every seed has the same robots in the same order; else each seed's robots
    are its own.
    """

    by_seed: tuple[FloatArray, ...]
    crossed: bool

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self.by_seed)

    @property
    def mean(self) -> float:
        """The mean over seeds of each seed's mean over robots."""
        return float(np.mean([values.mean() for values in self.by_seed]))

    @property
    def interquartile_mean(self) -> float:
        """The mean of the middle half of all seeds and robots."""
        return float(interquartile_mean(np.concatenate(self.by_seed)))

    @cached_property
    def spread(self) -> Spread | None:
        """How far the mean would be off with other seeds and robots; None of a single seed."""
        if self.seeds < 2:
            return None
        if self.crossed and self.by_seed[0].size > 1:
            return _crossed_spread(np.stack(self.by_seed))
        means = [values.mean() for values in self.by_seed]
        return Spread(float(np.var(means, ddof=1)) / self.seeds, 0.0, self.seeds - 1.0)

    @cached_property
    def _drawn(self) -> tuple[FloatArray, FloatArray]:
        """Means and interquartile means of resampled seeds and robots: (SAMPLES,) each, sorted."""
        rng = generator(0, "seeds and robots")
        drawn = _resampled(self, rng)
        means = np.mean([values.mean(axis=1) for values in drawn], axis=0)
        middles = interquartile_mean(np.concatenate(drawn, axis=1))
        return np.sort(means), np.sort(middles)

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Where the mean lies at this confidence; None of a single seed."""
        if self.spread is None:
            return None
        return self._calibrated(self._drawn[0], self.mean, self.spread, confidence)

    def mean_estimate(self, confidence: float) -> Estimate:
        """The mean with its interval."""
        return Estimate(self.mean, *(self.interval(confidence) or (None, None)))

    def interquartile_estimate(self, confidence: float) -> Estimate:
        """The interquartile mean with its interval."""
        middle = self.interquartile_mean
        if self.spread is None:
            return Estimate(middle, None, None)
        return Estimate(middle, *self._calibrated(self._drawn[1], middle, self.spread, confidence))

    def _calibrated(
        self, drawn: FloatArray, value: float, spread: Spread, confidence: float
    ) -> tuple[float, float]:
        """Percentiles of resampled statistics, their distance from the value set right."""
        return self._stretched(
            drawn, value, spread, confidence, t_quantile(spread.freedom, confidence)
        )

    def _stretched(
        self, drawn: FloatArray, value: float, spread: Spread, confidence: float, t: float
    ) -> tuple[float, float]:
        """As ``_calibrated``, with the t of this confidence."""
        tail = (1.0 - confidence) / 2.0
        bootstrapped = float(np.std(self._drawn[0]))
        if bootstrapped == 0.0:
            return value, value
        expansion = spread.error / bootstrapped * t / NormalDist().inv_cdf(1.0 - tail)
        low, high = np.quantile(drawn, [tail, 1.0 - tail])
        return (
            min(value, float(value + (low - value) * expansion)),
            max(value, float(value + (high - value) * expansion)),
        )

    def p_value(self) -> float:
        """The smallest share of error at which the interval leaves zero out; 1 of one seed."""
        spread = self.spread
        if spread is None or self.mean == 0.0:
            return 1.0

        def excludes_zero(error: float, t: float) -> bool:
            low, high = self._stretched(self._drawn[0], self.mean, spread, 1.0 - error, t)
            return low > 0.0 or high < 0.0

        # By halving t, not the error: the probability within t is quick, the t of one is not.
        smallest, largest = 0.0, _LARGEST_T
        for _ in range(_HALVINGS):
            middle = (smallest + largest) / 2
            error = 1.0 - probability_within(middle, spread.freedom)
            if error > _SMALLEST_P and excludes_zero(error, middle):
                smallest = middle
            else:
                largest = middle
        return max(1.0 - probability_within(smallest, spread.freedom), _SMALLEST_P)

    def seeds_to_decide(self, confidence: float, margin: float) -> int | None:
        """How many seeds in all would tell a difference of this size from zero, about.

        Or show that it is within ``margin`` of zero. None where no number of seeds would: the
        robots differ too much, or a single seed says nothing of how far another would be off.
        """
        size = abs(self.mean)

        def decides(seeds: int) -> bool:
            # Half the interval is smaller than what is to be told, or leaves room to the margin.
            return self._confidence(seeds, max(size, margin - size)) > confidence

        if self.spread is None or not decides(_MOST_SEEDS):
            return None
        few, many = self.seeds, _MOST_SEEDS
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if decides(middle) else (middle, many)
        return many

    def _confidence(self, seeds: int, half_width: float) -> float:
        """How sure an interval so wide would be, of so many seeds that are all as these are."""
        if self.spread is None:
            return 0.0
        variance = self.spread.of_seeds * self.seeds / seeds + self.spread.of_robots
        if variance == 0.0:
            return 1.0
        freedom = self.spread.freedom * (seeds - 1) / (self.seeds - 1)
        return probability_within(half_width / math.sqrt(variance), freedom)


def paired(
    first: Sequence[dict[str, float]], second: Sequence[dict[str, float]]
) -> tuple[Scores, Scores, Scores]:
    """Two settings' numbers by robot, seed by seed, on the robots that both have, and differences.

    Seeds that share no robot are left out.
    """
    common = [sorted(one.keys() & other.keys()) for one, other in zip(first, second, strict=True)]
    crossed = len({tuple(names) for names in common if names}) == 1

    def scores(of: Sequence[dict[str, float]]) -> Scores:
        picked = [
            np.array([own[name] for name in names])
            for own, names in zip(of, common, strict=True)
            if names
        ]
        return Scores(tuple(picked), crossed)

    one, other = scores(first), scores(second)
    differences = [a - b for a, b in zip(one.by_seed, other.by_seed, strict=True)]
    return one, other, Scores(tuple(differences), crossed)


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """How likely the first earns more on a robot than the second, ties counting half.

    Of crossed scores every seed of one is compared with every seed of the other, robot by robot
    (Mann and Whitney's statistic over the number of pairs); else seeds with themselves alone.
    """
    if not first.crossed:
        return float(
            np.mean(
                [
                    _share_above(a, b).mean()
                    for a, b in zip(first.by_seed, second.by_seed, strict=True)
                ]
            )
        )
    one, other = np.stack(first.by_seed), np.stack(second.by_seed)
    return float(_share_above(one[:, None, :], other[None, :, :]).mean())


def performance_profile(scores: Scores, thresholds: npt.ArrayLike) -> FloatArray:
    """The share of seeds and robots above each threshold: (T,)."""
    values = np.concatenate(scores.by_seed)
    shares: FloatArray = (values[None, :] > np.asarray(thresholds)[:, None]).mean(axis=1)
    return shares


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of several comparisons, adjusted so that one false alarm among all is as rare.

    Holm, Scandinavian Journal of Statistics 1979.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _share_above(first: FloatArray, second: FloatArray) -> FloatArray:
    shares: FloatArray = (first > second) + 0.5 * (first == second)
    return shares


def _crossed_spread(values: FloatArray) -> Spread:
    """Of a mean over seeds and robots (S, R), by a two-way analysis of variance.

    Mean squares of seeds and robots each hold what is left over once, so it is taken off once.
    """
    seeds, robots = values.shape
    count = seeds * robots
    row, column = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = values - row - column + values.mean()
    of_rows = robots * float(np.var(row, ddof=1))
    of_columns = seeds * float(np.var(column, ddof=1))
    left = float((rest**2).sum()) / ((seeds - 1) * (robots - 1))
    robots_part = max(of_columns - left, 0.0)
    total = of_rows + robots_part
    if total == 0.0:
        return Spread(0.0, 0.0, seeds - 1.0)
    parts = of_rows**2 / (seeds - 1)
    if robots_part:
        parts += of_columns**2 / (robots - 1) + left**2 / ((seeds - 1) * (robots - 1))
    freedom = max(total**2 / parts, 1.0)
    return Spread(of_rows / count, robots_part / count, freedom)


def _resampled(scores: Scores, rng: np.random.Generator) -> list[FloatArray]:
    """Seeds drawn with replacement, and robots of each: as many arrays (SAMPLES, R) as seeds."""
    if scores.crossed:
        values = np.stack(scores.by_seed)
        robots = rng.integers(0, values.shape[1], size=(SAMPLES, values.shape[1]))
        picks = rng.integers(0, scores.seeds, size=(SAMPLES, scores.seeds))
        return [values[picks[:, place, None], robots] for place in range(scores.seeds)]
    size = max(own.size for own in scores.by_seed)
    drawn = []
    for _ in range(scores.seeds):
        picks = rng.integers(0, scores.seeds, size=SAMPLES)
        part = np.empty((SAMPLES, size))
        for seed, own in enumerate(scores.by_seed):
            rows = picks == seed
            part[rows] = own[rng.integers(0, own.size, size=(int(rows.sum()), size))]
        drawn.append(part)
    return drawn
