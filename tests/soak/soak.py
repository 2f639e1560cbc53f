"""Half an hour of a bad day: launches, kills, stops, resumes, cockpits that come and go.

``python tests/soak/soak.py --minutes 30``. Everything is chosen at random by ``--seed`` among what
people and machines do; all goes through the program's own commands and real signals. At the end
everything unfinished is resumed and waited for, and what must always hold is checked. Prints one
JSON document of figures; exit code 1 where a check failed.
"""

import argparse
import contextlib
import json
import os
import pty
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from invariants import violations

from db.machine import boot_id
from db.queries.runs import count_states, get_run, list_runs, queue_run
from db.queries.supervisors import get_supervisor
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.teacher import named_teacher
from engine.errors import RunError
from engine.morphology.generation import generate
from engine.workers import commands, robot_library
from engine.workers.process import ProcessIdentity
from engine.workers.supervision import ensure_supervisor
from engine.workers.supervisor_lock import supervisor_alive
from engine.workers.workspace import Workspace

MAX_UNFINISHED = 6
PAUSE_S = 1.0
STUCK_S = 1800.0
"""A busy machine is slow, not stuck: only so long without any progress is a fault."""
SLOTS = 2


class Soak:
    """One workspace and everything that is done to it."""

    def __init__(self, home: Path, seed: int) -> None:
        self.workspace = Workspace(home)
        self.database = Database.open(home)
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.cockpit: tuple[int, int] | None = None
        self.most_active = 0
        robots = [(robot, "training") for robot in generate(2, seed=3)]
        robot_library.make_set(self.database, self.workspace, "robots", robots)

    def step(self) -> None:
        """Do one thing that is possible now."""
        action = self.chance.choice(
            [
                *(self.launch, self.launch, self.launch, self.resume, self.resume),
                *(self.stop, self.kill_worker, self.kill_worker, self.kill_now),
                *(self.kill_supervisor, self.toggle_cockpit, self.back_up),
            ]
        )
        with contextlib.suppress(RunError):  # it ended in between
            action()
        self.look()

    def look(self) -> None:
        """Note what only shows while things happen."""
        active = [run for run in list_runs(self.database) if run.state.active]
        self.most_active = max(self.most_active, len(active))

    def launch(self) -> None:
        """Queue a teacher, or mutants of what a generation makes, or a generation."""
        unfinished = [run for run in list_runs(self.database) if not run.state.ended]
        if len(unfinished) >= MAX_UNFINISHED:
            return
        number = self.chance.randrange(10**6)
        kind = self.chance.choice(["teacher", "teacher", "pair"])
        if kind == "teacher":
            commands.queue(self.database, teacher(number))
        else:
            first = queue_run(self.database, generation(number), boot_id=boot_id())
            commands.queue(self.database, mutation(number, first.id))
        self.done[f"launched {kind}"] += 1

    def stop(self) -> None:
        """Ask a run to leave."""
        run = self.any_run(lambda run: run.state in (RunState.RUNNING, RunState.QUEUED))
        if run is not None:
            commands.request_stop(self.database, run.id)
            self.done["stopped"] += 1

    def kill_now(self) -> None:
        """Kill a run by command."""
        run = self.any_run(lambda run: run.state in (RunState.RUNNING, RunState.STOPPING))
        if run is not None:
            commands.request_kill(self.database, run.id)
            self.done["killed by command"] += 1

    def kill_worker(self) -> None:
        """SIGKILL a worker behind everybody's back."""
        run = self.any_run(lambda run: run.state is RunState.RUNNING)
        if run is not None and run.pid and alive(run):
            os.kill(run.pid, signal.SIGKILL)
            self.done["workers killed"] += 1

    def kill_supervisor(self) -> None:
        """SIGKILL the supervisor; somebody who looks starts the next one."""
        supervisor = get_supervisor(self.database, boot_id())
        if supervisor is not None and supervisor_alive(self.database):
            os.kill(supervisor.pid, signal.SIGKILL)
            self.done["supervisors killed"] += 1
            time.sleep(self.chance.uniform(0.0, 2.0))
        ensure_supervisor(self.database)

    def resume(self) -> None:
        """Queue an unfinished run again."""
        run = self.any_run(resumable)
        if run is not None:
            commands.resume(self.database, run.id)
            self.done["resumed"] += 1

    def toggle_cockpit(self) -> None:
        """Open a cockpit in a terminal of its own, or take the terminal away."""
        if self.cockpit is not None:
            self.close_cockpit()
            return
        pid, terminal = pty.fork()
        if pid == 0:
            home = str(self.database.home)
            environment = {**os.environ, "TERM": "xterm-256color", "HDTUI_HOME": home}
            os.execve(sys.executable, [sys.executable, "-m", "hdtui"], environment)  # noqa: S606
        os.set_blocking(terminal, False)
        self.cockpit = (pid, terminal)
        self.done["cockpits opened"] += 1

    def read_cockpit(self) -> None:
        """Take what the cockpit drew, so that it never waits."""
        if self.cockpit is not None:
            with contextlib.suppress(OSError):
                while os.read(self.cockpit[1], 65536):
                    pass

    def close_cockpit(self) -> None:
        """Close the terminal under a cockpit, or kill it."""
        if self.cockpit is None:
            return
        pid, terminal = self.cockpit
        if self.chance.random() < 0.5:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        deadline = time.monotonic() + 30.0
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                self.done["cockpits that did not leave"] += 1
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(0.05)
        self.cockpit = None

    def back_up(self) -> None:
        """Copy the database while everybody writes."""
        copy = self.database.home.parent / "copy.db"
        self.database.backup(copy)
        self.done["backups"] += 1

    def any_run(self, wanted: Callable[[Run], bool]) -> Run | None:
        """A run of those wanted, or None."""
        found = [run for run in list_runs(self.database) if wanted(run)]
        return self.chance.choice(found) if found else None

    def drain(self) -> bool:
        """Resume everything unfinished until all is finished; False if nothing comes further.

        A run that fails again and again at the same place is no progress.
        """
        self.close_cockpit()
        furthest: dict[int, float] = {}
        moved_at, before = time.monotonic(), -1.0
        while time.monotonic() - moved_at < STUCK_S:
            runs = list_runs(self.database)
            if all(run.state is RunState.FINISHED for run in runs):
                return True
            for run in runs:
                finished = run.state is RunState.FINISHED
                done = 1.0 + (run.progress or 0.0) + finished
                furthest[run.id] = max(furthest.get(run.id, 0.0), done if run.attempt else 0.0)
            if sum(furthest.values()) > before:
                moved_at, before = time.monotonic(), sum(furthest.values())
            for run in reversed(runs):
                if resumable(run):
                    with contextlib.suppress(RunError):
                        commands.resume(self.database, run.id)
            ensure_supervisor(self.database)
            time.sleep(PAUSE_S)
        return False


def resumable(run: Run) -> bool:
    """It ended unfinished."""
    return run.state.ended and run.state is not RunState.FINISHED


def alive(run: Run) -> bool:
    """Its recorded process lives."""
    if run.pid is None or run.boot_id is None:
        return False
    return ProcessIdentity(run.pid, run.pid_ticks, run.boot_id).alive


def teacher(number: int) -> NewRun:
    """Seconds of training on two idle cores, with a checkpoint every second."""
    config = named_teacher("smoke").model_dump(mode="json")
    config |= {"total_env_steps": 16_000, "checkpoint_every_s": 1.0}
    return NewRun(RunKind.TEACHER, f"teacher {number}", config, seed=1, robot_sets=("robots",))


def generation(number: int) -> NewRun:
    """A few new robots, a set of their own."""
    config = {"train_count": 3, "unseen_count": 0, "seed": number}
    name = f"set{number}"
    return NewRun(RunKind.GENERATION, name, config, seed=1, extra={"training_set": name})


def mutation(number: int, input_id: int) -> NewRun:
    """Mutants of those robots."""
    return NewRun(
        RunKind.MUTATION,
        f"mutants{number}",
        {"mutants_per_robot": 2, "seed": number},
        seed=1,
        inputs=(input_id,),
        robot_sets=(f"set{number}",),
        extra={"mutant_set": f"mutants{number}"},
    )


def main() -> int:
    """Soak, drain, check, print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    os.environ.pop("HDTUI_DATABASE_URL", None)
    os.environ |= {"HDTUI_SLOTS": str(SLOTS), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="hdtui-soak-") as folder:
        soak = Soak(Path(folder) / "workspace", chosen.seed)
        end = time.monotonic() + 60.0 * chosen.minutes
        while time.monotonic() < end:
            soak.step()
            pause_until = time.monotonic() + soak.chance.uniform(0.0, 2 * PAUSE_S)
            while time.monotonic() < pause_until:
                soak.read_cockpit()
                time.sleep(0.05)
        drained = soak.drain()
        broken = violations(soak.database, soak.workspace, soak.most_active, SLOTS)
        if not drained:
            broken.append("not everything finished after it was resumed")
            broken += [
                f"run {run.id} {run.kind} is {run.state}: {run.reason}"
                for run in list_runs(soak.database)
                if run.state is not RunState.FINISHED
            ]
        attempts = sum(get_run(soak.database, run.id).attempt for run in list_runs(soak.database))
        figures = {
            "minutes": chosen.minutes,
            "done": dict(sorted(soak.done.items())),
            "runs": sum(count_states(soak.database).values()),
            "attempts": attempts,
            "most_active": soak.most_active,
            "violations": broken,
        }
        leave(soak)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 1 if broken else 0


def leave(soak: Soak) -> None:
    """End what still lives; the supervisor would notice that its workspace is gone."""
    supervisor = get_supervisor(soak.database, boot_id())
    if supervisor is not None and supervisor_alive(soak.database):
        os.kill(supervisor.pid, signal.SIGTERM)
    for run in list_runs(soak.database):
        if run.state.active and run.pid and alive(run):
            os.kill(run.pid, signal.SIGKILL)
    soak.database.close()


if __name__ == "__main__":
    sys.exit(main())
