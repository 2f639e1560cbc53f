"""Physics and nothing else: what stepping costs when nobody looks, the bar for environments."""

from time import perf_counter
from typing import Self

import numpy as np
import numpy.typing as npt
from mjbatch import Batch

from engine.simulation.compiled import FloatArray, IntArray
from engine.simulation.ground import PHYSICS_STEPS
from engine.simulation.simulations import Simulations, Varied


class PhysicsReplay:
    """A second batch on the model of ``simulations`` that repeats their controls and restarts.

    Only steps are timed (``seconds``), not restarts. It starts where ``simulations`` are now.
    """

    def __init__(self, simulations: Simulations) -> None:
        self._batch = Batch(simulations.compiled.model, simulations.num_simulations, num_threads=1)
        self._ctrl: FloatArray = self._batch.bind("ctrl")
        self._state: FloatArray = self._batch.bind("state")
        self._varied = {field: self._batch.expand(field) for field in simulations.varied}
        self._start = Restart.of(simulations, np.arange(simulations.num_simulations))
        self.seconds = 0.0

    def rewind(self) -> None:
        """Go back to where it started and forget the time."""
        self.restart(self._start)
        self.seconds = 0.0

    def restart(self, restart: "Restart") -> None:
        """Put simulations where a recorded restart put them."""
        self._state[restart.ids] = restart.state
        for field, values in restart.varied.items():
            self._varied[field][restart.ids] = values

    def step(self, control: FloatArray) -> None:
        """Hold ``control`` (N, nu) for a control step."""
        began = perf_counter()
        self._ctrl[:] = control
        self._batch.step(nstep=PHYSICS_STEPS)
        self.seconds += perf_counter() - began


class Restart:
    """Where simulations ``ids`` are, taken down to be repeated."""

    def __init__(self, ids: IntArray, state: FloatArray, varied: dict[str, Varied]) -> None:
        self.ids = ids
        self.state = state
        self.varied = varied

    @classmethod
    def of(cls, simulations: Simulations, ids: npt.NDArray[np.int64]) -> Self:
        """The present state of ``ids``."""
        varied = {field: values[ids] for field, values in simulations.varied.items()}
        return cls(ids, simulations.state[ids], varied)
