"""Curves: nothing lost, nothing doubled, rollups that leave nothing out."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.models import ROLLUP_SIZE
from db.queries.metrics import (
    EXACT_FACTOR,
    NewPoint,
    append_points,
    delete_points_after,
    last_values,
    list_series,
    read_points,
    read_several,
)
from db.queries.runs import queue_run
from db.records import NewRun, Points, Run, RunKind
from db.session import Database
from engine.errors import RunError

Values = dict[int, float]


def append(database: Database, run: Run, values: Values, name: str = "return") -> None:
    with database.write() as session:
        points = [NewPoint(name, "", step, step // 10, step * 0.5, v) for step, v in values.items()]
        append_points(session, run.id, points)


def cut(database: Database, run: Run, step: int | None) -> None:
    with database.write() as session:
        delete_points_after(session, run.id, step)


def curve(database: Database, run: Run, **options: int) -> Points:
    return read_points(database, list_series(database, run.id)[0].id, **options)


def test_points_come_back_as_they_were_appended(database: Database, run: Run) -> None:
    append(database, run, {10: 1.5, 20: -2.0})
    append(database, run, {30: 1e300})
    points = curve(database, run)
    assert points.step == (10, 20, 30)
    assert points.value == points.low == points.high == (1.5, -2.0, 1e300)
    assert points.iteration == (1, 2, 3)
    assert points.wall_s == (5.0, 10.0, 15.0)
    series = list_series(database, run.id)[0]
    assert (series.last_step, series.last_value, series.robot_digest) == (30, 1e300, None)


def test_a_step_is_never_written_twice_and_no_gap_is_filled_later(
    database: Database, run: Run
) -> None:
    append(database, run, {10: 1.0, 20: 2.0})
    append(database, run, {15: 9.0, 20: 9.0, 30: 3.0})
    assert curve(database, run).value == (1.0, 2.0, 3.0)


def test_numbers_that_are_not_finite_are_kept_beside_the_others(
    database: Database, run: Run
) -> None:
    append(database, run, {1: math.nan, 2: 2.0, 3: math.inf, 4: 1e39, 5: -math.inf, 6: -1.7e308})
    points = curve(database, run)
    assert (points.step, points.value) == ((2, 4), (2.0, 1e39))
    assert [each.step for each in points.extremes] == [1, 3, 5, 6]
    assert repr([each.value for each in points.extremes]) == "[nan, inf, -inf, -1.7e+308]"
    assert points.last_step == 6
    assert list_series(database, run.id)[0].last_value == -1.7e308
    assert last_values(database, [run.id]) == {run.id: {"return": -1.7e308}}
    assert read_several(database, [points.series_id], 100) == {points.series_id: points}
    assert curve(database, run, after_step=4).extremes == points.extremes[2:]


def test_one_number_that_is_not_finite_changes_no_mean_of_the_others(
    database: Database, run: Run
) -> None:
    broken = {100: math.nan, 200: math.inf}
    plain = {step: float(step % 7) for step in range(3000) if step not in broken}
    append(database, run, {step: broken.get(step, plain.get(step, 0.0)) for step in range(3000)})
    points = curve(database, run, max_points=100)
    assert (min(points.low), max(points.high)) == (0.0, 6.0)
    assert all(math.isfinite(value) for value in points.value)
    assert [each.step for each in points.extremes] == [100, 200]
    append(database, run, {3000: math.nan, 2999: 1.0})
    assert curve(database, run).last_step == 3000
    cut(database, run, 150)
    points = curve(database, run)
    assert (points.last_step, len(points.step), len(points.extremes)) == (150, 150, 1)
    append(database, run, {160: math.nan})
    cut(database, run, 160)
    series = list_series(database, run.id)[0]
    assert (series.last_step, repr(series.last_value)) == (160, "nan")


def test_a_curve_of_nothing_finite_is_a_curve(database: Database, run: Run) -> None:
    append(database, run, dict.fromkeys(range(300), math.nan))
    points = curve(database, run, max_points=10)
    assert (points.step, points.last_step, len(points.extremes)) == ((), 299, 10)
    assert read_several(database, [points.series_id], 10) == {points.series_id: points}


def test_reading_goes_on_after_the_last_step(database: Database, run: Run) -> None:
    append(database, run, {step: float(step) for step in range(300)})
    assert curve(database, run, after_step=297).step == (298, 299)
    assert curve(database, run, after_step=299).step == ()


def test_robots_have_their_own_curves(database: Database, run: Run) -> None:
    with database.write() as session:
        append_points(
            session,
            run.id,
            [NewPoint("return", "b" * 64, 1, 1, 0.0, 5.0), NewPoint("return", "", 1, 1, 0.0, 6.0)],
        )
    assert [(s.name, s.robot_digest, s.last_value) for s in list_series(database, run.id)] == [
        ("return", None, 6.0),
        ("return", "b" * 64, 5.0),
    ]


def test_a_curve_that_does_not_exist_is_one_sentence(database: Database) -> None:
    with pytest.raises(RunError, match="no curve 7"):
        read_points(database, 7)


@pytest.mark.parametrize("count", [10, ROLLUP_SIZE * 3 + 5, 5 * EXACT_FACTOR * 4 + 9])
@pytest.mark.parametrize("after_step", [-1, 2, 100])
def test_groups_leave_out_no_extreme_and_end_at_the_last_point(
    database: Database, run: Run, count: int, after_step: int
) -> None:
    values = {step: float((step * 7919) % 1009) for step in range(count)}
    append(database, run, values)
    points = curve(database, run, after_step=after_step, max_points=5)
    rest = [value for step, value in values.items() if step > after_step]
    if not rest:
        assert points.step == ()
        return
    assert len(points.step) <= 6
    assert min(points.low) == min(rest)
    assert max(points.high) == max(rest)
    assert points.step[-1] == count - 1
    assert list(points.step) == sorted(set(points.step))
    assert all(
        low <= value <= high
        for low, value, high in zip(points.low, points.value, points.high, strict=True)
    )


batches = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 150)),
        st.tuples(st.just("cut"), st.integers(-1, 600)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples; every example has its own run."""
    database = Database.open(tmp_path_factory.mktemp("curves"))
    yield database
    database.close()


@settings(max_examples=20, deadline=None)
@given(actions=batches)
def test_whatever_is_appended_and_cut_curves_and_rollups_agree(
    shared: Database, actions: list[tuple[str, int]]
) -> None:
    run = queue_run(shared, NewRun(RunKind.TEACHER, "x", {}, seed=1))
    append(shared, run, {0: 0.5})
    expected = {0: 0.5}
    for action, number in actions:
        if action == "append":
            start = max(expected, default=-1) + 1
            new = {step: float(step % 17) for step in range(start, start + number)}
            append(shared, run, new)
            expected |= new
        else:
            cut(shared, run, None if number < 0 else number)
            expected = {s: v for s, v in expected.items() if s <= number}
    points = curve(shared, run, max_points=10_000)
    assert dict(zip(points.step, points.value, strict=True)) == expected
    rolled = curve(shared, run, max_points=1)
    if expected:
        assert min(rolled.low) == min(expected.values())
        assert max(rolled.high) == max(expected.values())
