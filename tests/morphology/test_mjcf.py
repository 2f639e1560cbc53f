"""Robots survive being written and read again, number by number."""

import json
import re
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RobotError
from engine.morphology.generation import candidate
from engine.morphology.metadata import mirrored_pairs, write_metadata
from engine.morphology.mjcf import (
    check_name,
    load_robot,
    load_robots,
    parse_robot,
    save_robot,
    write_robot,
)
from engine.morphology.mutation import mutate

BODY_FIELDS = (
    *("body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat"),
    *("body_parentid", "body_subtreemass", "geom_type", "geom_size", "geom_pos", "geom_quat"),
    *("geom_friction", "geom_condim", "geom_bodyid", "jnt_type", "jnt_bodyid", "jnt_pos"),
    *("jnt_axis", "jnt_range", "jnt_limited", "jnt_stiffness", "jnt_solref", "jnt_solimp"),
    *("dof_damping", "dof_armature", "dof_invweight0", "qpos0", "qpos_spring"),
    *("actuator_gear", "actuator_ctrlrange", "actuator_ctrllimited", "actuator_trnid"),
)


def compiled(xml: str) -> mujoco.MjModel:
    # The skybox takes most of the compile and changes nothing here.
    return mujoco.MjModel.from_xml_string(
        xml.replace('width="800" height="800"', 'width="8" height="8"')
    )


@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_written_robot_reads_back_equal(seed: int, index: int) -> None:
    robot = candidate(seed, index)
    again = parse_robot(write_robot(robot).encode(), robot.name, json.loads(write_metadata(robot)))
    assert again == robot
    assert again.digest == robot.digest
    assert again.lineage == robot.lineage


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_writing_is_stable(seed: int) -> None:
    text = write_robot(candidate(seed, 0))
    assert write_robot(parse_robot(text.encode(), "again")) == text


def test_a_robot_saved_to_a_folder_loads_by_its_name(tmp_path: Path) -> None:
    robot = mutate(candidate(3, 0), seed=1)
    path = save_robot(robot, tmp_path)
    assert path == tmp_path / "xml" / f"{robot.name}.xml"
    assert load_robot(path) == robot
    assert load_robots(tmp_path) == [robot]


def test_without_metadata_the_pairs_are_found_from_the_shape() -> None:
    for index in range(20):
        robot = candidate(5, index)
        found = parse_robot(write_robot(robot).encode(), "copy").symmetric_pairs
        assert sorted(found) == sorted(robot.symmetric_pairs)


def test_the_digest_ignores_names_and_the_sign_of_zero() -> None:
    robot = candidate(0, 0)
    text = re.sub(
        r"(limb[a-z_/]*/)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 50}", write_robot(robot)
    )
    text = text.replace(" 0.0 ", " -0.0 ")
    renamed = parse_robot(text.encode(), "other-name")
    assert renamed.limb_names != robot.limb_names
    assert renamed.digest == robot.digest


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 129, "a b", "x\x1b[31m", "é"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(RobotError, match="cannot be a robot's name"):
        check_name(name)


def test_the_written_file_compiles_with_its_sensors_and_sites() -> None:
    robot = candidate(1, 0)
    model = compiled(write_robot(robot))
    assert model.nbody == robot.num_limbs + 1
    assert model.nu == robot.num_joints
    assert model.nsensor == 4 + robot.num_limbs
    assert model.nsite == 4 + 4 * (robot.num_limbs - 1)


def test_all_real_robots_compile_to_the_same_model_after_a_round_trip(unimal_dir: Path) -> None:
    robots = load_robots(unimal_dir)
    assert len(robots) == len(list((unimal_dir / "xml").glob("*.xml")))
    for robot in robots:
        original = compiled((unimal_dir / "xml" / f"{robot.name}.xml").read_text())
        written = compiled(write_robot(robot))
        for field in BODY_FIELDS:
            np.testing.assert_allclose(
                getattr(written, field), getattr(original, field), rtol=0, atol=1e-9, err_msg=field
            )
        for kind in (mujoco.mjtObj.mjOBJ_BODY, mujoco.mjtObj.mjOBJ_JOINT):
            count = original.nbody if kind == mujoco.mjtObj.mjOBJ_BODY else original.njnt
            assert [mujoco.mj_id2name(written, kind, row) for row in range(count)] == [
                mujoco.mj_id2name(original, kind, row) for row in range(count)
            ]


def test_all_real_robots_keep_their_names_and_metadata(unimal_dir: Path, tmp_path: Path) -> None:
    for robot in load_robots(unimal_dir):
        path = save_robot(robot, tmp_path)
        assert load_robot(path) == robot
        beside = unimal_dir / "metadata" / f"{robot.name}.json"
        assert write_metadata(robot) == beside.read_text()
        assert sorted(mirrored_pairs(robot.limbs)) == sorted(robot.symmetric_pairs)
