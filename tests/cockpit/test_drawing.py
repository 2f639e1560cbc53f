import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from hdtui.data.smoothing import (
    Break,
    Path,
    bucketed,
    mean_and_interval,
    smoothed,
    value_at,
)
from hdtui.terminal.meter import ByteMeter, TokenBucket
from hdtui.widgets.ascii import ascii_line
from hdtui.widgets.bars import block_bar, progress_line, sparkline
from hdtui.widgets.chart import ChartSpec, Curve, draw_chart
from hdtui.widgets.chart_scale import log_ticks_in_columns, nice_limits, tick_label, ticks
from hdtui.widgets.lines import Span, changed_cells, fit, line_width
from hdtui.widgets.pane import rule_line
from hdtui.widgets.table import Column, fitting_columns

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


def a_path(values: list[float]) -> Path:
    ys = tuple(values)
    return Path(tuple(float(index + 1) for index in range(len(ys))), ys, ys, ys)


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert smoothed([4.0, 8.0], 0.5) == pytest.approx([4.0, 20 / 3])
    assert smoothed([3.0] * 9, 0.97) == pytest.approx([3.0] * 9)
    assert smoothed([1.0, 5.0], 0.0) == [1.0, 5.0]


@given(st.lists(FINITE, min_size=1, max_size=300), st.integers(1, 40))
def test_no_bucket_loses_an_extreme(values: list[float], buckets: int) -> None:
    small = bucketed(a_path(values), buckets)
    assert len(small) <= max(buckets, 1)
    assert min(small.low) == min(values)
    assert max(small.high) == max(values)
    assert small.x[-1] == len(values)


def test_the_interval_of_three_seeds_is_that_of_the_t_distribution() -> None:
    band = mean_and_interval([a_path([1.0, 1.0]), a_path([2.0, 2.0]), a_path([3.0, 3.0])])
    assert band.y == pytest.approx((2.0, 2.0))
    assert band.high[0] - band.y[0] == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)


def test_points_that_are_not_finite_are_marks_at_their_places() -> None:
    breaks = (Break(25.0, math.nan), Break(50.0, math.inf), Break(75.0, -math.inf))
    path = Path((0.0, 100.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), breaks)
    for spec in (ChartSpec((Curve("a", path),)), ChartSpec((Curve("a", path),), log_y=True)):
        rows = ["".join(span.text for span in line) for line in draw_chart(spec, 60, 14).lines]
        assert rows[0].index("×") < rows[0].index("↑")
        assert "↓" in rows[-3]
    alone = ChartSpec((Curve("a", Path((), (), (), (), breaks)),))
    assert any("×" in span.text for line in draw_chart(alone, 60, 14).lines for span in line)
    assert draw_chart(alone, 60, 14) == draw_chart(alone, 60, 14)


def test_a_band_is_broken_where_one_seed_is_not_finite() -> None:
    whole = Path((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    broken = Path((1.0, 3.0), (3.0, 5.0), (3.0, 5.0), (3.0, 5.0), (Break(2.0, math.nan),))
    band = mean_and_interval([whole, broken])
    assert (band.x, band.y) == ((1.0, 3.0), (2.0, 4.0))
    assert [each.x for each in band.breaks] == [2.0]
    # Where a curve has not begun there is no mean over both.
    late = Path((2.0, 3.0), (3.0, 5.0), (3.0, 5.0), (3.0, 5.0))
    assert mean_and_interval([whole, late]).x == (2.0, 3.0)


def test_a_sparkline_marks_what_is_not_finite() -> None:
    assert sparkline([1.0, math.nan, 2.0, math.inf], 4) == "▁×█×"
    assert sparkline([math.nan], 4) == "×"


def test_a_value_between_two_points_is_the_last_measured_one_and_none_before_the_first() -> None:
    path = Path((10.0, 20.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), (Break(15.0, math.nan),))
    assert [value_at(path, x) for x in (9.9, 10.0, 14.9, 20.0, 99.0)] == [None, 1.0, 1.0, 2.0, 2.0]
    assert math.isnan(value_at(path, 15.0) or 0.0)


@given(FINITE, FINITE, st.integers(2, 8))
def test_axis_limits_hold_the_data_on_readable_steps(low: float, high: float, most: int) -> None:
    low, high = min(low, high), max(low, high)
    bottom, top, step = nice_limits(low, high, most)
    slack = 0.021 * max(abs(high), abs(low), step)
    assert bottom <= low + slack
    assert top >= high - slack
    assert 1 <= len(ticks(bottom, top, step)) - 1 <= most + 3


@pytest.mark.parametrize(
    ("value", "step", "largest", "label"),
    [(0, 400, 1600, "0"), (1600, 400, 1600, "1600"), (5e5, 5e5, 2e6, "0.5M"),
     (2e6, 5e5, 2e6, "2M"), (0.25, 0.25, 0.5, "0.25")],
)  # fmt: skip
def test_ticks_have_the_unit_of_the_axis(
    value: float, step: float, largest: float, label: str
) -> None:
    assert tick_label(value, step, largest) == label


@settings(deadline=None, max_examples=60)
@given(
    st.lists(FINITE, min_size=1, max_size=200),
    st.integers(1, 160),
    st.integers(1, 50),
    st.booleans(),
    st.booleans(),
)
def test_a_chart_fills_its_place_and_never_more(
    values: list[float], width: int, height: int, log_x: bool, log_y: bool
) -> None:
    spec = ChartSpec((Curve("a", a_path(values)),), log_x=log_x, log_y=log_y)
    drawn = draw_chart(spec, width, height)
    assert len(drawn.lines) <= height
    assert all(line_width(line) == width for line in drawn.lines)


def test_a_growing_curve_keeps_its_limits_and_carries_its_letter() -> None:
    first = draw_chart(ChartSpec((Curve("a", a_path([0.0, 100.0])),), x_end=10.0), 60, 17)
    spec = ChartSpec((Curve("a", a_path([0.0, 100.0, 40.0])),), x_end=10.0, y_limits=first.y_limits)
    second = draw_chart(spec, 60, 17)
    assert first.y_limits == second.y_limits
    letters = [span.text for line in second.lines for span in line if span.role == "accent bold"]
    assert letters == ["a"]


@pytest.mark.parametrize(
    ("low", "high", "columns", "shown"),
    [
        (1.24e5, 1e6, 73, [2e5, 5e5, 1e6]),
        (1.1e5, 2e7, 73, [2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7]),
        (1e3, 1e6, 73, [1e3, 1e4, 1e5, 1e6]),
        (1.24e5, 1.6e5, 73, [1.3e5, 1.4e5, 1.5e5, 1.6e5]),
    ],
)
def test_a_log_axis_of_few_decades_has_ticks_at_1_2_and_5(
    low: float, high: float, columns: int, shown: list[float]
) -> None:
    found = log_ticks_in_columns(math.log10(low), math.log10(high), columns)
    assert [10**tick for tick in found] == pytest.approx(shown)


@given(st.floats(-3, 9), st.floats(0.1, 6), st.integers(8, 200))
def test_ticks_of_a_log_axis_lie_on_it_and_leave_room_for_their_labels(
    low: float, span: float, columns: int
) -> None:
    found = log_ticks_in_columns(low, low + span, columns)
    assert found
    assert all(low - 1e-6 <= tick <= low + span + 1e-6 for tick in found)
    gaps = [right - left for left, right in itertools.pairwise(found)]
    assert all(gap * columns / span >= 7.99 for gap in gaps)


def test_the_log_axis_of_a_chart_is_labelled_between_powers_of_ten() -> None:
    curves = (Curve("a", Path((1.2e5,), (1.0,), (1.0,), (1.0,))),
              Curve("b", Path((1e6,), (2.0,), (2.0,), (2.0,)), letter_role="muted"))  # fmt: skip
    drawn = draw_chart(ChartSpec(curves, weight=0.0, log_x=True), 80, 10)
    labels = "".join(span.text for span in drawn.lines[-1]).split()
    assert labels == ["200k", "500k", "1M"]
    looks = {
        span.text: span.role for line in drawn.lines for span in line if span.text in {"a", "b"}
    }
    assert looks == {"a": "accent bold", "b": "muted"}


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1.24e6, 1.8e6, ["1.4M", "1.6M", "1.8M"]),
        (1.24e4, 2.1e4, ["14k", "16k", "18k", "20k"]),
        (1.24e5, 2.3e5, ["125k", "150k", "175k", "200k", "225k"]),
        (0.2, 30.0, ["0.2", "0.5", "1", "2", "5", "10", "20"]),
    ],
)
def test_a_label_on_a_log_axis_is_the_number_that_stands_there(
    low: float, high: float, labels: list[str]
) -> None:
    points = tuple(
        Curve("", Path((x,), (1.0,), (1.0,), (1.0,))) for x in (low * 1.0001, high * 0.9999)
    )
    window = (math.log10(low), math.log10(high))
    drawn = draw_chart(ChartSpec(points, log_x=True, x_window=window), 80, 10)
    assert "".join(span.text for span in drawn.lines[-1]).split() == labels


@given(st.floats(0, 1), st.integers(1, 60))
def test_bars_are_as_wide_as_their_place(share: float, width: int) -> None:
    assert len(progress_line(share, width)) == width
    assert len(block_bar(share, width)) == width


def test_a_sparkline_is_on_its_own_scale() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5], 8) == "▁▁"


SPANS = st.lists(
    st.builds(Span, st.text(alphabet="ab ►━世·…", max_size=9), st.sampled_from(["text", "bad"])),
    max_size=6,
).map(tuple)


@given(SPANS, st.integers(0, 40))
def test_a_line_is_cut_or_padded_to_its_width(line: tuple[Span, ...], width: int) -> None:
    assert line_width(fit(line, width)) == width


@given(SPANS, SPANS)
def test_cells_outside_the_reported_change_are_equal(
    old: tuple[Span, ...], new: tuple[Span, ...]
) -> None:
    before, after = fit(old, 30), fit(new, 30)
    changed = changed_cells(before, after)
    if changed is None:
        return
    first, last = changed
    texts = ["".join(span.text for span in line) for line in (before, after)]
    if all(len(text) == cell_len(text) for text in texts):
        assert texts[0][:first] == texts[1][:first]
        assert texts[0][last:] == texts[1][last:]


def test_ascii_keeps_columns_where_a_glyph_grows() -> None:
    line = (Span("2 334 ± 41  ► run…  "), Span("next"))
    drawn = "".join(span.text for span in ascii_line(line))
    assert drawn == "2 334 +- 41 > run... next"[: len(drawn)]
    assert drawn.isascii()


def test_the_least_important_columns_leave_first_and_the_name_grows() -> None:
    columns = [
        Column("id", "", 4),
        Column("name", "", 10, grow=True),
        Column("rate", "", 8, leaves_first=2),
        Column("left", "", 8, leaves_first=1),
    ]
    assert [column.key for _, column, _ in fitting_columns(columns, 30)] == ["id", "name", "left"]
    widths = {column.key: width for _, column, width in fitting_columns(columns, 60)}
    assert widths["name"] == 60 - (4 + 2) - (8 + 2) - 8 - 2


def test_a_bucket_lets_through_what_its_rate_allows() -> None:
    now = [0.0]
    bucket = TokenBucket(100, 200, lambda: now[0])
    assert bucket.can_pay()
    bucket.pay(400)
    assert not bucket.can_pay()
    now[0] = 2.5
    assert bucket.can_pay()


def test_the_meter_forgets_what_is_older_than_its_window() -> None:
    now = [0.0]
    meter = ByteMeter(5.0, lambda: now[0])
    meter.count(1000)
    assert meter.bytes_per_s() == 200.0
    now[0] = 6.0
    assert meter.bytes_per_s() == 0.0
    assert meter.total_bytes == 1000


@pytest.mark.parametrize("title", ["学習" * 40, "a" * 100, "e\u0301" * 50, "ab", ""])
@pytest.mark.parametrize("facts", ["", "50 % · 4m left", "学習" * 30])
def test_a_rule_is_as_wide_as_it_should_be_whatever_letters_its_title_has(
    title: str, facts: str
) -> None:
    for width in range(80):
        assert line_width(rule_line(title, facts, width, focused=True)) == width
