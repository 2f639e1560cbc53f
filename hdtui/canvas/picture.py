"""The picture of a robot: an episode, a size, a drawing and a view in; a frame per moment out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.morphology.poses import Poses, rest_poses
from hdtui.canvas.camera import (
    CELL_HEIGHT_DOTS,
    CELL_WIDTH_DOTS,
    SIDE,
    Camera,
    View,
    fitting_scale,
    follow_offsets,
    smoothed_path,
)
from hdtui.canvas.cells import (
    HEAD,
    MUTED,
    PLAIN,
    Codes,
    Frame,
    Inks,
    braille_codes,
    cell_owners,
    half_block_codes,
    letter_codes,
    limb_ink,
    without_single_cells,
)
from hdtui.canvas.ground import draw_ground, draw_metres, terrain_dots
from hdtui.canvas.painter import Owners, SampleGrid, paint_capsules

if TYPE_CHECKING:
    from engine.morphology.tree import Morphology

_FOLLOW_S = 1.0
_TRAIL_S = 2.0
_TRAIL_GAP_S = 0.1
_BELOW_GROUND = 0.2
"""Share of the picture that is left for what lies lower than the ground under the head."""


class Drawing(StrEnum):
    """What a cell is made of."""

    BRAILLE = "braille"
    BLOCKS = "blocks"
    ASCII = "ascii"

    @classmethod
    def of(cls, name: str) -> Drawing:
        """The one of this name, braille where there is none."""
        return cls(name) if name in list(cls) else cls.BRAILLE

    @property
    def sample_dots(self) -> tuple[int, int]:
        """Dots from one sample to the next, across and down."""
        return {"braille": (1, 1), "blocks": (2, 2), "ascii": (2, 4)}[self.value]

    @property
    def following(self) -> Drawing:
        """The next one, round and round."""
        drawings = list(Drawing)
        return drawings[(drawings.index(self) + 1) % len(drawings)]


@dataclass(frozen=True)
class Picture:
    """Draws moments of an episode in ``width`` x ``height`` cells.

    The last row is the scale in metres, the row above it the ground. Everything that holds for the
    whole episode (scale, where the camera goes, colours) is worked out once.
    """

    poses: Poses
    width: int
    height: int
    drawing: Drawing = Drawing.BRAILLE
    view: View = SIDE

    @property
    def too_small(self) -> bool:
        """No room for a robot, its ground and the metres."""
        return self.width < 6 or self.height < 4

    def frame(self, moment: int, camera_moment: int | None = None) -> Frame:
        """The cells at ``moment``, from where the camera stands then, or at ``camera_moment``."""
        if self.too_small:
            return Frame.blank(self.width, self.height)
        camera = self._camera.moved(
            self._offsets[moment if camera_moment is None else camera_moment]
        )
        owners = self._grid.owners()
        self._paint_background(owners, moment, camera)
        nearest_first = paint_capsules(owners, self._grid, self.poses, moment, camera)
        codes, inks = self._cells(owners, nearest_first)
        blank_row = Frame.blank(self.width, 1)
        codes = np.concatenate([codes, blank_row.codes])
        inks = np.concatenate([inks, blank_row.inks])
        draw_ground(codes, inks, self.drawing == Drawing.ASCII, self._flat_ground)
        draw_metres(codes[-1], inks[-1], camera, self._heads[moment])
        return Frame(codes, inks)

    @property
    def _flat_ground(self) -> bool:
        return not self.poses.heights.size and not self.view.from_above

    @cached_property
    def _grid(self) -> SampleGrid:
        columns, rows = self.width * CELL_WIDTH_DOTS, (self.height - 1) * CELL_HEIGHT_DOTS
        return SampleGrid(columns, rows, *self.drawing.sample_dots)

    @cached_property
    def _camera(self) -> Camera:
        columns, rows = self.width * CELL_WIDTH_DOTS, (self.height - 1) * CELL_HEIGHT_DOTS
        ground_row = rows - 0.5 * CELL_HEIGHT_DOTS
        if self.view.from_above:
            ground_row = 0.5 * rows
        elif self.poses.heights.size:
            ground_row = (1 - _BELOW_GROUND) * rows
        return Camera(self.view, fitting_scale(self.poses, columns, rows), columns, ground_row)

    @cached_property
    def _heads(self) -> npt.NDArray[np.float64]:
        """Where the head is: (T, 3)."""
        head = int(np.argmin(self.poses.limb))
        return self.poses.position[:, head].astype(np.float64)

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        timestep_s = self.poses.header.control_timestep_s
        moments = round(_FOLLOW_S / timestep_s) if timestep_s > 0 else 1
        path = smoothed_path(self._heads, moments)
        path[:, :2] += self._middle - self._heads[0, :2]
        path[:, 2] = self._ground_heights(path[:, 0])
        return follow_offsets(path, self._camera)

    @property
    def _middle(self) -> npt.NDArray[np.float64]:
        """Where the middle of the body is as the episode starts: (x, y)."""
        reach = self.poses.half_length[:, None] * self.poses.axis[0]
        ends = np.concatenate([self.poses.position[0] + reach, self.poses.position[0] - reach])
        middle: npt.NDArray[np.float64] = 0.5 * (ends[:, :2].min(axis=0) + ends[:, :2].max(axis=0))
        return middle

    def _ground_heights(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        heights, header = self.poses.heights, self.poses.header
        if not heights.size:
            return np.zeros(len(x))
        places = header.heights_start_m + header.heights_spacing_m * np.arange(len(heights))
        return np.interp(x, places, heights)

    @cached_property
    def _far(self) -> npt.NDArray[np.bool_]:
        """True for the farther limb of a mirrored pair, as the episode starts: (G,)."""
        depth = self._camera.project(self.poses.position[0])[:, 2]
        same_pair = self.poses.pair[:, None] == self.poses.pair[None, :]
        nearer = depth[None, :] < depth[:, None] - 1e-6
        far: npt.NDArray[np.bool_] = (same_pair & nearer).any(axis=1)
        return far

    @cached_property
    def _owner_inks(self) -> Inks:
        """Ink by owner: the capsules, trail, terrain, and last (index -1) nobody."""
        limbs = [
            HEAD if pair == 0 else limb_ink(pair, far)
            for pair, far in zip(self.poses.pair.tolist(), self._far.tolist(), strict=True)
        ]
        return np.array([*limbs, MUTED, MUTED, PLAIN], dtype=np.int8)

    @cached_property
    def _owner_letters(self) -> str:
        letters = [
            "O" if pair == 0 else chr(ord("a" if far else "A") + (pair - 1) % 26)
            for pair, far in zip(self.poses.pair.tolist(), self._far.tolist(), strict=True)
        ]
        return "".join([*letters, ".", "_"])

    def _paint_background(self, owners: Owners, moment: int, camera: Camera) -> None:
        trail = len(self.poses.limb)
        timestep_s = self.poses.header.control_timestep_s
        if timestep_s > 0:
            gap = max(1, round(_TRAIL_GAP_S / timestep_s))
            first = moment - round(_TRAIL_S / timestep_s)
            moments = np.arange(first - first % gap + gap, moment, gap)
            dots = camera.project(self._heads[moments[moments >= 0]])
            self._grid.put_dots(owners, dots, trail)
        if self.poses.heights.size and not self.view.from_above:
            dots = terrain_dots(camera, self._heads[moment], self._ground_heights)
            self._grid.put_dots(owners, dots, trail + 1)

    def _cells(self, owners: Owners, nearest_first: npt.NDArray[np.int64]) -> tuple[Codes, Inks]:
        across, down = self.drawing.sample_dots
        cell = (CELL_HEIGHT_DOTS // down, CELL_WIDTH_DOTS // across)
        trail = len(nearest_first)
        preference = np.concatenate([nearest_first, [trail + 1, trail]])
        winners = cell_owners(owners, cell, preference)
        inks = without_single_cells(self._owner_inks[winners])
        if self.drawing == Drawing.BRAILLE:
            return braille_codes(owners), inks
        if self.drawing == Drawing.BLOCKS:
            return half_block_codes(owners), inks
        return letter_codes(owners, self._owner_letters), self._owner_inks[winners]


def draw(
    morphology: Morphology,
    width: int,
    height: int,
    drawing: Drawing = Drawing.BRAILLE,
    yaw_deg: float = SIDE.yaw_deg,
) -> list[str]:
    """A robot at rest as ``height`` lines of ``width`` characters."""
    view = SIDE.turned(yaw_deg - SIDE.yaw_deg)
    return Picture(rest_poses(morphology), width, height, drawing, view).frame(0).lines()
