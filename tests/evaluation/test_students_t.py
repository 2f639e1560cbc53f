"""Student's t against published tables, and that nobody else has a quantile of his own."""

import math
import re
from pathlib import Path

import pytest

from engine.evaluation.statistics import bootstrap, bootstrap_draws, mean
from engine.statistics import half_width, interval, t_quantile, welch_difference
from hdtui.data.smoothing import Path as Curve
from hdtui.data.smoothing import mean_and_interval

TWO_SIDED_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
    *(2.040, 2.037, 2.035, 2.032, 2.030, 2.028, 2.026, 2.024, 2.023, 2.021),
    *(2.020, 2.018, 2.017, 2.015, 2.014, 2.013, 2.012, 2.011, 2.010, 2.009),
    *(2.008, 2.007, 2.006, 2.005, 2.004, 2.003, 2.002, 2.002, 2.001, 2.000),
    *(2.000, 1.999, 1.998, 1.998, 1.997, 1.997, 1.996, 1.995, 1.995, 1.994),
    *(1.994, 1.993, 1.993, 1.993, 1.992, 1.992, 1.991, 1.991, 1.990, 1.990),
    *(1.990, 1.989, 1.989, 1.989, 1.988, 1.988, 1.988, 1.987, 1.987, 1.987),
    *(1.986, 1.986, 1.986, 1.986, 1.985, 1.985, 1.985, 1.984, 1.984, 1.984),
)
"""Upper 97.5 % points at 1 to 100 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2)."""
OTHERS = {
    0.90: {1: 6.314, 2: 2.920, 3: 2.353, 5: 2.015, 10: 1.812, 30: 1.697, 60: 1.671, 100: 1.660},
    0.99: {1: 63.657, 2: 9.925, 3: 5.841, 5: 4.032, 10: 3.169, 30: 2.750, 60: 2.660, 100: 2.626},
}
SOURCES = [
    path
    for folder in ("engine", "hdtui", "db")
    for path in (Path(__file__).parents[2] / folder).rglob("*.py")
]


def test_the_quantile_is_the_tables_at_every_degree_of_freedom_to_100() -> None:
    found = [round(t_quantile(freedom), 3) for freedom in range(1, 101)]
    assert found == list(TWO_SIDED_95)


@pytest.mark.parametrize("confidence", OTHERS)
def test_other_confidences_are_the_tables_too(confidence: float) -> None:
    for freedom, expected in OTHERS[confidence].items():
        assert t_quantile(freedom, confidence) == pytest.approx(expected, abs=5.1e-4)


def test_small_confidences_and_half_degrees_of_freedom_have_their_quantile() -> None:
    # One degree of freedom is Cauchy's distribution: t = tan(pi / 2 * confidence).
    for confidence in (0.1, 0.5, 0.95, 0.999):
        assert t_quantile(1, confidence) == pytest.approx(math.tan(math.pi / 2 * confidence))
    # Two degrees: t = c sqrt(2 / (1 - c^2)).
    assert t_quantile(2, 0.5) == pytest.approx(0.5 * math.sqrt(2 / 0.75))
    assert t_quantile(2, 0.95) > t_quantile(2.5, 0.95) > t_quantile(3, 0.95)


@pytest.mark.parametrize("seeds", [2, 3, 11, 12, 15, 40, 101])
def test_a_band_a_table_and_an_evaluation_have_one_t(seeds: int) -> None:
    values = [float(place) for place in range(seeds)]
    spread = math.sqrt(sum((each - (seeds - 1) / 2) ** 2 for each in values) / (seeds - 1))
    expected = TWO_SIDED_95[seeds - 2] * spread / math.sqrt(seeds)
    band = mean_and_interval([Curve((1.0,), (each,), (each,), (each,)) for each in values])
    assert band.high[0] - band.y[0] == pytest.approx(expected, rel=3e-4)
    assert interval(values).half_width == pytest.approx(expected, rel=3e-4)
    assert half_width(spread, seeds) == pytest.approx(expected, rel=3e-4)
    if seeds > 10:  # the resampled means of fewer are too few for their percentiles to be smooth
        resampled = bootstrap(values, mean, bootstrap_draws())
        assert resampled.half_width == pytest.approx(expected, rel=0.05)


def test_values_that_are_not_finite_make_no_interval_and_no_error() -> None:
    for odd in (math.nan, math.inf, -math.inf):
        assert not math.isfinite(interval([1.0, odd, 2.0]).mean)
        assert welch_difference([1.0, 2.0, odd], [1.0, 2.0]).low is None
    assert interval([1e308, 1e308]).mean == math.inf
    assert interval([math.inf, -math.inf]).count == 2


def test_nobody_else_has_a_quantile_of_his_own() -> None:
    quantile = re.compile(r"\b1\.96\d*\b|\b12\.706\b|def \w*(t_quantile|student_quantile)\b")
    found = {path.name for path in SOURCES if quantile.search(path.read_text(encoding="utf-8"))}
    assert found == {"statistics.py"}
    deviations = re.compile(
        r"def (half_width|interval|welch_difference|sample_deviation)\((?!self)"
    )
    homes = {path for path in SOURCES if deviations.search(path.read_text(encoding="utf-8"))}
    assert [path.parent.name for path in homes] == ["engine"]
