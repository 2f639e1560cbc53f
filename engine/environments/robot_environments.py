"""The environments of one robot: actions in, senses out, written into slices of packed arrays."""

from dataclasses import dataclass

import numpy as np

from engine.environments.observation import EVERYONE, ObservationWriter, RealArray, Which
from engine.environments.starts import Starts
from engine.environments.terrain_observation import TerrainReader
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
    """N simulations of one robot with its motors, senses and starts.

    A control step has three parts, ``act``, ``advance`` and ``sense``; each runs for all robots
    before the next, because small array work is twice as fast while its code is still cached.
    """

    starts: Starts

    def __init__(
        self,
        simulations: Simulations,
        courses: CoursePool | None,
        senses: Senses,
        terrain_reader: TerrainReader,
    ) -> None:
        compiled = simulations.compiled
        self.simulations = simulations
        self.courses = courses
        self._terrain_reader = terrain_reader
        self._senses = senses
        self._writer = ObservationWriter(simulations)
        self._action_index = compiled.action_index
        self._gear_nm = compiled.gear_nm
        n = simulations.num_simulations
        self._num_slots = compiled.num_limbs * UNIMAL.joint_slots
        self._joints_before = np.empty((n, len(compiled.action_index)))

    def start(self, ids: IntArray, episodes: IntArray) -> None:
        """Begin new episodes in simulations ``ids``; they are sensed by ``sense_started``."""
        noise, picks = self.starts.draw(ids, episodes)
        if self.courses is not None:
            self.courses.pick(ids, picks)
        self.simulations.start(ids, noise)

    def sense_started(self, ids: IntArray) -> None:
        """Sense the first moment of episodes that have just begun."""
        self._sense(ids)

    def act(self, actions: RealArray) -> None:
        """Give the motors ``actions`` (N x L, J), within [-1, 1] already."""
        np.copyto(self._joints_before, self.simulations.qpos[:, ROOT_POSITION_WIDTH:])
        wanted = actions.reshape(-1, self._num_slots)[:, self._action_index]
        self.simulations.ctrl[:] = wanted

    def advance(self) -> None:
        """Let a control step pass."""
        self.simulations.step()

    def sense(self) -> BoolArray | None:
        """Sense the moment after a step; True where a simulation exploded, None where none did.

        An exploded simulation keeps the senses it had before the step.
        """
        exploded = self.simulations.exploded()
        if exploded is None:
            self._sense(EVERYONE)
            self._work()
        else:
            self._sense_survivors(exploded)
        return exploded

    def _sense(self, which: Which) -> None:
        senses = self._senses
        self._writer.write(senses.observation, which)
        senses.head_m[which] = self.simulations.position_m[which, 0]
        if self.courses is not None and senses.terrain is not None:
            self._sense_ground(self.courses, senses.terrain, which)

    def _sense_ground(self, courses: CoursePool, terrain: RealArray, which: Which) -> None:
        head = self._senses.head_m[which]
        choice, grid = courses.choice[which], courses.shapes.grid
        rise_m = grid.height_m(choice, head[:, 0], head[:, 1])
        self._senses.rise_m[which] = rise_m
        quaternion = self.simulations.quaternion[which, 0]
        terrain[which] = self._terrain_reader.heights(grid, choice, head, rise_m, quaternion)

    def _work(self) -> None:
        """Torque is constant over a control step, so its work is torque times the angle turned."""
        joints = self.simulations.qpos[:, ROOT_POSITION_WIDTH:]
        turned = np.subtract(joints, self._joints_before, out=self._joints_before)
        turned *= self.simulations.ctrl
        np.abs(turned, out=turned)
        np.matmul(turned, self._gear_nm, out=self._senses.work_j)

    def _sense_survivors(self, exploded: BoolArray) -> None:
        senses = self._senses
        kept = [senses.observation, senses.terrain, senses.head_m, senses.rise_m]
        before = [(values, values[exploded]) for values in kept if values is not None]
        ids = np.flatnonzero(exploded)
        width = self.simulations.qpos.shape[1] + self.simulations.qvel.shape[1]
        # Back at the start all numbers are finite again; the episode ends with this step anyway.
        self.simulations.start(ids, np.zeros((len(ids), width)))
        self._sense(EVERYONE)
        self._work()
        for values, valid in before:
            values[exploded] = valid
        senses.work_j[exploded] = 0.0
