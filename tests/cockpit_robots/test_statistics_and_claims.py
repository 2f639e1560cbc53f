"""Intervals by hand, groups over seeds, and the verdicts on claims."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import add_run

from db.queries.metrics import NewPoint, append_points
from db.records import RunKind
from db.session import Database
from engine.config.distillation import named_student
from engine.config.network import NetworkConfig
from engine.config.teacher import named_teacher
from engine.statistics import half_width, interval, t_quantile, welch_difference
from hdtui.data.claims import (
    KeptReturn,
    Verdict,
    difference_claim,
    kept_claim,
    size_claim,
)
from hdtui.data.compare_curves import CompareTable, grouped, read_comparison, table
from hdtui.data.curves import CurveReader
from hdtui.data.efficiency import own_shape, read_efficiency, shaped_like
from hdtui.data.run_list import without_seeds

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6)


def test_an_interval_over_three_seeds_by_hand() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.count) == (2.0, 3)
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_one_value_has_no_interval() -> None:
    assert interval([4.0]).half_width is None
    assert half_width(0.0, 1) is None
    assert welch_difference([4.0], [1.0, 2.0]).low is None


def test_welchs_difference_by_hand() -> None:
    # Variances 1 and 4, three each: variance 5/3, freedom (5/3)^2 / (1/18 + 16/18) = 50/17.
    found = welch_difference([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found.mean == -2.0
    assert found.low is not None
    assert found.high is not None
    half = t_quantile(50 / 17) * math.sqrt(5 / 3)
    assert (found.low, found.high) == (pytest.approx(-2 - half), pytest.approx(-2 + half))


@settings(deadline=None)
@given(values, values)
def test_the_difference_turned_round_is_its_mirror(first: list[float], second: list[float]) -> None:
    there, back = welch_difference(first, second), welch_difference(second, first)
    assert there.mean == pytest.approx(-back.mean)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high, rel=1e-9, abs=1e-9)


def teacher_run(database: Database, name: str, seed: int, level: float) -> int:
    config = {"seed": seed, "network": {"kind": name}}
    run_id = add_run(database, RunKind.TEACHER, f"{name}-s{seed}", seed=seed, config=config)
    with database.write() as session:
        points = [
            NewPoint("return", "", 1000 * (step + 1), step, float(step), level * (step + 1) / 10)
            for step in range(10)
        ]
        append_points(session, run_id, points)
    return run_id


def test_runs_that_differ_by_their_seed_alone_are_one_group(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    marked = [
        teacher_run(database, name, seed, level + seed)
        for name, level in (("small", 100.0), ("large", 200.0))
        for seed in (1, 2, 3)
    ]
    facts = read_comparison(database, CurveReader(), marked, "")
    assert facts.metric == "return"
    groups = grouped(facts, "config")
    assert [len(group.runs) for group in groups] == [3, 3]
    found = table(groups, "steps", 0)
    rows = found.rows
    assert (found.half, found.end) == (5000, 10_000)
    assert rows[0].at_end is not None
    assert rows[0].at_end.mean == pytest.approx(102.0)
    assert rows[0].difference is None
    assert rows[1].difference is not None
    assert rows[1].difference.mean == pytest.approx(100.0)
    assert len(grouped(facts, "run")) == 6
    assert len(groups[0].path("steps")) == 10


def test_seeds_are_ignored_at_any_depth() -> None:
    config = {"seed": 1, "teacher": {"seed": 2, "ppo": {"clip": 0.2}}}
    assert without_seeds(config) == {"teacher": {"ppo": {"clip": 0.2}}}


def test_nothing_marked_compares_nothing(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    facts = read_comparison(database, CurveReader(), [], "return")
    assert grouped(facts, "config") == []
    assert table([], "steps", 0) == CompareTable(None, 0.0, [])


def test_a_size_is_reproduced_within_one_of_the_published_range() -> None:
    ratios = {"flat": 13.3, "variable": 5.9, "obstacles": 5.9}
    assert size_claim("p", (6, 14), ratios).verdict is Verdict.REPRODUCED
    assert size_claim("p", (6, 14), {**ratios, "flat": 15.6}).verdict is Verdict.NOT_REPRODUCED
    unknown = size_claim("p", (6, 14), {**ratios, "flat": None})
    assert (unknown.verdict, unknown.here) == (Verdict.NOT_MEASURED, "not counted: flat")


def kept(student: int, ratio: float) -> KeptReturn:
    return KeptReturn(student, student + 1, {"train": ratio, "unseen": ratio / 2})


def test_a_kept_return_needs_three_seeds() -> None:
    two = kept_claim("c", "train", [kept(1, 0.99), kept(3, 1.0)])
    assert (two.verdict, two.runs) == (Verdict.NOT_MEASURED, (2, 4))
    assert two.here.endswith("needs 3")
    three = [kept(1, 0.99), kept(3, 1.0), kept(5, 0.98)]
    assert kept_claim("c", "train", three).verdict is Verdict.REPRODUCED
    assert kept_claim("c", "unseen", three).verdict is Verdict.NOT_REPRODUCED
    assert kept_claim("c", "train", []).here == "no run"


def test_mutants_help_only_where_every_seed_says_so() -> None:
    better = [kept(i, 1.8) for i in (1, 3, 5)]
    worse = [kept(i, 0.4) for i in (7, 9, 11)]
    assert difference_claim("c", better, worse).verdict is Verdict.REPRODUCED
    assert difference_claim("c", worse, better).verdict is Verdict.NOT_REPRODUCED
    assert difference_claim("c", better[:1], worse).verdict is Verdict.NOT_MEASURED
    assert difference_claim("c", [], worse).here == "no run with mutants"


def test_an_empty_workspace_measures_no_claim(tmp_path: Path) -> None:
    facts = read_efficiency(Database.open(tmp_path))
    assert {claim.verdict for claim in facts.claims} == {Verdict.NOT_MEASURED}
    assert len(facts.claims) == 6


def test_a_run_costs_what_the_counted_policy_of_its_shape_costs(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    from db.queries.runs import get_run

    published = named_teacher("paper").model_dump(mode="json")
    small = named_teacher("quick").model_dump(mode="json")
    student = named_student("laptop").model_dump(mode="json")
    expected = [
        (RunKind.TEACHER, published, "transformer"),
        (RunKind.TEACHER, small, own_shape(NetworkConfig.model_validate(small["network"]))),
        (RunKind.STUDENT, student, "base-mlp"),
        (RunKind.TEACHER, {}, None),
    ]
    for kind, config, name in expected:
        run = get_run(database, add_run(database, kind, "r", config=config))
        assert shaped_like(run) == name
