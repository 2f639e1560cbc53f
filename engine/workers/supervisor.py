"""The process that starts and watches the workers of one workspace on one host.

It holds a lock, keeps everything it knows in the database, and may die at any moment: workers go
on, and the next supervisor adopts them by their process identity. It leaves when it has had
nothing to do for a while.
"""

import fcntl
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

import psutil

from db.queries import attempts, runs, supervisors
from db.queries.settings import get_setting
from db.records import Run, RunState, Supervisor
from db.session import Database
from engine.errors import DatabaseError
from engine.workers.liveness import (
    ProcessIdentity,
    boot_id,
    host_name,
    kill_group,
    signal_worker,
    this_process,
)
from engine.workers.schedule import Candidate, plan
from engine.workers.spawn import child_environment, supervisor_alive
from engine.workers.states import sources
from engine.workers.workspace import Workspace

TICK_S = 0.25
WATCH_EVERY_S = 1.0
BEAT_EVERY_S = 15.0
IDLE_S = 10.0
STOP_GRACE_S = 30.0
START_TIMEOUT_S = 60.0
LOCK_TIMEOUT_S = 5.0
DEFAULT_SLOTS = 2
SLOTS_VARIABLE = "HDTUI_SLOTS"

logger = logging.getLogger("hdtui.supervisor")


@dataclass(frozen=True)
class Settings:
    """How patient a supervisor is."""

    slots: int = DEFAULT_SLOTS
    idle_s: float = IDLE_S
    stop_grace_s: float = STOP_GRACE_S


def read_slots(database: Database) -> int:
    """How many workers may run at once: HDTUI_SLOTS, else the workspace's setting, else two."""
    wanted = os.environ.get(SLOTS_VARIABLE) or get_setting(database, "slots")
    try:
        return max(1, int(wanted)) if wanted is not None else DEFAULT_SLOTS
    except (TypeError, ValueError):
        logger.warning("slots %r is no number; %d are used", wanted, DEFAULT_SLOTS)
        return DEFAULT_SLOTS


class SupervisorLoop:
    """One supervisor's work; ``tick`` does all that is due."""

    def __init__(self, database: Database, workspace: Workspace, settings: Settings) -> None:
        self._database, self._workspace, self._settings = database, workspace, settings
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[int, int] = {}
        self._signalled: set[tuple[int, int]] = set()
        self._revision: int | None = None
        self._watched = self._beaten = 0.0
        self._busy = time.monotonic()

    def tick(self) -> bool:
        """Look after every run of this host; False when there was nothing to do for long."""
        now = time.monotonic()
        revision = self._database.revision()
        reaped = self._reap()
        if reaped or revision != self._revision or now - self._watched >= WATCH_EVERY_S:
            self._revision, self._watched = revision, now
            active = self._watch()
            if active or self._schedule(active):
                self._busy = now
        if now - self._beaten >= BEAT_EVERY_S:
            self._beaten = now
            self._beat()
        if now - self._busy < self._settings.idle_s:
            return True
        return not supervisors.leave_if_idle(self._database, host_name(), os.getpid(), boot_id())

    def _reap(self) -> bool:
        ended = [pid for pid, child in self._children.items() if child.poll() is not None]
        for pid in ended:
            self._exit_codes[pid] = self._children.pop(pid).returncode
        return bool(ended)

    def _watch(self) -> list[Run]:
        """End what is dead, stop what is asked to; the runs that still hold a slot."""
        states = [state for state in RunState if state.active]
        mine = [
            run
            for run in runs.list_runs(self._database, states=states, archived=True)
            if run.host == host_name()
        ]
        return [run for run in mine if not self._settle(run)]

    def _settle(self, run: Run) -> bool:
        """True if the run's attempt is over."""
        worker = _identity(run)
        if worker is None:
            return self._settle_unborn(run)
        if worker.boot_id != boot_id():
            self._end(run, RunState.INTERRUPTED, "the machine restarted", None)
            return True
        if worker.alive:
            if run.state is RunState.STOPPING:
                self._stop(run, worker)
            return False
        kill_group(worker)
        self._end(run, *self._verdict(run, worker))
        return True

    def _settle_unborn(self, run: Run) -> bool:
        """A claimed run without a process: its supervisor died in between, or it cannot start."""
        age_s = _seconds_since(run.started_at)
        if run.state is RunState.STARTING and age_s < START_TIMEOUT_S:
            return False
        self._end(run, RunState.LOST, "its process never appeared", None)
        return True

    def _verdict(self, run: Run, worker: ProcessIdentity) -> tuple[RunState, str, int | None]:
        """What became of a worker that left no exit record."""
        self._reap()
        code = self._exit_codes.pop(worker.pid, None)
        if run.state is RunState.STOPPING and (code is None or code < 0):
            kept = "checkpoint kept" if run.checkpoint_step is not None else "no checkpoint"
            return RunState.STOPPED, f"killed, {kept}", code
        if code is None:
            return RunState.LOST, f"process {worker.pid} is gone and left no exit record", None
        if code < 0:
            name = signal.Signals(-code).name
            reason = f"process {worker.pid} was ended by {name} and left no exit record"
            return RunState.LOST, reason, 128 - code
        return RunState.FAILED, "the worker left without a reason; see its log", code

    def _end(self, run: Run, state: RunState, reason: str, code: int | None) -> None:
        with self._database.write() as session:
            ended = attempts.end(
                session,
                run.id,
                state,
                sources(state),
                attempt=run.attempt,
                reason=reason,
                exit_code=code,
            )
            if ended:
                level = "info" if state is RunState.STOPPED else "error"
                runs.insert_event(session, run.id, level, str(state), f"{state}: {reason}")
        if ended:
            logger.info("run %d attempt %d: %s, %s", run.id, run.attempt, state, reason)

    def _stop(self, run: Run, worker: ProcessIdentity) -> None:
        """TERM once, KILL for the whole session after the grace or when asked to."""
        overdue = _seconds_since(run.stop_requested_at) > self._settings.stop_grace_s
        if run.kill_requested_at is not None or overdue:
            logger.info("run %d: killed %d processes", run.id, kill_group(worker))
        elif (run.id, run.attempt) not in self._signalled:
            self._signalled.add((run.id, run.attempt))
            signal_worker(worker)

    def _schedule(self, active: list[Run]) -> bool:
        """Start what can start; True if anything was started."""
        queued = runs.list_runs(self._database, states=[RunState.QUEUED], archived=True)
        mine = [run for run in queued if run.host == host_name()]
        if not mine:
            return False
        inputs = {input_id for run in mine for input_id in run.inputs}
        states = {run.id: run.state for run in runs.list_runs(self._database, ids=inputs)}
        decided = plan(
            [Candidate(run.id, run.inputs, _held(run)) for run in mine],
            states,
            len(active),
            self._settings.slots,
        )
        unstamped = [run.id for run in mine if run.queued_boot_id is None]
        if decided.blocked or unstamped:
            with self._database.write() as session:
                attempts.block(session, decided.blocked)
                attempts.stamp(session, unstamped, boot_id())
        for run_id in decided.start:
            self._start(run_id)
        return bool(decided.start)

    def _start(self, run_id: int) -> None:
        token = secrets.token_hex(16)
        with self._database.write() as session:
            attempt = attempts.claim(session, run_id, token, host_name())
        if attempt is None:
            return
        try:
            child = _spawn(self._workspace, run_id, token)
        except OSError as error:
            run = runs.get_run(self._database, run_id)
            self._end(run, RunState.FAILED, f"cannot start a worker: {error}", None)
            return
        self._children[child.pid] = child
        self._introduce(run_id, token, child.pid)
        logger.info("run %d attempt %d: started, pid %d", run_id, attempt, child.pid)

    def _introduce(self, run_id: int, token: str, pid: int) -> None:
        """Write the new process down at once: it may die before it can say who it is."""
        started_at = psutil.Process(pid).create_time()
        with self._database.write() as session:
            process = attempts.Process(pid, started_at, boot_id())
            attempts.record_process(session, run_id, token, process)

    def _beat(self) -> None:
        with self._database.write() as session:
            supervisors.beat(session, host_name())
        self._database.checkpoint_log()


def supervise(workspace: Workspace) -> None:
    """Be this host's supervisor until there is nothing to do; return at once if there is one."""
    database = Database.open(workspace.home, checkpointing=True)
    with workspace.supervisor_lock.open("w") as lock:
        if not _take(lock, database):
            return
        settings = Settings(slots=read_slots(database))
        me = this_process()
        now = datetime.now(UTC)
        supervisors.register_supervisor(
            database,
            Supervisor(host_name(), me.pid, me.started_at, me.boot_id, settings.slots, now, now),
        )
        logger.info("supervisor %d: %d slots", me.pid, settings.slots)
        loop = SupervisorLoop(database, workspace, settings)
        while _try_tick(loop):
            time.sleep(TICK_S)
        database.checkpoint_log(truncate=True)
        logger.info("supervisor %d: nothing to do, leaves", me.pid)
    database.close()


def _try_tick(loop: SupervisorLoop) -> bool:
    try:
        return loop.tick()
    except DatabaseError as error:
        # Workers go on; whoever reads judges liveness meanwhile.
        logger.warning("the database does not answer: %s", error)
        time.sleep(WATCH_EVERY_S)
        return True


def _take(lock: TextIO, database: Database) -> bool:
    """Take the lock; wait a moment for one that is about to leave, not for one that stays."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            registered = supervisors.get_supervisor(database, host_name())
            if supervisor_alive(registered) or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _spawn(workspace: Workspace, run_id: int, token: str) -> subprocess.Popen[bytes]:
    folder = workspace.run_folder(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "engine.workers", "run", str(run_id), "--home"]
    with workspace.log_path(run_id).open("ab") as log:
        return subprocess.Popen(
            [*command, str(workspace.home.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            # Not an argument: everybody on the machine can read those.
            env={**child_environment(), "HDTUI_TOKEN": token},
            start_new_session=True,
        )


def _identity(run: Run) -> ProcessIdentity | None:
    if run.pid is None or run.pid_started_at is None or run.boot_id is None:
        return None
    return ProcessIdentity(run.pid, run.pid_started_at, run.boot_id)


def _held(run: Run) -> bool:
    return run.queued_boot_id not in (None, boot_id())


def _seconds_since(moment: datetime | None) -> float:
    return 0.0 if moment is None else (datetime.now(UTC) - moment).total_seconds()
