import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.environments import VectorEnvironment
from engine.environments.trajectory import record
from engine.errors import UsageError


def actions(robot, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, robot.num_limbs, 2))


def test_a_rollout_has_the_promised_arrays(biped):
    arrays = record(biped, TaskConfig(), actions(biped, 12), seed=3)
    shapes = {name: values.shape for name, values in arrays.items()}

    assert shapes == {
        "observation": (13, 4, 17),
        "context": (4, 53),
        "context_raw": (4, 35),
        "reward": (12,),
        "terminated": (12,),
        "truncated": (12,),
        "qpos": (13, 11),
        "qvel": (13, 10),
        "limb_names": (4,),
        "joint_mask": (4, 2),
    }
    for name in ("observation", "context", "context_raw", "reward", "qpos", "qvel"):
        assert arrays[name].dtype == np.float64
    assert arrays["limb_names"].tolist() == ["torso/0", "limb/3", "limb/7", "limb/1"]


def test_recording_changes_nothing(crawler):
    played = actions(crawler, 30)
    arrays = record(crawler, TaskConfig(), played, seed=3)
    environment = VectorEnvironment(
        [crawler], TaskConfig(), 1, seed=3, dtype=np.float64, seed_episodes=True
    )
    environment.reset()
    for step, action in enumerate(played):
        environment.step(action)
        assert np.array_equal(environment.observation, arrays["observation"][step + 1])
        assert environment.reward[0] == arrays["reward"][step]


def test_without_noise_a_rollout_starts_at_rest(biped):
    arrays = record(biped, TaskConfig(), actions(biped, 1), seed=3, noise=False)

    assert not arrays["qvel"][0].any()
    assert arrays["qpos"][0].tolist() == [0, 0, 1.75, 1, 0, 0, 0, 0, 0, 0, 0]


def test_a_rollout_goes_on_after_a_fall_and_flags_it(biped):
    arrays = record(biped, TaskConfig(), np.zeros((150, 4, 2)), seed=3)
    height = arrays["observation"][1:, 0, 2] - 1.0

    assert arrays["terminated"].any()
    assert np.array_equal(arrays["terminated"], height <= 0.5 * 0.55)
    assert np.allclose(np.diff(arrays["qpos"][:, 0]), np.diff(arrays["qpos"][:, 0]).clip(-0.1, 0.1))


def test_the_clock_is_flagged(crawler):
    arrays = record(crawler, TaskConfig(episode_steps=5), np.zeros((6, 4, 2)), seed=0)

    assert arrays["truncated"].tolist() == [False] * 4 + [True, True]


def test_terrain_is_recorded_where_there_is_any(crawler):
    arrays = record(crawler, TaskConfig(name="variable"), np.zeros((2, 4, 2)), seed=0)

    assert arrays["terrain"].shape == (3, 1410)


def test_no_actions_give_the_first_moment_only(crawler):
    arrays = record(crawler, TaskConfig(), np.zeros((0, 4, 2)), seed=0)

    assert arrays["observation"].shape == (1, 4, 17)
    assert arrays["reward"].shape == (0,)


@pytest.mark.parametrize("shape", [(5, 3, 2), (5, 4, 1), (5, 8)])
def test_actions_of_another_robot_are_refused(crawler, shape):
    with pytest.raises(UsageError, match="crawler"):
        record(crawler, TaskConfig(), np.zeros(shape), seed=0)


def test_actions_that_are_not_finite_are_refused(crawler):
    with pytest.raises(UsageError, match="finite"):
        record(crawler, TaskConfig(), np.full((5, 4, 2), np.inf), seed=0)


@pytest.mark.parametrize("task", ["flat", "variable", "incline"])
def test_watching_changes_nothing_and_shows_where_limbs_are(crawler, task):
    config = TaskConfig(name=task, episode_steps=15)
    watched, plain = (VectorEnvironment([crawler], config, 2, seed=1) for _ in range(2))
    recorder = watched.watch(robot=0, simulation=1, episode=1)
    watched.reset()
    plain.reset()
    for step in range(45):
        played = actions(crawler, 2, seed=step).reshape(-1, 2)
        watched.step(played)
        plain.step(played)
        assert np.array_equal(watched.observation, plain.observation)
    poses = recorder.poses("teacher", 12, seed=1)
    episodes = watched.finished_episodes()
    episode = (episodes.simulation == 1) & (episodes.episode == 1)

    assert poses.position.shape == poses.axis.shape == (15, 4, 3)
    assert poses.reward.sum() == pytest.approx(episodes.episode_return[episode][0], abs=1e-4)
    assert np.linalg.norm(poses.axis, axis=2) == pytest.approx(np.ones((15, 4)), abs=1e-6)
    assert poses.radius.tolist() == pytest.approx([0.1, 0.05, 0.05, 0.05])
    assert poses.half_length.tolist() == pytest.approx([0.0, 0.125, 0.175, 0.175])
    assert poses.pair.tolist() == [0, 1, 2, 2]
    assert len(poses.heights) == {"flat": 0, "variable": 1101, "incline": 80}[task]
    assert poses.header.episode == 1
    assert not poses.header.terminated
