"""Minibatches grouped by robot: k samples of each of a few robots, packed without padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.distillation.dataset import Subset
from engine.distillation.shards import ShardArrays
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.robots import robot_batch
from engine.random import generator

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """Robots of a minibatch (indices) and the samples of each: (R, k)."""

    robots: tuple[int, ...]
    samples: IntArray


@dataclass(frozen=True)
class Minibatch:
    """Packed samples of some robots: observation (rows, F), actions (rows, J), terrain (E, P)."""

    robots: RobotBatch
    packing: Packing
    observation: Tensor
    action: Tensor
    action_mean: Tensor
    terrain: Tensor | None


def epoch_choices(
    subset: Subset, robots_per_minibatch: int, samples_per_robot: int, seed: int, epoch: int
) -> list[Choice]:
    """One pass: every robot appears equally often, every sample of the largest ones once.

    Groups of robots are as equal in size as they can be, so that no robot weighs more than another.
    """
    rng = generator(seed, "minibatches", epoch)
    largest = max(len(samples) for samples in subset.samples)
    per_robot = min(samples_per_robot, largest)
    turns, groups = _turns_and_groups(
        len(subset.samples), largest, robots_per_minibatch, samples_per_robot
    )
    orders = [_repeated(rng, samples, turns * per_robot) for samples in subset.samples]
    choices = []
    for turn in range(turns):
        picked = slice(turn * per_robot, (turn + 1) * per_robot)
        for group in np.array_split(rng.permutation(len(orders)), groups):
            chosen = tuple(int(index) for index in group)
            choices.append(Choice(chosen, np.stack([orders[index][picked] for index in chosen])))
    return choices


def epoch_length(
    robots: int, largest: int, robots_per_minibatch: int, samples_per_robot: int
) -> int:
    """Minibatches of an epoch over ``robots``, the largest of which has ``largest`` samples."""
    turns, groups = _turns_and_groups(robots, largest, robots_per_minibatch, samples_per_robot)
    return turns * groups


def _turns_and_groups(
    robots: int, largest: int, robots_per_minibatch: int, samples_per_robot: int
) -> tuple[int, int]:
    """How often every robot appears in an epoch, and among how many minibatches each time."""
    turns = max(largest // min(samples_per_robot, largest), 1)
    return turns, -(-robots // robots_per_minibatch)


def _repeated(rng: np.random.Generator, samples: IntArray, length: int) -> IntArray:
    """``length`` of the samples in random order; a robot with fewer starts over."""
    turns = -(-length // len(samples))
    order: IntArray = np.concatenate([rng.permutation(samples) for _ in range(turns)])[:length]
    return order


def validation_choices(
    subset: Subset, robots_per_minibatch: int, samples_per_robot: int
) -> list[Choice]:
    """A fixed selection of held-out samples, evenly spread over each robot's."""
    smallest = min((len(samples) for samples in subset.samples), default=0)
    count = min(smallest, samples_per_robot)
    choices = []
    for start in range(0, len(subset.robots), robots_per_minibatch):
        robots = tuple(range(start, min(start + robots_per_minibatch, len(subset.robots))))
        picked = [
            subset.samples[index][np.linspace(0, len(subset.samples[index]) - 1, count).astype(int)]
            for index in robots
        ]
        choices.append(Choice(robots, np.stack(picked)))
    return choices


class RobotSamples(Protocol):
    """A robot, and copies of those of its samples that are asked for."""

    @property
    def robot(self) -> Morphology:
        """The robot."""

    @property
    def parts(self) -> tuple[ShardArrays, ...]:
        """All its samples, in the order in which they are counted."""

    def take(self, samples: IntArray) -> ShardArrays:
        """Copies of some samples."""


class MinibatchReader:
    """Gathers minibatches, of memory-mapped shards for example; contexts are computed once."""

    def __init__(self, robots: Sequence[RobotSamples], device: torch.device) -> None:
        self._robots = robots
        self._device = device
        self._batch = robot_batch([data.robot for data in robots], device)
        self._place = {
            robot: (bucket, position)
            for bucket in self._batch.buckets
            for position, robot in enumerate(bucket.robots)
        }

    def expect(self, choice: Choice) -> None:
        """Nothing to prepare: files are in memory by the time they are read again."""

    def read(self, choice: Choice) -> Minibatch:
        """The samples of a choice, packed."""
        robots = self.select(choice.robots)
        packing = robots.packing(choice.samples.shape[1])
        picked = [
            self._robots[choice.robots[index]].take(choice.samples[index])
            for index in packing.order
        ]
        terrains = [own.terrain for own in picked if own.terrain is not None]
        return Minibatch(
            robots=robots,
            packing=packing,
            observation=self._packed([own.observation for own in picked]),
            action=self._packed([own.action for own in picked]),
            action_mean=self._packed([own.action_mean for own in picked]),
            terrain=self._packed(terrains) if terrains else None,
        )

    def _packed(self, parts: Sequence[npt.NDArray[np.floating]]) -> Tensor:
        rows = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
        return torch.from_numpy(rows.astype(np.float32, copy=False)).to(self._device)

    def select(self, robots: Sequence[int]) -> RobotBatch:
        """The static facts of some robots, in the given order."""
        limb_counts = tuple(self._batch.limb_counts[robot] for robot in robots)
        buckets = []
        for bucket in Packing(limb_counts, 1).buckets:
            chosen = [robots[index] for index in bucket.robots]
            whole = self._place[chosen[0]][0]
            positions = torch.tensor([self._place[robot][1] for robot in chosen])
            positions = positions.to(self._device)
            buckets.append(
                BucketContext(
                    robots=bucket.robots,
                    context=None if whole.context is None else whole.context[positions],
                    raw_context=whole.raw_context[positions],
                    normalized_raw_context=whole.normalized_raw_context[positions],
                    joint_mask=whole.joint_mask[positions],
                )
            )
        return RobotBatch(
            limb_counts=limb_counts,
            names=tuple(self._batch.names[robot] for robot in robots),
            digests=tuple(self._batch.digests[robot] for robot in robots),
            buckets=tuple(buckets),
        )
