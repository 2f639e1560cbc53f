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
from engine.workers.policy_files import TRAINED_ON, training_robots
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
        self._adopted: dict[int, frozenset[str]] = {}

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
        return self._of(self.teachers(run))

    def known_to(self, run: Run) -> frozenset[str]:
        """Digests of all robots behind a run: trained on, or a source of its expert data."""
        return self._of([each for each in self.ancestors(run) if each.kind in _READS_ROBOTS])

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
        return frozenset().union(*(self._learned_from(run) for run in runs))

    def _learned_from(self, run: Run) -> frozenset[str]:
        if "file" in run.extra:
            if run.id not in self._adopted:
                self._adopted[run.id] = adopted_digests(self._database, run)
            return self._adopted[run.id]
        return frozenset().union(*(self._training_digests(name) for name in run.robot_sets))

    def _training_digests(self, name: str) -> frozenset[str]:
        if name not in self._digests:
            robots = learning_robots(self._database, [name]) if name in self._sets else []
            self._digests[name] = frozenset(robot.digest for robot in robots)
        return self._digests[name]


def adopted_digests(database: Database, run: Run) -> frozenset[str]:
    """What a teacher that was taken over was trained on, whatever sets were named for it.

    Runs of version 0.1 did not write it down: their file is asked. None where it is gone.
    """
    document = run.extra["file"]
    if TRAINED_ON in document:
        return frozenset(map(str, document[TRAINED_ON]))
    workspace = Workspace(database.home)
    written = [file.path for file in list_artifacts(database, run.id) if file.kind == "policy"]
    for path in [*map(workspace.resolve, written), *map(Path, document["paths"])]:
        try:
            return training_robots(path)
        except UsageError:
            continue
    return frozenset()


def trainers(database: Database, digest: str, set_names: Sequence[str]) -> list[int]:
    """Teachers that were trained on this body, which is in these sets, by their numbers."""
    learned = [
        name
        for name in set_names
        if any(robot.digest == digest for robot in learning_robots(database, [name]))
    ]
    adopted = {run.id: run for run in lineage.adopted(database)}
    knowing = {key for key, run in adopted.items() if digest in adopted_digests(database, run)}
    return sorted(knowing.union(lineage.trainers(database, learned)) - (adopted.keys() - knowing))
