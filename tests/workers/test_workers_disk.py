"""A disk that is full while runs work: what needs it fails by name, what does not goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import alive, generation, supervisor_pid, until, until_state

from db.queries.artifacts import list_artifacts, list_checkpoints
from db.queries.runs import get_run, queue_run
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.config.teacher import named_teacher
from engine.morphology.generation import generate
from engine.workers import robot_library
from engine.workers.commands import queue, request_stop, resume
from engine.workers.jobs.job import check_file
from engine.workers.post_mortem import EXIT_UNWRITTEN, how_it_ended, last_line
from engine.workers.worker import EXIT_FAILED
from engine.workers.workspace import Workspace

SIZE_MIB = 48


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace on a small disk of its own."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield Workspace(disk / "workspace")
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def teacher() -> NewRun:
    """Minutes of training with a checkpoint at every iteration."""
    config = named_teacher("smoke").model_dump(mode="json")
    config |= {"total_env_steps": 10_000_000, "checkpoint_every_s": 0.0}
    return NewRun(RunKind.TEACHER, "teacher", config, seed=1, robot_sets=("robots",))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_fails_the_run_that_needs_it_and_harms_nothing_else(
    database: Database, workspace: Workspace
) -> None:
    robots = [(robot, "training") for robot in generate(2, seed=3)]
    robot_library.make_set(database, workspace, "robots", robots)
    other = queue(database, generation(10_000, name="others"))
    needs_it = queue(database, teacher())
    until(lambda: (get_run(database, other.id).done or 0) > 0)
    until(lambda: get_run(database, needs_it.id).checkpoint_step is not None)
    supervisor = supervisor_pid(database)
    filler = fill(workspace.home.parent)
    # It cannot save, nor say so: it waits a minute for the disk, then leaves.
    worker = get_run(database, needs_it.id)
    until(lambda: not alive(worker))
    assert alive(get_run(database, other.id))
    filler.unlink()
    failed = until_state(database, needs_it.id, *(state for state in RunState if state.ended))
    # Recorded at once where SQLite's log has room left, by its exit code where it has none.
    assert failed.state is RunState.FAILED
    assert failed.exit_code in (EXIT_FAILED, EXIT_UNWRITTEN)
    assert (failed.reason or "").endswith("free some space, then resume"), failed.reason
    assert supervisor_pid(database) == supervisor
    assert_whole(database, workspace, needs_it.id)
    done = get_run(database, other.id).done or 0
    until(lambda: (get_run(database, other.id).done or 0) > done)
    assert get_run(database, other.id).attempt == 1
    resume(database, needs_it.id)
    kept = failed.checkpoint_step or 0
    until(lambda: (get_run(database, needs_it.id).checkpoint_step or 0) > kept)
    for run_id in (needs_it.id, other.id):
        request_stop(database, run_id)
        assert until_state(database, run_id, RunState.STOPPED).exit_code == 4
    assert_whole(database, workspace, needs_it.id)


def assert_whole(database: Database, workspace: Workspace, run_id: int) -> None:
    """The database is sound, what it names is whole, and nothing half-written lies about."""
    assert database.problems() == []
    for file in [*list_checkpoints(database, run_id), *list_artifacts(database, run_id)]:
        check_file(workspace.resolve(file.path), file.sha256, run_id)
    assert not list(workspace.run_folder(run_id).rglob(".*.tmp"))


def test_a_run_whose_own_disk_is_full_says_so_at_once(
    database: Database, workspace: Workspace
) -> None:
    robots = [(robot, "training") for robot in generate(2, seed=3)]
    robot_library.make_set(database, workspace, "robots", robots)
    folder = workspace.run_folder(1)
    folder.mkdir(parents=True)
    # One page: the log takes it.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=True)
    try:
        run = queue(database, teacher())
        failed = until_state(database, run.id, *(state for state in RunState if state.ended))
        assert failed.state is RunState.FAILED
        assert failed.reason == "No space left on device; free some space, then resume"
        assert not (folder / "config.json").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_who_finds_a_process_gone_says_what_its_log_complained_of(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    run = queue_run(database, generation(1))
    log = tmp_path / "log.txt"
    log.write_text("2026-01-01 10:00:00 ERROR   disk is full\n2026-01-01 10:00:01 WARNING waitin")
    for line, said in (
        (last_line(log), "disk is full"),
        ("2026-01-01 10:00:00 ERROR   No space left on device", "No space left on device"),
        ("OSError: [Errno 28] No space left on device", "No space left on device"),
        ("2026-01-01 10:00:00 INFO    5 of 10 robots", "left no exit record"),
    ):
        found = how_it_ended(run, None, line)
        assert found.state is RunState.LOST
        assert found.reason.endswith(said)
    database.close()


def test_a_worker_whose_end_could_not_be_written_down_has_failed_for_that(
    tmp_path: Path,
) -> None:
    database = Database.open(tmp_path)
    run = queue_run(database, generation(1))
    found = how_it_ended(run, EXIT_UNWRITTEN, "last words")
    assert (found.state, found.exit_code) == (RunState.FAILED, EXIT_UNWRITTEN)
    assert "the workspace took no writing, often a full disk" in found.reason
    database.close()
