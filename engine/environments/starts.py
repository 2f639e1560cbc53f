"""How episodes begin: the noise on the start pose and the course, drawn per robot."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.random import generator
from engine.simulation.compiled import FloatArray, IntArray

GENERATOR_WORDS = 6


class Starts(Protocol):
    """Draws for starting episodes of one robot."""

    def draw(self, ids: IntArray, episodes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Noise (n, width) in [-scale, scale) and numbers in [0, 1) that pick the courses (n,)."""
        ...

    def state(self) -> npt.NDArray[np.uint64]:
        """All it needs to go on, as words."""
        ...

    def restore(self, words: npt.NDArray[np.uint64]) -> None:
        """Continue from ``state``."""
        ...


class StreamedStarts:
    """One stream per robot, used in the order in which its episodes begin: for training."""

    def __init__(self, rng: np.random.Generator, width: int, scale: float) -> None:
        self._rng = rng
        self._width = width
        self._scale = scale

    def draw(self, ids: IntArray, episodes: IntArray) -> tuple[FloatArray, FloatArray]:
        draws = self._rng.random((len(ids), self._width + 1))
        return self._scale * (2.0 * draws[:, 1:] - 1.0), draws[:, 0]

    def state(self) -> npt.NDArray[np.uint64]:
        return generator_words(self._rng)

    def restore(self, words: npt.NDArray[np.uint64]) -> None:
        restore_generator(self._rng, words)


class EpisodeStarts:
    """Every episode has its own seed: the same whatever ran before or beside it, for evaluation."""

    def __init__(self, seed: int, name: str, width: int, scale: float) -> None:
        self._seed = seed
        self._name = name
        self._width = width
        self._scale = scale

    def draw(self, ids: IntArray, episodes: IntArray) -> tuple[FloatArray, FloatArray]:
        draws = np.empty((len(ids), self._width + 1))
        for row, simulation, episode in zip(draws, ids.tolist(), episodes.tolist(), strict=True):
            generator(self._seed, "episode", self._name, simulation, episode).random(out=row)
        return self._scale * (2.0 * draws[:, 1:] - 1.0), draws[:, 0]

    def state(self) -> npt.NDArray[np.uint64]:
        return np.zeros(0, dtype=np.uint64)

    def restore(self, words: npt.NDArray[np.uint64]) -> None:
        """Nothing to restore: a seed says it all."""


def generator_words(rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """The state of a PCG64 generator as six words."""
    state = rng.bit_generator.state
    position, increment = int(state["state"]["state"]), int(state["state"]["inc"])
    low = (1 << 64) - 1
    words = [position & low, position >> 64, increment & low, increment >> 64]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def restore_generator(rng: np.random.Generator, words: npt.NDArray[np.uint64]) -> None:
    """Put a PCG64 generator back to ``generator_words``."""
    position_low, position_high, increment_low, increment_high, has_half, half = words.tolist()
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {
            "state": position_low | position_high << 64,
            "inc": increment_low | increment_high << 64,
        },
        "has_uint32": has_half,
        "uinteger": half,
    }
