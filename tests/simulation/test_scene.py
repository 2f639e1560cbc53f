import math

import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.errors import SimulationError
from engine.morphology.mjcf import load_robots
from engine.morphology.tree import Morphology
from engine.simulation.compiled import compile_alone, compile_robot

TASKS = ["flat", "variable", "obstacles", "incline"]


@pytest.mark.parametrize("task", TASKS)
def test_scenes_hold_the_robot_and_nothing_that_draws_or_senses(biped, task):
    model = compile_robot(biped, TaskConfig(name=task)).model

    assert model.ntex == model.nmat == model.nsensor == model.nsite == model.ncam == 0
    assert [model.body(index).name for index in range(model.nbody)] == [
        "world",
        "torso/0",
        "limb/3",
        "limb/7",
        "limb/1",
    ]
    assert [model.actuator(index).name for index in range(model.nu)] == [
        "limbx/3",
        "limby/3",
        "limby/7",
        "limbx/1",
    ]


def test_hinges_keep_the_numbers_of_the_body(biped):
    compiled = compile_robot(biped, TaskConfig())

    assert compiled.action_index.tolist() == [2, 3, 5, 6]
    assert np.rad2deg(compiled.joint_low_rad).tolist() == pytest.approx([-30, -60, -90, -30])
    assert np.rad2deg(compiled.joint_span_rad).tolist() == pytest.approx([60, 90, 90, 60])
    assert compiled.gear_nm.tolist() == [200.0, 150.0, 300.0, 200.0]
    assert compiled.model.dof_damping[6:].tolist() == [1.0] * 4
    assert compiled.model.dof_armature[6:].tolist() == [1.0] * 4
    assert compiled.model.jnt_stiffness[1:].tolist() == [1.0] * 4


def test_degrees_of_freedom_move_a_limb_and_its_descendants(biped):
    moves = compile_robot(biped, TaskConfig()).moves

    assert moves[:, :6].all()
    assert moves[:, 6:].tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]


def test_the_head_starts_at_its_height_above_the_floor(biped):
    compiled = compile_robot(biped, TaskConfig())

    assert compiled.model.qpos0[:3].tolist() == [0.0, 0.0, 1.75]
    assert compiled.standing_height_m == pytest.approx(0.55)


def test_an_incline_rises_along_x_and_the_robot_stands_square_to_it(biped):
    angle = math.radians(10)
    model = compile_robot(biped, TaskConfig(name="incline")).model
    w, x, y, z = model.qpos0[3:7]
    normal = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])

    assert normal == pytest.approx([-math.sin(angle), 0.0, math.cos(angle)])
    assert model.qpos0[:3] - [0, 0, 1] == pytest.approx(0.75 * normal)


def test_a_body_that_mujoco_refuses_is_named(biped):
    limbs = list(biped.limbs)
    limbs[1] = type(limbs[1])(**{**vars(limbs[1]), "radius_m": -1.0})

    with pytest.raises(SimulationError, match="lame"):
        compile_alone(Morphology("lame", tuple(limbs), ()), TaskConfig())


def test_equal_bodies_are_compiled_once(biped):
    assert compile_robot(biped, TaskConfig()) is compile_robot(biped, TaskConfig())


def test_every_real_robot_compiles_on_every_ground(unimal_dir):
    robots = load_robots(unimal_dir)
    for robot in robots:
        assert compile_robot(robot, TaskConfig()).model.nu == robot.num_joints
    for task in TASKS:
        assert compile_robot(robots[0], TaskConfig(name=task)).model.nu == robots[0].num_joints
