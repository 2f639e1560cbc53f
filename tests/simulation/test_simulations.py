import mujoco
import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.simulation.compiled import compile_robot
from engine.simulation.courses import simulate
from engine.simulation.simulations import Simulations

TASKS = ["flat", "variable", "obstacles", "incline"]


def noise(simulations: Simulations, seed: int) -> np.ndarray:
    width = simulations.qpos.shape[1] + simulations.qvel.shape[1]
    shape = (simulations.num_simulations, width)
    return np.random.default_rng(seed).uniform(-0.005, 0.005, shape)


def started(robot, task_name, count=3):
    task = TaskConfig(name=task_name, num_courses=2)
    simulations, courses = simulate(robot, task, count)
    if courses is not None:
        courses.seed(5, "test")
        courses.pick(np.arange(count), np.linspace(0, 0.99, count))
    simulations.start(np.arange(count), noise(simulations, 1))
    return simulations, courses


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_steps_like_single_mujoco_simulations_bit_for_bit(biped, crawler, task):
    for robot in (biped, crawler):
        simulations, _ = started(robot, task)
        model = simulations.compiled.model
        rng = np.random.default_rng(2)
        singles = []
        for index in range(3):
            own = mujoco.MjModel.from_xml_string(_scene(robot, simulations.compiled.task))
            own.hfield_data[:] = model.hfield_data
            for field, values in simulations.varied.items():
                getattr(own, field)[:] = values[index]
            data = mujoco.MjData(own)
            data.qpos[:], data.qvel[:] = simulations.qpos[index], simulations.qvel[index]
            mujoco.mj_forward(own, data)
            singles.append((own, data))
        for _ in range(40):
            control = rng.uniform(-1, 1, simulations.ctrl.shape)
            simulations.ctrl[:] = control
            simulations.step()
            assert simulations.exploded() is None
            for index, (own, data) in enumerate(singles):
                data.ctrl[:] = control[index]
                mujoco.mj_step(own, data, 4)
                assert np.array_equal(simulations.qpos[index], data.qpos)
                assert np.array_equal(simulations.qvel[index], data.qvel)
                assert np.array_equal(simulations.position_m[index], data.xpos[1:])


def _scene(robot, task) -> str:
    from engine.simulation.scene import scene_xml

    return scene_xml(robot, task).decode()


def test_starting_some_simulations_leaves_the_others_alone(biped):
    simulations, _ = started(biped, "flat")
    simulations.step()
    before = simulations.state.copy()

    simulations.start(np.array([1]), noise(simulations, 9)[:1])

    assert np.array_equal(simulations.state[[0, 2]], before[[0, 2]])
    assert not np.array_equal(simulations.state[1], before[1])


def test_a_restored_state_goes_on_bit_for_bit(crawler):
    simulations, _ = started(crawler, "flat")
    twin, _ = started(crawler, "flat")
    simulations.ctrl[:] = 0.7
    for _ in range(20):
        simulations.step()
    twin.restore(simulations.state.copy())
    for _ in range(20):
        simulations.step()
        twin.step()

    assert np.array_equal(simulations.state, twin.state)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12, 5e3])
def test_an_explosion_is_noticed_and_spares_the_others(biped, tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    simulations, _ = started(biped, "flat")
    alone, _ = started(biped, "flat")
    for _ in range(5):
        simulations.step()
        alone.step()
    simulations.qvel[1, 4] = bad

    simulations.step()
    exploded = simulations.exploded()
    alone.step()

    assert exploded is not None
    assert exploded.tolist() == [False, True, False]
    assert np.array_equal(simulations.qpos[[0, 2]], alone.qpos[[0, 2]])
    assert list(tmp_path.iterdir()) == []

    simulations.start(np.array([1]), np.zeros((1, noise(simulations, 0).shape[1])))
    simulations.step()
    assert simulations.exploded() is None


def test_an_explosion_in_the_very_first_physics_step_is_noticed(biped):
    simulations, _ = started(biped, "flat")
    simulations.qvel[0, 0] = np.nan

    simulations.step()
    exploded = simulations.exploded()

    assert exploded is not None
    assert exploded.tolist() == [True, False, False]


def test_parents_and_children_do_not_touch_but_others_do(biped):
    model = compile_robot(biped, TaskConfig()).model
    data = mujoco.MjData(model)
    data.qpos[2] = 5.0
    mujoco.mj_forward(model, data)

    assert data.ncon == 0  # each limb starts inside its parent


def test_a_robot_stands_on_the_course_it_is_put_on(crawler):
    simulations, courses = started(crawler, "variable", count=2)
    grid = courses.shapes.grid
    # A place where the two courses differ clearly.
    middle = grid.stored[:, grid.shape[0] // 2]
    column = int(np.argmax(np.abs(middle[0] - middle[1])))
    x_m = grid.origin_m[0] + column * grid.cell_m[0]
    courses.pick(np.arange(2), np.array([0.0, 0.5]))
    assert courses.choice.tolist() == [0, 1]
    simulations.start(np.arange(2), np.zeros((2, noise(simulations, 0).shape[1])))
    ground = grid.height_m(courses.choice, np.full(2, x_m), np.zeros(2))
    simulations.qpos[:, 0] = x_m
    simulations.qpos[:, 2] += ground
    for _ in range(60):
        simulations.step()

    rest = simulations.qpos[:, 2] - 1.0
    assert abs(ground[0] - ground[1]) > 0.1
    assert (rest > ground - 0.05).all()
    assert (rest < ground + 0.9).all()


def test_boxes_stop_what_runs_into_them(crawler):
    simulations, _ = started(crawler, "obstacles", count=2)
    position = simulations.varied["geom_pos"]
    box = simulations.compiled.model.geom("obstacle/7").id
    half = simulations.varied["geom_size"][0, box, 0]
    x_m, y_m = position[0, box, :2]
    simulations.qpos[:, 0] = x_m - half - 0.15
    simulations.qpos[:, 1] = y_m
    simulations.qvel[:, 0] = 3.0
    # In the second simulation the same box stands elsewhere.
    position[1, box, :2] = (80.0, 15.0)
    for _ in range(10):
        simulations.step()

    assert simulations.qpos[0, 0] < x_m - half + 0.02
    assert simulations.qpos[1, 0] > simulations.qpos[0, 0] + 0.2


def test_running_courses_are_never_redrawn(crawler):
    _, courses = started(crawler, "variable", count=4)
    used = courses.shapes.grid.stored[courses.choice].copy()
    for _ in range(3):
        courses.redraw()

    assert np.array_equal(courses.shapes.grid.stored[courses.choice], used)


def test_courses_nobody_is_on_are_replaced_and_new_episodes_avoid_old_ones(crawler):
    _, courses = started(crawler, "variable", count=4)
    everyone = np.arange(4)
    courses.pick(everyone, np.zeros(4))
    old = courses.shapes.grid.stored.copy()

    courses.redraw()

    assert np.array_equal(courses.shapes.grid.stored[0], old[0])
    assert not np.array_equal(courses.shapes.grid.stored[1], old[1])
    courses.pick(everyone, np.linspace(0, 0.99, 4))
    assert courses.choice.tolist() == [1, 1, 1, 1]
    courses.redraw()
    assert not np.array_equal(courses.shapes.grid.stored[0], old[0])


@pytest.mark.parametrize("task", ["variable", "obstacles"])
def test_a_restored_pool_holds_the_same_courses(crawler, task):
    simulations, courses = started(crawler, task, count=4)
    courses.pick(np.arange(4), np.zeros(4))
    courses.redraw()
    courses.pick(np.array([2]), np.array([0.9]))
    twin_simulations, twin = started(crawler, task, count=4)

    twin.restore(courses.state())

    assert np.array_equal(twin.shapes.grid.stored, courses.shapes.grid.stored)
    for field, values in simulations.varied.items():
        assert np.array_equal(values, twin_simulations.varied[field])
