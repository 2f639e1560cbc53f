"""Observations and rewards against a plain, slow reading of MuJoCo's own data."""

import mujoco
import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.environments import VectorEnvironment
from engine.morphology.mjcf import load_robots
from engine.simulation.compiled import compile_robot


def expected_observation(model, data) -> np.ndarray:
    rows = np.zeros((model.nbody - 1, 17))
    linear, angular = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    for body in range(1, model.nbody):
        mujoco.mj_jacBody(model, data, linear, angular, body)
        row = rows[body - 1]
        row[0:3] = data.xpos[body] - (data.xpos[1, 0], 0.0, 0.0)
        row[3:6], row[6:9] = linear @ data.qvel, angular @ data.qvel
        row[9:13] = data.xquat[body]
    for joint in range(1, model.njnt):
        low, high = model.jnt_range[joint]
        column = 13 if model.joint(joint).name.startswith("limbx") else 15
        row = rows[model.jnt_bodyid[joint] - 1]
        row[column] = (data.qpos[model.jnt_qposadr[joint]] - low) / (high - low)
        row[column + 1] = data.qvel[model.jnt_dofadr[joint]]
    return rows


def assert_follows_mujoco(robot, task, steps):
    environment = VectorEnvironment([robot], task, 2, seed=3, dtype=np.float64)
    environment.reset()
    model = compile_robot(robot, task).model
    data = mujoco.MjData(model)
    data.qpos[:] = environment.simulations(0).qpos[1]
    data.qvel[:] = environment.simulations(0).qvel[1]
    mujoco.mj_forward(model, data)
    seen = environment.observation.reshape(2, -1, 17)
    assert np.abs(seen[1] - expected_observation(model, data)).max() < 1e-12
    slope = np.tan(np.deg2rad(task.incline_deg)) if task.name == "incline" else 0.0
    rng = np.random.default_rng(4)
    for _ in range(steps):
        actions = rng.uniform(-1.5, 1.5, (2 * robot.num_limbs, 2))
        data.ctrl[:] = np.clip(actions[robot.num_limbs :][robot.joint_mask], -1, 1)
        before_m = data.xpos[1, 0]
        mujoco.mj_step(model, data, 4)
        environment.step(actions)
        # Nothing is forwarded: positions are those of the last physics step's start.
        fallen = data.xpos[1, 2] - 1 - slope * data.xpos[1, 0] <= 0.5 * (robot.head_height_m - 0.2)
        assert environment.terminated[1] == fallen
        seen = environment.final_observation if fallen else environment.observation
        error = seen.reshape(2, -1, 17)[1] - expected_observation(model, data)
        assert np.abs(error).max() < 1e-12
        reward = (data.xpos[1, 0] - before_m) / 0.02 / np.cos(np.arctan(slope))
        assert environment.reward[1] == pytest.approx(reward, abs=1e-12)
        if fallen:
            return


@pytest.mark.parametrize("task", ["flat", "incline"])
def test_observations_rewards_and_falls_follow_mujoco_after_every_step(biped, crawler, task):
    for robot in (biped, crawler):
        assert_follows_mujoco(robot, TaskConfig(name=task), 60)


def test_observations_of_real_robots_follow_mujoco(unimal_dir):
    for robot in load_robots(unimal_dir)[::20]:
        assert_follows_mujoco(robot, TaskConfig(), 30)


def test_positions_are_stale_and_joints_are_new_after_a_step(crawler):
    environment = VectorEnvironment([crawler], TaskConfig(), 1, seed=0, dtype=np.float64)
    environment.reset()
    for _ in range(5):
        environment.step(np.full((crawler.num_limbs, 2), 0.5))
    simulations = environment.simulations(0)
    height_before = environment.observation[0, 2]

    assert height_before != simulations.qpos[0, 2]
    assert height_before == pytest.approx(simulations.qpos[0, 2], abs=0.05)
    assert environment.observation[1, 14] == simulations.qvel[0, 6]


def test_missing_hinges_read_zero(biped):
    environment = VectorEnvironment([biped], TaskConfig(), 3, seed=0)
    environment.reset()
    environment.step(np.ones((3 * biped.num_limbs, 2), np.float32))
    rows = environment.observation.reshape(3, biped.num_limbs, 17)

    for limb, slots in enumerate(biped.joint_mask):
        for slot, real in enumerate(slots):
            columns = rows[:, limb, 13 + 2 * slot : 15 + 2 * slot]
            assert columns.all() if real else not columns.any()


def test_actions_are_clipped_and_those_without_a_hinge_ignored(biped):
    wild, tame = (VectorEnvironment([biped], TaskConfig(), 1, seed=0) for _ in range(2))
    wild.reset()
    tame.reset()
    wild.step(np.array([[9.0, 9.0], [5.0, -5.0], [7.0, 0.5], [0.1, 3.0]]))
    tame.step(np.array([[0.0, 0.0], [1.0, -1.0], [0.0, 0.5], [0.1, 0.0]]))

    assert np.array_equal(wild.observation, tame.observation)
