"""Courses drawn from a generator: heights of variable terrain, boxes of the obstacle course."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.simulation.ground import OBSTACLE_COURSE, START_FLAT_M, VARIABLE_COURSE, Course

Heights = npt.NDArray[np.float32]

VARIABLE_CELL_M = (0.1, 0.25)
"""Distance of neighbouring heights of a course along x and y; shapes change little along y."""
OBSTACLE_CELL_M = (0.1, 0.1)
COURSE_SINK_M = 0.02
"""How far a height field lies below the slab where the ground is flat: only the slab touches."""
MAX_HEIGHT_M = 1.2
COURSE_SCALE_M = MAX_HEIGHT_M + COURSE_SINK_M

FLAT_LENGTH_M = (2.0, 6.0)
HILL_LENGTH_M = (8.0, 16.0)
HILL_HEIGHT_M = (0.6, 1.2)
STEPS_LENGTH_M = (24.0, 32.0)
STEP_TREADS_M = (0.0, 0.2, 0.4, 0.6, 0.6, 0.4, 0.2, 0.0)
RUGGED_CLIP_M = (0.2, 0.3)
RUGGED_BAND_M = (1.0, 2.0)
RUGGED_HALF_WAVES = (10, 15)

NUM_OBSTACLES = 50
OBSTACLE_HALF_SIZE_M = (0.5, 1.0)
OBSTACLE_HEIGHT_M = 4.0


def course_shape(course: Course, cell_m: tuple[float, float]) -> tuple[int, int]:
    """Rows (along y) and columns (along x) of a course's height grid, ends included."""
    along_x, along_y = cell_m
    return round(2 * course.half_width_m / along_y) + 1, round(course.length_m / along_x) + 1


def variable_heights(rng: np.random.Generator) -> Heights:
    """Heights above the flat start in metres: (rows, columns), row 0 at the right edge (-y).

    After the flat start, flat stretches alternate with hills, steps and rugged squares until the
    course is full; what no longer fits is left flat.
    """
    rows, columns = course_shape(VARIABLE_COURSE, VARIABLE_CELL_M)
    heights = np.zeros((rows, columns), dtype=np.float32)
    shapes = (_hill, _steps, _rugged)
    column = round(START_FLAT_M / VARIABLE_CELL_M[0])
    while True:
        column += _columns(rng, FLAT_LENGTH_M)
        shape = shapes[int(rng.integers(len(shapes)))]
        width = _columns(rng, STEPS_LENGTH_M if shape is _steps else HILL_LENGTH_M)
        if column + width > columns:
            return heights
        heights[:, column : column + width] = shape(rng, rows, width)
        column += width


def _columns(rng: np.random.Generator, length_range_m: tuple[float, float]) -> int:
    return round(float(rng.uniform(*length_range_m)) / VARIABLE_CELL_M[0])


def _hill(rng: np.random.Generator, rows: int, columns: int) -> Heights:
    wave = np.sin(np.linspace(0.0, np.pi, columns)) * rng.uniform(*HILL_HEIGHT_M)
    return np.broadcast_to(wave.astype(np.float32), (rows, columns))


def _steps(rng: np.random.Generator, rows: int, columns: int) -> Heights:
    treads = np.asarray(STEP_TREADS_M, dtype=np.float32)
    tread = np.arange(columns) * len(treads) // columns
    return np.broadcast_to(treads[tread], (rows, columns))


def _rugged(rng: np.random.Generator, rows: int, columns: int) -> Heights:
    """Bands along y, each a triangle wave between 0 and 2 m along x, clipped low."""
    heights = np.empty((rows, columns), dtype=np.float32)
    row = 0
    while row < rows:
        band = round(float(rng.uniform(*RUGGED_BAND_M)) / VARIABLE_CELL_M[1])
        half_waves = RUGGED_HALF_WAVES[int(rng.integers(len(RUGGED_HALF_WAVES)))]
        phase = np.linspace(0.0, half_waves / 2, columns) % 1.0
        wave = 2.0 * (1.0 - np.abs(2.0 * phase - 1.0))
        heights[row : row + band] = np.minimum(wave, rng.uniform(*RUGGED_CLIP_M))
        row += band
    return heights


def height_field(heights: Heights) -> Heights:
    """Heights as MuJoCo stores them, in [0, 1]: flat ground sinks out of contact below the slab."""
    return np.where(
        heights > 0.0, (heights + np.float32(COURSE_SINK_M)) / np.float32(COURSE_SCALE_M), 0.0
    ).astype(np.float32)


@dataclass(frozen=True)
class Obstacles:
    """Boxes standing on the ground: ``center_m`` (B, 2), ``half_size_m`` (B, 2)."""

    center_m: npt.NDArray[np.float64]
    half_size_m: npt.NDArray[np.float64]


def obstacles(rng: np.random.Generator) -> Obstacles:
    """Boxes anywhere on the obstacle course but its clear ends."""
    course = OBSTACLE_COURSE
    half_size = rng.uniform(*OBSTACLE_HALF_SIZE_M, size=(NUM_OBSTACLES, 2))
    low = np.array([START_FLAT_M - course.start_m, -course.half_width_m]) + half_size
    high = np.array([course.end_m - START_FLAT_M, course.half_width_m]) - half_size
    return Obstacles(rng.uniform(low, high), half_size)


def obstacle_heights(boxes: Obstacles) -> Heights:
    """The height grid of an obstacle course: 0 on the floor, the boxes' height on boxes."""
    course = OBSTACLE_COURSE
    rows, columns = course_shape(course, OBSTACLE_CELL_M)
    heights = np.zeros((rows, columns), dtype=np.float32)
    origin = np.array([-course.start_m, -course.half_width_m])
    low = np.ceil((boxes.center_m - boxes.half_size_m - origin) / OBSTACLE_CELL_M).astype(int)
    high = np.floor((boxes.center_m + boxes.half_size_m - origin) / OBSTACLE_CELL_M).astype(int) + 1
    for (left, bottom), (right, top) in zip(low, high, strict=True):
        heights[bottom:top, left:right] = OBSTACLE_HEIGHT_M
    return heights
