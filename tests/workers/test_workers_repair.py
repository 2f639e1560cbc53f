"""A finished collection whose data were damaged is resumed, and ends with the same bytes."""

from pathlib import Path

import pytest
from waiting import generation, until_state

from db.queries import attempts
from db.queries.artifacts import list_artifacts
from db.queries.runs import get_run, list_events, queue_run
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.distillation.dataset import load_dataset
from engine.distillation.manifest import MANIFEST_NAME, load_manifest
from engine.errors import RunError
from engine.workers.commands import queue, resume
from engine.workers.policy_files import trained_file
from engine.workers.workspace import Workspace
from hdtui.cli.main import run as command

LAPTOP = Path(__file__).parents[2] / "docs/results/teacher-laptop-unimal8-s1/policy.safetensors"


def collected(database: Database, workspace: Workspace) -> tuple[Run, Path]:
    """A finished collection on two robots, and its folder."""
    until_state(database, queue(database, generation(2)).id, RunState.FINISHED)
    file, _, config = trained_file(LAPTOP)
    extra = {"file": file.document()}
    teacher = queue(
        database,
        NewRun(RunKind.TEACHER, "laptop", config, 1, robot_sets=("robots",), extra=extra),
    )
    settings = {"samples_per_robot": 16, "simulations_per_robot": 2, "processes": 1}
    new = NewRun(
        RunKind.COLLECTION, "data", settings, 1, inputs=(teacher.id,), robot_sets=("robots",)
    )
    run = until_state(database, queue(database, new).id, RunState.FINISHED)
    return run, workspace.run_folder(run.id) / "expert-data"


def reader(database: Database, collection: Run) -> Run:
    """A student of the collection, that waits for a word."""
    new = NewRun(RunKind.STUDENT, "student", {}, seed=1, inputs=(collection.id,))
    return queue_run(database, new, boot_id="before")


@pytest.mark.slow
def test_a_finished_collection_is_repaired_where_its_data_were_damaged(
    database: Database, workspace: Workspace
) -> None:
    run, folder = collected(database, workspace)
    with pytest.raises(RunError, match="finished, nothing to resume"):
        resume(database, run.id)
    written = list_artifacts(database, run.id)[0].sha256
    content = (folder / MANIFEST_NAME).read_bytes()
    shard = load_manifest(folder).shards[0]

    for number, damaged in enumerate(
        (folder / shard.path, folder / shard.robot_path, folder / MANIFEST_NAME), 2
    ):
        damaged.unlink()
        resume(database, run.id)
        repaired = until_state(database, run.id, RunState.FINISHED, RunState.FAILED)
        assert (repaired.state, repaired.attempt) == (RunState.FINISHED, number), repaired.reason
        assert repaired.result == run.result
        assert (folder / MANIFEST_NAME).read_bytes() == content
        assert len(load_dataset(folder).robots) == 2
        assert [file.sha256 for file in list_artifacts(database, run.id)] == [written]
    events = list_events(database, run_id=run.id)
    queued = [event.text for event in events if event.kind == "queued"]
    assert [shard.name in text for text in queued] == [True, True, False]
    assert queued[2].endswith("manifest.json is missing")


@pytest.mark.slow
def test_a_manifest_that_was_changed_by_hand_is_no_repair(
    database: Database, workspace: Workspace
) -> None:
    run, folder = collected(database, workspace)
    written = list_artifacts(database, run.id)[0].sha256
    path = folder / MANIFEST_NAME
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"episodes": 2', b'"episodes": 3'))
    assert path.read_bytes() != content
    resume(database, run.id)
    failed = until_state(database, run.id, RunState.FINISHED, RunState.FAILED)
    assert failed.state is RunState.FAILED
    assert "remove the manifest and resume" in (failed.reason or "")
    assert [file.sha256 for file in list_artifacts(database, run.id)] == [written]
    path.unlink()
    resume(database, run.id)
    until_state(database, run.id, RunState.FINISHED)
    assert path.read_bytes() == content


@pytest.mark.slow
def test_data_are_not_repaired_under_a_run_that_reads_them(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = collected(database, workspace)
    student = reader(database, run)
    (folder / load_manifest(folder).shards[0].path).unlink()
    with database.write() as session:
        attempts.claim(session, student.id, "token", "another-host")
    with pytest.raises(RunError, match=f"read by {student.id} student, which is starting"):
        resume(database, run.id)
    assert get_run(database, run.id).state is RunState.FINISHED


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (RunKind.COLLECTION, "it keeps the robots that are finished"),
        (RunKind.TEACHER, "it has no checkpoint and starts from the beginning"),
        (RunKind.EVALUATION, "it keeps the robots that are finished"),
        (RunKind.DEPLOYMENT, "it keeps the robots that are finished"),
    ],
)
def test_a_resumed_run_says_what_it_keeps(
    database: Database,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: RunKind,
    said: str,
) -> None:
    monkeypatch.setattr("engine.workers.commands.ensure_supervisor", lambda database: False)
    run = queue_run(database, NewRun(kind, "x", {}, seed=1), boot_id="before")
    with database.write() as session:
        attempts.change_state(session, run.id, RunState.STOPPED, [RunState.QUEUED])
    command(["runs", "resume", str(run.id), "--home", str(workspace.home)])
    said_of_it = capsys.readouterr()
    assert said in said_of_it.out + said_of_it.err
