"""A worker's life: take the run up, do its job, leave an exit record."""

import errno
import json
import logging
import re
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from db.queries import artifacts, attempts
from db.queries.runs import get_run, insert_event, list_runs, set_checkpoints
from db.records import Run, RunState
from db.session import Database
from engine.errors import (
    DatabaseError,
    DivergenceError,
    HdtuiError,
    NewerDatabaseError,
    StaleAttemptError,
    StopRequestedError,
    WorkspaceMovedError,
)
from engine.events import Event, StageContext
from engine.files import never_make, remove_partial_files, write_text
from engine.text import amount, printable
from engine.workers.jobs.job import Job, check_file
from engine.workers.jobs.kinds import run_job
from engine.workers.patience import PATIENCE_S, WAIT_S, patiently
from engine.workers.post_mortem import EXIT_DIVERGED, EXIT_UNWRITTEN
from engine.workers.process import started_at, this_process
from engine.workers.provenance import provenance
from engine.workers.recorder import Recorder
from engine.workers.run_policies import settled_checkpoints
from engine.workers.states import sources
from engine.workers.supervision import Supervision
from engine.workers.workspace import Place, Workspace

EXIT_FINISHED, EXIT_FAILED, EXIT_STALE, EXIT_STOPPED, EXIT_MOVED = 0, 1, 3, 4, 6
_OF_ATTEMPT = re.compile(r"-a(\d+)(?=[-.])")
FAILURE_WAITS_S = 60.0

logger = logging.getLogger("hdtui.worker")


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    state: RunState
    reason: str | None
    exit_code: int


class StopFlag:
    """Set by SIGTERM or SIGINT: save and leave."""

    def __init__(self) -> None:
        self.set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.set = True


@dataclass(frozen=True)
class Desk:
    """What a stage reports to and asks; each time somebody looks whether all is where it was."""

    recorder: Recorder
    supervision: Supervision
    stop: StopFlag
    place: Place

    def report(self, event: Event) -> None:
        """Take an event.

        Raises:
            WorkspaceMovedError: The workspace is somewhere else now.
        """
        self._look()
        self.recorder.report(event)
        self.supervision.look()

    def should_stop(self) -> bool:
        """The stage is to save and leave; WorkspaceMovedError as for ``report``."""
        self._look()
        self.recorder.flush_if_due()
        self.supervision.look()
        return self.stop.set or self.recorder.asked_to_stop

    def _look(self) -> None:
        if not self.place.still_there():
            raise WorkspaceMovedError("the workspace was moved, removed or replaced")


def work(workspace: Workspace, run_id: int, token: str) -> int:
    """Do the run's job as the attempt that ``token`` names; the exit code.

    A token that does not own the run writes nothing and leaves, and so does whoever finds that a
    newer program has upgraded the workspace. Where it takes no record of the end, the exit code
    says so.
    """
    stop = StopFlag()
    place = Place(workspace.home)
    never_make(workspace.home)
    try:
        with closing(patiently(lambda: _open(workspace))) as database:
            run = patiently(lambda: _begin(database, run_id, token))
            recorder = Recorder(database, workspace, run, token)
            desk = Desk(recorder, Supervision(database, workspace), stop, place)
            outcome = _outcome(lambda: _job(database, workspace, run, desk), run, stop)
            if place.still_there():
                _leave(database, run, recorder, outcome)
                desk.supervision.look(at_once=True)
            else:
                outcome = _leave_moved(workspace, run, token, place)
    except StaleAttemptError as error:
        logger.error("%s", error)
        return EXIT_STALE
    except NewerDatabaseError as error:
        logger.error("a newer hdtui has upgraded the workspace, resume the run: %s", error)
        return EXIT_STALE
    except DatabaseError as error:
        logger.error("the end of this attempt is not recorded: %s", error)
        return EXIT_UNWRITTEN
    return outcome.exit_code


def _open(workspace: Workspace) -> Database:
    return Database.open(workspace.home, create=False, wait_s=WAIT_S)


def _begin(database: Database, run_id: int, token: str) -> Run:
    me = this_process()
    process = attempts.Process(me.pid, started_at(me.pid), me.boot_id, me.ticks)
    with database.write() as session:
        started = attempts.begin(session, run_id, token, process, provenance())
    run = get_run(database, run_id)
    attempt = f"pid {me.pid}, attempt {run.attempt}"
    if started:
        with database.write() as session:
            insert_event(session, run_id, "info", "started", f"started: {attempt}")
    logger.info("run %d %s %s: %s", run.id, run.kind, printable(run.name), attempt)
    return run


def _job(database: Database, workspace: Workspace, run: Run, desk: Desk) -> Job:
    run = patiently(lambda: _reading(database, run))
    folder = workspace.run_folder(run.id)
    workspace.own_run_folder(run.id, run.attempt, database.identity)
    remove_partial_files(folder)
    _remove_unnamed(database, workspace, run)
    inputs = {each.id: each for each in patiently(lambda: list_runs(database, ids=run.inputs))}
    document = {
        "run": run.id,
        "kind": run.kind,
        "name": run.name,
        "seed": run.seed,
        "inputs": run.inputs,
        "robot_sets": run.robot_sets,
        "config": run.config,
        "extra": run.extra,
        "versions": run.versions,
    }
    write_text(folder / "config.json", json.dumps(document, indent=1) + "\n")

    context = StageContext(
        folder=folder,
        attempt=run.attempt,
        report=desk.report,
        should_stop=desk.should_stop,
        resume_from=_checkpoint(database, workspace, run),
    )
    behind = tuple(inputs[number] for number in run.inputs)
    return Job(run, behind, database, workspace, context, desk.recorder.write)


def _reading(database: Database, run: Run) -> Run:
    """The run with the checkpoints it reads fixed, also those of policies that were stopping."""
    if not run.waits_for_end_of:
        return run
    read = settled_checkpoints(database, run)
    with database.write() as session:
        set_checkpoints(session, run.id, read)
    return get_run(database, run.id)


def _remove_unnamed(database: Database, workspace: Workspace, run: Run) -> None:
    """Remove what attempts before this one wrote and did not live to report."""
    written = patiently(lambda: artifacts.list_artifacts(database, run.id))
    saved = patiently(lambda: artifacts.list_checkpoints(database, run.id))
    paths = [*(file.path for file in written), *(file.path for file in saved)]
    named = {workspace.resolve(path) for path in paths}
    for path in workspace.run_folder(run.id).rglob("*-a*.safetensors"):
        attempt = _OF_ATTEMPT.search(path.name)
        if attempt and int(attempt[1]) < run.attempt and path not in named:
            path.unlink(missing_ok=True)


def _checkpoint(database: Database, workspace: Workspace, run: Run) -> Path | None:
    """Where this attempt goes on.

    Raises:
        CheckpointError: The file is gone or was changed.
    """
    checkpoint = patiently(lambda: artifacts.latest_checkpoint(database, run.id))
    if checkpoint is None:
        return None
    path = workspace.resolve(checkpoint.path)
    check_file(path, checkpoint.sha256, run.id)
    return path


def _outcome(prepare: Callable[[], Job], run: Run, stop: StopFlag) -> Outcome:
    try:
        if stop.set or run.state is RunState.STOPPING:
            raise StopRequestedError("stopped before its work began")
        run_job(prepare())
    except StopRequestedError as error:
        logger.info("%s", error)
        return Outcome(RunState.STOPPED, str(error), EXIT_STOPPED)
    except (StaleAttemptError, NewerDatabaseError):
        raise
    except WorkspaceMovedError as error:
        logger.error("%s", error)
        return Outcome(RunState.INTERRUPTED, str(error), EXIT_MOVED)
    except HdtuiError as error:
        logger.exception("failed")
        code = EXIT_DIVERGED if isinstance(error, DivergenceError) else EXIT_FAILED
        return Outcome(RunState.FAILED, printable(str(error)), code)
    except Exception as error:
        logger.exception("failed")
        return Outcome(RunState.FAILED, printable(_sentence(error)), EXIT_FAILED)
    return Outcome(RunState.FINISHED, None, EXIT_FINISHED)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some space, then resume"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    if isinstance(error, MemoryError):
        return "out of memory; fewer simulations or processes need less"
    return f"{type(error).__name__}: {error}"


def _leave(database: Database, run: Run, recorder: Recorder, outcome: Outcome) -> None:
    """Write what is left and the exit record, once the database takes it.

    A failure waits for less: what failed is often the disk, and its slot is wanted.
    """

    def farewell() -> None:
        recorder.write()
        _record_exit(database, run, outcome)

    patiently(farewell, FAILURE_WAITS_S if outcome.state is RunState.FAILED else PATIENCE_S)


def _leave_moved(workspace: Workspace, run: Run, token: str, place: Place) -> Outcome:
    """Write the exit record where the workspace lies now; nothing goes to its old name any more."""
    now_at = place.moved_to()
    reason = f"the workspace was moved from {workspace.home} while it worked"
    outcome = Outcome(RunState.INTERRUPTED, printable(reason), EXIT_MOVED)
    if now_at is None:
        raise DatabaseError(f"{workspace.home} was removed")
    database = Database.open(now_at, create=False)
    try:
        with database.read() as session:
            attempts.is_asked_to_stop(session, run.id, token)
        _record_exit(database, run, outcome)
    finally:
        database.close()
    return outcome


def _record_exit(database: Database, run: Run, outcome: Outcome) -> None:
    now = get_run(database, run.id)
    reason, text = outcome.reason, now.result_text
    if outcome.state is RunState.STOPPED:
        reason = _stopped_at(now)
    if outcome.exit_code == EXIT_DIVERGED:
        reason = f"{reason}; {_what_remains(now)}"
    with database.write() as session:
        ended = attempts.end(
            session,
            run.id,
            outcome.state,
            sources(outcome.state),
            attempt=run.attempt,
            reason=reason,
            exit_code=outcome.exit_code,
        )
        # A server may have kept the record and been gone before it could say so.
        known = (now.attempt, now.state) == (run.attempt, outcome.state)
        if not ended and not known:
            raise StaleAttemptError(f"Run {run.id} was closed by somebody else.")
        level = "error" if outcome.state in (RunState.FAILED, RunState.INTERRUPTED) else "info"
        detail = reason or text
        line = f"{outcome.state}{f': {detail}' if detail else ''}"
        insert_event(session, run.id, level, str(outcome.state), line)
    logger.info("%s", line)


def _what_remains(run: Run) -> str:
    """Which policy a run that diverged leaves, and where one goes on with other settings."""
    again = f"`hdtui runs clone {run.id} --set KEY=VALUE` starts anew with it"
    if run.checkpoint_step is None:
        return f"it wrote no checkpoint; {again}"
    judged = f"`hdtui evaluate --policy {run.id} --robots SET` judges it"
    return f"its checkpoint at {run.checkpoint_step:,} steps is good, {judged}; {again}"


def _stopped_at(run: Run) -> str:
    if run.done is None or run.total is None:
        kept = "" if run.checkpoint_step is None else ", checkpoint kept"
        return f"stopped before its first report{kept}"
    kept = ", checkpoint kept" if run.checkpoint_step is not None else ""
    return f"stopped at {amount(run.done)} of {amount(run.total)} {run.unit}{kept}"
