"""What one collection yields, stored so that a minibatch is one slice per bucket."""

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


class Rollout:
    """T control steps of R robots with N environments each.

    Sample ``t * N + n`` of a robot is step t of its environment n, so the whole rollout is packed
    as R robots of T * N samples. Numbers per sample are kept as (T, E), E in packed order.
    """

    def __init__(
        self, live: Packing, horizon: int, widths: tuple[int, int, int], device: torch.device
    ) -> None:
        observation_width, joint_slots, terrain_points = widths
        self.live = live
        self.horizon = horizon
        self.packing = live.with_per_robot(live.per_robot * horizon)
        rows = self.packing.num_rows
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

    def write_rows(self, storage: Tensor, step: int, rows: Tensor) -> None:
        """Put live rows (rows, F) of one step into a packed storage."""
        for stored, live in zip(self.packing.buckets, self.live.buckets, strict=True):
            robots, width = len(stored.robots), rows.shape[-1]
            shape = (robots, self.horizon, self.live.per_robot * stored.limb_count, width)
            view = storage[stored.row_slice].view(shape)
            view[:, step] = rows[live.row_slice].view(robots, -1, width)

    def write_terrain(self, step: int, terrain: Tensor) -> None:
        """Put the live heights (E, P) of one step into the storage."""
        if self.terrain is not None:
            points = terrain.shape[-1]
            view = self.terrain.view(-1, self.horizon, self.live.per_robot, points)
            view[:, step] = terrain.view(-1, self.live.per_robot, points)

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
