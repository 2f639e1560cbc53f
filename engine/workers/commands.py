"""What people ask of runs: queue, stop, kill, resume, delete; refused with one sentence."""

import shutil
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db.machine import boot_id, host_name, uptime_s
from db.queries import attempts, runs
from db.queries.artifacts import list_artifacts
from db.queries.supervisors import forget_supervisors, signs_of_life
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.distillation.damage import find_damage
from engine.errors import DatabaseError, RunError
from engine.text import printable
from engine.workers.machines import SILENT_AFTER_S, Machines, is_here
from engine.workers.observed import observed
from engine.workers.post_mortem import PostMortem
from engine.workers.process import kill_group, other_owner, signal_worker, worker_of
from engine.workers.robot_library import check_filled_sets, forget_unread_sets
from engine.workers.run_policies import checkpoints_read, with_checkpoints
from engine.workers.states import end_as, sources
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace


def queue(database: Database, new: NewRun) -> Run:
    """Queue a run on this machine and see that somebody starts it.

    Of a policy that has not finished it reads the newest checkpoint.

    Raises:
        UsageError: There is none, or it would put other robots into a set that exists; nothing is
            queued.
    """
    check_filled_sets(database, new)
    new = with_checkpoints(database, new)
    run = runs.queue_run(database, new, boot_id=boot_id())
    if checkpoints_read(run):
        with database.write() as session:
            runs.insert_event(session, run.id, "info", "input", checkpoints_read(run))
    ensure_supervisor(database)
    return run


def request_stop(database: Database, run_id: int) -> Run:
    """Ask a run to save and leave; one that only waits is stopped at once.

    The request is in the database, where the worker and its supervisor read it; a worker that this
    user may signal hears of it at once, whoever's the supervisor is.
    """
    run = _close_if_dead(database, run_id)
    reason = "stopped before it started"
    with database.write() as session:
        if attempts.change_state(
            session,
            run_id,
            RunState.STOPPED,
            [RunState.QUEUED],
            reason=reason,
            ended_at=_now(),
        ):
            runs.insert_event(session, run_id, "info", "stopped", reason)
        elif not attempts.change_state(
            session,
            run_id,
            RunState.STOPPING,
            sources(RunState.STOPPING),
            **_request(run),
        ):
            raise RunError(f"Run {run_id} is {run.state}, nothing to stop.")
    worker = worker_of(run, database.home) if run.state.active else None
    if worker is not None:
        signal_worker(worker)
    ensure_supervisor(database)
    return runs.get_run(database, run_id)


def request_kill(database: Database, run_id: int) -> Run:
    """Kill a run's processes without waiting for a checkpoint; one that only waits is stopped."""
    run = _close_if_dead(database, run_id)
    if run.state is RunState.QUEUED:
        return request_stop(database, run_id)
    active = [state for state in RunState if state.active]
    with database.write() as session:
        if not attempts.change_state(
            session,
            run_id,
            RunState.STOPPING,
            active,
            kill_requested_at=_now(),
            **({} if run.stop_requested_at else _request(run)),
        ):
            raise RunError(f"Run {run_id} is {run.state}, nothing to kill.")
    worker = worker_of(run, database.home)
    if worker is not None and other_owner(worker.pid) is None:
        kill_group(worker)
    ensure_supervisor(database)
    return runs.get_run(database, run_id)


def _request(run: Run) -> dict[str, Any]:
    """When a stop was asked for, also by the uptime of the machine that the run works on."""
    return {
        "stop_requested_at": _now(),
        "stop_requested_uptime_s": uptime_s() if is_here(run) else None,
    }


def resume(database: Database, run_id: int) -> Run:
    """Queue a run that ended unfinished again; it goes on from its last checkpoint.

    A queued run that waits for a word after a restart gets it. What stopped for this run's sake is
    queued with it. A finished collection goes on where its data were damaged since.

    Raises:
        RunError: The run has finished, still works, or waits for an unfinished input.
    """
    run = _close_if_dead(database, run_id)
    harm = _harm(database, run) if run.state is RunState.FINISHED else None
    for broken in runs.list_runs(database, ids=run.waits_for):
        if broken.state.ended and broken.state is not RunState.FINISHED:
            raise RunError(
                f"Run {run_id} waits for {broken.id} {broken.kind}, which is {broken.state}; "
                f"resume {broken.id} and this one goes on after it."
            )
    allowed = {*sources(RunState.QUEUED), RunState.QUEUED}
    if harm is None:
        allowed.remove(RunState.FINISHED)
    with database.write() as session:
        if not attempts.requeue(session, run_id, allowed, boot_id(), host_name()):
            raise RunError(f"Run {run_id} is {run.state}, nothing to resume.")
        text = "queued again" if harm is None else printable(f"queued again: {harm}")
        runs.insert_event(session, run_id, "info", "queued", text)
    ensure_supervisor(database)
    return runs.get_run(database, run_id)


def _harm(database: Database, run: Run) -> str | None:
    """What is damaged of a finished collection's data; None where nothing is, or of other kinds.

    Raises:
        RunError: While a run that reads the data works.
    """
    written = [file for file in list_artifacts(database, run.id) if file.kind == "expert_data"]
    if run.kind is not RunKind.COLLECTION or not written:
        return None
    harm = find_damage(Workspace(database.home).resolve(written[-1].path), written[-1].sha256)
    working = [
        reader
        for reader in observed(database, runs.dependants(database, run.id))
        if reader.state.active
    ]
    if harm is not None and working:
        reader = working[0]
        raise RunError(
            f"Run {run.id} is read by {reader.id} {reader.kind}, which is {reader.state}, and its"
            f" data need repair: {harm}; stop {reader.id} first."
        )
    return harm


def write_off(database: Database, host: str, watch_s: float = SILENT_AFTER_S) -> list[Run]:
    """Give up another machine: what works there is lost, what waits for it is queued here.

    It is watched first, by a clock that nobody sets. The runs that were lost or taken over.

    Raises:
        RunError: Nothing of such a machine is unfinished, or it gives a sign of life.
    """
    written_off = _unfinished_of(database, host)
    if not written_off:
        raise RunError(
            f"No run works on or waits for another machine {host}; `hdtui runs list` shows all."
        )
    boots = {run.boot_id if run.state.active else run.queued_boot_id for run in written_off}
    since, before = time.monotonic(), signs_of_life(database)
    while time.monotonic() - since < watch_s:
        time.sleep(min(1.0, watch_s))
        after = signs_of_life(database)
        if any(before.get(boot) != after.get(boot) for boot in boots if boot):
            raise RunError(f"{host} lives: it gave a sign of life just now. Stop its runs instead.")
    reason = f"its machine {host} was written off"
    with database.write() as session:
        for run in written_off:
            if run.state.active:
                end_as(session, run, PostMortem(RunState.LOST, reason))
            else:
                attempts.requeue(session, run.id, [RunState.QUEUED], boot_id(), host_name())
        forget_supervisors(session, [boot for boot in boots if boot])
    ensure_supervisor(database)
    return runs.list_runs(database, ids=[run.id for run in written_off])


def _unfinished_of(database: Database, host: str) -> list[Run]:
    states = [state for state in RunState if state.active or state is RunState.QUEUED]
    named = runs.list_runs(database, states=states, archived=True, newest_first=False)
    named = [run for run in named if run.host == host]
    machines = Machines.of(database, named)
    return [run for run in named if machines.elsewhere(run)]


def restore(workspace: Workspace, copy: Path) -> Path | None:
    """Put a backup in the database's place; where the present one is kept.

    Raises:
        RunError: While runs work: what they report would have nowhere to go. A database
            that cannot be read any more is replaced without asking it.
    """
    try:
        active = _active_runs(workspace)
    except DatabaseError:
        active = []
    if active:
        names = " ".join(str(run.id) for run in active)
        raise RunError(f"Runs are at work ({names}); stop them before restoring a backup.")
    return Database.restore(workspace.home, copy, last_run=workspace.last_run_folder())


def _active_runs(workspace: Workspace) -> list[Run]:
    database = Database.open(workspace.home, create=False, readonly=True)
    try:
        states = [state for state in RunState if state.active]
        return [
            run
            for run in observed(database, runs.list_runs(database, states=states, archived=True))
            if run.state.active
        ]
    finally:
        database.close()


def delete(database: Database, workspace: Workspace, run_ids: Collection[int]) -> None:
    """Remove runs that have ended, what they reported, and their folders.

    Raises:
        RunError: One is at work, or is read by a run that is to stay; nothing is removed.
    """
    for run_id in run_ids:
        _close_if_dead(database, run_id)
    runs.delete_runs(database, run_ids)
    forget_unread_sets(database, workspace)
    left = []
    for run_id in run_ids:
        folder = workspace.run_folder(run_id)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            left.append(f"{folder}: {error.strerror}")
    if left:
        raise RunError(f"The runs are deleted, of their folders these are not: {'; '.join(left)}.")


def _close_if_dead(database: Database, run_id: int) -> Run:
    """The run, with a dead process written down as what it is."""
    run = runs.get_run(database, run_id)
    (judged,) = observed(database, [run])
    if judged.state is run.state:
        return run
    with database.write() as session:
        end_as(session, run, PostMortem(judged.state, judged.reason or ""))
    return runs.get_run(database, run_id)


def _now() -> datetime:
    return datetime.now(UTC)
