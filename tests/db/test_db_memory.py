"""What queries keep between calls is what a fresh look would find, whatever was changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from db.queries import runs
from db.queries.attempts import change_state, claim
from db.queries.bulk import LikeCurve, WholeCurve, write_alike
from db.queries.evaluations import insert_episodes, set_policies, summaries
from db.queries.metrics import EXACT_FACTOR, last_values, list_series, read_points, read_several
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.events import Episode

EPISODE = Episode("student", "a" * 64, "flat", 1, 0, 10.0, 100, True, 40.0, 0.5, 3.0)


def _fresh_look(database: Database, look: Callable[[Database], object]) -> object:
    other = Database.open(database.home)
    try:
        return look(other)
    finally:
        other.close()


def _claim(database: Database, run_id: int) -> None:
    with database.write() as session:
        assert claim(session, run_id, f"token of {run_id}", "here") is not None


def _end(database: Database, run_id: int) -> None:
    with database.write() as session:
        active = [RunState.STARTING]
        assert change_state(session, run_id, RunState.FINISHED, active, exit_code=0)


def test_a_kept_run_is_made_anew_when_anything_of_it_or_its_inputs_changed(
    database: Database, run: Run
) -> None:
    reader = runs.queue_run(
        database,
        NewRun(RunKind.STUDENT, "reader", {"width": 8}, seed=2, inputs=(run.id,), tags=("old",)),
    )
    changes: list[Callable[[], None]] = [
        lambda: runs.set_tags(database, reader.id, ["new", "paper"]),
        lambda: runs.set_note(database, reader.id, "a note"),
        lambda: _claim(database, run.id),
        lambda: _end(database, run.id),
        lambda: _claim(database, reader.id),
        lambda: runs.archive(database, reader.id),
        lambda: runs.delete_runs(
            database, [runs.queue_run(database, NewRun(RunKind.TEACHER, "x", {}, seed=3)).id]
        ),
    ]
    for change in changes:
        change()
        kept = runs.list_runs(database, archived=True)
        assert kept == _fresh_look(database, lambda other: runs.list_runs(other, archived=True))
        assert runs.get_run(database, reader.id) in kept


def test_a_run_that_did_not_change_is_the_same_record(database: Database, run: Run) -> None:
    assert runs.get_run(database, run.id) is runs.list_runs(database)[0]


def test_kept_sums_follow_new_episodes_and_new_attempts(database: Database, run: Run) -> None:
    new = NewRun(RunKind.EVALUATION, "evaluation", {}, seed=2, inputs=(run.id,))
    evaluation = runs.queue_run(database, new)

    def write(*values: float) -> None:
        episodes = [
            replace(EPISODE, episode=place, episode_return=value)
            for place, value in enumerate(values)
        ]
        with database.write() as session:
            insert_episodes(session, evaluation.id, episodes)

    assert summaries(database) == []
    write(10.0)
    assert [each.mean_return for each in summaries(database)] == [10.0]
    write(10.0, 20.0)
    assert [each.mean_return for each in summaries(database)] == [15.0]
    with database.write() as session:
        set_policies(session, evaluation.id, {"student": run.id})
    assert [each.policy_run_id for each in summaries(database, evaluation.id)] == [run.id]
    _claim(database, evaluation.id)
    assert [each.mean_return for each in summaries(database)] == [15.0], "they are whole"
    _claim_again(database, evaluation.id)
    assert [each.mean_return for each in summaries(database)] == [15.0]
    _claim(database, run.id)  # its policy is another one now: what it found does not hold
    _claim_again(database, evaluation.id)
    write(1.0, 3.0)
    assert [each.mean_return for each in summaries(database)] == [2.0]
    assert summaries(database) == _fresh_look(database, summaries)
    assert summaries(database, robot_digests=["b" * 64]) == []


def _claim_again(database: Database, run_id: int) -> None:
    with database.write() as session:
        assert change_state(session, run_id, RunState.QUEUED, [RunState.STARTING])
    _claim(database, run_id)


def _write_curves(database: Database, run_id: int, num_points: int) -> None:
    number = list(range(1, num_points + 1))
    values = [float(7 * each % 23) for each in number]
    curve = WholeCurve(run_id, "return", "", number, number, list(map(float, number)), values)
    others = [
        LikeCurve(run_id, "return", digest, factor) for digest, factor in (("a", 2), ("b", 3))
    ]
    with database.write() as session:
        write_alike(session, curve, others)


@pytest.mark.parametrize("num_points", [1, 5, 200, 64 * 8])
def test_curves_written_alike_differ_by_their_factor_whole_and_rolled_up(
    database: Database, run: Run, num_points: int
) -> None:
    _write_curves(database, run.id, num_points)
    first, second, third = list_series(database, run.id)
    assert [second.last_value, third.last_value] == [2 * first.last_value, 3 * first.last_value]
    for max_points in (2, 1_000):
        own = read_points(database, first.id, max_points=max_points)
        like = read_points(database, third.id, max_points=max_points)
        assert like.step == own.step
        assert like.high == tuple(3 * value for value in own.high)
        assert like.value == pytest.approx([3 * value for value in own.value])


def test_several_curves_read_at_once_are_those_read_one_by_one(
    database: Database, run: Run
) -> None:
    _write_curves(database, run.id, 333)
    numbers = [series.id for series in list_series(database, run.id)]
    for max_points in (4, 333 // EXACT_FACTOR + 1, 60, 400):
        found = read_several(database, [*numbers, 999], max_points)
        assert sorted(found) == sorted(numbers)
        for number, points in found.items():
            assert points == read_points(database, number, max_points=max_points)
            assert (min(points.low), max(points.high)) == (0.0, 22.0 * (1 + numbers.index(number)))


def test_last_values_are_those_of_the_runs_own_curves(database: Database, run: Run) -> None:
    _write_curves(database, run.id, 5)
    assert last_values(database, [run.id, 999]) == {run.id: {"return": 12.0}, 999: {}}
    assert last_values(database, []) == {}


def test_databases_do_not_share_what_they_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    first, second = Database.open(tmp_path / "one"), Database.open(tmp_path / "two")
    runs.queue_run(first, NewRun(RunKind.TEACHER, "of one", {}, seed=1))
    runs.queue_run(second, NewRun(RunKind.TEACHER, "of two", {}, seed=1))
    assert [runs.get_run(each, 1).name for each in (first, second)] == ["of one", "of two"]
    first.close()
    second.close()
