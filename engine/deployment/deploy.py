"""Write one small policy file per robot from a student, and check that it acts the same."""

import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from engine.config.base import TaskConfig
from engine.config.evaluation import DeploymentConfig
from engine.deployment.document import deployed_document
from engine.deployment.folding import Arrays, fold, hypernetwork_of
from engine.deployment.onnx_policy import OnnxPolicy
from engine.deployment.runtime import DeployedMLP
from engine.deployment.storage import npz_content, storable, storage
from engine.errors import DeploymentError, StopRequestedError
from engine.events import ArtifactWritten, Progress, Result, StageContext
from engine.files import write_bytes
from engine.morphology.tree import Morphology
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.robots import robot_batch
from engine.random import generator
from engine.rollout.saved_policy import load_policy
from engine.simulation.scene import scene_xml

FOLDER_NAME = "deployed"
TOLERANCE = 1e-5
_CHECKED_OBSERVATIONS = 1000


def deploy_student(
    config: DeploymentConfig,
    student_path: Path,
    robots: Sequence[Morphology],
    context: StageContext,
) -> list[Path]:
    """A policy file per robot, each beside a JSON and, on flat ground, a MuJoCo scene to try it in.

    Raises:
        DeploymentError: the student is no hypernetwork, acts differently once folded, or a file
            cannot be written.
        StopRequestedError: a stop was asked for between two robots.
    """
    policy, description = load_policy(student_path)
    student = hypernetwork_of(policy, student_path.name)
    digest = hashlib.sha256(student_path.read_bytes()).hexdigest()
    origin = {"file": student_path.name, "sha256": digest, "task": description.task}
    paths = []
    for index, robot in enumerate(robots):
        if context.should_stop():
            raise StopRequestedError(f"stopped after {index} of {len(robots)} robots")
        arrays = storable(fold(student, robot))
        document = deployed_document(robot, arrays, origin, description.terrain_points)
        document["storage"] = storage(arrays)
        trial = _Trial(config, student, robot)
        document["largest_difference"] = trial.difference(DeployedMLP(arrays, document))
        path = context.folder / FOLDER_NAME / f"{robot.name}.{config.format}"
        content = _content(config, arrays, document)
        if config.format == "onnx" and find_spec("onnxruntime") is not None:
            trial.difference(OnnxPolicy(content, path))
        _write(path, content, robot, document)
        paths.append(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        context.report(ArtifactWritten("deployed_policy", path.name, path, sha256))
        context.report(Progress(index + 1, len(robots), "robots"))
    sizes = [path.stat().st_size for path in paths]
    context.report(
        Result(None, f"{len(paths)} policies, {max(sizes, default=0) / 1000:.0f} kB at most")
    )
    return paths


class _Trial:
    """Random observations, and what the student does on them."""

    def __init__(self, config: DeploymentConfig, student: Hypernetwork, robot: Morphology) -> None:
        inputs = random_inputs(config.seed, student, robot, _CHECKED_OBSERVATIONS)
        self._robot = robot
        self._observation, self._terrain = observation, terrain = inputs
        batch = robot_batch([robot], "cpu")
        packing = batch.packing(len(observation))
        with torch.inference_mode():
            heights = None if terrain is None else torch.from_numpy(terrain)
            rows = torch.from_numpy(observation.reshape(-1, observation.shape[-1]))
            self._expected = student.mean(student.encode(batch), rows, packing, heights).numpy()

    def difference(self, policy: DeployedMLP | OnnxPolicy) -> float:
        """Largest difference of a deployed policy's actions; refuse a large one."""
        expected = self._expected
        found = policy.means(self._observation, self._terrain)
        differences = np.abs(found.reshape(expected.shape) - expected)
        difference = float(differences.max())
        # Absolute within the range of actions, relative beyond it.
        if not (differences <= TOLERANCE * np.maximum(1.0, np.abs(expected))).all():
            raise DeploymentError(
                f"{self._robot.name}: the folded policy's actions differ by {difference:.1e} from"
                f" the student's, more than {TOLERANCE:.0e}; the student's weights may have"
                " diverged"
            )
        return difference


def random_inputs(
    seed: int, student: Hypernetwork, robot: Morphology, count: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Observations (N, L, F) spread as the student's moments say, and terrain (N, P) or None."""
    rng = generator(seed, "deployment-check", robot.digest)
    mean, variance = student.moments.mean[0].numpy(), student.moments.variance[0].numpy()
    shape = (count, robot.num_limbs, len(mean))
    observation = mean + np.sqrt(variance) * rng.normal(scale=3.0, size=shape)
    terrain = None
    if student.terrain is not None:
        terrain = rng.normal(size=(count, student.widths.terrain_points)).astype(np.float32)
    return observation.astype(np.float32), terrain


def _write(path: Path, content: bytes, robot: Morphology, document: dict[str, object]) -> None:
    write_file(path, content)
    write_file(path.with_suffix(".json"), json.dumps(document, indent=1).encode())
    if document["terrain"] is None:
        write_file(path.with_suffix(".xml"), scene_xml(robot, TaskConfig()))


def _content(config: DeploymentConfig, arrays: Arrays, document: dict[str, object]) -> bytes:
    if config.format == "npz":
        return npz_content(arrays)
    try:
        from engine.deployment.onnx_export import onnx_model  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise DeploymentError(
            f"ONNX export needs the package {error.name}; install hdtui[deploy] or use format=npz"
        ) from error
    return onnx_model(arrays, document)


def write_file(path: Path, content: bytes) -> None:
    """Write, flush to disk and rename, so that ``path`` is complete or as it was before.

    Raises:
        DeploymentError: the disk is full or the folder cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise DeploymentError(f"{path}: cannot be written ({error.strerror})") from error
