import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.base import TaskConfig
from engine.environments import VectorEnvironment
from engine.errors import SimulationError, UsageError

TASKS = ["flat", "variable", "obstacles", "incline"]


def short(name="flat", steps=25, **changes) -> TaskConfig:
    return TaskConfig(name=name, episode_steps=steps, num_courses=2, **changes)


def make(robots, task, per_robot=2, seed=7, **options) -> VectorEnvironment:
    environment = VectorEnvironment(robots, task, per_robot, seed, **options)
    environment.reset()
    return environment


def robot_actions(environment, robots, rng_seed, step):
    """Actions that depend on the robot, not on where it stands in the batch."""
    actions = np.zeros((environment.packing.num_rows, 2), np.float32)
    for index, robot in enumerate(robots):
        rows = environment.packing.robot_rows[index]
        rng = np.random.default_rng([rng_seed, step, robot.num_limbs])
        actions[rows] = rng.uniform(-1, 1, actions[rows].shape)
    return actions


def life(environment, robots, steps, rng_seed=0):
    """Everything each robot's environments give over some steps, by robot."""
    story = [[] for _ in robots]
    for step in range(steps):
        environment.step(robot_actions(environment, robots, rng_seed, step))
        for index in range(len(robots)):
            rows = environment.packing.robot_rows[index]
            place = environment.packing.robot_environments[index]
            values = [environment.observation[rows].ravel(), environment.reward[place]]
            values += [environment.terminated[place], environment.truncated[place]]
            ended = environment.terminated[place] | environment.truncated[place]
            final = environment.final_observation[rows].reshape(len(ended), -1)
            values.append((final * ended[:, None]).ravel())
            if environment.terrain is not None:
                values.append(environment.terrain[place].ravel())
            story[index].append(np.concatenate([np.asarray(v, np.float64) for v in values]))
    return [np.stack(part) for part in story]


@pytest.mark.parametrize("task", TASKS)
def test_a_robot_in_company_lives_as_it_does_alone_bit_for_bit(biped, crawler, task):
    together = life(make([biped, crawler], short(task)), [biped, crawler], 40)
    for index, robot in enumerate((biped, crawler)):
        (alone,) = life(make([robot], short(task)), [robot], 40)
        assert np.array_equal(together[index], alone)


def test_permuting_robots_permutes_results(biped, crawler):
    first = life(make([biped, crawler], short()), [biped, crawler], 40)
    second = life(make([crawler, biped], short()), [crawler, biped], 40)

    assert np.array_equal(first[0], second[1])
    assert np.array_equal(first[1], second[0])


def test_twins_do_not_live_the_same_life(crawler):
    first, second = life(make([crawler, crawler], short()), [crawler, crawler], 5)

    assert not np.array_equal(first, second)


def test_the_same_seed_repeats_and_another_does_not(crawler):
    lives = [life(make([crawler], short(), seed=seed), [crawler], 30)[0] for seed in (1, 1, 2)]

    assert np.array_equal(lives[0], lives[1])
    assert not np.array_equal(lives[0], lives[2])


@pytest.mark.parametrize("task", TASKS)
def test_a_state_restored_in_the_middle_of_episodes_goes_on_bit_for_bit(biped, crawler, task):
    robots = [crawler, biped]
    original = make(robots, short(task))
    life(original, robots, 17)
    original.redraw_terrain()
    life(original, robots, 20)
    state = {name: values.copy() for name, values in original.state().items()}
    expected = life(original, robots, 40, rng_seed=1)

    other = VectorEnvironment(robots, short(task), 2, seed=7)
    other.restore(state)
    found = life(other, robots, 40, rng_seed=1)

    for one, two in zip(expected, found, strict=True):
        assert np.array_equal(one, two)


def test_pending_episodes_travel_with_the_state(crawler):
    original = make([crawler], short(steps=5))
    life(original, [crawler], 12)
    other = VectorEnvironment([crawler], short(steps=5), 2, seed=7)
    other.restore(original.state())
    expected, found = original.finished_episodes(), other.finished_episodes()

    assert len(expected) == 4
    for field, values in vars(expected).items():
        assert np.array_equal(values, getattr(found, field))


def test_the_clock_truncates_and_does_not_terminate(crawler):
    environment = make([crawler], short(steps=10))
    for step in range(1, 21):
        environment.step(np.zeros((environment.packing.num_rows, 2), np.float32))
        assert environment.truncated.tolist() == [step % 10 == 0] * 2
        assert not environment.terminated.any()


def test_falling_terminates_and_wins_over_the_clock(biped):
    environment = make([biped], short(steps=1000), seed=1)
    steps = 0
    while not environment.terminated.any():
        environment.step(np.zeros((environment.packing.num_rows, 2), np.float32))
        steps += 1
        assert steps < 500
    fallen = int(np.flatnonzero(environment.terminated)[0])
    limbs = biped.num_limbs
    height = environment.final_observation.reshape(2, limbs, 17)[fallen, 0, 2] - 1.0
    assert height <= 0.5 * (0.75 - 0.2)

    clocked = make([biped], short(steps=steps), seed=1)
    for _ in range(steps):
        clocked.step(np.zeros((clocked.packing.num_rows, 2), np.float32))
    assert clocked.terminated[fallen]
    assert not clocked.truncated[fallen]


def test_an_ended_environment_shows_its_last_and_its_next_first_observation(crawler):
    ending, going = make([crawler], short(steps=10)), make([crawler], short(steps=11))
    actions = np.full((ending.packing.num_rows, 2), 0.3, np.float32)
    for _ in range(10):
        ending.step(actions)
        going.step(actions)

    assert np.array_equal(ending.final_observation, going.observation)
    # A new episode begins within the noise of the start pose.
    assert np.abs(ending.observation[::4, 2] - 1.35).max() < 0.006


def test_without_noise_every_episode_begins_the_same(crawler):
    environment = make([crawler], short(steps=3, reset_noise=0.0))
    first = environment.observation.copy()
    for _ in range(3):
        environment.step(np.ones((environment.packing.num_rows, 2), np.float32))

    assert np.array_equal(environment.observation, first)


def test_noise_stays_within_its_bounds(crawler):
    environment = make([crawler], TaskConfig(), per_robot=64)
    simulations = environment.simulations(0)
    home = simulations.compiled.model.qpos0
    offsets = np.concatenate([simulations.qpos - home, simulations.qvel], axis=1)

    assert np.abs(offsets).max() <= 0.005
    assert (np.abs(offsets).max(axis=0) > 0.003).all()
    assert np.abs(offsets.mean()) < 5e-4


def test_episodes_tell_return_length_distance_speed_and_energy(crawler):
    environment = make([crawler], short(steps=20), dtype=np.float64)
    start = environment.head_m[:, 0].copy()
    total, work = np.zeros(2), np.zeros(2)
    gear = np.array([joint.gear for limb in crawler.limbs for joint in limb.joints if joint])
    for step in range(20):
        before = environment.simulations(0).qpos[:, 7:].copy()
        actions = robot_actions(environment, [crawler], 0, step)
        environment.step(actions)
        if step < 19:
            turned = environment.simulations(0).qpos[:, 7:] - before
            control = actions.reshape(2, -1, 2)[:, crawler.joint_mask]
            work += np.abs(turned * control * gear).sum(axis=1)
        total += environment.reward
    episodes = environment.finished_episodes()

    assert episodes.robot.tolist() == [0, 0]
    assert episodes.simulation.tolist() == [0, 1]
    assert episodes.episode.tolist() == [0, 0]
    assert episodes.length.tolist() == [20, 20]
    assert episodes.episode_return == pytest.approx(total)
    assert episodes.distance_m == pytest.approx(total * 0.02)
    assert episodes.mean_speed_m_s == pytest.approx(total / 20)
    assert (episodes.energy > work).all()
    assert not episodes.terminated.any()
    assert start == pytest.approx(np.zeros(2), abs=0.006)
    assert len(environment.finished_episodes()) == 0


def blow_up(environment, index):
    environment.simulations(0).qvel[index, 3] = 1e13


@pytest.mark.parametrize("task", ["flat", "variable"])
def test_an_explosion_ends_its_episode_and_poisons_nothing(crawler, task):
    environment, calm = (make([crawler], short(task, 1000), per_robot=3) for _ in range(2))
    actions = np.full((environment.packing.num_rows, 2), 0.2, np.float32)
    for _ in range(5):
        environment.step(actions)
        calm.step(actions)
    last = environment.observation.copy()
    blow_up(environment, 1)

    environment.step(actions)
    calm.step(actions)

    limbs = crawler.num_limbs
    mine = slice(limbs, 2 * limbs)
    assert environment.terminated.tolist() == [False, True, False]
    assert environment.exploded.tolist() == [False, True, False]
    assert environment.reward[1] == 0.0
    assert np.array_equal(environment.final_observation[mine], last[mine])
    assert np.isfinite(environment.observation).all()
    assert np.abs(environment.observation).max() < 50.0
    others = np.r_[0:limbs, 2 * limbs : 3 * limbs]
    assert np.array_equal(environment.observation[others], calm.observation[others])
    episodes = environment.finished_episodes()
    assert episodes.exploded.tolist() == [True]
    assert np.isfinite(episodes.energy).all()
    assert np.isfinite(episodes.distance_m).all()


def test_an_action_that_is_not_a_number_is_refused(crawler):
    environment = make([crawler], short())
    actions = np.zeros((environment.packing.num_rows, 2), np.float32)
    actions[-1, 0] = np.nan

    with pytest.raises(SimulationError, match="crawler"):
        environment.step(actions)


def test_actions_that_numpy_would_stretch_are_refused(crawler):
    environment = make([crawler], short())
    rows = environment.packing.num_rows
    zeros = np.zeros((rows, 2))
    wrong = [zeros[:, :1], zeros[:1], np.float32(0.5), zeros[0], np.zeros((rows, 3)), zeros > 0]
    for actions in [*wrong, zeros.astype(str), zeros.astype(object)]:
        with pytest.raises(UsageError, match=rf"expected numbers of shape \({rows}, 2\)"):
            environment.step(actions)
    for value in (np.inf, -np.inf, np.nan):
        with pytest.raises(SimulationError, match="not a finite number"):
            environment.step(np.full((rows, 2), value))
    # The largest finite ones have no finite sum, and count as the bounds.
    environment.step(np.full((rows, 2), np.finfo(np.float32).max, np.float32))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 4), st.integers(0, 5))
def test_seeded_episodes_do_not_depend_on_what_ran_beside_them(biped, crawler, per_robot, delay):
    """Evaluating all at once or one by one gives identical episodes."""
    task = short(steps=12)
    crowd = make([biped, crawler], task, per_robot=4, seed_episodes=True)
    few = make([crawler], task, per_robot=per_robot, seed_episodes=True)
    outcomes = []
    for environment in (crowd, few):
        robots = [biped, crawler] if environment is crowd else [crawler]
        for _ in range(24 + delay):
            actions = np.full((environment.packing.num_rows, 2), 0.4, np.float32)
            environment.step(actions)
        episodes = environment.finished_episodes()
        mine = (episodes.robot == robots.index(crawler)) & (episodes.simulation < per_robot)
        keys = zip(episodes.simulation[mine], episodes.episode[mine], strict=True)
        outcomes.append(dict(zip(keys, episodes.episode_return[mine], strict=True)))

    assert outcomes[0] == outcomes[1]
    assert len(outcomes[1]) >= 2 * per_robot


def test_coming_near_the_side_of_a_course_ends_the_episode(crawler):
    environment = make([crawler], short("variable", 1000), per_robot=3)
    environment.simulations(0).qpos[:, 1] = [0.0, 19.1, -19.1]
    environment.step(np.zeros((environment.packing.num_rows, 2), np.float32))

    assert environment.terminated.tolist() == [False, True, True]


def test_heights_on_variable_ground_are_above_the_ground_under_the_head(crawler):
    environment = make([crawler], short("variable", 1000), per_robot=2)
    grid = environment._environments[0].courses.shapes.grid
    choice = environment._environments[0].courses.choice
    x_m = np.linspace(3.0, 100.0, 971)
    heights = grid.height_m(np.full(971, choice[1]), x_m, np.zeros(971))
    top = x_m[np.argmax(heights)]
    # Standing on the highest place is no fall, hanging at the same height over a flat one neither;
    # but a head at the height of the start, up there, is inside the hill.
    simulations = environment.simulations(0)
    simulations.qpos[:, 0] = top
    simulations.qpos[1, 2] = 1.0 + heights.max() + 0.02
    simulations.qpos[0, 2] = 1.0 + grid.height_m(choice[:1], np.array([top]), np.zeros(1))[0] + 0.3
    environment.step(np.zeros((environment.packing.num_rows, 2), np.float32))

    assert environment.terminated.tolist() == [False, True]


def test_timings_grow(crawler):
    environment = make([crawler], short())
    before = environment.timings
    environment.step(np.zeros((environment.packing.num_rows, 2), np.float32))

    assert environment.timings.physics_s > before.physics_s
    assert environment.timings.observation_s > before.observation_s


def test_float32_and_float64_environments_see_the_same(crawler):
    narrow, wide = make([crawler], short()), make([crawler], short(), dtype=np.float64)
    for _ in range(10):
        actions = np.full((narrow.packing.num_rows, 2), 0.5)
        narrow.step(actions)
        wide.step(actions)

    assert np.array_equal(narrow.observation, wide.observation.astype(np.float32))
    assert np.array_equal(narrow.reward, wide.reward.astype(np.float32))
