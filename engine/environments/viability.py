"""A cheap test of whether a body is worth training: does it stand, or can it get anywhere?"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.environments.vector import VectorEnvironment
from engine.errors import SimulationError
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.simulation.compiled import compile_robot
from engine.simulation.ground import CONTROL_TIMESTEP_S

TRIAL_STEPS = 75
SWINGS = 3
"""Trials with swinging hinges; one more hangs loose."""
SWING_HZ = (0.75, 2.0)
SETTLED_STEPS = 25
"""Steps for the drop onto the ground; what moves after them moves by itself."""
TRAVEL_M = 0.1
ROBOTS_AT_ONCE = 32


def viable(robots: Sequence[Morphology], seed: int) -> npt.NDArray[np.bool_]:
    """True where a robot stands without effort or travels upright when its hinges swing: (R,).

    Each robot has 1.5 s on flat ground, once with no action and three times with every hinge
    swinging at its own random rate and phase. It must never explode, and in one of them never fall
    and, where hinges swing, move its head 0.1 m over the ground after it has landed. A robot that
    MuJoCo refuses is not viable. A verdict depends on the robot and the seed alone.

    Of the 100 training robots of UNIMAL about 92 pass.
    """
    verdicts = np.zeros(len(robots), np.bool_)
    compiling = [index for index, robot in enumerate(robots) if _compiles(robot)]
    for start in range(0, len(compiling), ROBOTS_AT_ONCE):
        chunk = compiling[start : start + ROBOTS_AT_ONCE]
        verdicts[chunk] = _trial([robots[index] for index in chunk], seed)
    return verdicts


def _compiles(robot: Morphology) -> bool:
    try:
        compile_robot(robot, TaskConfig())
    except SimulationError:
        return False
    return True


def _trial(robots: Sequence[Morphology], seed: int) -> npt.NDArray[np.bool_]:
    environment = VectorEnvironment(
        robots, TaskConfig(), 1 + SWINGS, seed, seed_episodes=True, restart_ended=False
    )
    environment.reset()
    shape = (len(robots), 1 + SWINGS)
    order = np.array(environment.packing.order)
    standing, steady = np.ones(shape, np.bool_), np.ones(shape, np.bool_)
    landed = travelled = np.zeros((*shape, 2))
    for step, actions in enumerate(_swings(robots, environment, seed)):
        environment.step(actions)
        head = environment.head_m[:, :2].reshape(*shape, 2)
        steady &= ~environment.exploded.reshape(shape)
        standing &= ~environment.terminated.reshape(shape)
        if step == SETTLED_STEPS:
            landed = head.copy()
        travelled = head - landed
    passed = standing & (np.linalg.norm(travelled, axis=2) >= TRAVEL_M)
    passed[:, 0] = standing[:, 0]
    verdicts = np.empty(len(robots), np.bool_)
    verdicts[order] = steady.all(axis=1) & passed.any(axis=1)
    return verdicts


def _swings(
    robots: Sequence[Morphology], environment: VectorEnvironment, seed: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Actions of all steps: sines of time, none in the first simulation of each robot."""
    packing = environment.packing
    rate = np.zeros((packing.num_rows, robots[0].joint_mask.shape[1]))
    phase = np.zeros_like(rate)
    for robot, rows in zip(robots, packing.robot_rows, strict=True):
        rng = generator(seed, "viability", robot.digest)
        size = (SWINGS * robot.num_limbs, rate.shape[1])
        rate[rows][robot.num_limbs :] = rng.uniform(*SWING_HZ, size)
        phase[rows][robot.num_limbs :] = rng.uniform(0.0, 1.0, size)
    for step in range(TRIAL_STEPS):
        turns = rate * (step * CONTROL_TIMESTEP_S) + phase
        yield np.sin(2.0 * np.pi * turns).astype(np.float32)
