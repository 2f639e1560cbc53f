"""Searches: trials follow from earlier ones, and go on after whatever was killed."""

import os
import signal
from typing import Any

import pytest
from waiting import until

from db.machine import boot_id
from db.models import RunRow
from db.queries.runs import list_runs
from db.queries.supervisors import get_supervisor
from db.records import RunKind, RunState
from db.session import Database
from engine.config.study import StudyConfig, checked_study
from engine.errors import RunError, UsageError
from engine.workers import commands
from engine.workers.studies import running
from engine.workers.studies import search as searching_module
from engine.workers.studies.results import read_results
from engine.workers.studies.running import (
    begun_study,
    plan_study,
    resume_study,
    run_study,
    stop_study,
)
from engine.workers.studies.search import (
    Trial,
    advance,
    best,
    best_so_far,
    importances,
    trials,
)

SEARCH: dict[str, Any] = {
    "name": "rates",
    "question": "Which learning rate is best?",
    "preset": "smoke",
    "seeds": 1,
    "settings": {
        "evaluation": {"episodes": 1, "task": {"episode_steps": 50}, "record_poses": 0},
        "generation": {"train_count": 2, "unseen_count": 1},
        "mutation": {"mutants_per_robot": 0},
        "teacher": {"total_env_steps": 1024},
        "collection": {"samples_per_robot": 128},
        "student": {"epochs": 4},
    },
    "factors": {
        "rate": {"setting": "student.learning_rate", "log_uniform": [1e-4, 1e-2]},
        "student.network.hidden_width": {"categorical": [32, 64]},
    },
    "search": {"trials": 4},
}


@pytest.fixture
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs stay queued: these tests are about which there are."""
    for module in (running, commands):
        monkeypatch.setattr(module, "ensure_supervisor", lambda database: None)


def search(**changes: Any) -> StudyConfig:
    return checked_study({**SEARCH, **changes}, "test")


def settle(database: Database, trial: str, state: RunState) -> None:
    """As if the runs that a trial alone needs had ended so."""
    plan = begun_study(database, "rates")
    [cell] = [c for c in plan.graph.cells if c.combination.label == f"trial={trial}"]
    own = {plan.runs[cell.judged].id, plan.runs[cell.evaluation].id}
    with database.write() as session:
        for row in session.query(RunRow).filter(RunRow.id.in_(own)):
            row.state = str(state)


@pytest.mark.usefixtures("nobody_works")
def test_trials_are_asked_for_as_earlier_ones_end_and_share_what_they_have_in_common(
    database: Database,
) -> None:
    _, made = run_study(database, search())
    assert made == 0
    assert advance(database, "rates")
    students = [run for run in list_runs(database) if run.kind is RunKind.STUDENT]
    assert len(students) == 2
    assert sum(run.kind is RunKind.TEACHER for run in list_runs(database)) == 1
    assert {run.name for run in students} == {"trial=1 s1", "trial=2 s1"}
    rates = [run.config["learning_rate"] for run in students]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert len(set(rates)) == 2
    assert advance(database, "rates")
    assert len(begun_study(database, "rates").study.trials) == 2, "both still work"
    settle(database, "1", RunState.FAILED)
    assert advance(database, "rates")
    assert list(begun_study(database, "rates").study.trials) == ["1", "2", "3"]
    for trial in ("2", "3"):
        settle(database, trial, RunState.FAILED)
    assert advance(database, "rates")
    settle(database, "4", RunState.FAILED)
    assert not advance(database, "rates"), "four were asked for"
    assert run_study(database, search())[1] == 0
    assert advance(database, "rates"), "those that ended were let go on"
    more = search(search={"trials": 6, "together": 6})
    run_study(database, more)
    assert advance(database, "rates")
    assert len(begun_study(database, "rates").study.trials) == 6


@pytest.mark.usefixtures("nobody_works")
def test_a_stopped_search_asks_for_nothing_and_two_at_once_never_for_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(database, search())
    stop_study(database, "rates")
    assert not advance(database, "rates")
    assert not list_runs(database)
    resume_study(database, "rates")
    stale = plan_study(database, search())
    assert advance(database, "rates")
    monkeypatch.setattr(running, "plan_study", lambda *args, **kwargs: stale)
    with pytest.raises(RunError, match="changed by somebody else at the same time"):
        run_study(database, search())


@pytest.mark.usefixtures("nobody_works")
def test_a_search_that_is_stopped_while_its_next_trial_is_thought_of_stays_stopped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(database, search())

    def stopped_meanwhile(*facts: Any) -> Any:
        stop_study(database, "rates")
        return read_results(*facts)

    monkeypatch.setattr(searching_module, "read_results", stopped_meanwhile)
    with pytest.raises(RunError, match="changed by somebody else at the same time"):
        advance(database, "rates")
    assert begun_study(database, "rates").study.search.paused
    assert not list_runs(database)


@pytest.mark.usefixtures("nobody_works")
def test_other_ranges_are_another_search(database: Database) -> None:
    run_study(database, search())
    other = search(factors={"student.learning_rate": {"uniform": [0.1, 0.2]}})
    with pytest.raises(UsageError, match="a study rates was begun with ranges"):
        run_study(database, other)


def tried(number: int, rate: float, value: float | None, **changes: Any) -> Trial:
    settings = {"student.learning_rate": rate, "student.network.hidden_width": 32}
    state = RunState.RUNNING if value is None else RunState.FINISHED
    return Trial(str(number), settings, state, 1.0, value, (), left_out=False, **changes)


def test_the_best_trial_and_what_matters_follow_from_values() -> None:
    asked = search()
    rates = [1e-4 * 1.5**number for number in range(10)]
    found = [tried(number, rate, 1000.0 * rate) for number, rate in enumerate(rates)]
    known = best(asked, [*found, tried(11, 1e-3, None)])
    assert known is not None
    assert known.name == "9"
    assert "Best of 10 trials: trial=9 with student.learning_rate=" in best_so_far(asked, found)
    matters = importances(asked, found)
    assert matters["student.learning_rate"] > matters["student.network.hidden_width"]
    assert best(asked, []) is None
    assert importances(asked, found[:2]) == {}


@pytest.mark.usefixtures("nobody_works")
def test_halving_stops_the_trials_that_are_behind_and_they_are_not_resumed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SEARCH["settings"], "student": {"epochs": 4, "return_every_steps": 1}}
    halved = search(settings=settings, search={"trials": 3, "together": 3, "halving": {}})
    run_study(database, halved)
    advance(database, "rates")
    curves = {"1": 5.0, "2": 9.0, "3": 1.0}
    monkeypatch.setattr(
        "engine.workers.studies.search._curve",
        lambda database, plan, trial: [(x, curves[trial.name]) for x in range(1, 40)],
    )
    assert advance(database, "rates")
    plan = begun_study(database, "rates")
    assert "2" not in plan.study.search.left_out
    assert "3" in plan.study.search.left_out
    left = {each.name: each for each in trials(plan, read_results(database, plan))}
    assert left["3"].state is RunState.STOPPED
    assert left["2"].state is RunState.QUEUED
    assert not resume_study(database, "rates")
    assert not {run.id for run in plan.given_up} & {run.id for run in plan.unfinished}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_goes_on_by_itself_and_after_its_supervisor_was_killed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waiting.PATIENCE_S", 400.0)
    run_study(database, search())
    until(lambda: any(run.kind is RunKind.STUDENT and run.pid for run in list_runs(database)))
    supervisor = get_supervisor(database, boot_id())
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    resume_study(database, "rates")
    until(lambda: len(begun_study(database, "rates").study.trials) == 4)
    until(lambda: not begun_study(database, "rates").unfinished)
    plan = begun_study(database, "rates")
    found = trials(plan, read_results(database, plan))
    assert all(each.value is not None for each in found)
    assert sum(run.kind is RunKind.TEACHER for run in list_runs(database)) == 1
