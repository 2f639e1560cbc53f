"""What is counted while episodes run, and what is told of them when they end."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from engine.simulation.compiled import FloatArray, IntArray
from engine.simulation.ground import CONTROL_TIMESTEP_S
from engine.simulation.simulations import BoolArray


@dataclass(frozen=True)
class EpisodeBatch:
    """Ended episodes, one entry each, in the order they ended.

    ``robot`` is the caller's robot index, ``simulation`` the index among that robot's simulations
    and ``episode`` counts that simulation's episodes from 0. ``energy`` is the motors' absolute
    work in joules. An exploded episode also counts as terminated.
    """

    robot: IntArray
    simulation: IntArray
    episode: IntArray
    episode_return: FloatArray
    length: IntArray
    terminated: BoolArray
    distance_m: FloatArray
    mean_speed_m_s: FloatArray
    energy: FloatArray
    exploded: BoolArray

    def __len__(self) -> int:
        return len(self.robot)


class EpisodeAccounts:
    """Running sums of every environment's episode (E,), and the ended ones not yet collected."""

    def __init__(self, environment_robot: IntArray, per_robot: int) -> None:
        count = len(environment_robot)
        self._robot = environment_robot
        self._simulation = np.arange(count, dtype=np.int64) % per_robot
        self.episode = np.zeros(count, dtype=np.int64)
        self.length = np.zeros(count, dtype=np.int64)
        self.episode_return = np.zeros(count)
        self.energy = np.zeros(count)
        self.start_x_m = np.zeros(count)
        self._ended: list[EpisodeBatch] = []

    def close(
        self, ended: BoolArray, terminated: BoolArray, exploded: BoolArray, head_x_m: FloatArray
    ) -> None:
        """Put the ended episodes aside and clear their sums."""
        length = self.length[ended]
        distance = head_x_m[ended] - self.start_x_m[ended]
        self._ended.append(
            EpisodeBatch(
                robot=self._robot[ended],
                simulation=self._simulation[ended],
                episode=self.episode[ended],
                episode_return=self.episode_return[ended],
                length=length,
                terminated=terminated[ended],
                distance_m=distance,
                mean_speed_m_s=distance / (length * CONTROL_TIMESTEP_S),
                energy=self.energy[ended],
                exploded=exploded[ended],
            )
        )
        self.episode[ended] += 1
        for sums in (self.length, self.episode_return, self.energy):
            sums[ended] = 0

    def clear(self, which: BoolArray) -> None:
        """Forget running episodes of some environments (E,) and number them from 0 again."""
        for sums in (self.episode, self.length, self.episode_return, self.energy):
            sums[which] = 0

    def drain(self) -> EpisodeBatch:
        """Every episode that ended since the last call."""
        batches, self._ended = self._ended, []
        return _joined(batches)

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Copies of the sums and of ended episodes not yet collected."""
        pending = _joined(self._ended)
        state = {f"pending.{field.name}": getattr(pending, field.name) for field in fields(pending)}
        for name in ("episode", "length", "episode_return", "energy", "start_x_m"):
            state[name] = getattr(self, name).copy()
        return state

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        """Continue from a ``state``."""
        pending = {field.name: state[f"pending.{field.name}"] for field in fields(EpisodeBatch)}
        self._ended = [EpisodeBatch(**pending)]  # type: ignore[arg-type]
        for name in ("episode", "length", "episode_return", "energy", "start_x_m"):
            getattr(self, name)[:] = state[name]


def _joined(batches: list[EpisodeBatch]) -> EpisodeBatch:
    if not batches:
        whole, real, truth = np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        return EpisodeBatch(whole, whole, whole, real, whole, truth, real, real, real, truth)
    return EpisodeBatch(
        **{
            field.name: np.concatenate([getattr(batch, field.name) for batch in batches])
            for field in fields(EpisodeBatch)
        }
    )
