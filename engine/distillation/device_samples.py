"""Expert data on a device: all of it where it fits, else the next minibatch while one is learned.

A step of a student is a few milliseconds there, so neither may it wait for files nor the host for
the device: what a minibatch is made of crosses as one array of indices.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from engine.distillation.minibatches import (
    Choice,
    IntArray,
    Minibatch,
    MinibatchReader,
    RobotSamples,
)
from engine.morphology.packing import Packing
from engine.policies.controller import BucketContext, RobotBatch
from engine.policies.robots import robot_batch

_FREE_FRACTION = 0.6
"""Of the device's free memory that data may take; the rest is for learning from them."""


def data_fit(robots: Sequence[RobotSamples], device: torch.device) -> bool:
    """Whether all samples fit into the device's memory."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return _bytes(robots) < _FREE_FRACTION * free


def _bytes(robots: Sequence[RobotSamples]) -> int:
    return sum(
        array.nbytes for data in robots for part in data.parts for array in part.tensors().values()
    )


class DeviceReader:
    """Gathers minibatches of samples that lie in the device's memory, robot behind robot."""

    def __init__(self, robots: Sequence[RobotSamples], device: torch.device) -> None:
        self._device = device
        self._batch = robot_batch([data.robot for data in robots], device)
        self._limbs = np.array([data.robot.num_limbs for data in robots], np.int64)
        samples = np.array([sum(part.samples for part in data.parts) for data in robots], np.int64)
        self._first_row = np.concatenate([[0], np.cumsum(samples * self._limbs)[:-1]])
        self._first_sample = np.concatenate([[0], np.cumsum(samples)[:-1]])
        self._observation = self._joined(robots, "observation")
        self._action = self._joined(robots, "action")
        self._action_mean = self._joined(robots, "action_mean")
        seen = robots[0].parts[0].terrain is not None
        self._terrain = self._joined(robots, "terrain") if seen else None
        self._contexts = _Contexts(self._batch)

    def _joined(self, robots: Sequence[RobotSamples], name: str) -> Tensor:
        parts = [getattr(part, name) for data in robots for part in data.parts]
        width = parts[0].shape[-1]
        rows = sum(part.size // width for part in parts)
        kind = torch.from_numpy(np.zeros(0, parts[0].dtype)).dtype
        joined = torch.empty(rows, width, dtype=kind, device=self._device)
        start = 0
        for part in parts:
            own = np.array(part).reshape(-1, width)
            joined[start : start + len(own)] = torch.from_numpy(own)
            start += len(own)
        return joined

    def expect(self, choice: Choice) -> None:
        """Nothing to prepare: all samples are there."""

    def read(self, choice: Choice) -> Minibatch:
        """The samples of a choice, packed."""
        limb_counts = tuple(self._limbs[list(choice.robots)].tolist())
        packing = Packing(limb_counts, choice.samples.shape[1])
        order = np.array(packing.order)
        robots = np.array(choice.robots)[order]
        samples = choice.samples[order]
        rows, limbs = [], []
        for bucket in packing.buckets:
            own = slice(*_positions(bucket.environment_slice, packing.per_robot))
            count = np.arange(bucket.limb_count)
            first = self._first_row[robots[own]][:, None] + samples[own] * bucket.limb_count
            rows.append((first[:, :, None] + count).ravel())
            limbs.append((self._contexts.first[robots[own]][:, None] + count).ravel())
        shots = (self._first_sample[robots][:, None] + samples).ravel()
        pieces = [*rows, *limbs, shots if self._terrain is not None else shots[:0]]
        index = self._moved(np.concatenate(pieces))
        row, limb, shot = torch.split(
            index, [sum(map(len, rows)), sum(map(len, limbs)), len(pieces[-1])]
        )
        return Minibatch(
            robots=self._contexts.select(choice.robots, packing, limb),
            packing=packing,
            observation=self._observation.index_select(0, row),
            action=self._action.index_select(0, row),
            action_mean=self._action_mean.index_select(0, row),
            terrain=None
            if self._terrain is None
            else self._terrain.index_select(0, shot).to(torch.float32),
        )

    def _moved(self, index: IntArray) -> Tensor:
        """Indices on the device; from pinned memory, so that nobody waits."""
        tensor = torch.from_numpy(index)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)


def _positions(environments: slice, per_robot: int) -> tuple[int, int]:
    """Positions in packed order of a bucket's robots."""
    return environments.start // per_robot, environments.stop // per_robot


class _Contexts:
    """What networks read of each robot, limb behind limb: one gather makes any group of robots."""

    def __init__(self, batch: RobotBatch) -> None:
        self._batch = batch
        self.first = np.zeros(len(batch.limb_counts), np.int64)
        start = 0
        for bucket in batch.buckets:
            limbs = bucket.raw_context.shape[1]
            for position, robot in enumerate(bucket.robots):
                self.first[robot] = start + position * limbs
            start += len(bucket.robots) * limbs
        transformed = [bucket.context for bucket in batch.buckets]
        known = [context.flatten(0, 1) for context in transformed if context is not None]
        self._context = torch.cat(known) if len(known) == len(transformed) else None
        self._raw = torch.cat([bucket.raw_context.flatten(0, 1) for bucket in batch.buckets])
        self._normalized = torch.cat(
            [bucket.normalized_raw_context.flatten(0, 1) for bucket in batch.buckets]
        )
        self._mask = torch.cat([bucket.joint_mask.flatten(0, 1) for bucket in batch.buckets])

    def select(self, robots: Sequence[int], packing: Packing, limb: Tensor) -> RobotBatch:
        """The robots of a packing, given the places of their limbs in packed order."""
        tables = [self._raw, self._normalized, self._mask]
        raw, normalized, mask = (table.index_select(0, limb) for table in tables)
        context = None if self._context is None else self._context.index_select(0, limb)
        buckets = []
        start = 0
        for bucket in packing.buckets:
            shape = (len(bucket.robots), bucket.limb_count, -1)
            own = slice(start, start + len(bucket.robots) * bucket.limb_count)
            start = own.stop
            buckets.append(
                BucketContext(
                    robots=bucket.robots,
                    context=None if context is None else context[own].view(shape),
                    raw_context=raw[own].view(shape),
                    normalized_raw_context=normalized[own].view(shape),
                    joint_mask=mask[own].view(shape),
                )
            )
        return RobotBatch(
            limb_counts=packing.limb_counts,
            names=tuple(self._batch.names[robot] for robot in robots),
            digests=tuple(self._batch.digests[robot] for robot in robots),
            buckets=tuple(buckets),
        )


class PrefetchingReader:
    """Reads the next minibatch from files in a thread while the device works on one."""

    def __init__(self, robots: Sequence[RobotSamples], device: torch.device) -> None:
        self._host = MinibatchReader(robots, torch.device("cpu"))
        self._robots = MinibatchReader(robots, device)
        self._device = device
        self._thread = ThreadPoolExecutor(1)
        self._coming: tuple[Choice, Future[Minibatch]] | None = None

    def expect(self, choice: Choice) -> None:
        """Begin to read what will be asked for next."""
        self._coming = (choice, self._thread.submit(self._pinned, choice))

    def read(self, choice: Choice) -> Minibatch:
        """The samples of a choice, packed."""
        coming, self._coming = self._coming, None
        expected = coming is not None and coming[0] is choice
        host = coming[1].result() if coming and expected else self._pinned(choice)
        return Minibatch(
            robots=self._robots.select(choice.robots),
            packing=host.packing,
            observation=host.observation.to(self._device, non_blocking=True),
            action=host.action.to(self._device, non_blocking=True),
            action_mean=host.action_mean.to(self._device, non_blocking=True),
            terrain=None
            if host.terrain is None
            else host.terrain.to(self._device, non_blocking=True),
        )

    def _pinned(self, choice: Choice) -> Minibatch:
        read = self._host.read(choice)
        if self._device.type != "cuda":
            return read
        return replace(
            read,
            observation=read.observation.pin_memory(),
            action=read.action.pin_memory(),
            action_mean=read.action_mean.pin_memory(),
            terrain=None if read.terrain is None else read.terrain.pin_memory(),
        )


Reader = MinibatchReader | DeviceReader | PrefetchingReader


def reader_of(robots: Sequence[RobotSamples], device: torch.device) -> Reader:
    """What gathers minibatches for a device, from files or from its own memory."""
    if device.type == "cpu":
        return MinibatchReader(robots, device)
    return (DeviceReader if data_fit(robots, device) else PrefetchingReader)(robots, device)
