"""Many simulations of one robot, stepped together: the seam over mjbatch."""

import mujoco
import numpy as np
import numpy.typing as npt
from mjbatch import Batch

from engine.simulation.compiled import CompiledRobot, FloatArray, IntArray
from engine.simulation.ground import PHYSICS_STEPS

BoolArray = npt.NDArray[np.bool_]
Varied = npt.NDArray[np.float64] | npt.NDArray[np.int32]

UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
"""Warnings after which MuJoCo has silently reset a simulation."""
SPEED_LIMIT = 1000.0
"""m/s and rad/s no robot reaches; beyond it a simulation has exploded even where it is finite."""


class Simulations:
    """N simulations of a compiled robot with live views on what observations need.

    Positions and motion axes belong to the start of the last physics step, ``qpos`` and ``qvel`` to
    its end, as MuJoCo leaves them; after ``start`` everything is current.
    """

    def __init__(self, compiled: CompiledRobot, num_simulations: int) -> None:
        self.compiled = compiled
        self.num_simulations = num_simulations
        self.varied: dict[str, Varied] = {}
        self._start_time_s = np.zeros(num_simulations)
        self._home = self._home_state()
        self._open()

    def _open(self) -> None:
        self._batch = Batch(self.compiled.model, self.num_simulations, num_threads=1)
        bind = self._batch.bind
        self.state: FloatArray = bind("state")
        self.qpos: FloatArray = bind("qpos")
        self.qvel: FloatArray = bind("qvel")
        self.ctrl: FloatArray = bind("ctrl")
        self.position_m: FloatArray = bind("xpos")[:, 1:]
        self.quaternion: FloatArray = bind("xquat")[:, 1:]
        self.center_of_mass_m: FloatArray = bind("subtree_com")[:, 1:2]
        self.motion_axes: FloatArray = bind("cdof")
        self._time_s: FloatArray = bind("time")
        self._warnings: npt.NDArray[np.int32] = bind("warning")

    def reload_model(self) -> None:
        """Take over changes of the model (height fields); simulations go on where they are.

        Views other than attributes of this object have to be bound again; positions and motion axes
        are filled by the next step.
        """
        state, varied = self.state.copy(), self.varied
        self._open()
        self.state[:] = state
        self.varied = {}
        for field, values in varied.items():
            self.vary(field)[:] = values

    def _home_state(self) -> FloatArray:
        model = self.compiled.model
        data = mujoco.MjData(model)
        kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        home = np.empty(mujoco.mj_stateSize(model, kind))
        mujoco.mj_getState(model, data, home, kind)
        return home

    def bind(self, field: str) -> FloatArray:
        """A live view on another field of MuJoCo's data (poses for pictures)."""
        view: FloatArray = self._batch.bind(field)
        return view

    def vary(self, field: str) -> Varied:
        """A field of the model with one value per simulation (which course, where boxes stand)."""
        if field not in self.varied:
            self.varied[field] = self._batch.expand(field)
        return self.varied[field]

    def start(self, ids: IntArray, noise: FloatArray) -> None:
        """Put simulations back at the start, offset by ``noise`` (n, nq + nv), and forward them."""
        num_positions = self.qpos.shape[1]
        self.state[ids] = self._home
        self.qpos[ids] += noise[:, :num_positions]
        self.qvel[ids] += noise[:, num_positions:]
        self._warnings[ids] = 0
        self._batch.forward(ids)

    def step(self) -> None:
        """Advance every simulation by a control step; ask ``exploded`` whether all is well."""
        np.copyto(self._start_time_s, self._time_s)
        try:
            self._batch.step(nstep=PHYSICS_STEPS)
        except RuntimeError:
            # One simulation could not go on (its state stands still); the others have been stepped.
            if (self._time_s > self._start_time_s).all():
                raise

    def exploded(self) -> BoolArray | None:
        """True where a simulation exploded in the last step, None where none did.

        An exploded simulation holds garbage until it is started again; the others are unharmed.
        """
        # One pass over the speeds clears the common case: a comparison with NaN is false.
        speed = self.qvel
        if (
            speed.max() < SPEED_LIMIT
            and speed.min() > -SPEED_LIMIT
            and not self._warnings[:, UNSTABLE, 1].any()
            and (self._time_s > self._start_time_s).all()
        ):
            return None
        return self._exploded()

    def _exploded(self) -> BoolArray:
        calm = (np.abs(self.qvel) < SPEED_LIMIT).all(axis=1) & np.isfinite(self.qpos).all(axis=1)
        forward = self._time_s > self._start_time_s
        warned = self._warnings[:, UNSTABLE, 1].any(axis=1)
        exploded: BoolArray = ~(calm & forward & ~warned)
        return exploded

    def restore(self, state: FloatArray) -> None:
        """Continue bit for bit from rows of ``state`` (N, nstate), a copy of an earlier one."""
        self.state[:] = state
        self._warnings[:] = 0
