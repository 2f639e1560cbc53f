"""What a task rewards and when an episode is over, on arrays over all environments."""

import math

import numpy as np

from engine.config.base import TaskConfig
from engine.simulation.compiled import FloatArray
from engine.simulation.ground import CONTROL_TIMESTEP_S, FLOOR_TOP_M, course, slope_rad
from engine.simulation.simulations import BoolArray

FALL_RATIO = {"flat": 0.5, "variable": 0.3, "obstacles": 0.5, "incline": 0.5}
"""Share of the standing height at or below which the head has fallen."""
EDGE_M = 1.0
"""Coming this close to a side of a course ends the episode."""


class TaskRules:
    """Reward and end of a task. ``head_m`` (E, 3) is where heads are."""

    def __init__(self, task: TaskConfig) -> None:
        self.fall_ratio = FALL_RATIO[task.name]
        self._slope = math.tan(slope_rad(task))
        self._step_s = CONTROL_TIMESTEP_S * math.cos(slope_rad(task))
        self._course = course(task)

    def score(self, head_x_before_m: FloatArray, head_m: FloatArray, out: FloatArray) -> None:
        """Forward velocity of the head, along the slope where there is one: (E,)."""
        np.subtract(head_m[:, 0], head_x_before_m, out=out)
        out /= self._step_s

    def fallen(
        self, head_m: FloatArray, rise_m: FloatArray, fall_height_m: FloatArray, out: BoolArray
    ) -> None:
        """Whether the head is too low above its ground, or too near a side of the course: (E,).

        ``rise_m`` (E,) is the ground under the head above that of the start.
        """
        ground_m = FLOOR_TOP_M + self._slope * head_m[:, 0] + rise_m
        np.less_equal(head_m[:, 2] - ground_m, fall_height_m, out=out)
        if self._course is not None:
            out |= self._course.half_width_m - np.abs(head_m[:, 1]) <= EDGE_M
