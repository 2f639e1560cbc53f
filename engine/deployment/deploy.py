"""Write one small policy file per robot from a student, and check that it acts the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from engine.config.base import TaskConfig
from engine.config.evaluation import DeploymentConfig
from engine.deployment import runtime
from engine.deployment.document import deployed_document
from engine.deployment.folding import Arrays, fold, hypernetwork_of
from engine.deployment.onnx_policy import OnnxPolicy
from engine.deployment.runtime import DeployedMLP, json_path, sha256_of
from engine.deployment.storage import npz_content, storable
from engine.errors import DeploymentError, StopRequestedError
from engine.events import ArtifactWritten, Progress, Result, StageContext
from engine.files import file_sha256, write_bytes
from engine.morphology.tree import Morphology
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.robots import robot_batch
from engine.random import generator
from engine.rollout.saved_policy import load_policy
from engine.simulation.scene import scene_xml
from engine.text import counted

FOLDER_NAME = "deployed"
RUNNER = Path(runtime.__file__)
"""What runs an npz file elsewhere; it lies beside every one."""
TOLERANCE = 1e-5
_CHECKED_OBSERVATIONS = 1000


def deploy_student(
    config: DeploymentConfig,
    student_path: Path,
    robots: Sequence[Morphology],
    context: StageContext,
    known: Mapping[str, str] | None = None,
) -> list[Path]:
    """A policy file per robot, each beside a JSON and, on even ground, a MuJoCo scene to try it in.

    Beside npz files lies what runs them: ``runtime.py``, for numpy alone. ``known`` are the SHA-256
    of files that an earlier attempt wrote, by name: those that lie there still are not made again.

    Raises:
        DeploymentError: the student is no hypernetwork, acts differently once folded, two robots
            have one name, or a file cannot be written.
        StopRequestedError: a stop was asked for between two robots.
    """
    policy, description = load_policy(student_path)
    student = hypernetwork_of(policy, student_path.name)
    check_names(robots)
    digest = hashlib.sha256(student_path.read_bytes()).hexdigest()
    origin = {"file": student_path.name, "sha256": digest, "task": description.task}
    task = TaskConfig(name=description.task, incline_deg=description.incline_deg)
    paths = []
    for index, robot in enumerate(robots):
        if context.should_stop():
            raise StopRequestedError(f"stopped after {index} of {len(robots)} robots")
        path = context.folder / FOLDER_NAME / f"{robot.name}.{config.format}"
        if _lies_there(path, (known or {}).get(path.name), digest):
            paths.append(path)
            context.report(Progress(index + 1, len(robots), "robots"))
            continue
        arrays = storable(_folded(student, robot))
        known_from = description.known_from(robot.digest)
        document = deployed_document(
            robot, arrays, origin, task, description.terrain_points, known_from
        )
        content = _content(config, arrays, document)
        trial = _Trial(config, student, robot)
        document["check"] = trial.check(*_runnable(arrays, content, document, path))
        document["content"] = {"bytes": len(content), "sha256": sha256_of(content)}
        _write(path, content, robot, document, task)
        paths.append(path)
        context.report(ArtifactWritten("deployed_policy", path.name, path, sha256_of(content)))
        context.report(Progress(index + 1, len(robots), "robots"))
    if config.format == "npz":
        _write_runner(context)
    sizes = [path.stat().st_size for path in paths]
    context.report(
        Result(
            float(len(paths)),
            f"{counted(len(paths), 'policy', 'policies')},"
            f" {max(sizes, default=0) / 1000:.0f} kB at most",
            "policies",
        )
    )
    return paths


def _lies_there(path: Path, sha256: str | None, student_sha256: str) -> bool:
    """A policy of this student, whole; its JSON is written last."""
    if sha256 is None:
        return False
    try:
        document = json.loads(json_path(path).read_bytes())
        return file_sha256(path) == sha256 and document["student"]["sha256"] == student_sha256
    except (OSError, ValueError, LookupError, TypeError):
        return False


def check_names(robots: Sequence[Morphology]) -> None:
    """See that every robot gets a file of its own, as files are named after robots.

    Raises:
        DeploymentError: two robots have one name.
    """
    digests: dict[str, str] = {}
    for robot in robots:
        other = digests.setdefault(robot.name, robot.digest)
        if other != robot.digest:
            raise DeploymentError(
                f"{robot.name}: two robots of that name, {other[:7]} and {robot.digest[:7]}, would"
                " share a file; deploy them one after the other, or rename one"
            )


def _folded(student: Hypernetwork, robot: Morphology) -> Arrays:
    arrays = fold(student, robot)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DeploymentError(
                f"{robot.name}: {name} holds a number that is not finite; the student has"
                " diverged, distil again with a lower learning_rate"
            )
    return arrays


def _runnable(
    arrays: Arrays, content: bytes, document: dict[str, object], path: Path
) -> tuple[str, DeployedMLP | OnnxPolicy]:
    """The policy of a file as it will run, and what runs it.

    Without ONNX runtime the arrays of an ONNX file are judged by numpy.
    """
    if path.suffix == ".onnx" and find_spec("onnxruntime") is not None:
        return "onnxruntime", OnnxPolicy(content, path, document)
    return "numpy", DeployedMLP(arrays, document)


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

    def check(self, runtime: str, policy: DeployedMLP | OnnxPolicy) -> dict[str, object]:
        """What a deployed policy was checked by, for its JSON; refuse one that acts differently."""
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
        return {
            "runtime": runtime,
            "observations": len(self._observation),
            "largest_difference": difference,
            "tolerance": TOLERANCE,
        }


def random_inputs(
    seed: int, student: Hypernetwork, robot: Morphology, count: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Observations (N, L, F) spread about the student's moments, and terrain (N, P) or None.

    Far values are as common as when a robot stumbles (Student's t with four degrees of freedom).
    """
    rng = generator(seed, "deployment-check", robot.digest)
    mean, variance = student.moments.mean[0].numpy(), student.moments.variance[0].numpy()
    shape = (count, robot.num_limbs, len(mean))
    observation = mean + np.sqrt(variance) * rng.standard_t(4, size=shape)
    terrain = None
    if student.terrain is not None:
        terrain = rng.normal(size=(count, student.widths.terrain_points)).astype(np.float32)
    return observation.astype(np.float32), terrain


def _write_runner(context: StageContext) -> None:
    path, content = context.folder / FOLDER_NAME / RUNNER.name, RUNNER.read_bytes()
    write_file(path, content)
    context.report(ArtifactWritten("runner", path.name, path, sha256_of(content)))


def _write(
    path: Path, content: bytes, robot: Morphology, document: dict[str, object], task: TaskConfig
) -> None:
    write_file(path, content)
    if document["terrain"] is None:
        write_file(path.with_suffix(".xml"), scene_xml(robot, task))
    write_file(json_path(path), json.dumps(document, indent=1).encode())


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
