"""What a job has to work with: its run, what it reads, and where its reports go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from db.queries.artifacts import list_artifacts
from db.records import RobotSet, Run, RunKind
from db.session import Database
from engine.config.base import Config
from engine.distillation.manifest import MANIFEST_NAME
from engine.errors import CheckpointError, ConfigError, RunError
from engine.events import StageContext
from engine.files import file_sha256
from engine.morphology.tree import Morphology
from engine.workers import robot_library
from engine.workers.patience import patiently
from engine.workers.run_policies import read_checkpoints
from engine.workers.workspace import Workspace

ConfigType = TypeVar("ConfigType", bound=Config)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Job:
    """One attempt at a run, with its inputs in the order they were queued.

    ``settle`` writes down what was reported so far.
    """

    run: Run
    inputs: tuple[Run, ...]
    database: Database
    workspace: Workspace
    context: StageContext
    settle: Callable[[], None]

    def ask(self, question: Callable[[Database], Answer]) -> Answer:
        """What the database says, once it does; it knows all that was reported by then.

        ``question`` may be asked again, so what it writes must be one transaction, or hold twice.
        """

        def settled() -> Answer:
            self.settle()
            return question(self.database)

        return patiently(settled)

    def config(self, kind: type[ConfigType]) -> ConfigType:
        """The run's configuration, checked.

        Raises:
            ConfigError: It is not valid.
        """
        try:
            return kind.model_validate(dict(self.run.config))
        except ValueError as error:
            raise ConfigError(f"The configuration of run {self.run.id}: {error}") from error

    def input(self, kind: RunKind) -> Run:
        """The input of this kind.

        Raises:
            RunError: The run has none.
        """
        found = self.find_input(kind)
        if found is None:
            raise RunError(f"Run {self.run.id} {self.run.kind} has no {kind} among its inputs.")
        return found

    def find_input(self, kind: RunKind) -> Run | None:
        """The input of this kind, or None."""
        return next((run for run in self.inputs if run.kind is kind), None)

    def artifact(self, run: Run, kind: str) -> Path:
        """A result of an input, as it was when it was written down.

        Raises:
            RunError: The run has none.
            CheckpointError: The file is gone or changed.
        """
        for artifact in self.ask(lambda database: list_artifacts(database, run.id)):
            if artifact.kind == kind:
                path = self.workspace.resolve(artifact.path)
                check_file(path, artifact.sha256, run.id)
                return path
        raise RunError(f"Run {run.id} {run.kind} has left no {kind}; run it to its end first.")

    def policy(self, run: Run, reader: Run | None = None) -> Path:
        """The file of a teacher's or student's policy, as ``reader`` (else this run) reads it.

        That is what it finished with, or the checkpoint that was fixed when the reader was queued.

        Raises:
            RunError: There is neither.
            CheckpointError: The file is gone or changed.
        """
        read = read_checkpoints(reader or self.run).get(run.id)
        if read is None:
            return self.artifact(run, "policy" if run.kind is RunKind.TEACHER else "student")
        path = self.workspace.resolve(read.path)
        check_file(path, read.sha256, run.id)
        return path

    def robots(self, role: str | None = None) -> list[Morphology]:
        """The robots of the run's sets, each body once.

        Raises:
            RunError: There are none.
        """
        return list({robot.digest: robot for robot in self.named_robots(role)}.values())

    def learning_robots(self) -> list[Morphology]:
        """The robots that the run may learn from: of each set those with the role training.

        All of a set in which none has that role.
        """
        return list({robot.digest: robot for robot in self.named_learning_robots()}.values())

    def named_learning_robots(self) -> list[Morphology]:
        """As ``learning_robots``, with every name of a body that has several."""
        for name in self.run.robot_sets:
            robot_library.resolve_set(self.database, self.workspace, name)
        rows = robot_library.learning_robots(self.database, self.run.robot_sets)
        if not rows:
            raise RunError(f"Run {self.run.id} has no robots: {' '.join(self.run.robot_sets)}.")
        by_name = {(row.digest, row.name): row for row in rows}
        return [robot_library.load(self.workspace, row) for row in by_name.values()]

    def named_robots(self, role: str | None = None) -> list[Morphology]:
        """As ``robots``, with every name of a body that has several."""

        def loaded(database: Database) -> list[Morphology]:
            return [
                robot
                for name in self.run.robot_sets
                for robot in robot_library.load_set(database, self.workspace, name, role)
            ]

        found = {(robot.digest, robot.name): robot for robot in self.ask(loaded)}
        if not found and role is None:
            raise RunError(f"Run {self.run.id} has no robots: {' '.join(self.run.robot_sets)}.")
        return list(found.values())

    def fill_set(self, name: str, members: Sequence[tuple[Morphology, str | None]]) -> RobotSet:
        """The set that the run makes: robots with their roles, under the name it was asked for."""
        return self.ask(
            lambda database: robot_library.make_set(
                database, self.workspace, name, members, run_id=self.run.id
            )
        )


def check_file(path: Path, sha256: str, run_id: int) -> None:
    """CheckpointError unless a file, or the manifest of a folder, is what was written down.

    A manifest holds the hashes of its folder's files; who opens those checks them.
    """
    content = path / MANIFEST_NAME if path.is_dir() else path
    if not content.is_file():
        raise CheckpointError(
            f"{content} of run {run_id} is missing; it was moved or deleted after it was written."
        )
    if file_sha256(content) != sha256:
        raise CheckpointError(
            f"{content} of run {run_id} does not match its SHA-256: it was changed after it was "
            "written."
        )
