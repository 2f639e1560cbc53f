"""How the limbs of many robots of different sizes stand in one array, without padding.

Robots are ordered by limb count (ties keep the caller's order), so robots of equal size are
contiguous: a linear layer is one product over all rows, and attention is one product a bucket.
Every robot has the same number of environments. Rows run robot by robot, environment by
environment, limb by limb. The same value describes a live batch (N simulations a robot) and a
minibatch (N samples a robot).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bucket:
    """Robots of one limb count: rows view as (robots, N, L, F), environments as (robots, N)."""

    limb_count: int
    robots: tuple[int, ...]
    row_slice: slice
    environment_slice: slice


@dataclass(frozen=True)
class Packing:
    """Rows and environments of ``len(limb_counts)`` robots with ``per_robot`` environments each.

    ``limb_counts`` is in the caller's order of robots and counts the head; robot indices
    everywhere refer to that order.
    """

    limb_counts: tuple[int, ...]
    per_robot: int

    @property
    def num_robots(self) -> int:
        return len(self.limb_counts)

    @property
    def num_environments(self) -> int:
        return self.num_robots * self.per_robot

    @property
    def num_rows(self) -> int:
        return sum(self.limb_counts) * self.per_robot

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Robot indices in packed order."""
        return tuple(sorted(range(self.num_robots), key=lambda robot: self.limb_counts[robot]))

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """One bucket per limb count, ascending; together they cover all rows once."""
        buckets: list[Bucket] = []
        row = environment = 0
        for limb_count in sorted(set(self.limb_counts)):
            robots = tuple(robot for robot in self.order if self.limb_counts[robot] == limb_count)
            environments = len(robots) * self.per_robot
            rows = environments * limb_count
            buckets.append(
                Bucket(
                    limb_count,
                    robots,
                    slice(row, row + rows),
                    slice(environment, environment + environments),
                )
            )
            row, environment = row + rows, environment + environments
        return tuple(buckets)

    @cached_property
    def robot_environments(self) -> tuple[slice, ...]:
        """Per robot (caller's order), its environments in packed order."""
        slices = {
            robot: slice(position * self.per_robot, (position + 1) * self.per_robot)
            for position, robot in enumerate(self.order)
        }
        return tuple(slices[robot] for robot in range(self.num_robots))

    @cached_property
    def robot_rows(self) -> tuple[slice, ...]:
        """Per robot (caller's order), its rows; they view as (N, L, F)."""
        slices: dict[int, slice] = {}
        row = 0
        for robot in self.order:
            rows = self.limb_counts[robot] * self.per_robot
            slices[robot] = slice(row, row + rows)
            row += rows
        return tuple(slices[robot] for robot in range(self.num_robots))

    @cached_property
    def environment_robot(self) -> npt.NDArray[np.int64]:
        """Robot index of each environment: (E,)."""
        return np.repeat(np.asarray(self.order, dtype=np.int64), self.per_robot)

    @cached_property
    def row_environment(self) -> npt.NDArray[np.int64]:
        """Environment index of each row: (rows,)."""
        counts = np.asarray(self.limb_counts, dtype=np.int64)[self.environment_robot]
        return np.repeat(np.arange(self.num_environments, dtype=np.int64), counts)

    def with_per_robot(self, per_robot: int) -> Self:
        """The same robots with another number of environments (or samples) each."""
        return replace(self, per_robot=per_robot)
