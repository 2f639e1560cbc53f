"""What a robot senses of itself: one row per limb, from live simulations into given arrays."""

import numpy as np
import numpy.typing as npt

from engine.morphology.family import UNIMAL
from engine.simulation.compiled import (
    ROOT_POSITION_WIDTH,
    ROOT_VELOCITY_WIDTH,
    FloatArray,
    IntArray,
)
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
AXES_ANGULAR, AXES_LINEAR = slice(0, 3), slice(3, 6)
"""Components of MuJoCo's motion axes, about the robot's centre of mass."""
LINEAR, ANGULAR = slice(0, 3), slice(3, 8)
XYZ, XY, AGAIN = slice(3, 6), slice(3, 5), slice(6, 8)
MOTION_WIDTH = 8
"""Components of our motions: linear x y z, angular x y z x y."""


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
        self._moved_by = np.ascontiguousarray(compiled.moves.T)
        self._low_rad = compiled.joint_low_rad
        self._span_rad = compiled.joint_span_rad
        # Flattened (L, F) columns of each hinge's position and velocity.
        limb, slot = np.divmod(compiled.action_index, UNIMAL.joint_slots)
        position = [LAYOUT[f"joint_position_{index}"].start for index in slot]
        velocity = [LAYOUT[f"joint_velocity_{index}"].start for index in slot]
        self._position_columns = limb * LAYOUT.width + np.array(position, dtype=np.int64)
        self._velocity_columns = limb * LAYOUT.width + np.array(velocity, dtype=np.int64)
        # Components first, so that each operation runs over all limbs of all simulations.
        self._flow = np.empty((n, MOTION_WIDTH, compiled.model.nv))
        self._motion = np.empty((MOTION_WIDTH, n, num_limbs))
        self._offset = np.empty((5, n, num_limbs))
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
        joints = simulations.qpos[which, ROOT_POSITION_WIDTH:]
        flat_rows[:, self._position_columns] = (joints - self._low_rad) / self._span_rad
        flat_rows[:, self._velocity_columns] = simulations.qvel[which, ROOT_VELOCITY_WIDTH:]
        out[which] = rows

    def _write_velocities(self, rows: FloatArray, position_m: FloatArray, which: Which) -> None:
        simulations, n = self._simulations, len(rows)
        flow, motion, offset = self._flow[:n], self._motion[:, :n], self._offset[:, :n]
        axes = simulations.motion_axes[which].transpose(0, 2, 1)
        speed = simulations.qvel[which, None, :]
        np.multiply(axes[:, AXES_LINEAR], speed, out=flow[:, LINEAR])
        np.multiply(axes[:, AXES_ANGULAR], speed, out=flow[:, XYZ])
        flow[:, AGAIN] = flow[:, XY]
        # One small product per simulation: its bits do not depend on how many there are.
        np.matmul(flow, self._moved_by, out=motion.transpose(1, 0, 2))
        position, center = position_m.transpose(2, 0, 1), simulations.center_of_mass_m[which]
        np.subtract(position, center.transpose(2, 0, 1), out=offset[:3])
        offset[3:] = offset[:2]
        # Angular velocity x offset: with x and y repeated after z, both products are slices.
        linear, angular = motion[LINEAR], motion[ANGULAR]
        linear += angular[1:4] * offset[2:5]
        linear -= angular[2:5] * offset[1:4]
        rows[:, :, LINEAR_VELOCITY] = linear.transpose(1, 2, 0)
        rows[:, :, ANGULAR_VELOCITY] = angular[:3].transpose(1, 2, 0)
