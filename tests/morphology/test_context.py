"""Contexts are those of the compiled model, and the arithmetic of FACTS done by hand."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from engine.errors import RobotError
from engine.morphology.context import context, raw_context
from engine.morphology.family import UNIMAL
from engine.morphology.generation import generate
from engine.morphology.mjcf import load_robots, write_robot
from engine.morphology.tree import Joint, Limb, Morphology

RAW = UNIMAL.raw_context_layout
TRANSFORMED = UNIMAL.context_layout


def two_limbs() -> Morphology:
    """A head 0.5 m up with a limb hanging down and one pointing forward from that one's end."""
    head = Limb(0, -1, (0, 0, 0.5), (0, 0, 0), None, 0.1, 1000.0, (None, None))
    x_hinge = Joint((-30.0, 60.0), (0.0, 0.0, 0.05), (1.0, 0.0, 0.0), 200.0)
    y_hinge = Joint((0.0, 90.0), (-0.05, 0.0, 0.0), (0.0, 2.0, 0.0), 300.0)
    down = Limb(4, 0, (0, 0, -0.1), (0, 0, 0), (0, 0, -0.25), 0.05, 500.0, (x_hinge, None))
    ahead = Limb(7, 1, (0.05, 0, -0.25), (0, 0, 0), (0.45, 0, 0), 0.05, 500.0, (None, y_hinge))
    return Morphology("two", (head, down, ahead), ())


def compiled_raw_context(robot: Morphology, model: mujoco.MjModel) -> np.ndarray:
    rows = np.zeros((robot.num_limbs, RAW.width))
    rows[:, RAW["body_position"]] = model.body_pos[1:]
    rows[0, 2] += 1.0
    rows[:, RAW["inertia_position"]] = model.body_ipos[1:]
    rows[:, RAW["inertia_orientation"]] = model.body_iquat[1:]
    rows[:, RAW["geom_orientation"]] = model.geom_quat
    rows[:, RAW["mass"]] = model.body_mass[1:, None]
    rows[:, RAW["size"]] = model.geom_size[:, :2]
    rows[0, RAW["size"]] = (model.geom_size[0, 0], 0.0)
    for actuator in range(model.nu):
        joint = model.actuator_trnid[actuator, 0]
        slot = 0 if model.joint(joint).name.startswith("limbx") else 1
        row = rows[model.jnt_bodyid[joint] - 1]
        row[RAW[f"joint_position_{slot}"]] = model.jnt_pos[joint]
        row[RAW[f"joint_range_{slot}"]] = model.jnt_range[joint]
        row[RAW[f"joint_axis_{slot}"]] = model.jnt_axis[joint]
        row[RAW[f"joint_gear_{slot}"]] = model.actuator_gear[actuator, 0]
    return rows


def check_against_mujoco(robots: Iterable[Morphology]) -> None:
    for robot in robots:
        model = mujoco.MjModel.from_xml_string(write_robot(robot))
        expected = compiled_raw_context(robot, model)
        np.testing.assert_allclose(raw_context(robot, normalized=False), expected, atol=1e-9)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        rows = context(robot)
        scene = np.array([0.0, 0.0, 1.0])
        np.testing.assert_allclose(
            rows[:, TRANSFORMED["absolute_position"]], data.xpos[1:] + scene, atol=1e-9
        )
        np.testing.assert_allclose(
            rows[:, TRANSFORMED["absolute_inertia_position"]], data.xipos[1:] + scene, atol=1e-9
        )


def test_layouts_have_the_published_widths() -> None:
    assert UNIMAL.observation_layout.width == 17
    assert RAW.width == 35
    assert TRANSFORMED.width == 53
    assert UNIMAL.observation_layout["joint_velocity_1"] == slice(16, 17)
    assert RAW["joint_gear_1"] == slice(34, 35)
    assert TRANSFORMED["joint_axis_1"] == slice(46, 49)


def test_raw_context_is_the_compiled_model_for_generated_robots() -> None:
    check_against_mujoco(generate(30, seed=11))


def test_raw_context_is_the_compiled_model_for_all_real_robots(unimal_dir: Path) -> None:
    check_against_mujoco(load_robots(unimal_dir))


def test_raw_context_of_a_robot_computed_by_hand() -> None:
    head, down, ahead = raw_context(two_limbs(), normalized=False)
    assert head[RAW["body_position"]] == pytest.approx([0, 0, 1.5])
    assert head[RAW["mass"]] == pytest.approx(4 / 3 * math.pi)
    assert not head[17:].any()
    assert down[RAW["mass"]] == pytest.approx(500 * math.pi * 0.0025 * (0.25 + 0.2 / 3))
    assert down[RAW["inertia_position"]] == pytest.approx([0, 0, -0.125])
    assert down[RAW["inertia_orientation"]] == pytest.approx([1, 0, 0, 0])
    half = math.sqrt(0.5)
    assert ahead[RAW["geom_orientation"]] == pytest.approx([half, 0, -half, 0])
    assert ahead[RAW["size"]] == pytest.approx([0.05, 0.225])
    assert not ahead[17:26].any()
    assert ahead[26:] == pytest.approx([-0.05, 0, 0, 0, math.pi / 2, 0, 1, 0, 300])


def test_transformed_context_of_a_robot_computed_by_hand() -> None:
    head, down, ahead = context(two_limbs())
    assert head[:6] == pytest.approx([0, 0, 1.5, 0, 0, 1.5])
    assert down[:6] == pytest.approx([0, 0, 1.4, 0, 0, 1.275])
    assert ahead[:6] == pytest.approx([0.05, 0, 1.15, 0.275, 0, 1.15])
    assert not head[13:].any()
    # -30 to 60 degrees is the last of the ranges, gear 200 the second of the gears.
    assert np.flatnonzero(down[TRANSFORMED["joint_range_class_0"]]).tolist() == [12]
    assert np.flatnonzero(down[TRANSFORMED["joint_gear_class_0"]]).tolist() == [1]
    assert down[TRANSFORMED["joint_axis_0"]] == pytest.approx([1, -1 / 3, 0], abs=1e-5)
    assert not down[33:].any()
    assert np.flatnonzero(ahead[TRANSFORMED["joint_range_class_1"]]).tolist() == [10]
    assert np.flatnonzero(ahead[TRANSFORMED["joint_gear_class_1"]]).tolist() == [3]


def test_normalisation_maps_bounds_to_one_and_constant_columns_to_zero() -> None:
    head, down, _ = raw_context(two_limbs(), normalized=True)
    assert head[RAW["mass"]] == pytest.approx([1.0], abs=1e-6)
    assert head[RAW["size"]] == pytest.approx([1.0, -1.0], abs=1e-6)
    # The quaternion's z is bounded by 0 and 0: it stays 0, not -1.
    assert head[RAW["inertia_orientation"]] == pytest.approx([1, 0, 0, 0], abs=1e-6)
    assert head[2] == pytest.approx(-1 + 2 * (1.5 + 0.49) / 2.53, abs=1e-6)
    assert down[RAW["joint_gear_0"]] == pytest.approx([-1 + 2 * 200 / 300], abs=1e-6)
    assert not head[17:].any()
    assert not down[26:].any()


def test_normalized_contexts_of_generated_robots_stay_in_bounds() -> None:
    for robot in generate(30, seed=12):
        columns = raw_context(robot, normalized=True)[:, 3:]
        # A little beyond: today's capsules weigh more than those the bounds were taken from.
        assert np.abs(columns).max() <= 1.1


def test_a_range_or_gear_without_a_class_is_refused_by_name() -> None:
    robot = two_limbs()
    joint = robot.limbs[1].joints[0]
    assert joint is not None
    for changed in (replace(joint, range_deg=(-10.0, 10.0)), replace(joint, gear=1.0)):
        odd = replace(robot.limbs[1], joints=(changed, None))
        with pytest.raises(RobotError, match="two: "):
            context(replace(robot, limbs=(robot.limbs[0], odd, robot.limbs[2])))
