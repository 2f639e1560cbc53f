"""The ground around a robot as it sees it: heights on a grid that turns with its heading."""

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.simulation.compiled import FloatArray, IntArray
from engine.simulation.courses import Grid
from engine.simulation.ground import course

AHEAD_M = 4.0
BEHIND_M = 1.0
SIDE_M = 4.0
POINTS_AHEAD = 23
POINTS_BEHIND = 6
POINTS_A_SIDE = 23


def _spread(reach_m: float, points: int) -> FloatArray:
    """Distances up to ``reach_m``, exponentially denser near 0: (points,)."""
    distances: FloatArray = np.expm1(np.arange(1, points + 1) / points) / np.expm1(1.0)
    return reach_m * distances


def _grid_points() -> tuple[FloatArray, FloatArray]:
    """Forward and left offsets of the grid's points in metres, left varying slowest: (P,), (P,)."""
    behind, ahead = -_spread(BEHIND_M, POINTS_BEHIND)[::-1], _spread(AHEAD_M, POINTS_AHEAD)
    side = _spread(SIDE_M, POINTS_A_SIDE)
    forward = np.concatenate([behind, [0.0], ahead])
    left = np.concatenate([-side[::-1], [0.0], side])
    lefts, forwards = np.meshgrid(left, forward, indexing="ij")
    return forwards.ravel(), lefts.ravel()


FORWARD_M, LEFT_M = _grid_points()
TERRAIN_POINTS = len(FORWARD_M)


def terrain_points(task: TaskConfig) -> int:
    """Heights a robot sees in a task: 0 on flat ground."""
    return 0 if course(task) is None else TERRAIN_POINTS


"""P: width of the terrain observation."""


class TerrainReader:
    """Reads terrain observations of up to N simulations at a time, in preallocated float32."""

    def __init__(self, num_simulations: int) -> None:
        shape = (num_simulations, TERRAIN_POINTS)
        self._forward = FORWARD_M.astype(np.float32)
        self._left = LEFT_M.astype(np.float32)
        self._column = np.empty(shape, np.float32)
        self._row = np.empty(shape, np.float32)
        self._part = np.empty(shape, np.float32)
        self._index = np.empty(shape, np.int32)
        self._whole_column = np.empty(shape, np.int32)
        self._heights = np.empty(shape, np.float32)

    def heights(
        self,
        grid: Grid,
        choice: IntArray,
        head_m: FloatArray,
        rise_m: FloatArray,
        quaternion: FloatArray,
    ) -> npt.NDArray[np.float32]:
        """Heights relative to the ground under the head: (n, P), valid until the next call.

        ``choice`` (n,) says which course, ``head_m`` (n, 3) and ``quaternion`` (n, 4) where the
        head is and how it is turned, ``rise_m`` (n,) the ground under it; n is at most N. Each
        point takes the height of the nearest cell.
        """
        cosine, sine = _heading(quaternion)
        place = ((head_m[:, :2] - grid.origin_m) / grid.cell_m).astype(np.float32)
        along_x, along_y = (np.float32(1.0 / cell) for cell in grid.cell_m)
        rows, columns = grid.shape
        n = len(head_m)
        column, row, heights = self._column[:n], self._row[:n], self._heights[:n]
        index, whole_column = self._index[:n], self._whole_column[:n]
        self._turn(column, place[:, :1], cosine * along_x, -sine * along_x, columns)
        self._turn(row, place[:, 1:], sine * along_y, cosine * along_y, rows)
        # float32 holds no index into several courses exactly, so they are joined as integers.
        np.copyto(index, row, casting="unsafe")
        index *= columns
        np.copyto(whole_column, column, casting="unsafe")
        index += whole_column
        index += (choice * (rows * columns)).astype(np.int32)[:, None]
        grid.stored.reshape(-1).take(index, out=heights, mode="clip")
        heights *= np.float32(grid.scale_m)
        np.maximum(heights, np.float32(grid.sink_m), out=heights)
        heights -= (rise_m + grid.sink_m).astype(np.float32)[:, None]
        return heights

    def _turn(
        self,
        out: npt.NDArray[np.float32],
        place: npt.NDArray[np.float32],
        of_forward: npt.NDArray[np.float32],
        of_left: npt.NDArray[np.float32],
        size: int,
    ) -> None:
        """Cell numbers along one axis of the grid, kept on it: (N, P)."""
        np.multiply(self._forward, of_forward, out=out)
        part = self._part[: len(out)]
        np.multiply(self._left, of_left, out=part)
        out += part
        out += place
        np.rint(out, out=out)
        np.clip(out, 0, size - 1, out=out)


def _heading(quaternion: FloatArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosine and sine of the head's yaw: (N, 1) each; a head that looks straight up faces x."""
    w, x, y, z = quaternion.T
    forward_x, forward_y = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)
    length = np.hypot(forward_x, forward_y)
    upright = length < 1e-9
    length[upright] = 1.0
    cosine = np.where(upright, 1.0, forward_x / length)
    sine = np.where(upright, 0.0, forward_y / length)
    return cosine.astype(np.float32)[:, None], sine.astype(np.float32)[:, None]
