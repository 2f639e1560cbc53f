"""How far a pipeline is: stages weigh what they take, and nothing is promised without a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import Run, RunKind, RunState
from hdtui.data.forecast import USUAL_SHARES, forecast, roughly

PAST = {RunKind.TEACHER: 600.0, RunKind.STUDENT: 100.0, RunKind.EVALUATION: 50.0}


def run(number: int, kind: RunKind, state: str, share: float | None = None, **facts: object) -> Run:
    done = None if share is None else share * 1000
    blank: Run = object.__new__(Run)
    fields = dict.fromkeys(Run.__dataclass_fields__)
    fields |= {
        "id": number,
        "kind": kind,
        "state": RunState(state),
        "total": 1000.0,
        "done": done,
        "progress": share,
    }
    for name, value in (fields | facts).items():
        object.__setattr__(blank, name, value)
    return blank


def test_a_stage_weighs_what_it_took_before() -> None:
    runs = [
        run(1, RunKind.TEACHER, "running", 0.5, rate=2.0),
        run(2, RunKind.STUDENT, "queued"),
        run(3, RunKind.EVALUATION, "queued"),
    ]
    found = forecast(runs, PAST)
    assert found is not None
    assert found.progress == pytest.approx(300 / 750)
    assert found.left_s == pytest.approx(250 + 100 + 50)
    assert found.source == "from past pipelines"


def test_without_a_past_the_working_stage_tells_the_pace() -> None:
    runs = [run(1, RunKind.TEACHER, "running", 0.5, rate=1.0), run(2, RunKind.STUDENT, "queued")]
    found = forecast(runs, {})
    assert found is not None
    student_s = 1000 * USUAL_SHARES[RunKind.STUDENT] / USUAL_SHARES[RunKind.TEACHER]
    assert found.left_s == pytest.approx(500 + student_s)
    assert found.source == "estimated"


@pytest.mark.parametrize("state", ["stopped", "failed", "lost", "interrupted"])
def test_a_halted_stage_leaves_no_time_to_tell(state: str) -> None:
    runs = [run(1, RunKind.TEACHER, state, 0.5), run(2, RunKind.STUDENT, "queued")]
    found = forecast(runs, PAST)
    assert found is not None
    assert found.left_s is None


def test_nothing_is_known_of_a_pipeline_that_has_not_begun_on_a_new_machine() -> None:
    found = forecast([run(1, RunKind.TEACHER, "queued")], {})
    assert found is not None
    assert (found.progress, found.left_s) == (0.0, None)
    assert forecast([], PAST) is None


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_work_done_is_never_less_progress(first: float, second: float) -> None:
    low, high = sorted([first, second])
    base = run(1, RunKind.TEACHER, "running", low, rate=1.0)
    before = forecast([base], PAST)
    after = forecast([run(1, RunKind.TEACHER, "running", high, rate=1.0)], PAST)
    assert before is not None
    assert after is not None
    assert before.progress <= after.progress


def test_long_times_have_no_digits_that_an_estimate_does_not_have() -> None:
    assert (roughly(42.0), roughly(1003.0)) == (42.0, 1000)
