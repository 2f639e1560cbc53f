"""Episodes of an evaluation as poses files, for the cockpit to play."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.environments import VectorEnvironment
from engine.environments.pose_file import PoseRecorder
from engine.errors import HdtuiError
from engine.events import ArtifactWritten
from engine.files import file_sha256, write_bytes
from engine.morphology.poses import ARTIFACT_KIND, encode_poses, recording_name
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

    def watch(self, environment: VectorEnvironment, episodes: int) -> dict[int, PoseRecorder]:
        """Recorders of the first episodes by their number, on an environment that was not reset.

        ``count`` is no more than simulations run side by side: each records its first episode.
        """
        return {place: environment.watch(0, place) for place in range(min(self.count, episodes))}

    def write(self, robot: Morphology, recorders: dict[int, PoseRecorder], seed: int) -> None:
        """Write every recorded episode, complete or not at all.

        Raises:
            HdtuiError: A file cannot be written.
        """
        for place, recorder in recorders.items():
            path = self.path(robot, place)
            poses = recorder.poses(self.label, self.policy_run_id, seed)
            try:
                write_bytes(path, encode_poses(poses))
            except OSError as error:
                raise HdtuiError(f"{path}: the episode was not recorded: {error}") from error

    def artifacts(self, robot: Morphology, task: str, episodes: int) -> Sequence[ArtifactWritten]:
        """The files that ``write`` left, as reports."""
        found = []
        for place in range(min(self.count, episodes)):
            path = self.path(robot, place)
            name = recording_name(self.label, robot.digest, task, place)
            found.append(ArtifactWritten(ARTIFACT_KIND, name, path, file_sha256(path)))
        return found
