"""The environments of one robot: actions in, senses out, written into slices of packed arrays."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from engine.environments.observation import EVERYONE, ObservationWriter, RealArray, Which
from engine.environments.starts import Starts
from engine.environments.terrain_observation import TerrainReader
from engine.errors import SimulationError
from engine.morphology.family import UNIMAL
from engine.simulation.compiled import ROOT_POSITION_WIDTH, FloatArray, IntArray
from engine.simulation.courses import CoursePool
from engine.simulation.simulations import BoolArray, Simulations


@dataclass(frozen=True)
class Senses:
    """Views of one robot's part of the packed arrays, written in place.

    ``observation`` (N, L, 17); ``terrain`` (N, 1410) where the ground has a shape; ``head_m``
    (N, 3) position of the head; ``rise_m`` (N,) ground under it above that of the start; ``work_j``
    (N,) the motors' absolute work in the last control step.
    """

    observation: RealArray
    terrain: RealArray | None
    head_m: FloatArray
    rise_m: FloatArray
    work_j: FloatArray


class RobotEnvironments:
    """N simulations of one robot with its motors, senses and starts."""

    starts: Starts

    def __init__(
        self, simulations: Simulations, courses: CoursePool | None, senses: Senses
    ) -> None:
        compiled = simulations.compiled
        self.simulations = simulations
        self.courses = courses
        self._terrain_reader = TerrainReader(simulations.num_simulations)
        self._senses = senses
        self._writer = ObservationWriter(simulations)
        self._name = compiled.robot.name
        self._action_index = compiled.action_index
        self._gear_nm = compiled.gear_nm
        n, num_joints = simulations.num_simulations, len(compiled.action_index)
        self._num_slots = compiled.num_limbs * UNIMAL.joint_slots
        self._control = np.empty((n, num_joints))
        self._joints_before = np.empty((n, num_joints))
        self.physics_s = 0.0
        self.observation_s = 0.0

    def start(self, ids: IntArray, episodes: IntArray) -> None:
        """Begin new episodes in simulations ``ids`` and sense their first moment."""
        began = perf_counter()
        noise, picks = self.starts.draw(ids, episodes)
        if self.courses is not None:
            self.courses.pick(ids, picks)
        self.simulations.start(ids, noise)
        stepped = perf_counter()
        self._sense(ids)
        self.physics_s += stepped - began
        self.observation_s += perf_counter() - stepped

    def step(self, actions: RealArray) -> BoolArray | None:
        """Hold ``actions`` (N x L, J) for a control step; True where a simulation exploded.

        An exploded simulation keeps the senses it had before the step.

        Raises:
            SimulationError: an action is not a number.
        """
        began = perf_counter()
        simulations = self.simulations
        joints = simulations.qpos[:, ROOT_POSITION_WIDTH:]
        np.copyto(self._joints_before, joints)
        self._control[:] = actions.reshape(-1, self._num_slots)[:, self._action_index]
        np.clip(self._control, -1.0, 1.0, out=self._control)
        if np.isnan(self._control.sum()):
            raise SimulationError(f"{self._name}: an action is not a number")
        simulations.ctrl[:] = self._control
        exploded = simulations.step()
        stepped = perf_counter()
        if exploded is None:
            self._sense(EVERYONE)
            self._work(joints)
        else:
            self._sense_survivors(joints, exploded)
        self.physics_s += stepped - began
        self.observation_s += perf_counter() - stepped
        return exploded

    def _sense(self, which: Which) -> None:
        senses = self._senses
        self._writer.write(senses.observation, which)
        senses.head_m[which] = self.simulations.position_m[which, 0]
        if self.courses is not None and senses.terrain is not None:
            self._sense_ground(self.courses, senses.terrain, which)

    def _sense_ground(self, courses: CoursePool, terrain: RealArray, which: Which) -> None:
        head = self._senses.head_m[which]
        choice = courses.choice[which]
        grid = courses.shapes.grid
        self._senses.rise_m[which] = grid.height_m(choice, head[:, 0], head[:, 1])
        quaternion = self.simulations.quaternion[which, 0]
        terrain[which] = self._terrain_reader.heights(grid, choice, head, quaternion)

    def _work(self, joints: FloatArray) -> None:
        """Torque is constant over a control step, so its work is torque times the angle turned."""
        turned = np.subtract(joints, self._joints_before, out=self._joints_before)
        turned *= self._control
        np.abs(turned, out=turned)
        np.matmul(turned, self._gear_nm, out=self._senses.work_j)

    def _sense_survivors(self, joints: FloatArray, exploded: BoolArray) -> None:
        senses = self._senses
        kept = [senses.observation, senses.terrain, senses.head_m, senses.rise_m]
        before = [(values, values[exploded]) for values in kept if values is not None]
        ids = np.flatnonzero(exploded)
        width = self.simulations.qpos.shape[1] + self.simulations.qvel.shape[1]
        # Back at the start all numbers are finite again; the episode ends with this step anyway.
        self.simulations.start(ids, np.zeros((len(ids), width)))
        self._sense(EVERYONE)
        self._work(joints)
        for values, valid in before:
            values[exploded] = valid
        senses.work_j[exploded] = 0.0
