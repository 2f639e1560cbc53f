"""Who acts on packed observations of given robots: the seam between policies and their judges.

Evaluation, collection and pictures drive environments through an ``Actor``; where its numbers come
from (a checkpoint, a deployed file, chance) is its own business. Factories are plain values that
travel to other processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import RobotError
from engine.morphology.drivable import undrivable_reason
from engine.morphology.tree import Morphology
from engine.policies.controller import Controller
from engine.policies.policy import Policy
from engine.policies.robots import robot_batch
from engine.random import generator
from engine.rollout.saved_policy import PolicyDescription, load_policy

Array = npt.NDArray[np.floating]


class Actor(Protocol):
    """Action means of packed observations of the robots it was made for, and their deviation."""

    std: float
    """Standard deviation to sample with; 0 for an actor that is never sampled."""

    def means(self, observation: Array, terrain: Array | None) -> Array:
        """(rows, F) -> (rows, J); ``terrain`` is (E, P) or None."""
        ...


class ActorFactory(Protocol):
    """Makes actors; picklable."""

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> Actor:
        """An actor for ``per_robot`` environments of every robot."""
        ...


class ControllerActor:
    """A network that has read its robots: the only crossing from numpy to torch and back."""

    def __init__(
        self, controller: Controller, std: float, robots: Sequence[Morphology], per_robot: int
    ) -> None:
        self.std = std
        self._controller = controller
        batch = robot_batch(robots, "cpu")
        self._packing = batch.packing(per_robot)
        with torch.inference_mode():
            self._encoding = controller.encode(batch)

    def means(self, observation: Array, terrain: Array | None) -> Array:
        """Action means (rows, J) of packed observations (rows, F)."""
        with torch.inference_mode():
            heights = None if terrain is None else torch.from_numpy(terrain)
            means = self._controller.mean(
                self._encoding, torch.from_numpy(observation), self._packing, heights
            )
            array: Array = means.numpy()
            return array


@dataclass(frozen=True)
class CheckpointActors:
    """Actors of a policy in a checkpoint file (a teacher or a student)."""

    path: Path

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> ControllerActor:
        """The policy on these robots; it draws nothing, so ``seed`` does not matter."""
        modified_ns = self.path.stat().st_mtime_ns if self.path.is_file() else 0
        controller, description = _loaded(self.path, modified_ns)
        if reason := undrivable_reason(description.network, robots):
            raise RobotError(reason)
        return ControllerActor(controller, description.action_std, robots, per_robot)


@lru_cache(maxsize=8)
def _loaded(path: Path, modified_ns: int) -> tuple[Policy, PolicyDescription]:
    """A process judges many robots with few policies: each is read once."""
    return load_policy(path)


@dataclass(frozen=True)
class RandomActors:
    """Uniformly random actions: what doing anything is worth."""

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> "RandomActor":
        """Draws of each robot depend on its digest and ``seed`` alone."""
        return RandomActor(robots, per_robot, seed)


class RandomActor:
    """Actions uniform in [-1, 1], from one stream per robot and environment of it.

    What an environment draws does not depend on how many there are.
    """

    std = 0.0

    def __init__(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> None:
        packing = robot_batch(robots, "cpu").packing(per_robot)
        self._slots = robots[0].joint_mask.shape[1]
        self._streams = [
            (
                rows.start + place * robot.num_limbs,
                robot.num_limbs,
                generator(seed, "random-actions", robot.digest, str(place)),
            )
            for robot, rows in zip(robots, packing.robot_rows, strict=True)
            for place in range(per_robot)
        ]

    def means(self, observation: Array, terrain: Array | None) -> Array:
        """Fresh random actions (rows, J)."""
        actions = np.empty((len(observation), self._slots), observation.dtype)
        for start, limbs, rng in self._streams:
            actions[start : start + limbs] = rng.uniform(-1.0, 1.0, (limbs, self._slots))
        return actions


@dataclass(frozen=True)
class ZeroActors:
    """No action at all: what falling over is worth."""

    def actor(self, robots: Sequence[Morphology], per_robot: int, seed: int) -> "ZeroActor":
        """The same for all robots."""
        return ZeroActor(robots[0].joint_mask.shape[1])


class ZeroActor:
    """Actions that are all zero."""

    std = 0.0

    def __init__(self, slots: int) -> None:
        self._slots = slots

    def means(self, observation: Array, terrain: Array | None) -> Array:
        """Zeros (rows, J)."""
        return np.zeros((len(observation), self._slots), observation.dtype)
