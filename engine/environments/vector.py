"""Robots times simulations as one environment on packed arrays: what training looks at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.environments.episodes import EpisodeAccounts, EpisodeBatch
from engine.environments.observation import LAYOUT, RealArray
from engine.environments.pose_file import PoseRecorder
from engine.environments.robot_environments import RobotEnvironments, Senses
from engine.environments.starts import EpisodeStarts, Starts, StreamedStarts
from engine.environments.tasks import TaskRules
from engine.environments.terrain_observation import TERRAIN_POINTS, TerrainReader
from engine.errors import SimulationError, UsageError
from engine.morphology.family import UNIMAL
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.simulation.courses import simulate
from engine.simulation.ground import course
from engine.simulation.simulations import BoolArray, Simulations

State = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Timings:
    """Seconds spent so far in physics (actions, steps, starts) and in observations."""

    physics_s: float
    observation_s: float


class VectorEnvironment:
    """``per_robot`` environments of every robot, in one process and one thread.

    Rows are limbs and E environments in the order of ``packing``; all arrays are allocated once and
    updated in place:
    ``observation`` (rows, 17), ``terrain`` (E, 1410) or None, ``reward`` (E,), ``terminated`` (E,)
    and ``truncated`` (E,). An environment that ended starts anew in the same step:
    ``observation`` is then the new episode's first, ``final_observation`` (and ``final_terrain``)
    hold what the ended one saw last, in the rows of environments that ended this step.

    Each robot draws from its own generator, named by its digest, so neither the company nor the
    order of robots changes what happens to one. With ``seed_episodes`` each episode has its own
    seed, named by digest, simulation and episode number: for evaluation. Without ``restart_ended``
    nothing starts anew by itself and no episode is counted: the flags say where one would end.

    With ``storage`` the arrays named above are the first rows of the arrays it holds under those
    names: memory that another process reads, too.

    ``head_m`` (E, 3) is where heads are, ``exploded`` (E,) which simulations blew up in this step.
    """

    def __init__(  # noqa: PLR0913 (options by name)
        self,
        robots: Sequence[Morphology],
        task: TaskConfig,
        per_robot: int,
        seed: int,
        *,
        dtype: type[np.float32] | type[np.float64] = np.float32,
        seed_episodes: bool = False,
        restart_ended: bool = True,
        storage: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        self.task = task
        self._storage = storage
        self.packing = Packing(tuple(robot.num_limbs for robot in robots), per_robot)
        self._robots = tuple(robots)
        self._seed_episodes = seed_episodes
        self._restart_ended = restart_ended
        self._recorders: list[tuple[int, PoseRecorder]] = []
        count = self.packing.num_environments
        rows = (self.packing.num_rows, LAYOUT.width)
        self.observation = self._array("observation", rows, dtype)
        self.final_observation = self._array("final_observation", rows, dtype)
        self.terrain: RealArray | None = None
        self.final_terrain: RealArray | None = None
        self._rules = TaskRules(task)
        if course(task) is not None:
            self.terrain = self._array("terrain", (count, TERRAIN_POINTS), dtype)
            self.final_terrain = self._array("final_terrain", (count, TERRAIN_POINTS), dtype)
        self.reward = self._array("reward", (count,), dtype)
        self.terminated = self._array("terminated", (count,), np.bool_)
        self.truncated = self._array("truncated", (count,), np.bool_)
        self.head_m = np.zeros((count, 3))
        self._head_x_before_m = np.zeros(count)
        self._rise_m = np.zeros(count)
        self._work_j = np.zeros(count)
        self._reward = np.zeros(count)
        self.exploded = np.zeros(count, np.bool_)
        self._fall_height_m = np.zeros(count)
        self._accounts = EpisodeAccounts(self.packing.environment_robot, per_robot)
        self._actions = np.zeros((self.packing.num_rows, UNIMAL.joint_slots))
        self._terrain_reader = TerrainReader(per_robot)
        self._physics_s = 0.0
        self._observation_s = 0.0
        self._environments = [self._robot(index) for index in range(len(robots))]
        self.seed(seed)

    def _array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """Zeros: this environment's own, or at the start of what its storage holds of that name."""
        if self._storage is None:
            return np.zeros(shape, dtype)
        array = self._storage[name][: shape[0]]
        array[:] = 0
        return array

    def _robot(self, index: int) -> RobotEnvironments:
        simulations, courses = simulate(self._robots[index], self.task, self.packing.per_robot)
        compiled = simulations.compiled
        environments = self.packing.robot_environments[index]
        fall_height_m = self._rules.fall_ratio * compiled.standing_height_m
        self._fall_height_m[environments] = fall_height_m
        shape = (self.packing.per_robot, compiled.num_limbs, LAYOUT.width)
        senses = Senses(
            observation=self.observation[self.packing.robot_rows[index]].reshape(shape),
            terrain=None if self.terrain is None else self.terrain[environments],
            head_m=self.head_m[environments],
            rise_m=self._rise_m[environments],
            work_j=self._work_j[environments],
        )
        return RobotEnvironments(simulations, courses, senses, self._terrain_reader)

    def seed(self, seed: int) -> None:
        """Begin all random streams anew from ``seed``; takes effect with the next episodes."""
        twins: Counter[str] = Counter()
        for robot, environments in zip(self._robots, self._environments, strict=True):
            # Equal bodies in one batch must not live the same life.
            name = f"{robot.digest}/{twins[robot.digest]}"
            twins[robot.digest] += 1
            self._seed(environments, seed, name)

    def seed_robot(self, robot: int, seed: int) -> None:
        """Begin one robot's random streams anew, as those of an environment of this robot alone."""
        self._seed(self._environments[robot], seed, f"{self._robots[robot].digest}/0")

    def _seed(self, environments: RobotEnvironments, seed: int, name: str) -> None:
        environments.starts = self._starts(seed, name, environments.simulations)
        if environments.courses is not None:
            environments.courses.seed(seed, name)

    def _starts(self, seed: int, name: str, simulations: Simulations) -> Starts:
        width = simulations.qpos.shape[1] + simulations.qvel.shape[1]
        if self._seed_episodes:
            return EpisodeStarts(seed, name, width, self.task.reset_noise)
        rng = generator(seed, "environment", name)
        return StreamedStarts(rng, width, self.task.reset_noise)

    @property
    def timings(self) -> Timings:
        """Time spent since the environment was made."""
        return Timings(self._physics_s, self._observation_s)

    def reset(self) -> None:
        """Start a new episode everywhere; unfinished ones are dropped and numbers start at 0."""
        self.restart(np.ones(self.packing.num_environments, np.bool_))

    def restart(self, which: BoolArray) -> None:
        """Start a new episode in some environments (E,), as ``reset`` does everywhere."""
        self._accounts.clear(which)
        self._restart(which)

    def finish(self, ended: BoolArray) -> None:
        """Count the episodes that ended in this step (E,), where none starts anew by itself."""
        self._accounts.close(ended, self.terminated, self.exploded, self.head_m[:, 0])

    def step(self, actions: RealArray) -> None:
        """Advance every environment by a control step.

        ``actions`` is (rows, J); it is clipped to [-1, 1], and entries without a hinge are ignored.

        Raises:
            UsageError: the actions have another shape or are no real numbers.
            SimulationError: an action is not finite.
        """
        accounts = self._accounts
        self._head_x_before_m[:] = self.head_m[:, 0]
        self._advance(actions)
        self._sense()
        self._rules.score(self._head_x_before_m, self.head_m, out=self._reward)
        self.reward[:] = self._reward
        self._rules.fallen(self.head_m, self._rise_m, self._fall_height_m, out=self.terminated)
        self.terminated |= self.exploded
        accounts.length += 1
        accounts.episode_return += self._reward
        accounts.energy += self._work_j
        np.greater_equal(accounts.length, self.task.episode_steps, out=self.truncated)
        self.truncated &= ~self.terminated
        ended = self.terminated | self.truncated
        for environment, recorder in self._recorders:
            if accounts.episode[environment] == recorder.episode:
                recorder.capture(
                    float(self._reward[environment]), bool(self.terminated[environment])
                )
        if self._restart_ended and ended.any():
            self.finish(ended)
            self._restart(ended)

    def _advance(self, actions: RealArray) -> None:
        began = perf_counter()
        actions = self._checked(actions)
        np.clip(actions, -1.0, 1.0, out=self._actions)
        for environments, rows in zip(self._environments, self.packing.robot_rows, strict=True):
            environments.act(self._actions[rows])
        for environments in self._environments:
            environments.advance()
        self._physics_s += perf_counter() - began

    def _checked(self, actions: RealArray) -> RealArray:
        """The actions as real, finite numbers of the right shape; numpy would stretch others."""
        actions = np.asarray(actions)
        if actions.shape != self._actions.shape or actions.dtype.kind not in "fiu":
            raise UsageError(
                f"actions are {actions.dtype} of shape {actions.shape}, expected numbers of shape"
                f" {self._actions.shape}: rows of limbs, joint slots"
            )
        # A sum of finite numbers is finite but for the largest, which the slow way then clears.
        with np.errstate(all="ignore"):
            total = actions.sum()
        if not np.isfinite(total) and not np.isfinite(actions).all():
            raise SimulationError(self._not_finite(actions))
        return actions

    def _not_finite(self, actions: RealArray) -> str:
        rows = ~np.isfinite(actions).all(axis=1)
        robots = np.unique(self.packing.environment_robot[self.packing.row_environment[rows]])
        names = ", ".join(self._robots[robot].name for robot in robots)
        return f"{names}: an action is not a finite number; the policy has diverged"

    def _sense(self) -> None:
        began = perf_counter()
        self.exploded[:] = False
        for index, environments in enumerate(self._environments):
            lost = environments.sense()
            if lost is not None:
                self.exploded[self.packing.robot_environments[index]] = lost
        self._observation_s += perf_counter() - began

    def _restart(self, ended: BoolArray) -> None:
        """Store what ended environments saw last and start their next episodes."""
        rows = ended[self.packing.row_environment]
        self.final_observation[rows] = self.observation[rows]
        if self.terrain is not None and self.final_terrain is not None:
            self.final_terrain[ended] = self.terrain[ended]
        began = perf_counter()
        starting = []
        for environments, place in zip(
            self._environments, self.packing.robot_environments, strict=True
        ):
            ids = np.flatnonzero(ended[place])
            if ids.size:
                environments.start(ids, self._accounts.episode[place][ids])
                starting.append((environments, ids))
        started = perf_counter()
        for environments, ids in starting:
            environments.sense_started(ids)
        self._physics_s += started - began
        self._observation_s += perf_counter() - started
        self._accounts.start_x_m[ended] = self.head_m[ended, 0]

    def watch(self, robot: int, simulation: int, episode: int = 0) -> PoseRecorder:
        """A recorder of an episode that has not begun, of one of a robot's simulations."""
        environment = self.packing.robot_environments[robot].start + simulation
        fall_height_m = float(self._fall_height_m[environment])
        recorder = PoseRecorder(self._environments[robot], simulation, episode, fall_height_m)
        self._recorders.append((environment, recorder))
        return recorder

    def simulations(self, robot: int) -> Simulations:
        """The simulations of a robot, to read from."""
        return self._environments[robot].simulations

    def finished_episodes(self) -> EpisodeBatch:
        """Episodes that ended since the last call."""
        return self._accounts.drain()

    def redraw_terrain(self) -> None:
        """Draw new courses where no running episode uses the old ones."""
        for environments in self._environments:
            if environments.courses is not None:
                environments.courses.redraw()

    def state(self) -> State:
        """Copies of all that is needed to go on bit for bit, by name."""
        state: State = {
            "observation": self.observation.copy(),
            "head_m": self.head_m.copy(),
            "rise_m": self._rise_m.copy(),
        }
        if self.terrain is not None:
            state["terrain"] = self.terrain.copy()
        for name, values in self._accounts.state().items():
            state[f"accounts.{name}"] = values
        for index, environments in enumerate(self._environments):
            state[f"robot.{index}.simulations"] = environments.simulations.state.copy()
            state[f"robot.{index}.starts"] = environments.starts.state()
            if environments.courses is not None:
                for name, values in environments.courses.state().items():
                    state[f"robot.{index}.courses.{name}"] = values
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from ``state`` of an environment made with the same arguments."""
        self.observation[:] = state["observation"]
        self.head_m[:] = state["head_m"]
        self._rise_m[:] = state["rise_m"]
        if self.terrain is not None:
            self.terrain[:] = state["terrain"]
        self._accounts.restore(_part(state, "accounts."))
        for index, environments in enumerate(self._environments):
            if environments.courses is not None:
                environments.courses.restore(_part(state, f"robot.{index}.courses."))
            environments.simulations.restore(state[f"robot.{index}.simulations"])
            environments.starts.restore(state[f"robot.{index}.starts"])


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries under ``prefix``, without it."""
    return {
        name[len(prefix) :]: values for name, values in state.items() if name.startswith(prefix)
    }
