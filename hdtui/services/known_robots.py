"""Which robots a policy has met while it was made: what is left is unseen."""

from typing import TYPE_CHECKING

from db.queries.robots import list_robots, list_sets
from db.queries.runs import list_runs
from db.records import Run, RunKind

if TYPE_CHECKING:
    from db.session import Database

TRAINING = "training"
_READS_ROBOTS = (RunKind.TEACHER, RunKind.COLLECTION)


class Ancestry:
    """Runs with what they were made from, read once."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self.runs = {run.id: run for run in list_runs(database, archived=True, newest_first=False)}
        self._sets = {each.name for each in list_sets(database)}
        self._digests: dict[str, frozenset[str]] = {}

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

    def met_children(self, run: Run) -> bool:
        """Whether mutants are among the robots behind a run."""
        readers = [each for each in self.ancestors(run) if each.kind in _READS_ROBOTS]
        names = {name for each in readers for name in each.robot_sets} & self._sets
        return any(
            robot.parent_digest is not None
            for name in names
            for robot in list_robots(self._database, name, role=TRAINING)
            or list_robots(self._database, name)
        )

    def _of(self, runs: list[Run]) -> frozenset[str]:
        names = {name for run in runs for name in run.robot_sets}
        return frozenset().union(*(self._training_digests(name) for name in names))

    def _training_digests(self, name: str) -> frozenset[str]:
        if name not in self._digests:
            robots = []
            if name in self._sets:
                robots = list_robots(self._database, name, role=TRAINING)
                robots = robots or list_robots(self._database, name)
            self._digests[name] = frozenset(robot.digest for robot in robots)
        return self._digests[name]
