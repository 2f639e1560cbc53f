"""What robots run on: sizes, heights and start poses that scenes, terrain and tasks share.

Metres and radians; x is forward, z is up, and flat ground has its top at z = 1 as in the published
scenes.
"""

import math
from dataclasses import dataclass

from engine.config.base import TaskConfig
from engine.morphology.family import UNIMAL

PHYSICS_TIMESTEP_S = 0.005
PHYSICS_STEPS = 4
"""Physics steps per control step."""
CONTROL_TIMESTEP_S = PHYSICS_TIMESTEP_S * PHYSICS_STEPS
FLOOR_TOP_M = UNIMAL.floor_top_m


@dataclass(frozen=True)
class Course:
    """A walled or height-field course, start at x = 0, lying between -``start_m`` and ``end_m``."""

    start_m: float
    end_m: float
    half_width_m: float

    @property
    def length_m(self) -> float:
        return self.start_m + self.end_m

    @property
    def center_x_m(self) -> float:
        return (self.end_m - self.start_m) / 2


START_FLAT_M = 6.0
"""Clear, flat length at the start of a course; robots start in its middle."""
VARIABLE_COURSE = Course(START_FLAT_M / 2, 110.0 - START_FLAT_M / 2, 20.0)
OBSTACLE_COURSE = Course(START_FLAT_M / 2, 100.0 - START_FLAT_M / 2, 20.0)


def course(task: TaskConfig) -> Course | None:
    """The course of a task, None where the ground has no shape to draw."""
    return {"variable": VARIABLE_COURSE, "obstacles": OBSTACLE_COURSE}.get(task.name)


def slope_rad(task: TaskConfig) -> float:
    """Uphill angle of the ground along x."""
    return math.radians(task.incline_deg) if task.name == "incline" else 0.0
