"""Episodes of an evaluation as poses files, for the cockpit to play."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints import file_sha256
from engine.environments import VectorEnvironment
from engine.environments.pose_recording import PoseRecorder
from engine.errors import HdtuiError
from engine.events import ArtifactWritten
from engine.morphology.poses import ARTIFACT_KIND, recording_name, save_poses
from engine.morphology.tree import Morphology


@dataclass(frozen=True)
class Recordings:
    """Where the first episodes of one policy are kept; picklable.

    ``policy_run_id`` says whose policy it is, None for a baseline.
    """

    folder: Path
    attempt: int
    label: str
    policy_run_id: int | None
    count: int

    def path(self, robot: Morphology, episode: int) -> Path:
        """The file of one episode."""
        label = self.label.replace(" ", "-")
        name = f"{label}-{robot.digest[:12]}-{episode}-a{self.attempt}.safetensors"
        return self.folder / "poses" / name

    def watch(
        self, environment: VectorEnvironment, simulations: int, rounds: int
    ) -> dict[int, PoseRecorder]:
        """Recorders of the first episodes by their number, on an environment that was not reset."""
        return {
            place: environment.watch(0, place // rounds, place % rounds)
            for place in range(min(self.count, simulations * rounds))
        }

    def write(self, robot: Morphology, recorders: dict[int, PoseRecorder], seed: int) -> None:
        """Write every recorded episode, complete or not at all.

        Raises:
            HdtuiError: A file cannot be written.
        """
        for place, recorder in recorders.items():
            path = self.path(robot, place)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_poses(recorder.poses(self.label, self.policy_run_id, seed), temporary)
                temporary.replace(path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise HdtuiError(f"{path}: the recorded episode was not written: {error}") from error

    def artifacts(self, robot: Morphology, task: str, episodes: int) -> Sequence[ArtifactWritten]:
        """The files that ``write`` left, as reports."""
        found = []
        for place in range(min(self.count, episodes)):
            path = self.path(robot, place)
            name = recording_name(self.label, robot.digest, task, place)
            found.append(ArtifactWritten(ARTIFACT_KIND, name, path, file_sha256(path)))
        return found
