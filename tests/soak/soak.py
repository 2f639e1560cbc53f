"""A bad day: pipelines and single runs, kills, stops, resumes, cockpits that come and go.

``python tests/soak/soak.py --minutes 30``. Everything is chosen at random by ``--seed`` among what
people and machines do; all goes through the program's own commands and real signals, and nobody
starts a supervisor by hand. With ``--database postgresql`` two machines share a workspace and a
server; the second one is made of namespaces, and both it and the server restart now and then. At
the end everything unfinished is resumed and waited for, and what must always hold is checked.
Prints one JSON document of figures; exit code 1 where a check failed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from invariants import violations
from machines import Machine, OtherMachine, in_private_memory
from postgresql_server import Server
from results import Results, differences, results, results_of_pipeline
from workplace import STEADY_S, Workplace, resumable

from db.queries.runs import list_pipelines
from db.records import Run, RunState

MAX_UNFINISHED = 16
"""Two pipelines and some more: what was lost or stopped waits to be resumed."""
PAUSE_S = 2.0
SEEDS = (11, 12)


class Soak:
    """What happens to a workplace, at random."""

    def __init__(self, place: Workplace, server: Server | None) -> None:
        self.place, self.server = place, server
        self.clones: dict[int, int] = {}
        """Runs queued again on their own, and those that they repeat."""

    def step(self, *, supervisors_live: bool) -> None:
        """Do one thing that is possible now."""
        place = self.place
        actions: list[Callable[[], object]] = [
            *(self.launch, self.launch, self.launch, self.resume, self.resume, self.resume),
            *(self.stop, self.kill_by_command, self.toggle_cockpit, self.use_tool, self.back_up),
            *(lambda: place.kill("worker"), lambda: place.kill("worker")),
            *(lambda: place.kill("family"), lambda: place.kill("child")),
        ]
        if not supervisors_live:
            actions += [lambda: place.kill("supervisor")] * 2
        if self.server is not None and not supervisors_live and place.chance.random() < 0.1:
            actions = [place.pull_the_plug, self.restart_server]
        place.chance.choice(actions)()

    def launch(self) -> None:
        """Queue a pipeline, or again a run that has finished."""
        place = self.place
        if sum(run.state is not RunState.FINISHED for run in place.runs()) >= MAX_UNFINISHED:
            return
        finished = place.any_run(lambda run: run.state is RunState.FINISHED)
        if finished is None or place.chance.random() < 0.4:
            place.launch(place.chance.choice(SEEDS))
            return
        answer = place.hdtui("runs", "clone", str(finished.id), "--detach", "--json")
        queued = json.loads(answer or "{}")
        if "run" in queued:
            self.clones[int(queued["run"]["id"])] = finished.id
            place.done["runs repeated"] += 1
        else:
            place.mistakes.append(f"run {finished.id} was not queued again: {answer}")

    def stop(self) -> None:
        """Ask a run to leave."""
        self._command(("runs", "stop"), lambda run: not run.state.ended, "stopped")

    def kill_by_command(self) -> None:
        """Kill a run by command."""
        self._command(("runs", "stop", "--kill"), lambda run: run.state.active, "stopped at once")

    def resume(self) -> None:
        """Queue an unfinished run again."""
        self._command(("runs", "resume"), resumable, "resumed")

    def toggle_cockpit(self) -> None:
        """Open a second cockpit, take its terminal away, or kill it; the first one stays."""
        place = self.place
        if len(place.cockpits) < 2:
            place.open_cockpit()
        elif place.chance.random() < 0.5:
            place.close_cockpit(place.cockpits[-1])
        else:
            place.kill_cockpit(place.cockpits[-1])

    def use_tool(self) -> None:
        """Start a tool; its child may be killed."""
        self.place.use_tool()

    def back_up(self) -> None:
        """Copy SQLite's database while everybody writes."""
        if self.server is None:
            copy = self.place.database.home.parent / "copy.db"
            self.place.hdtui("db", "backup", str(copy))
            self.place.done["backups"] += 1

    def restart_server(self) -> None:
        """The database's server ends without a word and is back after a while."""
        assert self.server is not None
        self.server.stop("immediate")
        time.sleep(self.place.chance.uniform(0.0, 20.0))
        self.server.start()
        self.place.killed["database server"] += 1

    def differences(self) -> list[str]:
        """Where pipelines of one seed, and runs and their repetition, ended apart."""
        database, runs = self.place.database, {run.id: run for run in self.place.runs()}
        found, first = [], dict[int, dict[str, Results]]()
        for pipeline in list_pipelines(database):
            came_to = results_of_pipeline(database, pipeline.id)
            expected = first.setdefault(pipeline.seed, came_to)
            found += [f"pipeline {pipeline.id}: {each}" for each in differences(expected, came_to)]
        for clone, original in self.clones.items():
            one, other = (
                {runs[number].kind: results(database, runs[number])} for number in (clone, original)
            )
            found += [f"run {clone}, {original} again: {each}" for each in differences(one, other)]
        return found

    def _command(
        self, words: Sequence[str], wanted: Callable[[Run], bool], what_was_done: str
    ) -> None:
        run = self.place.any_run(wanted)
        if run is not None:
            self.place.hdtui(*words, str(run.id))
            self.place.done[what_was_done] += 1


def soak(place: Workplace, server: Server | None, minutes: float) -> dict[str, Any]:
    """The figures of a bad day; ``violations`` among them is empty where everything held.

    In the first half supervisors, machines and the server die as well; in the second they live,
    and may not grow.
    """
    day = Soak(place, server)
    place.open_cockpit()
    began, seconds = time.monotonic(), 60.0 * minutes
    while (passed := time.monotonic() - began) < seconds:
        day.step(supervisors_live=passed > seconds / 2)
        place.wait(place.chance.uniform(0.0, 2 * PAUSE_S))
    place.finish()
    broken = violations(place.database, place.workspace, place.most_active, place.slots)
    broken += day.differences()
    figures, left = place.figures(), place.leave()
    broken += [*place.mistakes, *place.growth.violations()]
    broken += [f"left behind: {name}" for names in left.values() for name in names]
    return {
        "minutes": minutes,
        "database": place.database.dialect,
        "machines": len(place.machines),
        "seconds": round(time.monotonic() - began),
        **figures,
        "left_behind": {what: len(names) for what, names in left.items()},
        "violations": broken,
    }


@contextmanager
def workplace(
    database: str, seed: int, steady_s: float
) -> Iterator[tuple[Workplace, Server | None]]:
    """A new workspace on one machine with SQLite, or on two with a server."""
    os.environ.pop("HDTUI_DATABASE_URL", None)
    with tempfile.TemporaryDirectory(prefix="hdtui-soak-") as folder:
        home = Path(folder, "workspace")
        if database == "sqlite":
            yield Workplace(home, seed, steady_s=steady_s), None
            return
        with Server() as server:
            os.environ["HDTUI_DATABASE_URL"] = server.url
            other = OtherMachine("other")
            try:
                yield Workplace(home, seed, [Machine(), other], steady_s=steady_s), server
            finally:
                other.stop()


def main() -> int:
    """Soak, drain, check, print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    in_private_memory()
    steady_s = min(STEADY_S, 60.0 * chosen.minutes / 6)
    with workplace(chosen.database, chosen.seed, steady_s) as (place, server):
        figures = soak(place, server, chosen.minutes)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
