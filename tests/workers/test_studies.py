"""Studies: what cells share is made once, equal recipes are reused, and kills change nothing."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from db.machine import boot_id
from db.queries.artifacts import list_artifacts
from db.queries.evaluations import list_episodes
from db.queries.robots import add_robots, create_set, list_robots, list_sets
from db.queries.runs import list_events, list_runs
from db.queries.supervisors import get_supervisor
from db.records import NewRobot, Run, RunKind, RunState
from db.session import Database
from engine.config.study import checked_study, load_study
from engine.errors import UsageError
from engine.workers import commands
from engine.workers.robot_split import split_set
from engine.workers.studies import recipes, running
from engine.workers.studies.running import (
    begun_study,
    extended,
    plan_study,
    resume_study,
    run_study,
    stop_study,
    studies_of,
)
from engine.workers.workspace import Workspace

STUDY: dict[str, Any] = {
    "name": "dropout",
    "question": "Does dropout matter?",
    "preset": "smoke",
    "seeds": 2,
    "settings": {
        "evaluation": {"episodes": 1, "task": {"episode_steps": 50}, "record_poses": 0},
        "generation": {"train_count": 3, "unseen_count": 1},
        "mutation": {"mutants_per_robot": 1},
        "teacher": {"total_env_steps": 1024},
        "collection": {"samples_per_robot": 128},
        "student": {"epochs": 4},
    },
    "factors": {
        "dropout": {
            "none": {"settings": {"student.network.dropout": 0.0}},
            "some": {"settings": {"student.network.dropout": 0.1}},
        }
    },
}


@pytest.fixture
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs stay queued: these tests are about which there are."""
    for module in (running, commands):
        monkeypatch.setattr(module, "ensure_supervisor", lambda database: None)


def kinds(runs: list[Run]) -> dict[RunKind, int]:
    return {kind: count for kind in RunKind if (count := sum(run.kind is kind for run in runs))}


def finish(database: Database) -> None:
    """As if all queued runs had worked."""
    from db.models import RunRow
    from engine.workers.studies.recipes import current_version

    with database.write() as session:
        for row in session.query(RunRow):
            row.state = str(RunState.FINISHED)
            row.versions = {"hdtui": current_version()}


@pytest.mark.usefixtures("nobody_works")
def test_what_cells_share_is_queued_once_and_named_after_what_differs(database: Database) -> None:
    plan, made = run_study(database, checked_study(STUDY, "test"))
    runs = list_runs(database, newest_first=False)
    assert made == len(runs) == 16
    assert kinds(runs) == {
        RunKind.GENERATION: 2,
        RunKind.TEACHER: 2,
        RunKind.MUTATION: 2,
        RunKind.COLLECTION: 2,
        RunKind.STUDENT: 4,
        RunKind.EVALUATION: 4,
    }
    names = {run.name for run in runs if run.kind is RunKind.STUDENT}
    assert names == {f"dropout={level} s{seed}" for level in ("none", "some") for seed in (1, 2)}
    assert {run.name for run in runs if run.kind is RunKind.TEACHER} == {"dropout s1", "dropout s2"}
    assert {run.group for run in runs} == {"dropout"}
    assert not plan.missing
    assert not plan.reused


@pytest.mark.usefixtures("nobody_works")
def test_the_same_study_again_and_others_of_the_same_recipes_queue_nothing(
    database: Database,
) -> None:
    run_study(database, checked_study(STUDY, "test"))
    assert run_study(database, checked_study(STUDY, "test"))[1] == 0
    finish(database)
    other, made = run_study(database, checked_study({**STUDY, "name": "other"}, "test"))
    assert made == 0
    assert len(other.reused) == 16
    first = other.reused[0].id
    assert studies_of(database, first) == ["dropout", "other"]
    assert run_study(database, checked_study({**STUDY, "name": "other"}, "test"))[1] == 0
    told = [event.text for event in list_events(database, run_id=first)]
    assert told.count("reused by study other") == 1
    _, fresh = run_study(database, checked_study(STUDY, "test"), fresh=True)
    assert fresh == 16
    sets = [name for run in list_runs(database) for name in run.extra.values()]
    texts = [name for name in sets if isinstance(name, str)]
    assert len(texts) == len(set(texts)), "a set is filled by one run"


@pytest.mark.usefixtures("nobody_works")
def test_a_study_is_extended_by_what_is_new_alone(database: Database) -> None:
    run_study(database, checked_study(STUDY, "test"))
    _, made = run_study(database, extended(database, "dropout", {}, seeds=3))
    assert made == 8, "four that its cells share, and two students with their evaluations"
    more = {"factors": {"dropout": {"much": {"settings": {"student.network.dropout": 0.5}}}}}
    plan, made = run_study(database, extended(database, "dropout", more))
    assert made == 6, "a student and its evaluation a seed"
    assert plan.study.seeds == (1, 2, 3)
    assert run_study(database, checked_study(STUDY, "test"))[1] == 0
    assert len(begun_study(database, "dropout").study.combinations()) == 3


@pytest.mark.usefixtures("nobody_works")
def test_a_study_of_the_same_name_that_asks_something_else_is_refused(database: Database) -> None:
    run_study(database, checked_study(STUDY, "test"))
    for change in ({"preset": "quick"}, {"settings": {"student.epochs": 3}}, {"factors": {}}):
        with pytest.raises(UsageError, match="a study dropout was begun with"):
            plan_study(database, checked_study({**STUDY, **change}, "test"))
    with pytest.raises(UsageError, match="no study 'unknown' was run in this workspace"):
        begun_study(database, "unknown")


@pytest.mark.usefixtures("nobody_works")
def test_a_run_of_other_settings_or_another_version_is_not_reused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(database, checked_study(STUDY, "test"))
    finish(database)
    longer = {
        **STUDY,
        "name": "longer",
        "settings": {**STUDY["settings"], "student": {"epochs": 9}},
    }
    plan = plan_study(database, checked_study(longer, "test"))
    assert {node.kind for node in plan.missing} == {RunKind.STUDENT, RunKind.EVALUATION}
    monkeypatch.setattr(recipes, "current_version", lambda: "9.9")
    plan = plan_study(database, checked_study({**STUDY, "name": "later"}, "test"))
    assert not plan.runs
    assert not plan_study(database, checked_study(STUDY, "test")).missing, "it keeps its own"


@pytest.mark.usefixtures("nobody_works")
def test_a_study_stops_its_own_runs_and_lets_them_go_on(database: Database) -> None:
    run_study(database, checked_study(STUDY, "test"))
    shared = checked_study({**STUDY, "name": "shared", "seeds": 1}, "test")
    run_study(database, shared)
    stopped = stop_study(database, "dropout")
    assert len(stopped) == 8, "those of the second seed; the other study reads the first's"
    assert {run.state for run in stopped} == {RunState.STOPPED}
    resumed = resume_study(database, "dropout")
    assert {run.id for run in resumed} == {run.id for run in stopped}
    assert {run.state for run in list_runs(database)} == {RunState.QUEUED}


def robots(database: Database, bodies: str) -> None:
    """A set of robots, a letter a body; a body may be there under two names."""
    rows = add_robots(
        database,
        [
            NewRobot(letter * 64, f"robot{place}", "unimal", 5, 8, 9.0, 1.0, "x")
            for place, letter in enumerate(bodies)
        ],
    )
    create_set(database, "all", [(robot.id, "training") for robot in rows])


def test_a_set_is_split_by_seed_and_equal_bodies_stay_on_one_side(
    database: Database, workspace: Workspace
) -> None:
    robots(database, "aabbccddee")
    kept, rest = split_set(
        database, workspace, "all", fraction=0.6, seed=1, into="kept", rest="rest"
    )
    assert (kept.size, kept.role) == (6, "training")
    assert (rest.size, rest.role) == (4, "unseen")
    sides = [{robot.digest for robot in list_robots(database, name)} for name in ("kept", "rest")]
    assert not sides[0] & sides[1]
    again = split_set(database, workspace, "all", fraction=0.6, seed=1, into="kept", rest="rest")
    assert again == (kept, rest)
    with pytest.raises(UsageError, match="leaves one side empty"):
        split_set(database, workspace, "all", fraction=0.99, seed=1, into="x", rest="y")
    with pytest.raises(UsageError, match="exists"):
        split_set(database, workspace, "all", fraction=0.6, seed=2, into="kept", rest="rest")


@pytest.mark.usefixtures("nobody_works")
def test_folds_hold_out_every_body_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "check_drivable", lambda networks, bodies: None)
    robots(database, "abcdefgh")
    changes = {"preset": "smoke", "robots": {"training": "all"}}
    run_study(database, load_study("held-out", changes))
    unseen = [one for one in list_sets(database) if one.name.endswith("-unseen")]
    held_out = [robot.digest for one in unseen for robot in list_robots(database, one.name)]
    assert sorted(held_out) == sorted({letter * 64 for letter in "abcdefgh"})
    with pytest.raises(UsageError, match="name one with --robots SET"):
        plan_study(database, load_study("held-out", {"name": "another"}))


def numbers(database: Database, study: str) -> dict[str, Any]:
    """What policies and episodes of a study are, by recipe."""
    plan = begun_study(database, study)
    assert not plan.missing
    found: dict[str, Any] = {}
    for own, run in plan.runs.items():
        assert run.state is RunState.FINISHED, (run.kind, run.reason)
        files = list_artifacts(database, run.id)
        episodes = [
            (each.robot_digest, each.episode, each.episode_return)
            for each in list_episodes(database, run_ids=[run.id])
        ]
        kept = sorted(file.sha256 for file in files if file.kind in ("policy", "student"))
        found[own] = (kept, sorted(episodes))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_whose_supervisor_and_worker_are_killed_ends_with_the_same_numbers(
    database: Database, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waiting.PATIENCE_S", 400.0)
    study = checked_study({**STUDY, "seeds": 1}, "test")
    run_study(database, study)
    until(lambda: any(run.kind is RunKind.STUDENT and run.pid for run in list_runs(database)))
    supervisor = get_supervisor(database, boot_id())
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    for run in list_runs(database):
        if run.state.active and run.pid:
            os.kill(run.pid, signal.SIGKILL)
    until(lambda: _resumed_to_its_end(database))
    calm = Database.open(tmp_path / "calm")
    run_study(calm, study)
    until(lambda: all(run.state is RunState.FINISHED for run in list_runs(calm)))
    assert numbers(database, "dropout") == numbers(calm, "dropout")
    calm.close()


def _resumed_to_its_end(database: Database) -> bool:
    resume_study(database, "dropout")
    return not begun_study(database, "dropout").unfinished
