"""Pools of courses: every robot holds a few, each of its simulations runs on one of them.

A pool never changes under a running episode: courses are replaced once nobody is on them.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.simulation.compiled import FloatArray, IntArray, compile_alone, compile_robot
from engine.simulation.ground import FLOOR_TOP_M, OBSTACLE_COURSE, VARIABLE_COURSE, Course
from engine.simulation.simulations import BoolArray, Simulations
from engine.simulation.terrain import (
    COURSE_SCALE_M,
    COURSE_SINK_M,
    NUM_OBSTACLES,
    OBSTACLE_CELL_M,
    OBSTACLE_HEIGHT_M,
    VARIABLE_CELL_M,
    Heights,
    course_shape,
    height_field,
    obstacle_heights,
    obstacles,
    variable_heights,
)


class Grid:
    """Heights of K courses: metres = ``stored`` (K, rows, columns) x ``scale_m`` - ``sink_m``."""

    def __init__(
        self,
        course: Course,
        cell_m: tuple[float, float],
        stored: Heights,
        scale_m: float = 1.0,
        sink_m: float = 0.0,
    ) -> None:
        self.cell_m = cell_m
        self.stored = stored
        self.scale_m = scale_m
        self.sink_m = sink_m
        self.origin_m = np.array([-course.start_m, -course.half_width_m])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (along y) and columns (along x)."""
        _, rows, columns = self.stored.shape
        return rows, columns

    def height_m(self, choice: IntArray, x_m: FloatArray, y_m: FloatArray) -> FloatArray:
        """Height above the start's ground at the nearest cell of each simulation's course: (N,)."""
        rows, columns = self.shape
        column = np.clip(np.rint((x_m - self.origin_m[0]) / self.cell_m[0]), 0, columns - 1).astype(
            int
        )
        row = np.clip(np.rint((y_m - self.origin_m[1]) / self.cell_m[1]), 0, rows - 1).astype(int)
        stored = self.stored[choice, row, column].astype(np.float64)
        height: FloatArray = np.maximum(stored * self.scale_m - self.sink_m, 0.0)
        return height


class CourseShapes(Protocol):
    """How courses of a task are drawn and shown to the simulator."""

    grid: Grid

    def draw(self, slot: int, rng: np.random.Generator) -> None:
        """Put a new course into ``slot``."""
        ...

    def publish(self, simulations: Simulations) -> None:
        """Make drawn courses known to the simulator."""
        ...

    def place(self, simulations: Simulations, ids: IntArray, choice: IntArray) -> None:
        """Put simulations ``ids`` on the courses ``choice`` (n,)."""
        ...


class VariableCourses:
    """Height fields inside the model; the model's own copy is the grid heights are read from."""

    def __init__(self, simulations: Simulations, num_courses: int) -> None:
        model = simulations.compiled.model
        rows, columns = course_shape(VARIABLE_COURSE, VARIABLE_CELL_M)
        stored = model.hfield_data.reshape(num_courses, rows, columns)
        self.grid = Grid(VARIABLE_COURSE, VARIABLE_CELL_M, stored, COURSE_SCALE_M, COURSE_SINK_M)
        self._geom = model.geom("course").id

    def draw(self, slot: int, rng: np.random.Generator) -> None:
        self.grid.stored[slot] = height_field(variable_heights(rng))

    def publish(self, simulations: Simulations) -> None:
        simulations.reload_model()

    def place(self, simulations: Simulations, ids: IntArray, choice: IntArray) -> None:
        simulations.vary("geom_dataid")[ids, self._geom] = choice


class ObstacleCourses:
    """Boxes that stand elsewhere in every course."""

    def __init__(self, simulations: Simulations, num_courses: int) -> None:
        model = simulations.compiled.model
        rows, columns = course_shape(OBSTACLE_COURSE, OBSTACLE_CELL_M)
        stored = np.zeros((num_courses, rows, columns), np.float32)
        self.grid = Grid(OBSTACLE_COURSE, OBSTACLE_CELL_M, stored)
        self._geoms = np.array([model.geom(f"obstacle/{box}").id for box in range(NUM_OBSTACLES)])
        self._position_m = np.empty((num_courses, NUM_OBSTACLES, 3))
        self._half_size_m = np.empty((num_courses, NUM_OBSTACLES, 3))
        self._half_size_m[:, :, 2] = OBSTACLE_HEIGHT_M / 2
        self._position_m[:, :, 2] = FLOOR_TOP_M + OBSTACLE_HEIGHT_M / 2

    def draw(self, slot: int, rng: np.random.Generator) -> None:
        boxes = obstacles(rng)
        self._position_m[slot, :, :2] = boxes.center_m
        self._half_size_m[slot, :, :2] = boxes.half_size_m
        self.grid.stored[slot] = obstacle_heights(boxes)

    def publish(self, simulations: Simulations) -> None:
        """Nothing to do: places and sizes differ per simulation anyway."""

    def place(self, simulations: Simulations, ids: IntArray, choice: IntArray) -> None:
        where = (ids[:, None], self._geoms[None, :])
        simulations.vary("geom_pos")[where] = self._position_m[choice]
        simulations.vary("geom_size")[where] = self._half_size_m[choice]
        radius = np.linalg.norm(self._half_size_m[choice], axis=2)
        simulations.vary("geom_rbound")[where] = radius


class CoursePool:
    """K courses of one robot and which of its N simulations runs on which."""

    def __init__(self, simulations: Simulations, shapes: CourseShapes) -> None:
        self.shapes = shapes
        self._simulations = simulations
        num_courses = len(shapes.grid.stored)
        self.choice: IntArray = np.zeros(simulations.num_simulations, np.int64)
        self._version = np.zeros(num_courses, np.int64)
        self._retired = np.zeros(num_courses, np.bool_)
        self._source = (0, "")

    def seed(self, seed: int, name: str) -> None:
        """Draw every course anew; contents depend on seed, name, slot and version alone."""
        self._source = (seed, name)
        self._version[:] = 0
        self._retired[:] = False
        self._draw(np.ones(len(self._version), np.bool_))

    def _draw(self, slots: BoolArray) -> None:
        seed, name = self._source
        for slot in np.flatnonzero(slots).tolist():
            version = int(self._version[slot])
            self.shapes.draw(slot, generator(seed, "course", name, slot, version))
        if slots.any():
            self.shapes.publish(self._simulations)

    def pick(self, ids: IntArray, picks: FloatArray) -> None:
        """Put simulations on courses by uniform numbers in [0, 1)."""
        available = np.flatnonzero(~self._retired)
        self.choice[ids] = available[(picks * len(available)).astype(np.int64)]
        self.shapes.place(self._simulations, ids, self.choice[ids])

    def redraw(self) -> None:
        """Replace courses nobody is on, and close the oldest half of the others to new episodes."""
        used = np.zeros(len(self._version), np.bool_)
        used[self.choice] = True
        self._version[~used] += 1
        self._retired &= used
        self._draw(~used)
        oldest = np.argsort(self._version, kind="stable")
        closing = [slot for slot in oldest.tolist() if used[slot]][: len(self._version) // 2]
        if (~used).any() or len(closing) < len(self._version):
            self._retired[closing] = True

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is needed to rebuild the pool, by name."""
        return {
            "choice": self.choice.copy(),
            "version": self._version.copy(),
            "retired": self._retired.copy(),
        }

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        """Rebuild the pool of a ``state``; the seed is that of its environment."""
        changed = self._version != state["version"]
        self._version[:] = state["version"]
        self._retired[:] = state["retired"]
        self._draw(changed)
        everyone = np.arange(len(self.choice))
        self.choice[:] = state["choice"]
        self.shapes.place(self._simulations, everyone, self.choice)


def simulate(
    robot: Morphology, task: TaskConfig, num_simulations: int
) -> tuple[Simulations, CoursePool | None]:
    """Simulations of a robot in a task, and the pool of their courses where the ground has a shape.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    if task.name == "variable":
        # Height fields are written into the model, so it cannot be a shared one.
        simulations = Simulations(compile_alone(robot, task), num_simulations)
        return simulations, CoursePool(simulations, VariableCourses(simulations, task.num_courses))
    simulations = Simulations(compile_robot(robot, task), num_simulations)
    if task.name == "obstacles":
        return simulations, CoursePool(simulations, ObstacleCourses(simulations, task.num_courses))
    return simulations, None
