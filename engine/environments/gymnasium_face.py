"""One robot as a Gymnasium environment, single or vectorised; importing this registers both.

``gymnasium.make("hdtui/Locomotion-v0", robot=..., task=...)`` makes one environment, and
``gymnasium.make_vec("hdtui/Locomotion-v0", num_envs=16, robot=..., task=...)`` many in one process.
Observations are a robot's limb rows, flattened, followed by the terrain heights where the ground
has a shape; actions are its hinges', in [-1, 1].
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from engine.config.base import TaskConfig, TaskName
from engine.environments.episodes import EpisodeBatch
from engine.environments.vector import VectorEnvironment
from engine.morphology.mjcf import load_robot
from engine.morphology.tree import Morphology
from engine.simulation.ground import CONTROL_TIMESTEP_S

ENVIRONMENT_ID = "hdtui/Locomotion-v0"
SEEDS = 2**63 - 1
LIMIT = 1e5
"""No observation is larger: faster simulations count as exploded."""

Observation = npt.NDArray[np.float32]
Action = npt.NDArray[np.float32]


class FlatFace:
    """A robot's environments with flat vectors for observations and actions of real hinges only."""

    def __init__(
        self, robot: Morphology | str | Path, task: TaskName | TaskConfig, count: int
    ) -> None:
        morphology = robot if isinstance(robot, Morphology) else load_robot(Path(robot))
        config = task if isinstance(task, TaskConfig) else TaskConfig(name=task)
        self.environment = VectorEnvironment([morphology], config, count, seed=0)
        self._hinges = np.flatnonzero(morphology.joint_mask)
        self._action = np.zeros((count, morphology.joint_mask.size), np.float32)
        self._rows_shape = (morphology.joint_mask.size // morphology.num_limbs,)
        terrain = self.environment.terrain
        width = self.environment.observation.size // count
        width += 0 if terrain is None else terrain.shape[1]
        self.observation_space = gymnasium.spaces.Box(-LIMIT, LIMIT, (width,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(self._hinges),), np.float32)
        self._count = count

    def step(self, actions: Action) -> None:
        """Hold the hinges' actions (N, A) for a control step."""
        self._action[:, self._hinges] = actions
        self.environment.step(self._action.reshape(-1, *self._rows_shape))

    def observation(self) -> Observation:
        """A copy of what the robots see: (N, F)."""
        return self._flat(self.environment.observation, self.environment.terrain)

    def final_observation(self) -> Observation:
        """A copy of what the robots whose episode ended in this step saw last: (N, F)."""
        return self._flat(self.environment.final_observation, self.environment.final_terrain)

    def _flat(
        self, observation: npt.NDArray[np.floating], terrain: npt.NDArray[np.floating] | None
    ) -> Observation:
        parts = [observation.reshape(self._count, -1)]
        if terrain is not None:
            parts.append(terrain)
        return np.concatenate(parts, axis=1, dtype=np.float32)


class LocomotionEnv(gymnasium.Env[Observation, Action]):
    """One robot in one task. ``robot`` is a morphology or the path of its XML file."""

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by Gymnasium
        "render_modes": [],
        "render_fps": round(1 / CONTROL_TIMESTEP_S),
    }

    def __init__(
        self, robot: Morphology | str | Path, task: TaskName | TaskConfig = "flat"
    ) -> None:
        self._face = FlatFace(robot, task, 1)
        self.observation_space = self._face.observation_space
        self.action_space = self._face.action_space
        self.render_mode = None
        self._at_start = False
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the same seed gives the same episodes from there on."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            self._face.environment.seed(int(self.np_random.integers(SEEDS)))
            self._seeded, self._at_start = True, False
        if not self._at_start:
            self._face.environment.reset()
        self._at_start = False
        return self._face.observation()[0], {}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold ``action`` for a control step; the information tells of an ended episode."""
        self._face.step(action[None])
        environment = self._face.environment
        terminated, truncated = bool(environment.terminated[0]), bool(environment.truncated[0])
        reward = float(environment.reward[0])
        if not (terminated or truncated):
            return self._face.observation()[0], reward, False, False, {}
        # The environment has begun the next episode by itself; ``reset`` will hand it out.
        self._at_start = True
        information = {
            name: values[0].item()
            for name, values in _told(environment.finished_episodes()).items()
        }
        return self._face.final_observation()[0], reward, terminated, truncated, information


class LocomotionVectorEnv(VectorEnv[Observation, Action, npt.NDArray[Any]]):
    """Many simulations of one robot; episodes that end start anew in the same step."""

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by Gymnasium
        **LocomotionEnv.metadata,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        robot: Morphology | str | Path,
        task: TaskName | TaskConfig = "flat",
    ) -> None:
        self._face = FlatFace(robot, task, num_envs)
        self.num_envs = num_envs
        self.single_observation_space = self._face.observation_space
        self.single_action_space = self._face.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = None
        self._seeded = False

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode everywhere; one seed serves all (of a list, the first)."""
        first = seed[0] if isinstance(seed, list) else seed
        super().reset(seed=first)
        if first is not None or not self._seeded:
            self._face.environment.seed(int(self.np_random.integers(SEEDS)))
            self._seeded = True
        self._face.environment.reset()
        return self._face.observation(), {}

    def step(
        self, actions: Action
    ) -> tuple[Observation, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Step all; ``final_obs`` and ``final_info`` tell of the episodes that ended."""
        self._face.step(actions)
        environment = self._face.environment
        ended = environment.terminated | environment.truncated
        information: dict[str, Any] = {}
        if ended.any():
            information = self._ended_information(ended)
        return (
            self._face.observation(),
            environment.reward.astype(np.float64),
            environment.terminated.copy(),
            environment.truncated.copy(),
            information,
        )

    def _ended_information(self, ended: npt.NDArray[np.bool_]) -> dict[str, Any]:
        final = np.full(self.num_envs, None, dtype=object)
        observation = self._face.final_observation()
        for index in np.flatnonzero(ended):
            final[index] = observation[index]
        told: dict[str, Any] = {}
        for name, values in _told(self._face.environment.finished_episodes()).items():
            told[name] = np.zeros(self.num_envs, values.dtype)
            told[name][ended] = values
            told[f"_{name}"] = ended
        return {
            "final_obs": final,
            "_final_obs": ended,
            "final_info": told,
            "_final_info": ended,
        }


def _told(episodes: EpisodeBatch) -> Mapping[str, npt.NDArray[Any]]:
    """What the information of an ended episode holds."""
    return {
        "episode_return": episodes.episode_return,
        "episode_length": episodes.length,
        "distance_m": episodes.distance_m,
        "energy_j": episodes.energy,
        "exploded": episodes.exploded,
    }


gymnasium.register(
    ENVIRONMENT_ID,
    entry_point="engine.environments.gymnasium_face:LocomotionEnv",
    vector_entry_point="engine.environments.gymnasium_face:LocomotionVectorEnv",
)
