"""The latest episodes of every robot, from which a run's returns are told."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.environments import EpisodeBatch

_EPISODES = 32
_COLUMNS = ("return", "episode_length", "falls", "speed")


class EpisodeWindow:
    """A ring of the last episodes per robot: (R, 32, 4)."""

    def __init__(self, robots: int) -> None:
        self._rings = np.zeros((robots, _EPISODES, len(_COLUMNS)))
        self._counts = np.zeros(robots, dtype=np.int64)

    def add(self, episodes: EpisodeBatch, robots: Sequence[int]) -> None:
        """Take ended episodes in; ``robots`` maps the batch's robot indices to the window's."""
        rows = np.stack(
            [
                episodes.episode_return,
                episodes.length.astype(np.float64),
                episodes.terminated.astype(np.float64),
                episodes.mean_speed_m_s,
            ],
            axis=1,
        )
        for index, row in zip(episodes.robot, rows, strict=True):
            robot = robots[index]
            self._rings[robot, self._counts[robot] % _EPISODES] = row
            self._counts[robot] += 1

    def means(self) -> dict[int, dict[str, float]]:
        """Mean numbers of every robot that has ended an episode."""
        return {
            int(robot): dict(
                zip(_COLUMNS, self._rings[robot, : self._counts[robot]].mean(0), strict=True)
            )
            for robot in np.flatnonzero(self._counts)
        }

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Copies of rings and counts."""
        return {"rings": self._rings.copy(), "counts": self._counts.copy()}

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        """Continue from a ``state``."""
        self._rings[:] = state["rings"]
        self._counts[:] = state["counts"]
