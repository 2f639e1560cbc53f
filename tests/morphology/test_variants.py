"""Robots of other numbers than the design space's, and as MuJoCo saved them, are read as such."""

import re
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.config.network import NetworkConfig
from engine.errors import RobotError
from engine.morphology.context import context, missing_class, raw_context
from engine.morphology.drivable import undrivable_reason
from engine.morphology.generation import candidate, generate
from engine.morphology.mjcf import load_robot, load_robots, parse_robot, write_robot
from engine.morphology.tree import Morphology
from engine.morphology.validity import outside_space
from engine.policies.build import build_policy
from engine.policies.robots import robot_batch
from engine.simulation.compiled import compile_robot

FLAT = TaskConfig()
ROBOT = generate(1, seed=3)[0]
XML = write_robot(ROBOT)


def with_hinges(text: str) -> Callable[[str], str]:
    """An attribute on every hinge."""
    return lambda xml: re.sub(r'(<joint name="limb[xy]/\d+")', rf"\1 {text}", xml)


def with_first(attribute: str, value: str) -> Callable[[str], str]:
    """Another value for the first attribute of this name after the head's."""

    def change(xml: str) -> str:
        limb = xml.index('<body name="limb/')
        start = xml.index(f'{attribute}="', limb) + len(attribute) + 2
        return xml[:start] + value + xml[xml.index('"', start) :]

    return change


VARIANTS: dict[str, tuple[Callable[[str], str], bool]] = {
    "damping": (with_hinges('damping="1.7"'), True),
    "armature": (with_hinges('armature="0.6"'), True),
    "stiffness": (with_hinges('stiffness="2.5"'), True),
    "gear": (lambda xml: re.sub(r'gear="\d+\.0"', 'gear="270"', xml), False),
    "angle": (with_first("range", "-33 12.5"), False),
    "density": (lambda xml: re.sub(r'density="[\d.]+"', 'density="1170"', xml), True),
    "radius": (with_first("size", "0.06"), True),
}
"""A change of each kind, and whether the transformed context still has a class for the body."""


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_is_read_written_simulated_and_told_as_outside_the_space(kind: str) -> None:
    change, has_classes = VARIANTS[kind]
    robot = parse_robot(change(XML).encode(), "variant")
    assert robot.digest != ROBOT.digest
    assert parse_robot(write_robot(robot).encode(), "variant") == robot
    assert outside_space([robot])["variant"]
    assert (missing_class(robot) is None) == has_classes
    original = mujoco.MjModel.from_xml_string(change(XML))
    scene = compile_robot(robot, FLAT).model
    for field in ("dof_damping", "dof_armature", "jnt_stiffness", "jnt_range"):
        np.testing.assert_array_equal(getattr(scene, field), getattr(original, field), field)
    np.testing.assert_array_equal(scene.actuator_gear, original.actuator_gear)
    np.testing.assert_array_equal(scene.body_mass[1:], original.body_mass[1:])


NETWORKS = {
    "context attention": (NetworkConfig(), False),
    "self attention": (NetworkConfig(attention="self"), True),
    "modumorph": (NetworkConfig(kind="modumorph"), False),
    "hypernetwork": (NetworkConfig(kind="hypernetwork"), False),
    "raw hypernetwork": (NetworkConfig(kind="hypernetwork", context="raw"), True),
    "one MLP": (NetworkConfig(kind="multi_mlp"), True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_network_cannot_read_it_says_and_all_else_it_drives(name: str) -> None:
    network, drives = NETWORKS[name]
    robot = parse_robot(VARIANTS["gear"][0](XML).encode(), "variant")
    assert undrivable_reason(network, [ROBOT]) is None
    reason = undrivable_reason(network, [ROBOT, robot])
    policy = build_policy(network, "flat", 0, (ROBOT.digest,), 1)
    batch = robot_batch([robot], "cpu")
    if drives:
        assert reason is None
        policy.encode(batch)
    else:
        assert reason is not None
        assert reason.startswith("variant: the gear of limb")
        assert "is 270, none of the classes 150, 200, 250, 300" in reason
        with pytest.raises(RobotError, match="networks of the raw context can drive it"):
            policy.encode(batch)


def test_the_digests_of_robots_inside_the_space_stay_what_they_were() -> None:
    assert candidate(3, 0).digest == (
        "2b545d20c57f9eb15ae5fb62027f29d8ee83b79c597fb29e74eca4f65f415a13"
    )


def saved_again(xml: str, folder: Path) -> Morphology:
    """The robot that MuJoCo writes when it saves the model of a file."""
    path = folder / "saved.xml"
    mujoco.mj_saveLastXML(str(path), mujoco.MjModel.from_xml_string(xml))
    assert 'angle="radian"' in path.read_text()
    assert "<general" in path.read_text()
    return load_robot(path)


def check_saved_again(robot: Morphology, saved: Morphology) -> None:
    """Six written digits are all that may differ."""
    assert saved.limb_names == robot.limb_names
    assert sorted(saved.symmetric_pairs) == sorted(robot.symmetric_pairs)
    for limb, again in zip(robot.limbs, saved.limbs, strict=True):
        for joint, other in zip(limb.joints, again.joints, strict=True):
            assert (joint is None) == (other is None)
            if joint is not None and other is not None:
                assert other.range_deg == joint.range_deg
                assert other.gear == joint.gear
                assert other.passive == joint.passive
    np.testing.assert_allclose(raw_context(saved, True), raw_context(robot, True), atol=1e-5)
    np.testing.assert_allclose(context(saved), context(robot), atol=1e-5)


def test_what_mujoco_saved_again_is_the_robot_it_read(tmp_path: Path) -> None:
    for robot in generate(5, seed=8):
        check_saved_again(robot, saved_again(write_robot(robot), tmp_path))


def test_a_variant_that_mujoco_saved_keeps_its_angles(tmp_path: Path) -> None:
    robot = parse_robot(VARIANTS["angle"][0](XML).encode(), "variant")
    saved = saved_again(write_robot(robot), tmp_path)
    ranges = [joint and joint.range_deg for limb in robot.limbs for joint in limb.joints]
    assert [joint and joint.range_deg for limb in saved.limbs for joint in limb.joints] == ranges


@pytest.mark.slow
def test_all_real_robots_that_mujoco_saved_again_are_read(unimal_dir: Path, tmp_path: Path) -> None:
    for robot in load_robots(unimal_dir):
        xml = (unimal_dir / "xml" / f"{robot.name}.xml").read_text()
        check_saved_again(robot, saved_again(xml, tmp_path))


@pytest.mark.slow
def test_variants_of_all_real_robots_are_read_and_written(unimal_dir: Path) -> None:
    changes = {
        "damping": (r' damping="1"', ' damping="0.4"'),
        "armature": (r' armature="1"', ' armature="1.8"'),
        "gear": (r'gear="\d+"', 'gear="123.5"'),
        "angle": (r'range="-?\d+ -?\d+" pos', 'range="-41 27" pos'),
        "density": (r'density="\d+"', 'density="1234"'),
        "radius": (r'size="0.05"', 'size="0.043"'),
    }
    for robot in load_robots(unimal_dir):
        xml = (unimal_dir / "xml" / f"{robot.name}.xml").read_text()
        for kind, (pattern, text) in changes.items():
            changed, count = re.subn(pattern, text, xml)
            assert count, kind
            variant = parse_robot(changed.encode(), robot.name)
            assert variant.digest != robot.digest
            assert outside_space([variant])
            assert parse_robot(write_robot(variant).encode(), robot.name) == variant


FOREIGN = {
    "ant": '<mujoco><compiler angle="radian"/><custom/><worldbody><body name="torso"/></worldbody>'
    "</mujoco>",
    "half_cheetah": '<mujoco><compiler coordinate="global" settotalmass="14"/><worldbody>'
    '<body name="torso"/></worldbody></mujoco>',
    "walker of many files": '<mujoco><include file="common.xml"/><worldbody><body name="torso"/>'
    "</worldbody></mujoco>",
    "humanoid": "<mujoco><tendon/><worldbody/></mujoco>",
    "URDF": '<robot name="r"><link name="base"/></robot>',
    "fragment": '<mujocoinclude><body name="torso/0"/></mujocoinclude>',
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_robot_of_another_kind_is_told_so_before_any_detail(name: str) -> None:
    with pytest.raises(RobotError) as caught:
        parse_robot(FOREIGN[name].encode(), "foreign")
    assert str(caught.value).startswith("foreign: is no UNIMAL robot: ")
    assert "hdtui robots import --help" in str(caught.value)
