"""Recorded actions played back on one robot, with everything it saw and did in float64."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.environments.vector import VectorEnvironment
from engine.errors import UsageError
from engine.morphology.context import context, missing_class, raw_context
from engine.morphology.tree import Morphology


def record(
    robot: Morphology,
    task: TaskConfig,
    actions: npt.NDArray[np.floating],
    seed: int,
    *,
    noise: bool = True,
) -> dict[str, npt.NDArray[Any]]:
    """One trajectory of T control steps under ``actions`` (T, L, J), clipped to [-1, 1].

    Returns ``observation`` (T+1, L, 17), ``context`` (L, 53; not for a robot that has none),
    ``context_raw`` (L, 35, normalised),
    ``reward``, ``terminated``, ``truncated`` (T,), ``qpos`` (T+1, nq), ``qvel`` (T+1, nv),
    ``limb_names`` and ``joint_mask`` (L, J), and ``terrain`` (T+1, 1410) where the ground has a
    shape. The robot goes on after an episode's end: flags say where one would have ended.

    Raises:
        UsageError: the actions do not fit the robot.
    """
    shape, actions = robot.joint_mask.shape, np.asarray(actions)
    if actions.dtype.kind not in "fiu":
        raise UsageError(f"{robot.name}: actions hold {actions.dtype}, expected numbers")
    if actions.ndim != 3 or actions.shape[1:] != shape:
        raise UsageError(
            f"{robot.name}: actions are {actions.shape}, expected (T, {shape[0]}, {shape[1]})"
        )
    if not np.isfinite(actions).all():
        raise UsageError(f"{robot.name}: actions hold numbers that are not finite")
    if not noise:
        task = task.model_copy(update={"reset_noise": 0.0})
    environment = VectorEnvironment(
        [robot], task, 1, seed, dtype=np.float64, seed_episodes=True, restart_ended=False
    )
    environment.reset()
    moments = [_moment(environment)]
    outcomes = []
    for action in actions.astype(np.float64):
        environment.step(action)
        moments.append(_moment(environment))
        outcomes.append(
            (environment.reward[0], environment.terminated[0], environment.truncated[0])
        )
    reward, terminated, truncated = zip(*outcomes, strict=True) if outcomes else ((), (), ())
    return {
        **{name: np.stack([moment[name] for moment in moments]) for name in moments[0]},
        # What no class stands for has a raw context alone.
        **({} if missing_class(robot) else {"context": context(robot)}),
        "context_raw": raw_context(robot, normalized=True),
        "reward": np.array(reward, np.float64),
        "terminated": np.array(terminated, np.bool_),
        "truncated": np.array(truncated, np.bool_),
        "limb_names": np.array(robot.limb_names),
        "joint_mask": robot.joint_mask,
    }


def _moment(environment: VectorEnvironment) -> dict[str, npt.NDArray[Any]]:
    simulations = environment.simulations(0)
    moment = {
        "observation": environment.observation.copy(),
        "qpos": simulations.qpos[0].copy(),
        "qvel": simulations.qvel[0].copy(),
    }
    if environment.terrain is not None:
        moment["terrain"] = environment.terrain[0].copy()
    return moment
