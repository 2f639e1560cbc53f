from datetime import UTC, datetime

import pytest

from hdtui.data.run_filters import (
    EditedFilter,
    FilterError,
    Value,
    completions,
    finished_part,
    parse_filter,
    quantity,
)

FIELDS = ("kind", "name", "state", "return", "took", "steps", "started", "tag", "ppo.learning_rate")
RUN: dict[str, Value] = {
    "": ("laptop-s1", "best of the week", "paper"),
    "kind": "teacher",
    "name": "laptop-s1",
    "state": "running",
    "return": 2334.0,
    "took": 300.0,
    "steps": 1.2e6,
    "started": datetime(2026, 11, 21, 9, 14, tzinfo=UTC),
    "tag": ("paper", "seeds"),
    "ppo.learning_rate": 8e-4,
}


@pytest.mark.parametrize(
    "text",
    [
        "", "kind:teach", "kind=teacher state:running", "return>1000", "steps>1M took<10m",
        "ppo.learning_rate>=1e-4", "learning_rate:8e-4", "tag:paper", "-tag:old", "laptop",
        '"of the week"', "kind:student|teacher", "state:failed | return>1000",
        "started>2026-11-20", "started:2026-11-21", "kind!=student", "-kind:student",
    ],
)  # fmt: skip
def test_a_run_passes_what_is_true_of_it(text: str) -> None:
    fields = (*FIELDS, "learning_rate")
    run = {**RUN, "learning_rate": 8e-4}
    assert parse_filter(text, fields).passes(run.get)


@pytest.mark.parametrize(
    "text",
    [
        "kind:student", "return>2400", "steps>2M", "took<4m", "tag:old", "-laptop", "nonsense",
        "kind:student | state:failed", "kind:teacher state:failed", "started>2026-11-22",
    ],
)  # fmt: skip
def test_a_run_does_not_pass_what_is_false_of_it(text: str) -> None:
    assert not parse_filter(text, FIELDS).passes(RUN.get)


def test_an_unknown_value_passes_no_comparison_and_every_negation() -> None:
    assert not parse_filter("return>0", FIELDS).passes(lambda _: None)
    assert parse_filter("-return>0", FIELDS).passes(lambda _: None)


def test_a_mistyped_field_is_named_with_what_was_meant() -> None:
    with pytest.raises(FilterError, match=r'"retrun" is no column or metric; did you mean return'):
        parse_filter("retrun>3", FIELDS)


def test_a_comparison_needs_a_number_or_a_date() -> None:
    with pytest.raises(FilterError, match="compares with a number"):
        parse_filter("return>high", FIELDS)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1M", 1e6), ("10m", 600.0), ("61%", 0.61), ("13.3x", 13.3), ("2h", 7200.0), ("40k", 4e4)],
)
def test_quantities_have_the_units_of_the_screens(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


def test_completions_offer_fields_for_the_last_word_only() -> None:
    assert completions("kind:teacher sta", FIELDS) == ["state", "started"]
    assert completions("kind:teacher ", FIELDS) == []


KINDS = {"kind": ("teacher", "student", "evaluation")}


@pytest.mark.parametrize("text", ["kind:techer", "kind=techer", "kind!=techer", "-kind:techer"])
def test_a_mistyped_kind_is_named_with_what_was_meant(text: str) -> None:
    meant = 'no kind is "techer"; did you mean teacher\\? known: teacher student evaluation'
    with pytest.raises(FilterError, match=meant):
        parse_filter(text, FIELDS, KINDS)


def test_an_unlike_kind_is_answered_with_all_kinds_also_after_an_or() -> None:
    with pytest.raises(FilterError, match='no kind is "x"; known: teacher student evaluation'):
        parse_filter("kind:student|x", FIELDS, KINDS)


def test_a_kind_that_is_still_to_be_typed_is_answered_with_all_kinds() -> None:
    with pytest.raises(FilterError, match="kind: teacher student evaluation"):
        parse_filter("kind:", FIELDS, KINDS)


@pytest.mark.parametrize("text", ["kind:teach", "kind:TEACHER", "-kind:student|eval", "state:x"])
def test_part_of_a_known_word_is_enough(text: str) -> None:
    parse_filter(text, FIELDS, KINDS)


def test_a_last_word_that_may_become_a_field_is_not_finished() -> None:
    assert finished_part("kind:teacher sta", FIELDS) == "kind:teacher "
    assert finished_part("ret", FIELDS) == ""
    assert finished_part("kind:teacher laptop", FIELDS) == "kind:teacher laptop"


def test_while_a_text_is_wrong_the_accepted_filter_is_in_effect() -> None:
    edited = EditedFilter(lambda: FIELDS, KINDS)
    assert edited.use("kind:teacher", final=True) == ""
    for end in range(len("retrun>3") + 1):
        problem = edited.use(f"kind:student {'retrun>3'[:end]}", final=False)
    assert "did you mean return" in problem
    assert edited.current.text == edited.accepted.text == "kind:teacher"
    assert "did you mean" in edited.use("retrun>3", final=True)
    assert edited.accepted.text == "kind:teacher"
    assert edited.use("return>3", final=True) == ""
    assert edited.accepted.text == edited.current.text == "return>3"
