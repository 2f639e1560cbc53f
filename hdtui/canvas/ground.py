"""What a robot stands on: the ground's row, the terrain's line and the metres below."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hdtui.canvas.camera import CELL_WIDTH_DOTS, Camera
from hdtui.canvas.cells import MUTED, SPACE, Codes, Inks

Array = npt.NDArray[np.float64]


def draw_ground(codes: Codes, inks: Inks, ascii_only: bool, flat: bool) -> None:
    """Fill the ground's row (the last but one) where nothing stands on it; feet stay in front."""
    if not flat:
        return
    free = codes[-2] == SPACE
    codes[-2, free] = ord("_" if ascii_only else "─")
    inks[-2, free] = MUTED


def draw_metres(codes: Codes, inks: Inks, camera: Camera, head: Array) -> None:
    """``|`` with the metre and ``'`` at each half, along the line on which the head walks."""
    axis = 0 if abs(camera.right[0]) >= abs(camera.right[1]) else 1
    cells_per_m = camera.dots_per_m * float(camera.right[axis]) / CELL_WIDTH_DOTS
    place = np.array([head[0], head[1], 0.0])
    place[axis] = 0.0
    zero_cell = float(camera.project(place)[0]) / CELL_WIDTH_DOTS
    width = len(codes)
    marks = sorted([(0 - zero_cell) / cells_per_m, (width - zero_cell) / cells_per_m])
    inks[:] = MUTED
    halves = range(math.ceil(2 * marks[0]), math.floor(2 * marks[1]) + 1)
    for half in sorted(halves, reverse=cells_per_m < 0):
        cell = math.floor(zero_cell + 0.5 * half * cells_per_m)
        text = "'" if half % 2 else f"|{half // 2} m"
        room = abs(cells_per_m) / 2
        if len(text) >= room:
            text = text[0] if room >= 2 else ""
        for letter in text:
            if 0 <= cell < width:
                codes[cell] = ord(letter)
            cell += 1


def terrain_dots(camera: Camera, head: Array, ground_heights: Callable[[Array], Array]) -> Array:
    """Dots of the terrain's line at the head's y, steps joined by upright lines: (n, 2)."""
    across = float(camera.right[0]) * camera.dots_per_m
    if abs(across) < 1e-3 * camera.dots_per_m:
        return np.zeros((0, 2))
    columns = np.arange(camera.columns) + 0.5
    start = camera.project(np.array([0.0, head[1], 0.0]))
    x = (columns - start[0]) / across
    points = np.stack([x, np.full_like(x, head[1]), ground_heights(x)], axis=1)
    rows = np.floor(camera.project(points)[:, 1]).astype(np.int64)
    before = np.concatenate([rows[:1], rows[:-1]])
    low = np.where(rows == before, rows, np.minimum(rows, before) + (rows > before))
    high = np.where(rows == before, rows, np.maximum(rows, before) - (rows < before))
    counts = np.clip(high - low + 1, 1, 400)
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(columns, counts), np.repeat(low, counts) + within + 0.5], axis=1)
