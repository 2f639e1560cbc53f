"""Random lives of random runs: real rows, commands, processes and supervisors, whatever the order.

Only what a worker would work at is left out: its process sleeps, and its end is written as it would
write it.
"""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from waiting import is_zombie, until

from db.models import RunRow
from db.queries import attempts, runs
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.errors import RunError, UsageError
from engine.workers import commands, supervisor
from engine.workers.process import worker_environment
from engine.workers.states import sources
from engine.workers.supervisor import Settings, SupervisorLoop, stand_in
from engine.workers.workspace import Workspace

MAX_RUNS = 12
FINISHED, QUEUED = RunState.FINISHED, RunState.QUEUED
ACTIONS = ["submit", "submit", "finish", "fail", "stop", "kill", "kill behind", "retry", "replace"]


class Lives:
    """One workspace, its sleeping workers, and its supervisor, who may be replaced."""

    def __init__(self, home: Path, slots: int) -> None:
        self.database, self.slots = Database.open(home), slots
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        # Commands see a supervisor alive and start none.
        self.lock = stand_in(self.database, slots)
        self.replace()

    def spawn(self, workspace: Workspace, run_id: int, token: str) -> subprocess.Popen[bytes]:
        del token
        before = self.processes.get(run_id)
        assert before is None or before.poll() is not None, "two attempts of one run live"
        mark = worker_environment(workspace.home, run_id)
        process = subprocess.Popen(["sleep", "600"], start_new_session=True, env=mark)
        self.processes[run_id] = process
        return process

    def replace(self) -> None:
        """Another supervisor, who knows only what is written down."""
        workspace = Workspace(self.database.home)
        self.loop = SupervisorLoop(self.database, workspace, Settings(slots=self.slots))

    def runs(self, *states: RunState) -> list[Run]:
        return runs.list_runs(self.database, states=states or list(RunState), newest_first=False)

    def act(self, action: str, number: int) -> None:
        """Do it to the run that the number picks; nothing where there is none."""
        ended = [run for run in self.runs() if run.state.ended and run.state is not FINISHED]
        working = [run for run in self.runs() if run.state.active]
        if action == "submit":
            self.submit(number)
        elif action == "replace":
            self.replace()
        elif action == "retry" and ended:
            commands.resume(self.database, ended[number % len(ended)].id)
        elif action == "stop" and (stoppable := [*working, *self.runs(QUEUED)]):
            commands.request_stop(self.database, stoppable[number % len(stoppable)].id)
        elif working:
            run = working[number % len(working)]
            if action == "kill":
                commands.request_kill(self.database, run.id)
            elif action == "kill behind":
                self.end_process(run)
            elif action in ("finish", "fail"):
                self.leave(run, FINISHED if action == "finish" else RunState.FAILED)

    def submit(self, number: int) -> None:
        before = self.runs()
        if len(before) < MAX_RUNS:
            # What ended without a checkpoint is no input: refused, also where nobody noticed yet.
            useful = [run for run in before if not run.state.ended or run.state is FINISHED]
            inputs = tuple(run.id for run in useful if number >> run.id & 1)[:3]
            with suppress(UsageError):
                commands.queue(
                    self.database, NewRun(RunKind.TEACHER, "t", {}, seed=1, inputs=inputs)
                )

    def leave(self, run: Run, end: RunState) -> None:
        """What a worker does whose work is done or has failed."""
        with self.database.write() as session:
            row = session.get_one(RunRow, run.id)
            process = attempts.Process(run.pid or 0, 0.0, run.boot_id or "", run.pid_ticks)
            attempts.begin(session, run.id, row.token or "", process, {})
            reason = None if end is FINISHED else "it did not work"
            assert attempts.end(
                session, run.id, end, sources(end), attempt=run.attempt, reason=reason, exit_code=0
            )
        self.end_process(run)

    def end_process(self, run: Run) -> None:
        process = self.processes[run.id]
        process.kill()
        until(lambda: is_gone(process.pid))

    def tick(self) -> None:
        """Let the supervisor look, and look at what it did."""
        for run in self.runs(RunState.STOPPING):
            process = self.processes[run.id]
            self.loop.tick()
            until(lambda process=process: is_gone(process.pid))  # type: ignore[misc]
        self.loop.tick()
        self.check()

    def check(self) -> None:
        everything = {run.id: run for run in self.runs()}
        working = [run for run in everything.values() if run.state.active]
        alive = [run_id for run_id, process in self.processes.items() if not is_gone(process.pid)]
        assert len(working) <= self.slots
        assert sorted(alive) == [run.id for run in working]
        for run in everything.values():
            inputs = [everything[i] for i in run.inputs]
            broken = [i for i in inputs if i.state.ended and i.state is not FINISHED]
            if run.state.active or run.state is FINISHED:
                assert all(read.state is FINISHED for read in inputs)
            if run.state is QUEUED:
                assert not broken, "it waits for what will not come"
                unfinished = [read for read in inputs if read.state is not FINISHED]
                assert unfinished or len(working) == self.slots, "a slot is free"
            if run.blocked_by is not None and run.state.ended:
                assert run.state is RunState.STOPPED
                assert (run.reason or "").startswith(f"not started: its input {run.blocked_by} ")
            if run.state.ended and run.state is not FINISHED:
                assert run.reason

    def drain(self) -> None:
        """Whatever happened, all of it can be finished."""
        for _ in range(4 * MAX_RUNS):
            self.tick()
            for run in self.runs():
                if run.state in (RunState.STARTING, RunState.RUNNING):
                    self.leave(run, FINISHED)
                elif run.state.ended and run.state is not FINISHED:
                    with suppress(RunError):  # its input goes first
                        commands.resume(self.database, run.id)
        assert {run.state for run in self.runs()} <= {FINISHED}

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        self.database.close()


def is_gone(pid: int) -> bool:
    """Dead, reaped or not."""
    try:
        return is_zombie(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty workspace to copy."""
    home = tmp_path_factory.mktemp("empty") / "workspace"
    Database.open(home).close()
    return home


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is a whole one."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    monkeypatch.setattr(supervisor, "WATCH_EVERY_S", 0.0)


LIVES = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2**14)), min_size=15, max_size=40
)


def random_lives(num_lives: int) -> settings:
    return settings(
        max_examples=num_lives,
        deadline=None,
        # Looking for a shorter life that fails takes minutes of real processes.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def live(
    slots: int, life: list[tuple[str, int]], empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do all of it, then finish all runs; whatever is broken on the way is said."""
    with TemporaryDirectory(dir=empty.parent) as folder:
        shutil.copytree(empty, home := Path(folder) / "workspace")
        lives = Lives(home, slots)
        monkeypatch.setattr(supervisor, "spawn_worker", lives.spawn)
        try:
            for action, number in life:
                with suppress(RunError):  # refused, with a sentence
                    lives.act(action, number)
                lives.tick()
            lives.drain()
        finally:
            lives.close()


@pytest.mark.slow
@random_lives(3)
@given(slots=st.integers(1, 3), life=LIVES)
@pytest.mark.usefixtures("at_once")
def test_slots_order_and_reasons_hold_and_all_can_be_finished_whatever_happens(
    slots: int, life: list[tuple[str, int]], empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(slots, life, empty, monkeypatch)


@pytest.mark.slow
@random_lives(20)
@given(slots=st.integers(1, 3), life=LIVES)
@pytest.mark.usefixtures("at_once")
def test_the_same_holds_for_more_lives(
    slots: int, life: list[tuple[str, int]], empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(slots, life, empty, monkeypatch)
