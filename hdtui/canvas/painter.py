"""Which capsule covers which dot: farthest first, each with a halo that parts it from the rest."""

import numpy as np
import numpy.typing as npt

from engine.morphology.poses import Poses
from hdtui.canvas.camera import Camera

EMPTY = -1
_HALO_DOTS = 1.2
_RING_DOTS = 1.3

Owners = npt.NDArray[np.int16]
"""Per sample, who covers it: a capsule's index, the trail, the terrain, or ``EMPTY``."""


class SampleGrid:
    """A picture of ``columns`` x ``rows`` dots, sampled every ``across`` x ``down`` dots."""

    def __init__(self, columns: int, rows: int, across: int, down: int) -> None:
        self.across = across
        self.down = down
        self.x = (np.arange(columns // across) + 0.5) * across
        self.y = (np.arange(rows // down) + 0.5) * down

    def owners(self) -> Owners:
        """An empty picture."""
        return np.full((len(self.y), len(self.x)), EMPTY, dtype=np.int16)

    def put_dots(self, owners: Owners, dots: npt.NDArray[np.float64], who: int) -> None:
        """Give the samples at dots (n, 2 or more: column, row) to ``who``, those inside that is."""
        x = np.floor(dots[:, 0] / self.across).astype(np.int64)
        y = np.floor(dots[:, 1] / self.down).astype(np.int64)
        inside = (x >= 0) & (x < len(self.x)) & (y >= 0) & (y < len(self.y))
        owners[y[inside], x[inside]] = who


def paint_capsules(
    owners: Owners, grid: SampleGrid, poses: Poses, moment: int, camera: Camera
) -> npt.NDArray[np.int64]:
    """Paint a moment's capsules into ``owners``; returns their indices, nearest first.

    The head (half length 0) is a ring. Samples coarser than a limb is thick still show it.
    """
    reach = poses.half_length[:, None] * poses.axis[moment]
    position = poses.position[moment]
    starts = camera.project(position + reach)
    ends = camera.project(position - reach)
    nearest_first = np.argsort(camera.project(position)[:, 2], kind="stable")
    thinnest = 0.6 * grid.down if grid.down > 1 else 0.0
    halo = _HALO_DOTS * grid.across if grid.across == grid.down else 0.0
    radii = np.maximum(poses.radius * camera.dots_per_m, thinnest).tolist()
    for capsule in nearest_first[::-1].tolist():
        segment = (*starts[capsule, :2].tolist(), *ends[capsule, :2].tolist())
        ring = poses.half_length[capsule] == 0 and grid.down < 4
        _paint_segment(owners, grid, segment, (radii[capsule], halo, ring), capsule)
    return nearest_first


def _paint_segment(
    owners: Owners,
    grid: SampleGrid,
    segment: tuple[float, float, float, float],
    pen: tuple[float, float, bool],
    who: int,
) -> None:
    x0, y0, x1, y1 = segment
    radius, halo, ring = pen
    outer = radius + halo
    left, right = (
        int((min(x0, x1) - outer) // grid.across),
        int((max(x0, x1) + outer) // grid.across),
    )
    top, bottom = int((min(y0, y1) - outer) // grid.down), int((max(y0, y1) + outer) // grid.down)
    if right < 0 or bottom < 0:
        return
    block = owners[max(0, top) : bottom + 1, max(0, left) : right + 1]
    if not block.size:
        return
    dx = grid.x[max(0, left) : right + 1] - x0
    dy = (grid.y[max(0, top) : bottom + 1] - y0)[:, None]
    along_x, along_y = x1 - x0, y1 - y0
    squared_length = along_x * along_x + along_y * along_y
    if squared_length > 0:
        fraction = (dx * (along_x / squared_length) + dy * (along_y / squared_length)).clip(
            0.0, 1.0
        )
        dx = dx - fraction * along_x
        dy = dy - fraction * along_y
    squared_distance = dx * dx + dy * dy
    block[squared_distance <= outer * outer] = EMPTY
    own = squared_distance <= radius * radius
    if ring:
        inner = max(0.0, radius - _RING_DOTS * grid.across)
        own &= squared_distance > inner * inner
    block[own] = who
