"""Deployed policies as actors, so that evaluation judges the files themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.deployment.onnx_policy import OnnxPolicy
from engine.deployment.runtime import (
    DeployedFileError,
    DeployedMLP,
    load_deployed,
    load_document,
    read_content,
)
from engine.errors import DeploymentError
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class DeployedActors:
    """One deployed file per robot, found by digest."""

    paths: tuple[Path, ...]

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> "DeployedActor":
        """The files of these robots; they draw nothing, so ``seed`` does not matter.

        Raises:
            DeploymentError: a robot has no file, or a file is damaged.
        """
        try:
            found = {load_document(path)["robot"]["digest"]: path for path in self.paths}
            missing = [robot.name for robot in robots if robot.digest not in found]
            if missing:
                raise DeploymentError(
                    f"{missing[0]}: none of the {len(found)} deployed files is for this robot;"
                    " deploy the student on it first"
                )
            return DeployedActor(
                [_load(found[robot.digest]) for robot in robots], robots, per_robot
            )
        except (DeployedFileError, KeyError, TypeError) as error:
            raise DeploymentError(str(error)) from error


def _load(path: Path) -> DeployedMLP | OnnxPolicy:
    if path.suffix == ".onnx":
        document = load_document(path)
        return OnnxPolicy(read_content(path, document), path, document)
    return load_deployed(path)


class DeployedActor:
    """Runs each robot's file on its own environments."""

    std = 0.0

    def __init__(
        self,
        policies: Sequence[DeployedMLP | OnnxPolicy],
        robots: Sequence[Morphology],
        per_robot: int,
    ) -> None:
        packing = Packing(tuple(robot.num_limbs for robot in robots), per_robot)
        self._parts = [
            (policy, rows, environments, robot.num_limbs)
            for policy, rows, environments, robot in zip(
                policies, packing.robot_rows, packing.robot_environments, robots, strict=True
            )
        ]

    def means(self, observation: Array, terrain: Array | None) -> Array:
        """Action means (rows, J) of packed observations (rows, F)."""
        means = []
        for policy, rows, environments, limbs in self._parts:
            own = np.asarray(observation[rows], np.float32).reshape(-1, limbs, observation.shape[1])
            heights = None if terrain is None else np.asarray(terrain[environments], np.float32)
            means.append((rows.start, policy.means(own, heights)))
        ordered = [
            part.reshape(-1, part.shape[-1]) for _, part in sorted(means, key=lambda p: p[0])
        ]
        return np.concatenate(ordered)
