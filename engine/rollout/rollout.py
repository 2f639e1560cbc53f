"""What one collection yields, stored so that a minibatch is one slice per bucket."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.morphology.packing import Packing


@dataclass(frozen=True)
class Samples:
    """Equally many samples of every robot, packed by ``packing``."""

    packing: Packing
    observation: Tensor  # (rows, F)
    action: Tensor  # (rows, J)
    terrain: Tensor | None  # (B, P)


Places = Tensor | slice


@dataclass(frozen=True)
class Part:
    """Some of a rollout's robots, and where they stand in it.

    ``live`` packs them alone. Each bucket of it is a bucket of the rollout (``buckets``), whose
    robots at ``robots`` they are. ``positions`` are theirs among all robots in packed order,
    ``environments`` (E,), on the CPU, those of their environments.
    """

    live: Packing
    buckets: tuple[int, ...]
    robots: tuple[Places, ...]
    positions: Places
    environments: Places


def whole(live: Packing) -> Part:
    """All robots of a rollout."""
    everyone = slice(None)
    buckets = tuple(range(len(live.buckets)))
    return Part(live, buckets, (everyone,) * len(buckets), everyone, everyone)


def part_of(live: Packing, members: Sequence[int], device: torch.device) -> Part:
    """The robots ``members`` (indices in the order of ``live``) of a rollout."""
    own = Packing(tuple(live.limb_counts[robot] for robot in members), live.per_robot)
    place = {bucket.limb_count: index for index, bucket in enumerate(live.buckets)}
    buckets = tuple(place[bucket.limb_count] for bucket in own.buckets)
    robots = tuple(
        torch.tensor(
            [live.buckets[index].robots.index(members[robot]) for robot in bucket.robots],
            device=device,
        )
        for index, bucket in zip(buckets, own.buckets, strict=True)
    )
    positions = torch.tensor([live.order.index(members[robot]) for robot in own.order])
    each = torch.arange(live.per_robot)
    environments = (positions.unsqueeze(1) * live.per_robot + each).flatten()
    return Part(own, buckets, robots, positions.to(device), environments)


class Rollout:
    """T control steps of R robots with N environments each.

    Sample ``t * N + n`` of a robot is step t of its environment n, so the whole rollout is packed
    as R robots of T * N samples. Numbers per sample are kept as (T, E), E in packed order.
    """

    def __init__(
        self, live: Packing, horizon: int, widths: tuple[int, int, int], device: torch.device
    ) -> None:
        observation_width, joint_slots, terrain_points = self.widths = widths
        self.live = live
        self.horizon = horizon
        self.packing = live.with_per_robot(live.per_robot * horizon)
        rows = self.packing.num_rows
        self.samples = torch.arange(self.packing.per_robot, device=device)
        self.observation = torch.zeros(rows, observation_width, device=device)
        self.action = torch.zeros(rows, joint_slots, device=device)
        self.terrain = (
            torch.zeros(self.packing.num_environments, terrain_points, device=device)
            if terrain_points
            else None
        )
        shape = (horizon, live.num_environments)
        self.reward = torch.zeros(shape)
        self.terminated = torch.zeros(shape, dtype=torch.bool)
        self.truncated = torch.zeros(shape, dtype=torch.bool)
        self.log_probability = torch.zeros(shape, device=device)
        self.value = torch.zeros(shape, device=device)
        self.final_value = torch.zeros(shape, device=device)
        self.last_value = torch.zeros(live.num_environments, device=device)

    def write_rows(self, storage: Tensor, step: int, rows: Tensor, part: Part) -> None:
        """Put live rows (rows, F) of a part of the robots, of one step, into a packed storage."""
        width = rows.shape[-1]
        for live, index, robots in zip(part.live.buckets, part.buckets, part.robots, strict=True):
            stored = self.packing.buckets[index]
            limbs = self.live.per_robot * stored.limb_count
            view = storage[stored.row_slice].view(-1, self.horizon, limbs, width)
            view[robots, step] = rows[live.row_slice].view(-1, limbs, width)

    def write_terrain(self, step: int, terrain: Tensor, part: Part) -> None:
        """Put the live heights (E, P) of a part of the robots, of one step, into the storage."""
        if self.terrain is not None:
            points = terrain.shape[-1]
            view = self.terrain.view(-1, self.horizon, self.live.per_robot, points)
            view[part.positions, step] = terrain.view(-1, self.live.per_robot, points)

    def per_step(self, per_sample: Tensor) -> Tensor:
        """Numbers in packed sample order (R * T * N,) as (T, E)."""
        view = per_sample.view(self.live.num_robots, self.horizon, self.live.per_robot)
        return view.transpose(0, 1).reshape(self.horizon, -1)

    def per_sample(self, per_step: Tensor) -> Tensor:
        """Numbers (T, E) as one row per robot in packed order: (R, T * N)."""
        view = per_step.view(self.horizon, self.live.num_robots, self.live.per_robot)
        return view.transpose(0, 1).reshape(self.live.num_robots, -1)

    def select(self, samples: Tensor) -> Samples:
        """The same sample indices (B,) of every robot."""
        return Samples(
            packing=self.packing.with_per_robot(len(samples)),
            observation=self._select_rows(self.observation, samples),
            action=self._select_rows(self.action, samples),
            terrain=self._select_terrain(samples),
        )

    def _select_rows(self, storage: Tensor, samples: Tensor) -> Tensor:
        width = storage.shape[-1]
        chosen = []
        for bucket in self.packing.buckets:
            shape = (len(bucket.robots), self.packing.per_robot, bucket.limb_count * width)
            view = storage[bucket.row_slice].view(shape)
            chosen.append(view.index_select(1, samples).view(-1, width))
        return torch.cat(chosen)

    def _select_terrain(self, samples: Tensor) -> Tensor | None:
        if self.terrain is None:
            return None
        points = self.terrain.shape[-1]
        view = self.terrain.view(-1, self.packing.per_robot, points)
        return view.index_select(1, samples).view(-1, points)
