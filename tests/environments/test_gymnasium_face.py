import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

from engine.config.base import TaskConfig
from engine.environments.gymnasium_face import ENVIRONMENT_ID
from engine.morphology.mjcf import save_robot


@pytest.mark.parametrize("task", ["flat", "variable", "obstacles", "incline"])
def test_gymnasiums_checker_finds_nothing_wrong(crawler, task):
    check_env(
        gymnasium.make(ENVIRONMENT_ID, robot=crawler, task=task).unwrapped, skip_render_check=True
    )


def test_a_robot_can_be_named_by_its_file(crawler, tmp_path):
    save_robot(crawler, tmp_path)
    (path,) = (tmp_path / "xml").glob("*.xml")
    environment = gymnasium.make(ENVIRONMENT_ID, robot=str(path))

    assert environment.observation_space.shape == (4 * 17,)
    assert environment.action_space.shape == (6,)


def test_episodes_end_by_truncation_and_tell_their_story(crawler):
    environment = gymnasium.make(
        ENVIRONMENT_ID, robot=crawler, task=TaskConfig(episode_steps=7)
    ).unwrapped
    environment.reset(seed=0)
    total = 0.0
    for _ in range(7):
        _, reward, terminated, truncated, information = environment.step(
            np.full(6, 0.3, np.float32)
        )
        total += reward

    assert (terminated, truncated) == (False, True)
    assert information["episode_length"] == 7
    assert information["episode_return"] == pytest.approx(total, abs=1e-5)


def test_resets_hand_out_each_episode_once(crawler):
    environment = gymnasium.make(
        ENVIRONMENT_ID, robot=crawler, task=TaskConfig(episode_steps=2)
    ).unwrapped
    firsts = [environment.reset(seed=4)[0]]
    for _ in range(3):
        for _ in range(2):
            environment.step(np.zeros(6, np.float32))
        firsts.append(environment.reset()[0])

    assert len({first.tobytes() for first in firsts}) == 4


def test_the_vector_version_lives_the_same_episodes_as_the_vector_environment(crawler):
    task = TaskConfig(episode_steps=5)
    vector = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, robot=crawler, task=task)
    assert vector.observation_space.shape == (3, 68)
    first, _ = vector.reset(seed=1)
    for step in range(1, 11):
        observation, reward, terminated, truncated, information = vector.step(
            np.full((3, 6), 0.2, np.float32)
        )
        assert observation.shape == (3, 68)
        assert reward.shape == (3,)
        assert not terminated.any()
        assert truncated.all() == (step % 5 == 0)
        if truncated.all():
            assert information["_final_obs"].all()
            assert information["final_obs"][2].shape == (68,)
            assert information["final_info"]["episode_length"].tolist() == [5, 5, 5]
    again, _ = vector.reset(seed=1)
    assert np.array_equal(first, again)


def test_gymnasiums_own_vector_accepts_the_single_environment(crawler):
    vector = SyncVectorEnv([lambda: gymnasium.make(ENVIRONMENT_ID, robot=crawler)] * 2)
    observation, _ = vector.reset(seed=[1, 2])

    assert observation.shape == (2, 68)
    vector.step(vector.action_space.sample())
    vector.close()


@pytest.mark.slow
def test_an_off_the_shelf_ppo_learns_to_move_forward(crawler):
    ppo = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    task = TaskConfig(episode_steps=200)
    environments = vec_env.VecMonitor(
        vec_env.DummyVecEnv([lambda: gymnasium.make(ENVIRONMENT_ID, robot=crawler, task=task)] * 8)
    )
    model = ppo.PPO("MlpPolicy", environments, n_steps=256, batch_size=512, seed=0, device="cpu")
    model.learn(2048)
    before = np.mean([episode["r"] for episode in model.ep_info_buffer])
    model.learn(40_000)
    after = np.mean([episode["r"] for episode in model.ep_info_buffer])

    assert after > before + 10.0
