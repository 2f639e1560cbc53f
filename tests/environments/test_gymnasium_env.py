import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from engine.config.base import TaskConfig
from engine.environments.gymnasium_env import ENVIRONMENT_ID
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
    vector = gymnasium.make_vec(
        ENVIRONMENT_ID, num_envs=3, robot=crawler, task=task, autoreset_mode="SameStep"
    )
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


ROWS = np.zeros((3, 6), np.float32)
WRONG_ACTIONS = [
    *(np.float32(0.5), 0.5, [0.5], np.zeros(1), np.zeros(7), np.zeros((6, 1)), np.zeros((6, 6))),
    *(np.zeros((1, 6)), np.zeros((3, 1)), np.zeros((3, 6, 1)), np.zeros((2, 6)), np.zeros(0), None),
    *(np.full(6, np.inf), np.full(6, np.nan), np.full((3, 6), np.nan), np.full((3, 6), -np.inf)),
    *(np.full(6, "0"), np.zeros(6, object), np.zeros(6, bool), np.zeros(6, complex), "abc"),
    *(ROWS.astype(object), ROWS > 0, ROWS.astype(str), [[0.0] * 6, [0.0] * 5, [0.0] * 6]),
]


@pytest.mark.parametrize("given", WRONG_ACTIONS, ids=repr)
def test_actions_that_do_not_fit_are_refused_and_change_nothing(crawler, given):
    single = gymnasium.make(ENVIRONMENT_ID, robot=crawler).unwrapped
    vector = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, robot=crawler)
    for environment, right in ((single, [0.1] * 6), (vector, [[0.1] * 6] * 3)):
        environment.reset(seed=5)
        with pytest.raises(ValueError, match=r"actions (are|hold)"):
            environment.step(given)
        after = environment.step(right)[0]
        environment.reset(seed=5)
        assert np.array_equal(environment.step(np.array(right))[0], after)


@pytest.mark.parametrize("task", ["flat", "variable"])
def test_each_environment_of_a_vector_lives_as_one_alone_with_its_seed(crawler, task):
    config = TaskConfig(name=task, episode_steps=3, num_courses=2)

    def made(mode="vector_entry_point"):
        return gymnasium.make_vec(
            ENVIRONMENT_ID, num_envs=3, robot=crawler, task=config, vectorization_mode=mode
        )

    ours, theirs = made(), made("sync")
    for seed in ([1, 9, 9], 4, (7, None, 2)):
        pair = [each.reset(seed=seed)[0] for each in (ours, theirs)]
        if seed == (7, None, 2):
            # The one in the middle goes on with the streams it has.
            assert np.array_equal(pair[0], pair[1])
        for _ in range(9):
            actions = ours.action_space.sample()
            one, other = ours.step(actions), theirs.step(actions)
            for found, expected in zip(one[:4], other[:4], strict=True):
                np.testing.assert_array_equal(found, expected)
            assert set(one[4]) == set(other[4])
    first = ours.reset(seed=[1, 9, 9])[0]
    assert np.array_equal(first[1], first[2])
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("seed", [[], [1, 2], [1, 2, 3, 4], [1, 2, -3], [1, 2, 0.5], [1, True, 2]])
def test_seeds_that_are_not_one_an_environment_are_refused_and_change_nothing(crawler, seed):
    vector = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, robot=crawler)
    vector.reset(seed=1)
    expected = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, robot=crawler)
    expected.reset(seed=1)
    with pytest.raises(ValueError, match="seed"):
        vector.reset(seed=seed)
    assert np.array_equal(vector.reset()[0], expected.reset()[0])


def test_a_mask_restarts_the_environments_it_names_and_leaves_the_others_alone(crawler):
    vector = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, robot=crawler)
    vector.reset(seed=1)
    for _ in range(5):
        before = vector.step(vector.action_space.sample())[0]
    options = {"reset_mask": np.array([True, False, False])}
    after, _ = vector.reset(seed=[8, 8, 8], options=options)
    assert np.array_equal(before[1:], after[1:])
    alone = gymnasium.make(ENVIRONMENT_ID, robot=crawler).reset(seed=8)[0]
    assert np.array_equal(after[0], alone)
    assert "reset_mask" in options
    for mask in ([True, False], [0, 1, 0], [False] * 3, "all"):
        with pytest.raises(ValueError, match="reset_mask"):
            vector.reset(options={"reset_mask": mask})


def test_an_ended_episode_is_followed_as_the_mode_says(crawler):
    task = TaskConfig(episode_steps=2)

    def made(mode):
        return gymnasium.make_vec(
            ENVIRONMENT_ID, num_envs=2, robot=crawler, task=task, autoreset_mode=mode
        )

    actions = np.full((2, 6), 0.3, np.float32)
    next_step, same, disabled = made("NextStep"), made(AutoresetMode.SAME_STEP), made("Disabled")
    ends, nexts = [], []
    for vector in (next_step, same, disabled):
        vector.reset(seed=3)
        vector.step(actions)
        observation, _, _, truncated, information = vector.step(actions)
        assert truncated.all()
        told = information.get("final_info", information)
        assert told["episode_length"].tolist() == [2, 2]
        ends.append(np.stack(information["final_obs"]) if vector is same else observation)
        if vector is same:
            nexts.append(observation)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0, 1\]"):
        disabled.step(actions)
    observation, reward, terminated, truncated, _ = next_step.step(np.full((2, 6), -1.0))
    assert (reward == 0.0).all()
    assert not (terminated | truncated).any()
    nexts += [observation, disabled.reset(options={"reset_mask": np.ones(2, bool)})[0]]
    for group in (ends, nexts):
        assert all(np.array_equal(group[0], each) for each in group)
    with pytest.raises(ValueError, match="AutoresetMode"):
        made("sometimes")


def test_gymnasiums_vector_wrappers_take_the_vector(crawler):
    vector = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=2, robot=crawler)
    with pytest.raises(gymnasium.error.ResetNeeded):
        vector.step(np.zeros((2, 6)))
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    wrapped = gymnasium.wrappers.vector.NormalizeObservation(wrapped)
    wrapped.reset(seed=1)
    assert wrapped.step(wrapped.action_space.sample())[0].shape == (2, 68)


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
