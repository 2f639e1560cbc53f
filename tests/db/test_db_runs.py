"""Runs, pipelines and what hangs on them."""

import pytest
from database_rows import create_pipeline

from db.queries import runs
from db.queries.artifacts import (
    NewFile,
    insert_artifact,
    insert_checkpoint,
    latest_checkpoint,
    list_artifacts,
    list_checkpoints,
)
from db.queries.attempts import claim
from db.queries.settings import get_setting, set_setting
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.errors import RunError, UsageError


def queue(database: Database, kind: RunKind, *inputs: int) -> Run:
    return runs.queue_run(database, NewRun(kind, str(kind), {"a": [1]}, seed=2**40, inputs=inputs))


def test_a_queued_run_comes_back_whole(database: Database, run: Run) -> None:
    new = NewRun(
        RunKind.COLLECTION,
        "second",
        {"deep": {"number": 0.1}},
        seed=2**62,
        inputs=(run.id,),
        robot_sets=("b", "a"),
        tags=("paper", "best"),
        extra={"mutant_set": "m"},
        device="cpu",
    )
    second = runs.queue_run(database, new)
    assert second == runs.get_run(database, second.id)
    assert (second.kind, second.name, second.config) == (new.kind, new.name, new.config)
    assert (second.seed, second.inputs, second.robot_sets) == (2**62, (run.id,), ("b", "a"))
    assert (second.tags, second.extra, second.device) == (("best", "paper"), new.extra, "cpu")
    assert (second.state, second.attempt, second.progress) == (RunState.QUEUED, 0, None)
    assert second.folder == f"runs/{second.id}"
    assert second.created_at.utcoffset() is not None


def test_lists_are_newest_first_and_filtered(database: Database, run: Run) -> None:
    second = queue(database, RunKind.MUTATION)
    pipeline = create_pipeline(database, "p", "quick", "unimal8", 3)
    third = runs.queue_run(database, NewRun(RunKind.STUDENT, "t", {}, seed=1, pipeline=pipeline.id))
    assert [r.id for r in runs.list_runs(database)] == [third.id, second.id, run.id]
    assert [r.id for r in runs.list_runs(database, limit=1, newest_first=False)] == [run.id]
    assert [r.id for r in runs.list_runs(database, pipeline=pipeline.id)] == [third.id]
    assert runs.list_runs(database, states=[RunState.RUNNING]) == []
    runs.archive(database, second.id)
    assert [r.id for r in runs.list_runs(database)] == [third.id, run.id]
    assert [r.id for r in runs.list_runs(database, ids=[second.id])] == [second.id]
    assert runs.count_states(database)[RunState.QUEUED] == 2
    assert runs.list_pipelines(database) == [pipeline] == [runs.get_pipeline(database, pipeline.id)]


def test_dependants_reach_the_end_of_the_line(database: Database, run: Run) -> None:
    collection = queue(database, RunKind.COLLECTION, run.id)
    student = queue(database, RunKind.STUDENT, collection.id)
    evaluation = queue(database, RunKind.EVALUATION, run.id, student.id)
    queue(database, RunKind.MUTATION)
    found = [r.id for r in runs.dependants(database, run.id)]
    assert found == [collection.id, student.id, evaluation.id]


def test_unknown_numbers_are_one_sentence(database: Database) -> None:
    with pytest.raises(RunError, match="There is no run 7"):
        runs.get_run(database, 7)
    with pytest.raises(UsageError, match="no run 7 to take as input"):
        queue(database, RunKind.STUDENT, 7)
    assert runs.list_runs(database) == []


def test_a_run_is_deleted_with_all_it_reported_and_its_number_is_not_given_again(
    database: Database, run: Run
) -> None:
    file = NewFile(1, "runs/1/x", "0" * 64, 5)
    with database.write() as session:
        insert_checkpoint(session, run.id, file, 10, 1.0, 2.0)
        insert_artifact(session, run.id, file, "policy", "policy")
    runs.delete_runs(database, [run.id])
    assert list_checkpoints(database, run.id) == list_artifacts(database, run.id) == []
    assert queue(database, RunKind.TEACHER).id == run.id + 1


def test_a_run_that_works_or_that_others_read_is_not_deleted(database: Database, run: Run) -> None:
    reader = queue(database, RunKind.COLLECTION, run.id)
    with pytest.raises(RunError, match=f"is the input of {reader.id}"):
        runs.delete_runs(database, [run.id])
    with database.write() as session:
        claim(session, reader.id, "token", "here")
    with pytest.raises(RunError, match="is starting; stop it"):
        runs.delete_runs(database, [reader.id])


def test_notes_tags_and_settings_are_replaced(database: Database, run: Run) -> None:
    runs.set_note(database, run.id, "good")
    runs.set_tags(database, run.id, ["b", "a", "b"])
    runs.set_tags(database, run.id, ["c", "a"])
    changed = runs.get_run(database, run.id)
    assert (changed.note, changed.tags) == ("good", ("a", "c"))
    set_setting(database, "filter", {"kind": "student"})
    set_setting(database, "filter", [1, None])
    assert get_setting(database, "filter") == [1, None]
    set_setting(database, "filter", None)
    assert get_setting(database, "filter") is None


def test_the_newest_events_come_oldest_first(database: Database, run: Run) -> None:
    with database.write() as session:
        for number in range(5):
            runs.insert_event(session, run.id if number % 2 else None, "info", "note", str(number))
    events = runs.list_events(database, limit=2)
    assert [event.text for event in events] == ["3", "4"]
    assert runs.list_events(database, after_id=events[-1].id) == []
    assert [event.text for event in runs.list_events(database, run_id=run.id)] == ["1", "3"]


def test_the_latest_checkpoint_is_that_of_the_highest_step(database: Database, run: Run) -> None:
    assert latest_checkpoint(database, run.id) is None
    with database.write() as session:
        for attempt, step in ((1, 10), (1, 30), (2, 20), (2, 30)):
            file = NewFile(attempt, f"runs/{attempt}-{step}", "0" * 64, 5)
            insert_checkpoint(session, run.id, file, step, None, 0.0)
    latest = latest_checkpoint(database, run.id)
    assert latest is not None
    assert (latest.step, latest.attempt) == (30, 2)
    steps = [checkpoint.step for checkpoint in list_checkpoints(database, run.id)]
    assert steps == [30, 30, 20, 10]


def test_an_artifact_replaces_that_of_an_earlier_attempt(database: Database, run: Run) -> None:
    with database.write() as session:
        for attempt in (1, 2):
            file = NewFile(attempt, f"runs/1/policy-a{attempt}", "0" * 64, 5)
            insert_artifact(session, run.id, file, "policy", "policy")
    assert [artifact.attempt for artifact in list_artifacts(database, run.id)] == [2]
