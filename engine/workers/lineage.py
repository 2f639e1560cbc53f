"""Which robots a policy has met while it was made: what is left is unseen.

A policy's file proves what it was trained on; sets of robots say it where the run trained itself.
Loads neither torch nor mujoco.
"""

from collections.abc import Sequence
from pathlib import Path

from db.queries import lineage
from db.queries.artifacts import list_artifacts
from db.queries.runs import list_runs
from db.records import Run, RunKind
from db.session import Database
from engine.errors import UsageError
from engine.evaluation.robot_groups import Knowledge
from engine.workers.policy_files import KNOWN, TRAINED_ON, written_knowledge
from engine.workers.robot_library import learning_robots, set_names
from engine.workers.workspace import Workspace

_READS_ROBOTS = (RunKind.TEACHER, RunKind.COLLECTION)


class Ancestry:
    """Runs with what they were made from, read once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = {run.id: run for run in list_runs(database, archived=True, newest_first=False)}
        self._sets = set_names(database)
        self._roles = {
            made: role
            for run in self.runs.values()
            if run.kind.fills_sets
            for role, made in run.extra.items()
            if isinstance(made, str)
        }
        self._digests: dict[str, frozenset[str]] = {}
        self._adopted: dict[int, Knowledge] = {}

    def ancestors(self, run: Run) -> list[Run]:
        """The run and everything it was made from, itself first."""
        found = {run.id: run}
        pending = [run]
        while pending:
            for run_id in pending.pop().inputs:
                if run_id in self.runs and run_id not in found:
                    found[run_id] = self.runs[run_id]
                    pending.append(self.runs[run_id])
        return list(found.values())

    def teachers(self, run: Run) -> list[Run]:
        """The teachers behind a run, itself included."""
        return [each for each in self.ancestors(run) if each.kind is RunKind.TEACHER]

    def trained_on(self, run: Run) -> frozenset[str]:
        """Digests of the robots the teachers behind a run were trained on."""
        taken_over = [self._taken_over(each).trained_on for each in self._adopted_behind(run)]
        return self._of(self.teachers(run)).union(*taken_over)

    def known_to(self, run: Run) -> frozenset[str]:
        """Digests of all robots behind a run: trained on, or a source of its expert data."""
        taken_over = [self._taken_over(each).known for each in self._adopted_behind(run)]
        readers = [each for each in self.ancestors(run) if each.kind in _READS_ROBOTS]
        return self._of(readers).union(*taken_over)

    def knowledge(self, run: Run) -> Knowledge:
        """What a policy knows of robots, as its file says it."""
        return Knowledge(self.trained_on(run), self.known_to(run))

    def role_of_set(self, name: str) -> str:
        """What a set is to the run that filled it (``training_set``...), else its name."""
        return self._roles.get(name, name)

    def robots_of(self, run: Run) -> frozenset[str]:
        """Digests of the robots in a run's own sets."""
        return self._of([run])

    def met_children(self, run: Run) -> bool:
        """Whether mutants are among the robots behind a run."""
        readers = [each for each in self.ancestors(run) if each.kind in _READS_ROBOTS]
        names = {name for each in readers for name in each.robot_sets} & self._sets
        robots = learning_robots(self._database, sorted(names))
        return any(robot.parent_digest is not None for robot in robots)

    def _of(self, runs: list[Run]) -> frozenset[str]:
        names = {name for run in runs if "file" not in run.extra for name in run.robot_sets}
        return frozenset().union(*map(self._training_digests, names))

    def _adopted_behind(self, run: Run) -> list[Run]:
        return [each for each in self.ancestors(run) if "file" in each.extra]

    def _taken_over(self, run: Run) -> Knowledge:
        if run.id not in self._adopted:
            self._adopted[run.id] = adopted_knowledge(self._database, run)
        return self._adopted[run.id]

    def _training_digests(self, name: str) -> frozenset[str]:
        if name not in self._digests:
            robots = learning_robots(self._database, [name]) if name in self._sets else []
            self._digests[name] = frozenset(robot.digest for robot in robots)
        return self._digests[name]


def adopted_knowledge(database: Database, run: Run) -> Knowledge:
    """What a policy that was taken over knows of robots, whatever sets were named for it.

    Runs of version 0.1 did not write it down: their file is asked. None where it is gone.
    """
    document = run.extra["file"]
    if TRAINED_ON in document:
        trained_on = frozenset(map(str, document[TRAINED_ON]))
        return Knowledge(trained_on, trained_on.union(map(str, document.get(KNOWN, ()))))
    workspace = Workspace(database.home)
    written = [file.path for file in list_artifacts(database, run.id) if file.kind == "policy"]
    for path in [*map(workspace.resolve, written), *map(Path, document["paths"])]:
        try:
            return written_knowledge(path)
        except UsageError:
            continue
    return Knowledge(frozenset(), frozenset())


def trainers(database: Database, digest: str, set_names: Sequence[str]) -> list[int]:
    """Teachers that were trained on this body, which is in these sets, by their numbers."""
    learned = [
        name
        for name in set_names
        if any(robot.digest == digest for robot in learning_robots(database, [name]))
    ]
    adopted = {run.id: run for run in lineage.adopted(database, RunKind.TEACHER)}
    knowing = {
        key for key, run in adopted.items() if digest in adopted_knowledge(database, run).trained_on
    }
    return sorted(knowing.union(lineage.trainers(database, learned)) - (adopted.keys() - knowing))
