"""Robots compiled into MuJoCo models, with the index arrays that batched work needs."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import mujoco
import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.errors import SimulationError
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Morphology
from engine.simulation.ground import PHYSICS_TIMESTEP_S
from engine.simulation.scene import scene_xml

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROOT_POSITION_WIDTH = 7
ROOT_VELOCITY_WIDTH = 6
CACHED_ROBOTS = 2048


@dataclass(frozen=True)
class CompiledRobot:
    """A robot's model in the scene of a task. Bodies are the world, then the limbs in order.

    The model is shared by everything that steps this robot: nobody writes to it, but for the height
    fields of a model that was compiled alone (``compile_alone``).
    """

    robot: Morphology
    task: TaskConfig
    model: mujoco.MjModel

    @property
    def num_limbs(self) -> int:
        return self.robot.num_limbs

    @property
    def standing_height_m(self) -> float:
        """Height of the head above the ground without the drop at reset."""
        return self.robot.head_height_m - UNIMAL.clearance_m

    @cached_property
    def action_index(self) -> IntArray:
        """Per motor, its place in a robot's flattened (L x J) action."""
        return np.flatnonzero(self.robot.joint_mask)

    @cached_property
    def joint_low_rad(self) -> FloatArray:
        """Lower limits of the hinges: (nu,)."""
        return np.array(self.model.jnt_range[1:, 0])

    @cached_property
    def joint_span_rad(self) -> FloatArray:
        """Widths of the hinges' ranges: (nu,)."""
        return np.array(self.model.jnt_range[1:, 1] - self.model.jnt_range[1:, 0])

    @cached_property
    def gear_nm(self) -> FloatArray:
        """Torque of each motor at full action: (nu,)."""
        return np.array(self.model.actuator_gear[:, 0])

    @cached_property
    def moves(self) -> FloatArray:
        """1 where a degree of freedom moves a limb (its own or an ancestor's): (L, nv)."""
        degree_body = self.model.dof_bodyid - 1
        moves = np.zeros((self.num_limbs, self.model.nv))
        for limb, description in enumerate(self.robot.limbs):
            if description.parent >= 0:
                moves[limb] = moves[description.parent]
            moves[limb, degree_body == limb] = 1.0
        return moves

    @cached_property
    def geom_ids(self) -> IntArray:
        """The geoms of the limbs, in limb order: (L,)."""
        return np.flatnonzero(self.model.geom_bodyid > 0)


@lru_cache(maxsize=CACHED_ROBOTS)
def compile_robot(robot: Morphology, task: TaskConfig) -> CompiledRobot:
    """The compiled robot, cached and shared.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    return compile_alone(robot, task)


def compile_alone(robot: Morphology, task: TaskConfig) -> CompiledRobot:
    """A fresh compile that the caller owns, for models whose height fields will be written.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    try:
        model = mujoco.MjModel.from_xml_string(scene_xml(robot, task).decode())
    except ValueError as error:
        raise SimulationError(f"{robot.name}: MuJoCo cannot compile it: {error}") from error
    expected = (robot.num_limbs + 1, robot.num_joints, PHYSICS_TIMESTEP_S)
    found = (model.nbody, model.nu, model.opt.timestep)
    if found != expected:
        raise SimulationError(f"{robot.name}: compiled to {found}, expected {expected}")
    return CompiledRobot(robot, task, model)
