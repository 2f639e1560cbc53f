"""Mean and variance of a stream of vectors, mergeable across processes."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

VARIANCE_FLOOR = 1e-8


class RunningMoments:
    """Moments of all rows seen so far: ``mean`` and ``variance`` (F,), in float64.

    Batches are joined by the parallel formula (Chan, Golub, LeVeque 1983), so the result does not
    depend on how a stream was cut but for rounding. Moments that saw nothing have mean 0 and
    variance 1.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        self._squares = np.zeros(width)

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """Population variance: (F,)."""
        if self.count == 0:
            return np.ones_like(self.mean)
        return self._squares / self.count

    def update(self, rows: npt.NDArray[np.floating]) -> None:
        """Take rows (n, F) in."""
        if len(rows) == 0:
            return
        batch = RunningMoments(rows.shape[1])
        batch.count = len(rows)
        batch.mean = rows.mean(axis=0, dtype=np.float64)
        batch._squares = np.square(rows - batch.mean).sum(axis=0)
        self.merge(batch)

    def merge(self, other: Self) -> None:
        """Take in all that ``other`` has seen."""
        total = self.count + other.count
        if total == 0:
            return
        shift = other.mean - self.mean
        share = other.count / total
        self._squares += other._squares + np.square(shift) * self.count * share
        self.mean += shift * share
        self.count = total

    def normalize(self, rows: npt.NDArray[np.floating], clip: float) -> npt.NDArray[np.floating]:
        """Standardised rows (..., F), clipped to +-``clip``, in the type they came in."""
        mean = self.mean.astype(rows.dtype)
        scale = (1.0 / np.sqrt(self.variance + VARIANCE_FLOOR)).astype(rows.dtype)
        normal: npt.NDArray[np.floating] = np.clip((rows - mean) * scale, -clip, clip)
        return normal

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all there is, by name."""
        return {
            "count": np.array(self.count, dtype=np.int64),
            "mean": self.mean.copy(),
            "squares": self._squares.copy(),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a ``state``."""
        self.count = int(state["count"])
        self.mean = state["mean"].copy()
        self._squares = state["squares"].copy()
