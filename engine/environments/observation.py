"""What a robot senses of itself: one row per limb, from live simulations into given arrays."""

import numpy as np
import numpy.typing as npt

from engine.morphology.family import UNIMAL
from engine.simulation.compiled import FloatArray, IntArray
from engine.simulation.simulations import Simulations

LAYOUT = UNIMAL.observation_layout
POSITION = LAYOUT["position"]
LINEAR_VELOCITY = LAYOUT["linear_velocity"]
ANGULAR_VELOCITY = LAYOUT["angular_velocity"]
ORIENTATION = LAYOUT["orientation"]
RealArray = npt.NDArray[np.floating]
Which = slice | IntArray
"""Simulations to write: a slice or ids."""
EVERYONE = slice(None)
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

    def write(self, out: RealArray, which: Which) -> None:
        """Fill rows ``which`` of ``out`` (N, L, 17)."""
        simulations = self._simulations
        position = simulations.position_m[which]
        n = len(position)
        rows, flat_rows = self._rows[:n], self._flat_rows[:n]
        rows[:, :, POSITION] = position
        rows[:, :, POSITION.start] -= position[:, :1, 0]
        rows[:, :, ORIENTATION] = simulations.quaternion[which]
        self._write_velocities(rows, position, which)
        joints = simulations.qpos[which, -self._num_joints :]
        flat_rows[:, self._position_columns] = (joints - self._low_rad) / self._span_rad
        flat_rows[:, self._velocity_columns] = simulations.qvel[which, -self._num_joints :]
        out[which] = rows

    def _write_velocities(self, rows: FloatArray, position_m: FloatArray, which: Which) -> None:
        simulations, n = self._simulations, len(rows)
        flow, motion, offset = self._flow[:n], self._motion[:n], self._offset[:n]
        np.multiply(simulations.motion_axes[which], simulations.qvel[which, :, None], out=flow)
        np.matmul(self._moves, flow, out=motion)
        np.subtract(position_m, simulations.center_of_mass_m[which], out=offset)
        angular, linear = motion[:, :, :3], motion[:, :, 3:]
        rows[:, :, ANGULAR_VELOCITY] = angular
        for axis, (left, right) in enumerate(((1, 2), (2, 0), (0, 1))):
            linear[:, :, axis] += angular[:, :, left] * offset[:, :, right]
            linear[:, :, axis] -= angular[:, :, right] * offset[:, :, left]
        rows[:, :, LINEAR_VELOCITY] = linear
