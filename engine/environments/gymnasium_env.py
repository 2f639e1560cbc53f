"""One robot as a Gymnasium environment, single or vectorised; importing this registers both.

``gymnasium.make("hdtui/Locomotion-v0", robot=..., task=...)`` makes one environment, and
``gymnasium.make_vec("hdtui/Locomotion-v0", num_envs=16, robot=..., task=...)`` many in one process.
Observations are a robot's limb rows, flattened, followed by the terrain heights where the ground
has a shape; actions are its hinges', in [-1, 1].
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import gymnasium.utils.seeding
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


class FlatView:
    """A robot's environments with flat vectors for observations and actions of real hinges only.

    Each has random streams and courses of its own, so it lives as an environment alone with its
    seed does. Nothing starts anew by itself.
    """

    def __init__(
        self, robot: Morphology | str | Path, task: TaskName | TaskConfig, count: int
    ) -> None:
        morphology = robot if isinstance(robot, Morphology) else load_robot(Path(robot))
        config = task if isinstance(task, TaskConfig) else TaskConfig(name=task)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"num_envs is {count!r}, expected a number of environments from 1 on")
        self.environment = VectorEnvironment(
            [morphology] * count, config, 1, seed=0, restart_ended=False
        )
        self._hinges = np.flatnonzero(morphology.joint_mask)
        self._action = np.zeros((count, morphology.joint_mask.size), np.float32)
        self._rows_shape = (morphology.joint_mask.size // morphology.num_limbs,)
        terrain = self.environment.terrain
        width = self.environment.observation.size // count
        width += 0 if terrain is None else terrain.shape[1]
        self.observation_space = gymnasium.spaces.Box(-LIMIT, LIMIT, (width,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(self._hinges),), np.float32)
        self._count = count
        self._seeded = np.zeros(count, np.bool_)

    def reset(
        self, generators: Sequence[np.random.Generator | None], which: npt.NDArray[np.bool_]
    ) -> None:
        """Start an episode in some environments (N,), from new streams where a generator is given.

        One that was never seeded is seeded by chance.
        """
        for index in np.flatnonzero(which).tolist():
            rng = generators[index]
            if rng is None and not self._seeded[index]:
                rng = gymnasium.utils.seeding.np_random()[0]
            if rng is not None:
                self.environment.seed_robot(index, int(rng.integers(SEEDS)))
        self._seeded |= which
        self.environment.restart(which)

    def step(self, actions: Action) -> None:
        """Hold the hinges' actions (N, A) for a control step."""
        self._action[:, self._hinges] = actions
        self.environment.step(self._action.reshape(-1, *self._rows_shape))

    def ended(self, which: npt.NDArray[np.bool_]) -> Mapping[str, npt.NDArray[Any]]:
        """Close the episodes of some environments (N,): what is told of them, in that order."""
        self.environment.finish(which)
        return _told(self.environment.finished_episodes())

    def observation(self) -> Observation:
        """A copy of what the robots see: (N, F)."""
        parts = [self.environment.observation.reshape(self._count, -1)]
        if self.environment.terrain is not None:
            parts.append(self.environment.terrain)
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
        self._face = FlatView(robot, task, 1)
        self.observation_space = self._face.observation_space
        self.action_space = self._face.action_space
        self.render_mode = None
        self._needs_reset = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the same seed gives the same episodes from there on."""
        super().reset(seed=seed)
        self._face.reset([None if seed is None else self.np_random], np.ones(1, np.bool_))
        self._needs_reset = False
        return self._face.observation()[0], {}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold ``action`` (A,) for a control step; the information tells of an ended episode.

        Raises:
            ValueError: the action has another shape or is not finite.
            ResetNeeded: the episode has ended, or none has begun.
        """
        checked = checked_actions(action, self.action_space.shape)
        if self._needs_reset:
            raise gymnasium.error.ResetNeeded("no episode runs: call reset before step")
        self._face.step(checked[None])
        environment = self._face.environment
        terminated, truncated = bool(environment.terminated[0]), bool(environment.truncated[0])
        information: dict[str, Any] = {}
        if terminated or truncated:
            self._needs_reset = True
            told = self._face.ended(np.ones(1, np.bool_))
            information = {name: values[0].item() for name, values in told.items()}
        reward = float(environment.reward[0])
        return self._face.observation()[0], reward, terminated, truncated, information


class LocomotionVectorEnv(VectorEnv[Observation, Action, npt.NDArray[Any]]):
    """Many simulations of one robot; each lives as a single environment with its seed does.

    ``autoreset_mode`` says, as in Gymnasium's own vectors, when an ended episode is followed by the
    next: in the next step, whose action is then ignored (the default), in the same step, or never:
    then ``reset`` with ``options={"reset_mask": ...}`` (N,) has to.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by Gymnasium
        **LocomotionEnv.metadata,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        robot: Morphology | str | Path,
        task: TaskName | TaskConfig = "flat",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self._face = FlatView(robot, task, num_envs)
        self.num_envs = num_envs
        self.single_observation_space = self._face.observation_space
        self.single_action_space = self._face.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = None
        self._begun = np.zeros(num_envs, np.bool_)
        self._over = np.zeros(num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode everywhere, or where ``options["reset_mask"]`` (N,) is True.

        ``seed`` is one an environment, or the first of consecutive ones.

        Raises:
            ValueError: there are more or fewer seeds than environments, or the mask is none.
        """
        generators = self._generators(seed)
        which = self._mask(options)
        self._face.reset(generators, which)
        self._begun |= which
        self._over &= ~which
        return self._face.observation(), {}

    def step(
        self, actions: Action
    ) -> tuple[Observation, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Hold ``actions`` (N, A) for a control step; the information tells of ended episodes.

        Raises:
            ValueError: the actions have another shape or are not finite.
            ResetNeeded: an episode has ended and none follows by itself, or none has begun.
        """
        checked = checked_actions(actions, self.action_space.shape)
        waiting = ~self._begun
        if self.autoreset_mode is AutoresetMode.DISABLED:
            waiting |= self._over
        if waiting.any():
            where = np.flatnonzero(waiting).tolist()
            raise gymnasium.error.ResetNeeded(
                f"no episode runs in environments {where}: reset them"
            )
        restarting, environment = self._over, self._face.environment
        # What has ended passes this step idly and begins anew after it.
        checked[restarting] = 0.0
        self._face.step(checked)
        if restarting.any():
            environment.restart(restarting)
        reward = np.where(restarting, 0.0, environment.reward.astype(np.float64))
        terminated = environment.terminated & ~restarting
        truncated = environment.truncated & ~restarting
        ended = terminated | truncated
        observation = self._face.observation()
        information: dict[str, Any] = {}
        if ended.any():
            information = self._told(ended)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.any():
            information = self._final(observation, ended, information)
            environment.restart(ended)
            observation = self._face.observation()
        else:
            self._over = ended
        return observation, reward, terminated, truncated, information

    def _generators(
        self, seed: int | Sequence[int | None] | None
    ) -> list[np.random.Generator | None]:
        """One generator an environment or None; all seeds are looked at before any is used."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
            seeds: Sequence[Any] = [int(seed) + index for index in range(self.num_envs)]
        else:
            seeds = np.asarray(seed, object).tolist()
        if not isinstance(seeds, list) or len(seeds) != self.num_envs:
            raise ValueError(
                f"seed is {seed!r}, expected one for each of {self.num_envs} environments, or one"
                " whole number"
            )
        for each in seeds:
            whole = isinstance(each, int | np.integer) and not isinstance(each, bool)
            if each is not None and (not whole or each < 0):
                raise ValueError(f"seed holds {each!r}, expected whole numbers from 0 on, or None")
        return [
            None if each is None else gymnasium.utils.seeding.np_random(int(each))[0]
            for each in seeds
        ]

    def _mask(self, options: dict[str, Any] | None) -> npt.NDArray[np.bool_]:
        """Which environments are reset: all, unless ``options`` holds a mask."""
        if options is None or "reset_mask" not in options:
            return np.ones(self.num_envs, np.bool_)
        mask = np.asarray(options["reset_mask"])
        if mask.dtype != np.bool_ or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] is {mask.dtype} of shape {mask.shape}, expected bool of"
                f" shape ({self.num_envs},) with at least one True"
            )
        return mask

    def _told(self, ended: npt.NDArray[np.bool_]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, values in self._face.ended(ended).items():
            told[name] = np.zeros(self.num_envs, values.dtype)
            told[name][ended] = values
            told[f"_{name}"] = ended.copy()
        return told

    def _final(
        self, observation: Observation, ended: npt.NDArray[np.bool_], told: dict[str, Any]
    ) -> dict[str, Any]:
        final = np.full(self.num_envs, None, dtype=object)
        for index in np.flatnonzero(ended):
            final[index] = observation[index]
        return {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": told,
            "_final_info": ended.copy(),
        }


def checked_actions(given: Any, shape: tuple[int, ...] | None) -> Action:
    """A copy of actions as finite float32 numbers of a shape: no other is stretched to fit.

    Raises:
        ValueError: they have another shape, or are not finite real numbers.
    """
    try:
        actions = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"actions are no array of numbers ({error})") from error
    if actions.shape != shape or actions.dtype.kind not in "fiu":
        raise ValueError(
            f"actions are {actions.dtype} of shape {actions.shape}, expected numbers of shape"
            f" {shape} within [-1, 1]"
        )
    if not np.isfinite(actions).all():
        raise ValueError("actions hold numbers that are not finite, expected some within [-1, 1]")
    # Beyond the range they count as its bounds; float32 holds no larger ones.
    within: Action = np.clip(actions, -1.0, 1.0).astype(np.float32)
    return within


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
    entry_point="engine.environments.gymnasium_env:LocomotionEnv",
    vector_entry_point="engine.environments.gymnasium_env:LocomotionVectorEnv",
)
