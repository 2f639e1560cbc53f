"""Where a robot's capsules were, step by step: what the cockpit draws when it shows an episode."""

import math

import numpy as np
import numpy.typing as npt

from engine.environments.robot_environments import RobotEnvironments
from engine.morphology.poses import Poses, PosesHeader, mirror_pairs
from engine.simulation.ground import CONTROL_TIMESTEP_S, FLOOR_TOP_M, slope_rad

SLOPE_START_M = -5.0
SLOPE_SPACING_M = 1.0
SLOPE_POINTS = 80


class PoseRecorder:
    """Collects one episode of one simulation; it only reads."""

    def __init__(
        self,
        environments: RobotEnvironments,
        simulation: int,
        episode: int,
        fall_height_m: float,
    ) -> None:
        self.simulation = simulation
        self.episode = episode
        self._environments = environments
        self._fall_height_m = fall_height_m
        self._terminated = False
        self._positions: list[npt.NDArray[np.float32]] = []
        self._axes: list[npt.NDArray[np.float32]] = []
        self._rewards: list[float] = []
        self._heights: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        # Bound now, so that the very first step already fills them.
        self._geoms()

    def _geoms(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        # Bound afresh each time: the views change when a model is reloaded with new courses.
        simulations = self._environments.simulations
        return simulations.bind("geom_xpos"), simulations.bind("geom_xmat")

    def capture(self, reward: float, terminated: bool) -> None:
        """Take down the moment after a control step that gave ``reward``."""
        self._terminated = terminated
        position, frame = self._geoms()
        geoms = self._environments.simulations.compiled.geom_ids
        above_floor = position[self.simulation, geoms] - (0.0, 0.0, FLOOR_TOP_M)
        self._positions.append(above_floor.astype(np.float32))
        # The third column of a geom's rotation, row by row, is its axis.
        self._axes.append(frame[self.simulation, geoms][:, 2::3].astype(np.float32))
        self._rewards.append(reward)
        if len(self._rewards) == 1:
            self._heights = _profile(self._environments, self.simulation)

    def poses(self, policy: str, policy_run_id: int | None, seed: int) -> Poses:
        """What was recorded, labelled with whose policy it was and the seed of the environment."""
        compiled = self._environments.simulations.compiled
        size = compiled.model.geom_size[compiled.geom_ids]
        capsule = np.arange(compiled.num_limbs) > 0
        start_m, spacing_m = _profile_grid(self._environments)
        header = PosesHeader(
            robot_name=compiled.robot.name,
            robot_digest=compiled.robot.digest,
            policy=policy,
            policy_run_id=policy_run_id,
            task=compiled.task.name,
            seed=seed,
            episode=self.episode,
            control_timestep_s=CONTROL_TIMESTEP_S,
            fall_height_m=self._fall_height_m,
            terminated=self._terminated,
            heights_start_m=start_m,
            heights_spacing_m=spacing_m,
        )
        return Poses(
            header,
            position=np.array(self._positions),
            axis=np.array(self._axes),
            radius=size[:, 0].astype(np.float32),
            half_length=np.where(capsule, size[:, 1], 0.0).astype(np.float32),
            limb=np.arange(compiled.num_limbs),
            pair=mirror_pairs(compiled.robot),
            reward=np.array(self._rewards, np.float32),
            heights=self._heights,
        )


def _profile_grid(environments: RobotEnvironments) -> tuple[float, float]:
    """Where heights along x start and how far apart they are; zeros on flat ground."""
    if environments.courses is not None:
        grid = environments.courses.shapes.grid
        return float(grid.origin_m[0]), grid.cell_m[0]
    if slope_rad(environments.simulations.compiled.task):
        return SLOPE_START_M, SLOPE_SPACING_M
    return 0.0, 0.0


def _profile(environments: RobotEnvironments, simulation: int) -> npt.NDArray[np.float32]:
    """Heights of the ground along y = 0; none on flat ground."""
    courses = environments.courses
    if courses is not None:
        grid = courses.shapes.grid
        x_m = grid.origin_m[0] + grid.cell_m[0] * np.arange(grid.shape[1])
        choice = np.full(len(x_m), courses.choice[simulation])
        return grid.height_m(choice, x_m, np.zeros_like(x_m)).astype(np.float32)
    slope = math.tan(slope_rad(environments.simulations.compiled.task))
    if not slope:
        return np.zeros(0, np.float32)
    x_m = SLOPE_START_M + SLOPE_SPACING_M * np.arange(SLOPE_POINTS)
    return (slope * x_m).astype(np.float32)
