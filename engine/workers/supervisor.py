"""The process that starts and watches the workers of one workspace on one machine.

It holds a lock while it lives, and leaves when it has had nothing to do for a while. All it knows
is in the database, so it may die at any moment: workers go on, and the next one adopts them by
their process identity.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from db.machine import boot_id, host_name, installation
from db.queries import attempts, runs, supervisors
from db.records import Run, RunState, Supervisor
from db.session import Database
from engine.errors import DatabaseAwayError, DatabaseError, NewerDatabaseError, WorkspaceError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from engine.workers.machines import Machines, is_here
from engine.workers.patience import WAIT_S
from engine.workers.post_mortem import INTERRUPTED, STRANGER, PostMortem, how_it_ended, last_line
from engine.workers.process import (
    MemoryWatch,
    Worker,
    kill_group,
    other_owner,
    signal_worker,
    start_ticks,
    started_at,
    this_process,
    worker_environment,
    worker_of,
)
from engine.workers.schedule import Candidate, plan
from engine.workers.searching import Searches
from engine.workers.slots import read_slots
from engine.workers.states import end_as
from engine.workers.supervisor_lock import supervisor_alive, take_lock
from engine.workers.workspace import Place, Workspace

TICK_S = 0.25
LOCK_TIMEOUT_S = 5.0
WATCH_EVERY_S = 1.0
BEAT_EVERY_S = 15.0
IDLE_S = 10.0
STOP_GRACE_S = 30.0
START_TIMEOUT_S = 60.0

Attempt = tuple[int, int]
"""A run and the number of its attempt."""

logger = logging.getLogger("hdtui.supervisor")


def supervise(workspace: Workspace) -> None:
    """Be this machine's supervisor until there is nothing to do; return at once if there is one."""
    database = Database.open(workspace.home, create=False, checkpointing=True, wait_s=WAIT_S)
    lock = _take(database)
    if lock is not None:
        slots = read_slots(database)
        register(database, slots)
        logger.info("supervisor %d: %d slots", os.getpid(), slots)
        loop = SupervisorLoop(database, workspace, Settings())
        while _try_tick(loop):
            time.sleep(TICK_S)
        os.close(lock)
    database.close()


def stand_in(database: Database, slots: int = 2) -> int | None:
    """Count as the supervisor of this machine, for a demonstration, until this process ends.

    Or until the open file that comes back is closed; None where a real one is at work.
    """
    lock = take_lock(database)
    if lock is not None:
        register(database, slots)
    return lock


def register(database: Database, slots: int) -> None:
    """Write this process down as the supervisor of its machine; the caller holds the lock."""
    me, now = this_process(), datetime.now(UTC)
    supervisors.register_supervisor(
        database,
        Supervisor(
            host=host_name(),
            pid=me.pid,
            pid_started_at=started_at(me.pid),
            boot_id=me.boot_id,
            slots=slots,
            started_at=now,
            heartbeat_at=now,
            installation=installation() or None,
        ),
    )


def _try_tick(loop: SupervisorLoop) -> bool:
    try:
        if loop.tick():
            return True
        loop.sign_off()
    except NewerDatabaseError as error:
        # The lock goes with this process, to a supervisor of that program.
        logger.info("leaves: %s", error)
    except DatabaseError as error:
        # Workers go on; whoever reads judges liveness meanwhile.
        logger.warning("the database does not answer: %s", error)
        time.sleep(WATCH_EVERY_S)
        return True
    return False


def _take(database: Database) -> int | None:
    """Take the lock; wait a moment for one that is about to leave, not for one that stays."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while (lock := take_lock(database)) is None:
        if supervisor_alive(database) or time.monotonic() > deadline:
            return None
        time.sleep(0.05)
    return lock


@dataclass(frozen=True)
class Settings:
    """How patient a supervisor is; ``slots`` of None are looked up, as they may change."""

    slots: int | None = None
    idle_s: float = IDLE_S
    stop_grace_s: float = STOP_GRACE_S


class SupervisorLoop:
    """One supervisor's work; ``tick`` does all that is due.

    How long something lasts is measured by this process alone: what is written down are times of
    clocks that step, and some of them other machines'.
    """

    def __init__(self, database: Database, workspace: Workspace, settings: Settings) -> None:
        self._database, self._workspace, self._settings = database, workspace, settings
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[int, int] = {}
        self._stopped_since: dict[Attempt, float] = {}
        self._unborn_since: dict[Attempt, float] = {}
        self._told: set[Attempt] = set()
        self._memory = MemoryWatch()
        self._place = Place(workspace.home)
        self._searches = Searches(database, workspace)
        self._revision: int | None = None
        self._watched = self._beaten = 0.0
        self._refused = float("-inf")
        self._busy = time.monotonic()
        self._slots = settings.slots or read_slots(database)

    def tick(self) -> bool:
        """Look after every run of this machine; False when there was nothing to do for long."""
        try:
            return self._tick()
        except DatabaseAwayError:
            self._refused = time.monotonic()
            raise

    def _tick(self) -> bool:
        if not self._place.still_there():
            logger.info("the workspace %s was moved or replaced", self._workspace.home)
            return False
        now = time.monotonic()
        revision = self._database.revision()
        reaped = self._reap()
        if reaped or revision != self._revision or now - self._watched >= WATCH_EVERY_S:
            self._revision, self._watched = revision, now
            active = self._watch()
            self._follow_slots()
            started = self._schedule(active)
            if self._searches.look() or active or started:
                self._busy = now
        if now - self._beaten >= BEAT_EVERY_S:
            self._beaten = now
            self._beat()
        if now - self._busy < self._settings.idle_s:
            return True
        return not supervisors.leave_if_idle(self._database, os.getpid())

    def sign_off(self) -> None:
        """Leave the database tidy, if it is still where it was."""
        if self._place.still_there():
            self._database.checkpoint_log(truncate=True)
            logger.info("supervisor %d: nothing to do, leaves", os.getpid())

    def _reap(self) -> bool:
        ended = [pid for pid, child in self._children.items() if child.poll() is not None]
        for pid in ended:
            self._exit_codes[pid] = self._children.pop(pid).returncode
        return bool(ended)

    def _watch(self) -> list[Run]:
        """End what is dead, stop what is asked to; the runs that still hold a slot."""
        self._memory.short_lately()
        states = [state for state in RunState if state.active]
        active = runs.list_runs(self._database, states=states, archived=True)
        machines = Machines.of(self._database, active)
        held: list[Run] = []
        refusal: DatabaseAwayError | None = None
        for run in active:
            if machines.elsewhere(run):
                continue
            try:
                over = self._close_if_dead(run)
            except DatabaseAwayError as error:  # the others' workers are to be stopped all the same
                over, refusal = False, error
            if not over:
                held.append(run)
        if refusal is not None:
            raise refusal
        return held

    def _close_if_dead(self, run: Run) -> bool:
        """True if the run's attempt is over."""
        if not is_here(run):
            self._end(run, INTERRUPTED)
            return True
        worker = worker_of(run, self._workspace.home)
        if worker is None:
            return self._close_without_process(run)
        if worker.alive:
            if run.state is RunState.STOPPING:
                self._stop(run, worker)
            return False
        kill_group(worker)
        self._reap()
        self._end(run, self._post_mortem(run, worker))
        # Only now: where the database takes nothing, the next look must know it still.
        self._exit_codes.pop(worker.pid, None)
        return True

    def _post_mortem(self, run: Run, worker: Worker) -> PostMortem:
        if worker.process.alive:
            return STRANGER
        last_words = last_line(self._workspace.log_path(run.id))
        code = self._exit_codes.get(worker.pid)
        return how_it_ended(run, code, last_words, self._memory.short_lately())

    def _close_without_process(self, run: Run) -> bool:
        """A claimed run without a process: its supervisor died in between, or it cannot start."""
        since = self._unborn_since.setdefault((run.id, run.attempt), time.monotonic())
        if run.state is RunState.STARTING and time.monotonic() - since < START_TIMEOUT_S:
            return False
        self._end(run, PostMortem(RunState.LOST, "its process never appeared"))
        return True

    def _end(self, run: Run, end: PostMortem) -> None:
        with self._database.write() as session:
            ended = end_as(session, run, end)
        if ended:
            said = (end.state, end.reason)
            logger.info("run %d attempt %d: %s, %s", run.id, run.attempt, *said)

    def _stop(self, run: Run, worker: Worker) -> None:
        """TERM once, KILL for the whole session after the grace or when asked to."""
        attempt, now = (run.id, run.attempt), time.monotonic()
        owner = other_owner(worker.pid)
        if owner is not None:
            if attempt not in self._told:
                self._told.add(attempt)
                logger.info(
                    "run %d: its worker is %s's and reads the request itself", run.id, owner
                )
            return
        if attempt not in self._stopped_since:
            self._stopped_since[attempt] = now
            if run.kill_requested_at is None:
                signal_worker(worker)
        if run.kill_requested_at is not None or self._overdue(self._stopped_since[attempt]):
            logger.info("run %d: killed %d processes", run.id, kill_group(worker))

    def _overdue(self, since: float) -> bool:
        """It had its grace, and a database that took its checkpoint all that time."""
        grace_s = self._settings.stop_grace_s
        if time.monotonic() - since <= grace_s:
            return False
        with self._database.write() as session:
            session.connection()  # only now does the transaction begin, or is refused
        return time.monotonic() - self._refused > grace_s

    def _follow_slots(self) -> None:
        """Take the number of slots that counts now, and say so for whoever reads it."""
        slots = self._settings.slots or read_slots(self._database)
        if slots != self._slots:
            self._slots = slots
            with self._database.write() as session:
                supervisors.change_slots(session, boot_id(), slots)
            logger.info("%d slots from now on", slots)

    def _schedule(self, active: list[Run]) -> bool:
        """Start what can start; True if anything was started."""
        queued = runs.list_runs(self._database, states=[RunState.QUEUED], archived=True)
        machines = Machines.of(self._database, queued)
        mine = [run for run in queued if not machines.elsewhere(run)]
        if not mine:
            return False
        inputs = {input_id for run in mine for input_id in run.inputs}
        states = {run.id: run.state for run in runs.list_runs(self._database, ids=inputs)}
        decided = plan(
            [
                Candidate(run.id, run.waits_for, not is_here(run), run.waits_for_end_of)
                for run in mine
            ],
            states,
            len(active),
            self._slots,
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
            self._workspace.own_run_folder(run_id, attempt, self._database.identity)
            child = spawn_worker(self._workspace, run_id, token)
        except (OSError, WorkspaceError) as error:
            run = runs.get_run(self._database, run_id)
            self._end(run, PostMortem(RunState.FAILED, f"no worker could be started: {error}"))
            return
        self._children[child.pid] = child
        self._record_process(run_id, token, child.pid)
        logger.info("run %d attempt %d: started, pid %d", run_id, attempt, child.pid)

    def _record_process(self, run_id: int, token: str, pid: int) -> None:
        """Write the new process down at once: it may die before it can say who it is."""
        with self._database.write() as session:
            process = attempts.Process(pid, started_at(pid), boot_id(), start_ticks(pid))
            attempts.record_process(session, run_id, token, process)

    def _beat(self) -> None:
        with self._database.write() as session:
            supervisors.beat(session, boot_id())
        self._database.checkpoint_log()


def spawn_worker(workspace: Workspace, run_id: int, token: str) -> subprocess.Popen[bytes]:
    """Start the worker of a claimed run: a session of its own, no input, output to its log."""
    home = str(workspace.home.absolute())
    with workspace.open_log(workspace.log_path(run_id)) as log:
        return subprocess.Popen(
            child_command("engine.workers", "run", str(run_id), "--home", home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=NEUTRAL_FOLDER,
            # Not an argument: everybody on the machine can read those.
            env={
                **child_environment(),
                **worker_environment(workspace.home, run_id),
                "HDTUI_TOKEN": token,
            },
            start_new_session=True,
        )
