"""Where a point of the world stands on the picture, in dots.

A cell is 2 x 4 dots, which makes a dot square on most terminals. The projection is orthographic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from engine.morphology.poses import Poses

Array = npt.NDArray[np.float64]

CELL_WIDTH_DOTS = 2
CELL_HEIGHT_DOTS = 4


@dataclass(frozen=True)
class View:
    """A direction to look from. Yaw 0 looks along +y with +x to the right; robots walk along +x."""

    name: str
    yaw_deg: float
    pitch_deg: float

    def turned(self, angle_deg: float) -> View:
        """The same view from further round; -180 up to 180."""
        yaw_deg = (self.yaw_deg + angle_deg + 180.0) % 360.0 - 180.0
        return replace(self, name=f"{yaw_deg:.0f} degrees", yaw_deg=yaw_deg)

    @property
    def from_above(self) -> bool:
        """Whether the ground is a plane rather than a line."""
        return self.pitch_deg > 60


SIDE = View("side", -20.0, 10.0)
THREE_QUARTER = View("three-quarter", -40.0, 20.0)
FRONT = View("front", 90.0, 10.0)
TOP = View("top", 0.0, 90.0)
VIEWS = (SIDE, THREE_QUARTER, FRONT, TOP)


@dataclass(frozen=True)
class Camera:
    """A view of a picture of ``columns`` x ``rows`` dots; ``ground_row`` is where z = 0 stands.

    ``offset`` moves the world left and down by whole dots (see ``follow_offsets``).
    """

    view: View
    dots_per_m: float
    columns: int
    ground_row: float
    offset: tuple[int, int] = (0, 0)

    @property
    def right(self) -> Array:
        """Unit vector of the picture's x axis."""
        yaw = math.radians(self.view.yaw_deg)
        return np.array([math.cos(yaw), math.sin(yaw), 0.0])

    @property
    def forward(self) -> Array:
        """Unit vector away from the viewer."""
        yaw, pitch = math.radians(self.view.yaw_deg), math.radians(self.view.pitch_deg)
        return np.array(
            [
                -math.sin(yaw) * math.cos(pitch),
                math.cos(yaw) * math.cos(pitch),
                -math.sin(pitch),
            ]
        )

    @property
    def up(self) -> Array:
        """Unit vector of the picture's vertical, upwards."""
        return np.cross(self.right, self.forward)

    def project(self, points: npt.NDArray[np.floating]) -> Array:
        """Column, row (in dots) and depth (in metres) of points: (..., 3) -> (..., 3)."""
        axes = np.stack([self.right * self.dots_per_m, -self.up * self.dots_per_m, self.forward])
        projected: Array = points.astype(np.float64) @ axes.T
        projected[..., 0] += 0.5 * self.columns - self.offset[0]
        projected[..., 1] += self.ground_row - self.offset[1]
        return projected

    def moved(self, offset: npt.NDArray[np.int64]) -> Camera:
        """The same camera with another offset."""
        return replace(self, offset=(int(offset[0]), int(offset[1])))


LARGE_DOTS = 88.0
"""A robot wider than this leaves more room: cells cost bytes, and ten frames a second have few."""


def fitting_scale(poses: Poses, columns: int, rows: int) -> float:
    """Dots a metre with which the robot as it starts fits ``columns`` x ``rows`` dots with room.

    The same from every direction, so that a turn changes no size.
    """
    reach = poses.half_length[:, None] * poses.axis[0]
    ends = np.concatenate([poses.position[0] + reach, poses.position[0] - reach]).astype(np.float64)
    radius = np.concatenate([poses.radius, poses.radius]).astype(np.float64)
    apart = np.linalg.norm(ends[:, None, :2] - ends[None, :, :2], axis=-1)
    extent_m = float((apart + radius[:, None] + radius[None, :]).max())
    height_m = float((ends[:, 2] + radius).max() - (ends[:, 2] - radius).min())
    room = max(0.55 * columns, min(0.8 * columns, LARGE_DOTS))
    return min(room / extent_m, 0.75 * rows / (1.6 * height_m))


def follow_offsets(path: npt.NDArray[np.floating], camera: Camera) -> npt.NDArray[np.int64]:
    """Offsets that keep a path (T, 3) in the middle, its ground on the ground row: (T, 2).

    Columns move in whole cells and only once the path is three quarters of a cell away, so that
    what stands still in the world changes no cell half-way; rows move in dots.
    """
    projected = camera.moved(np.zeros(2, dtype=np.int64)).project(path)
    cells = (projected[:, 0] - 0.5 * camera.columns) / CELL_WIDTH_DOTS
    offsets = np.empty((len(path), 2), dtype=np.int64)
    offsets[:, 1] = np.rint(projected[:, 1] - camera.ground_row)
    standing = round(float(cells[0]))
    for moment, cell in enumerate(cells.tolist()):
        if abs(cell - standing) > 0.75:
            standing = round(cell)
        offsets[moment, 0] = standing * CELL_WIDTH_DOTS
    return offsets


def smoothed_path(path: npt.NDArray[np.floating], num_moments: int) -> Array:
    """The mean of each point's neighbours within ``num_moments``, ends held: (T, 3) -> (T, 3)."""
    half = max(0, num_moments // 2)
    padded = np.pad(path.astype(np.float64), ((half, half), (0, 0)), mode="edge")
    sums = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(padded, axis=0)])
    window = 2 * half + 1
    means: Array = (sums[window:] - sums[:-window]) / window
    return means
