from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hdtui import formatting


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "·"),
        (912, "912"),
        (2334, "2 334"),
        (9999, "9 999"),
        (96_000, "96k"),
        (940_000, "940k"),
        (1_200_000, "1.2M"),
        (999_700, "1.0M"),
        (19_900_000, "19.9M"),
        (float("nan"), "NaN"),
        (1e39, "1.0e39"),
    ],
)
def test_steps_are_exact_below_ten_thousand(value: float | None, shown: str) -> None:
    assert formatting.steps(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1_660_000, "1.66M"),
        (70_500, "70.5k"),
        (124_000, "124k"),
        (19_900_000, "19.9M"),
        (865, "865"),
    ],
)
def test_amounts_have_three_digits(value: float, shown: str) -> None:
    assert formatting.amount(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(3700, "3.7k/s"), (31, "31/s"), (3.1, "3.1/s"), (0, "·"), (None, "·")]
)
def test_rates_are_per_second_and_unknown_is_never_zero(value: float | None, shown: str) -> None:
    assert formatting.rate(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.74, "740 ms"),
        (9, "9s"),
        (724, "12m 04s"),
        (11_220, "3h 07m"),
        (187_200, "2d 04h"),
        (59.7, "1m 00s"),
        (0, "0s"),
        (None, "·"),
    ],
)
def test_durations_take_two_units(seconds: float | None, shown: str) -> None:
    assert formatting.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.013, "0.013"),
        (-0.008, "-0.008"),
        (8.4e-4, "8.4e-4"),
        (0.31, "0.31"),
        (12.34, "12.3"),
        (1234.0, "1 234"),
        (0.0, "0"),
    ],
)
def test_measures_have_three_digits_and_an_exponent_below_a_thousandth(
    value: float, shown: str
) -> None:
    assert formatting.measure(value) == shown


def test_a_mean_carries_the_half_width_of_its_interval() -> None:
    assert formatting.episode_return(2334.4, 40.6) == "2 334 ± 41"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.99, "0.99"), (13.3, "13.3x"), (160.84, "160.8x"), (None, "·")]
)
def test_ratios_get_an_x_from_ten_on(value: float | None, shown: str) -> None:
    assert formatting.ratio(value) == shown


def test_times_always_get_an_x() -> None:
    values = (0.15, 8.1, 160.84, None)
    assert [formatting.times(value) for value in values] == ["0.15x", "8.10x", "160.8x", "·"]


def test_a_return_without_an_interval_stands_alone() -> None:
    assert formatting.with_interval(125.4, 13.6, 309.0) == "125 [14, 309]"
    assert formatting.with_interval(-1.2, None, None) == "-1"
    assert formatting.with_interval(None, None, None) == "·"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(38 * 1024, "38 KiB"), (6.7 * 2**20, "6.7 MiB"), (41 * 2**30, "41 GiB"), (12, "12 B")],
)
def test_sizes_are_in_binary_units(value: float, shown: str) -> None:
    assert formatting.size(value) == shown


def test_moments_lose_their_seconds_with_age() -> None:
    now = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
    assert formatting.moment(datetime(2026, 11, 22, 14, 32, 7, tzinfo=UTC), now) == "14:32:07"
    assert formatting.moment(datetime(2026, 11, 20, 14, 32, tzinfo=UTC), now) == "11-20 14:32"
    assert formatting.moment(datetime(2025, 11, 20, 14, 32, tzinfo=UTC), now) == "2025-11-20"


@given(st.text())
def test_text_from_outside_never_moves_the_cursor(text: str) -> None:
    shown = formatting.printable(text)
    assert len(shown) == len(text)
    assert not any(letter in shown for letter in "\n\r\t\x1b\x07\u202e\u200b")


@given(st.text(alphabet="abcdef-0123456789", max_size=60), st.integers(0, 40))
def test_a_shortened_name_fits_and_keeps_both_ends(name: str, width: int) -> None:
    shown = formatting.shorten(name, width)
    assert cell_len(shown) <= max(width, 0)
    if len(name) > width >= 3:
        assert shown[0] == name[0]
        assert shown[-1] == name[-1]


@given(st.floats(0, 1e10, allow_nan=False))
def test_short_numbers_stay_within_their_columns(value: float) -> None:
    assert len(formatting.duration(value)) <= 12
    assert len(formatting.steps(value)) <= 7
    assert len(formatting.amount(value)) <= 6
