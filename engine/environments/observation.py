"""What a robot senses of itself: one row per limb, from live simulations into given arrays."""

import numpy as np

from engine.morphology.family import UNIMAL
from engine.simulation.compiled import FloatArray
from engine.simulation.simulations import Simulations

LAYOUT = UNIMAL.observation_layout
POSITION = LAYOUT["position"]
LINEAR_VELOCITY = LAYOUT["linear_velocity"]
ANGULAR_VELOCITY = LAYOUT["angular_velocity"]
ORIENTATION = LAYOUT["orientation"]
SPATIAL_WIDTH = 6
"""Columns of MuJoCo's motion axes: angular, then linear about the robot's centre of mass."""


class ObservationWriter:
    """Writes the observations of one robot's simulations, in float64 until the last copy.

    Velocities are the Jacobian of the positions (those of the last physics step's start) times the
    new ``qvel``: motion axes times qvel summed over the degrees of freedom that move a limb,
    shifted from the centre of mass to the limb's origin.
    """

    def __init__(self, simulations: Simulations) -> None:
        self._simulations = simulations
        compiled = simulations.compiled
        n, num_limbs = simulations.num_simulations, compiled.num_limbs
        self._moves = compiled.moves
        self._low_rad = compiled.joint_low_rad
        self._span_rad = compiled.joint_span_rad
        self._num_joints = len(compiled.action_index)
        # Flattened (L, F) columns of each hinge's position and velocity.
        limb, slot = np.divmod(compiled.action_index, UNIMAL.joint_slots)
        position = [LAYOUT[f"joint_position_{index}"].start for index in slot]
        velocity = [LAYOUT[f"joint_velocity_{index}"].start for index in slot]
        self._position_columns = limb * LAYOUT.width + np.array(position, dtype=np.int64)
        self._velocity_columns = limb * LAYOUT.width + np.array(velocity, dtype=np.int64)
        self._flow = np.empty((n, compiled.model.nv, SPATIAL_WIDTH))
        self._motion = np.empty((n, num_limbs, SPATIAL_WIDTH))
        self._offset = np.empty((n, num_limbs, 3))
        self._rows = np.zeros((n, num_limbs, LAYOUT.width))
        self._flat_rows = self._rows.reshape(n, -1)

    def write(self, out: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> None:
        """Fill ``out`` (N, L, 17)."""
        simulations, rows = self._simulations, self._rows
        position = simulations.position_m
        rows[:, :, POSITION] = position
        rows[:, :, POSITION.start] -= position[:, :1, 0]
        rows[:, :, ORIENTATION] = simulations.quaternion
        self._write_velocities(rows)
        joints = simulations.qpos[:, -self._num_joints :]
        self._flat_rows[:, self._position_columns] = (joints - self._low_rad) / self._span_rad
        self._flat_rows[:, self._velocity_columns] = simulations.qvel[:, -self._num_joints :]
        out[:] = rows

    def _write_velocities(self, rows: FloatArray) -> None:
        simulations, motion, offset = self._simulations, self._motion, self._offset
        np.multiply(simulations.motion_axes, simulations.qvel[:, :, None], out=self._flow)
        np.matmul(self._moves, self._flow, out=motion)
        np.subtract(simulations.position_m, simulations.center_of_mass_m, out=offset)
        angular, linear = motion[:, :, :3], motion[:, :, 3:]
        rows[:, :, ANGULAR_VELOCITY] = angular
        for axis, (left, right) in enumerate(((1, 2), (2, 0), (0, 1))):
            linear[:, :, axis] += angular[:, :, left] * offset[:, :, right]
            linear[:, :, axis] -= angular[:, :, right] * offset[:, :, left]
        rows[:, :, LINEAR_VELOCITY] = linear
