"""No stage starts on incomplete input: a file is whole and hashed, or it is not there."""

import hashlib
import multiprocessing
import os
import random
import secrets
import signal
import time
from pathlib import Path

import pytest

from db.machine import boot_id, host_name
from db.queries import attempts, runs
from db.queries.artifacts import list_artifacts
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.errors import CheckpointError, RunError
from engine.events import ArtifactWritten, CheckpointWritten, StageContext
from engine.files import remove_partial_files, write_bytes, write_text
from engine.workers.jobs.job import Job, check_file
from engine.workers.recorder import Recorder
from engine.workers.workspace import Workspace

KILLS = 50
SIZE_BYTES = 8 * 1024 * 1024
CONTENTS = [bytes([value]) * SIZE_BYTES for value in range(4)]
HASHES = [hashlib.sha256(content).hexdigest() for content in CONTENTS]


@pytest.fixture
def run(database: Database) -> Run:
    return runs.queue_run(database, NewRun(RunKind.TEACHER, "t", {}, seed=1))


def claimed(database: Database, run: Run) -> Recorder:
    token = secrets.token_hex(4)
    with database.write() as session:
        attempts.claim(session, run.id, token, host_name())
        process = attempts.Process(os.getpid(), 1.0, boot_id())
        assert attempts.begin(session, run.id, token, process, {})
    return Recorder(database, Workspace(database.home), runs.get_run(database, run.id), token)


def collector(database: Database, run: Run) -> Job:
    """The job of a run that reads what ``run`` made."""
    context = StageContext(database.home, 1, lambda event: None, lambda: False)
    return Job(run, (run,), database, Workspace(database.home), context, lambda: None)


def _save_for_ever(home: str, run_id: int, token: str, first: int) -> None:
    """Policies as a teacher saves them, one after the other, each written down when complete."""
    database, workspace = Database.open(Path(home)), Workspace(Path(home))
    recorder = Recorder(database, workspace, runs.get_run(database, run_id), token)
    number = first
    while True:
        number += 1
        path = workspace.run_folder(run_id) / f"policy-{number}"
        sha256 = write_bytes(path, CONTENTS[number % 4])
        recorder.report(ArtifactWritten("policy", "policy", path, sha256))


def _kill_inside_a_save(database: Database, run: Run, first: int, delay_s: float) -> int | None:
    """How much of a file a writer had written that was killed inside a save; None where it was not.

    ``delay_s`` after the file appeared for the writer alone.
    """
    folder = Workspace(database.home).run_folder(run.id)
    arguments = (str(database.home), run.id, "token", first)
    writer = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=arguments)
    writer.start()
    assert writer.pid is not None
    given_up = time.perf_counter() + 10.0
    while not any(folder.glob(f".policy-{first + 1}.*")):
        assert writer.is_alive()
        if time.perf_counter() > given_up:  # forked while a thread of pytest's held a lock
            break
    end = time.perf_counter() + delay_s
    while time.perf_counter() < end:
        pass
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    return next((partial.stat().st_size for partial in folder.glob(".policy-*")), None)


def _look_as_a_collector(database: Database, run: Run) -> None:
    """All that is there is whole, and what is written down is what was saved."""
    folder = Workspace(database.home).run_folder(run.id)
    found = list_artifacts(database, run.id)
    path = collector(database, run).artifact(run, "policy") if found else None
    for whole in folder.glob("policy-*"):
        assert whole.read_bytes() == CONTENTS[int(whole.name.partition("-")[2]) % 4]
        if whole != path:
            whole.unlink()
    assert path is None or path.is_file()


@pytest.mark.slow
def test_a_reader_never_sees_half_of_what_a_writer_killed_inside_a_save_has_written(
    database: Database, workspace: Workspace, run: Run
) -> None:
    with database.write() as session:
        attempts.claim(session, run.id, "token", host_name())
    folder, chance = workspace.run_folder(run.id), random.Random(5)
    folder.mkdir(parents=True)
    sizes: list[int] = []
    longest_s = 0.02
    for attempt in range(10 * KILLS):
        before = len(list_artifacts(database, run.id))
        size = _kill_inside_a_save(database, run, attempt * 1000, chance.uniform(0.0, longest_s))
        assert len(list_artifacts(database, run.id)) >= before
        _look_as_a_collector(database, run)
        remove_partial_files(folder)
        assert not any(folder.glob(".policy-*"))
        if size is not None:
            sizes.append(size)
        # Half of the points after a save's end are too many: this disk is quicker.
        longest_s *= 1.1 if size is not None else 0.9
        if len(sizes) == KILLS:
            break
    assert len(sizes) == KILLS, f"only {len(sizes)} kills hit a save"
    assert len(set(sizes)) > 1, "all hit the same moment"
    assert database.problems() == []


def test_a_result_that_was_changed_or_lost_is_refused_by_name(
    database: Database, workspace: Workspace, run: Run
) -> None:
    recorder = claimed(database, run)
    path = workspace.run_folder(run.id) / "policy"
    recorder.report(ArtifactWritten("policy", "policy", path, write_text(path, "weights")))
    job = collector(database, run)
    assert job.artifact(run, "policy") == path
    path.write_text("weightz")
    with pytest.raises(CheckpointError, match="policy of run 1 does not match its SHA-256"):
        job.artifact(run, "policy")
    path.unlink()
    with pytest.raises(CheckpointError, match="policy of run 1 is missing; it was moved"):
        job.artifact(run, "policy")
    with pytest.raises(RunError, match="has left no student; run it to its end"):
        job.artifact(run, "student")


def test_a_folder_is_what_its_manifest_was(
    database: Database, workspace: Workspace, run: Run
) -> None:
    folder = workspace.run_folder(run.id) / "expert-data"
    sha256 = write_text(folder / "manifest.json", "{}")
    claimed(database, run).report(ArtifactWritten("expert_data", "expert-data", folder, sha256))
    job = collector(database, run)
    assert job.artifact(run, "expert_data") == folder
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"manifest\.json of run 1 does not match"):
        job.artifact(run, "expert_data")
    (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json of run 1 is missing"):
        job.artifact(run, "expert_data")


def test_an_attempt_does_not_go_on_from_a_checkpoint_that_was_changed(
    database: Database, workspace: Workspace, run: Run
) -> None:
    path = workspace.run_folder(run.id) / "checkpoint"
    sha256 = write_text(path, "weights")
    claimed(database, run).report(CheckpointWritten(5, path, sha256))
    check_file(path, sha256, run.id)
    path.write_text("")
    with pytest.raises(CheckpointError, match="checkpoint of run 1 does not match its SHA-256"):
        check_file(path, sha256, run.id)
