"""A workspace on one or two machines, and what people, kernels and bad luck do to it.

People use the program's own commands and cockpits; everything else is a real signal. Nobody here
ever starts a supervisor: that is the program's part.
"""

import contextlib
import json
import os
import pty
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from machines import Machine, OtherMachine, environment
from processes import MARK, Process, partial_files, processes, semaphores

from db.queries.runs import list_runs
from db.records import Run, RunState
from db.session import Database
from engine.workers.patience import patiently
from engine.workers.workspace import Workspace

COMMAND_S = 600.0
LEAVE_S = 60.0
"""How long a supervisor without work, or a cockpit without a terminal, may take to leave."""
KEYS = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"j", b"k", b"?", b"\x1b", b"2\r", b"]")
"""What only looks."""
STUCK_S = 1800.0
"""A busy machine is slow, not stuck: only so long without any progress is a fault."""
STEADY_S = 300.0
"""From this age on a process may not grow any more."""
MOST_GROWTH = 0.1
KINDS = ("worker", "worker", "supervisor", "cockpit", "child", "family")
"""What is killed; a family is a worker with everything it started, at once."""


class Cockpit:
    """A real one, in a terminal of its own."""

    def __init__(self, home: Path, mark: str) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            variables = environment(HDTUI_HOME=str(home), **{MARK: mark})
            os.execve(sys.executable, [sys.executable, "-m", "hdtui"], variables)  # noqa: S606
        os.set_blocking(self._terminal, False)
        # A cockpit that is opened later would hold this terminal open, and it could not hang up.
        os.set_inheritable(self._terminal, False)

    def press(self, keys: bytes) -> None:
        """Press keys; one that is full of them takes none."""
        with contextlib.suppress(OSError):
            os.write(self._terminal, keys)

    def read(self) -> None:
        """Take what it drew, so that it never waits."""
        with contextlib.suppress(OSError):
            while os.read(self._terminal, 65536):
                pass

    def left(self) -> bool:
        """It is gone."""
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        return True

    def hang_up(self) -> bool:
        """Take its terminal away; whether it left by itself."""
        os.close(self._terminal)
        deadline = time.monotonic() + LEAVE_S
        while not self.left():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return False
            time.sleep(0.05)
        return True


class Growth:
    """Memory and descriptors of long-lived processes: when steady, and last."""

    def __init__(self, steady_s: float) -> None:
        self._steady_s = steady_s
        self._seen: dict[tuple[int, int], dict[str, Any]] = {}

    def look(self, found: Sequence[Process]) -> None:
        """Note what each supervisor and cockpit takes now."""
        for process in found:
            if process.kind not in ("supervisor", "cockpit"):
                continue
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                takes = (process.memory_bytes, process.descriptors)
                if not takes[0]:  # it is ending
                    continue
                seen = self._seen.setdefault(
                    (process.pid, process.ticks), {"kind": process.kind, "steady": None}
                )
                seen["age_s"], seen["last"] = process.age_s, takes
                if seen["steady"] is None and process.age_s >= self._steady_s:
                    seen["steady"] = takes

    def figures(self) -> list[dict[str, Any]]:
        """Of everything that lived long enough."""
        return [
            {
                "kind": seen["kind"],
                "age_s": round(seen["age_s"]),
                "memory_mib": [round(takes[0] / 2**20, 1) for takes in (seen["steady"], last)],
                "descriptors": [takes[1] for takes in (seen["steady"], last)],
            }
            for seen in self._seen.values()
            if seen["steady"] and seen["age_s"] > 2 * self._steady_s and (last := seen["last"])
        ]

    def violations(self) -> list[str]:
        """What grew by more than a tenth."""
        return [
            f"a {each['kind']} of {each['age_s']} s grew: {name} {each[name]}"
            for each in self.figures()
            for name in ("memory_mib", "descriptors")
            if each[name][1] > (1 + MOST_GROWTH) * each[name][0] + (name == "descriptors")
        ]


class Workplace:
    """One workspace and everything that is done to it."""

    def __init__(
        self,
        home: Path,
        seed: int,
        machines: Sequence[Machine] = (Machine(),),
        slots: int = 2,
        steady_s: float = STEADY_S,
        mark: str | None = None,
    ) -> None:
        self.mark = mark or secrets.token_hex(8)
        self.chance = random.Random(seed)
        self.slots, self.machines = slots, machines
        self.workspace, self.database = Workspace(home), Database.open(home)
        self.done: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.growth = Growth(steady_s)
        self.cockpits: list[Cockpit] = []
        self.mistakes: list[str] = []
        self.most_active = self.log_bytes = 0
        self.longest_unattended_s = 0.0
        self._unattended_since: float | None = None
        self._supervisors: set[tuple[int, int]] = set()
        self._tool: subprocess.Popen[bytes] | None = None
        self._semaphores = semaphores()

    # What people do

    def hdtui(self, *words: str, machine: Machine | None = None) -> str:
        """Run a command on a machine, by chance on any; what it answered, refusals are counted."""
        return self.elsewhere(self.database.home, *words, machine=machine)

    def elsewhere(self, home: Path, *words: str, machine: Machine | None = None) -> str:
        """The same in another workspace."""
        where = machine or self.chance.choice(self.machines)
        try:
            answer = subprocess.run(
                where.command(*words, "--home", str(home)),
                env={**self._environment(), **where.variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.mistakes.append(f"hdtui {' '.join(words)} did not end within {COMMAND_S:.0f} s")
            return ""
        if answer.returncode:
            self.done["commands refused"] += 1
        if "Traceback" in answer.stderr:
            self.mistakes.append(f"hdtui {' '.join(words)}: {answer.stderr[-2000:]}")
        return answer.stdout

    def launch(self, seed: int, machine: Machine | None = None) -> int:
        """Queue a whole pipeline; its number, 0 where it was refused."""
        words = ("pipeline", "--preset", "smoke", "--seed", str(seed), "--detach", "--json")
        answer = self.hdtui(*words, machine=machine)
        queued = json.loads(answer or "{}")
        if "pipeline" not in queued:
            self.mistakes.append(f"a pipeline was refused: {answer}")
            return 0
        self.done["pipelines"] += 1
        return int(queued["pipeline"])

    def resume_all(self) -> None:
        """Queue everything again that ended unfinished, earlier stages first."""
        unfinished = [str(run.id) for run in reversed(self.runs()) if resumable(run)]
        for number in unfinished:
            self.hdtui("runs", "resume", number)
            self.done["resumed"] += 1

    def look(self) -> None:
        """Look at the runs, as people do."""
        for machine in self.machines:
            self.hdtui("runs", "list", machine=machine)

    def open_cockpit(self) -> None:
        """Open one more cockpit."""
        self.cockpits.append(Cockpit(self.database.home, self.mark))
        self.done["cockpits opened"] += 1

    def close_cockpit(self, cockpit: Cockpit) -> None:
        """Take its terminal away."""
        self.cockpits.remove(cockpit)
        if not cockpit.hang_up():
            self.mistakes.append("a cockpit without a terminal did not leave")

    def use_tool(self) -> None:
        """Start a command that has a child do its work, if none is at work."""
        if self._tool is not None and self._tool.poll() is None:
            return
        words = ("efficiency", "--latency", "--json", "--home", str(self.database.home))
        quiet = subprocess.DEVNULL
        self._tool = subprocess.Popen(
            self.machines[0].command(*words),
            env={**self._environment(), **self.machines[0].variables},
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
        self.done["tools used"] += 1

    def press_keys(self) -> None:
        """Look around in every cockpit, and take what they drew."""
        for cockpit in list(self.cockpits):
            cockpit.press(self.chance.choice(KEYS))
            cockpit.read()
            if cockpit.left():
                self.cockpits.remove(cockpit)
                self.mistakes.append("a cockpit left by itself")

    def wait(self, seconds: float) -> None:
        """Let time pass; cockpits draw, and what only shows meanwhile is noted."""
        until = time.monotonic() + seconds
        while True:
            self.press_keys()
            self.observe()
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(0.5, left_s))

    # What happens to everybody

    def kill(self, kind: str) -> bool:
        """SIGKILL one of a kind, if there is one."""
        wanted = "worker" if kind == "family" else kind
        found = [each for each in self.processes() if each.kind == wanted]
        if not found:
            return False
        victim = self.chance.choice(found)
        victims = [victim.pid]
        if kind == "family":
            victims += [each.pid for each in self.processes() if _session(each.pid) == victim.pid]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed[kind] += 1
        for cockpit in [each for each in self.cockpits if each.pid == victim.pid]:
            self.cockpits.remove(cockpit)
            cockpit.hang_up()
        return True

    def kill_cockpit(self, cockpit: Cockpit) -> None:
        """SIGKILL this one."""
        os.kill(cockpit.pid, signal.SIGKILL)
        self.killed["cockpit"] += 1
        self.cockpits.remove(cockpit)
        cockpit.hang_up()

    def pull_the_plug(self) -> None:
        """Another machine ends and starts again; its people let its work go on."""
        others = [each for each in self.machines if isinstance(each, OtherMachine)]
        machine = self.chance.choice(others)
        machine.restart()
        self.killed["machine"] += 1
        self.hdtui("runs", "list", machine=machine)
        for run in self.runs():
            if run.state is RunState.QUEUED and run.host == machine.name:
                self.hdtui("runs", "resume", str(run.id), machine=machine)

    # What is seen

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return patiently(lambda: self.runs_of(self.database))

    @staticmethod
    def runs_of(database: Database) -> list[Run]:
        """All runs of any workspace."""
        return list_runs(database, archived=True)

    def processes(self) -> list[Process]:
        """What the program has started here and lives."""
        return processes(self.mark)

    def observe(self) -> None:
        """Note what only shows while things happen."""
        found, runs = self.processes(), self.runs()
        self.growth.look(found)
        active = Counter(run.host for run in runs if run.state.active)
        self.most_active = max(self.most_active, *active.values(), 0)
        log = self.workspace.home / "hdtui.db-wal"
        with contextlib.suppress(FileNotFoundError):
            self.log_bytes = max(self.log_bytes, log.stat().st_size)
        supervisors = {(each.pid, each.ticks) for each in found if each.kind == "supervisor"}
        self._supervisors |= supervisors
        if supervisors or not any(not run.state.ended for run in runs):
            self._unattended_since = None
            return
        now = time.monotonic()
        self._unattended_since = self._unattended_since or now
        self.longest_unattended_s = max(self.longest_unattended_s, now - self._unattended_since)

    def all_finished(self) -> bool:
        """Nothing is left to do."""
        return all(run.state is RunState.FINISHED for run in self.runs())

    def finish(self) -> None:
        """Resume everything unfinished until all is finished, or nothing comes further.

        A run that fails again and again at the same place is no progress.
        """
        furthest: dict[int, float] = {}
        moved_at, before = time.monotonic(), -1.0
        while time.monotonic() - moved_at < STUCK_S:
            if self.all_finished():
                return
            for run in self.runs():
                finished = run.state is RunState.FINISHED
                done = 1.0 + (run.progress or 0.0) + finished
                furthest[run.id] = max(furthest.get(run.id, 0.0), done if run.attempt else 0.0)
            if sum(furthest.values()) > before:
                moved_at, before = time.monotonic(), sum(furthest.values())
            self.resume_all()
            self.look()
            self.wait(2.0)
        self.mistakes.append("not everything finished after it was resumed")
        self.mistakes += [
            f"run {run.id} {run.kind} is {run.state}: {run.reason}"
            for run in self.runs()
            if run.state is not RunState.FINISHED
        ]

    def leave(self) -> dict[str, list[str]]:
        """Close every cockpit and wait for what leaves by itself; what stayed behind."""
        self.database.close()
        for cockpit in list(self.cockpits):
            self.close_cockpit(cockpit)
        if self._tool is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._tool.wait(COMMAND_S)
        deadline = time.monotonic() + LEAVE_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.5)
        for each in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        return {
            "processes": [f"{each.kind} {each.pid}: {' '.join(each.words)}" for each in left],
            "semaphores": sorted(semaphores() - self._semaphores),
            "partial_files": partial_files(self.workspace.home),
        }

    def figures(self) -> dict[str, Any]:
        """What was done and seen."""
        runs = self.runs()
        return {
            "done": dict(sorted(self.done.items())),
            "killed": dict(sorted(self.killed.items())),
            "runs": len(runs),
            "attempts": sum(run.attempt for run in runs),
            "most_active": self.most_active,
            "supervisors": len(self._supervisors),
            "longest_without_supervisor_s": round(self.longest_unattended_s, 1),
            "grown": self.growth.figures(),
            "log_mib_at_most": round(self.log_bytes / 2**20, 2),
        }

    def any_run(self, wanted: Callable[[Run], bool]) -> Run | None:
        """A run of those wanted, or None."""
        found = [run for run in self.runs() if wanted(run)]
        return self.chance.choice(found) if found else None

    def _environment(self) -> dict[str, str]:
        return dict(environment(HDTUI_SLOTS=str(self.slots), **{MARK: self.mark}))


def resumable(run: Run) -> bool:
    """It ended unfinished."""
    return run.state.ended and run.state is not RunState.FINISHED


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
