"""Distances and rest poses, by hand and against MuJoCo."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.morphology.generation import candidate, generate
from engine.morphology.geometry import (
    centre_of_mass,
    clearances,
    rest_capsules,
    segment_distances,
)
from engine.morphology.mjcf import write_robot

POINT = st.tuples(*[st.integers(-5, 5).map(lambda value: value / 4)] * 3)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        (((0, 0, 0), (1, 0, 0)), ((0, 1, 0), (1, 1, 0)), 1.0),  # parallel
        (((-1, 0, 0), (1, 0, 0)), ((0, -1, 2), (0, 1, 2)), 2.0),  # crossing
        (((0, 0, 0), (1, 0, 0)), ((2, 0, 0), (3, 0, 0)), 1.0),  # in one line
        (((0, 0, 0), (2, 0, 0)), ((1, 0, 0), (3, 0, 0)), 0.0),  # overlapping
        (((0, 0, 0), (0, 0, 0)), ((3, 4, 0), (3, 4, 0)), 5.0),  # two points
        (((0, 0, 0), (1, 0, 0)), ((2, 1, 0), (2, 3, 0)), 2**0.5),  # end to end
    ],
)
def test_segment_distances_by_hand(
    first: tuple[object, object], second: tuple[object, object], distance: float
) -> None:
    ends = (np.array([end], dtype=float) for end in (*first, *second))
    assert segment_distances(*ends) == pytest.approx([distance])


@given(POINT, POINT, POINT, POINT)
@settings(max_examples=60, deadline=None)
def test_no_two_points_of_segments_are_closer_than_their_distance(
    a: tuple[float], b: tuple[float], c: tuple[float], d: tuple[float]
) -> None:
    ends = [np.array([point], dtype=float) for point in (a, b, c, d)]
    share = np.linspace(0, 1, 101)[:, None]
    first, second = (ends[0] + share * (ends[1] - ends[0])), (ends[2] + share * (ends[3] - ends[2]))
    sampled = np.linalg.norm(first[:, None] - second[None], axis=-1).min()
    exact = float(segment_distances(*ends)[0])
    assert exact <= sampled + 1e-12
    assert sampled**2 - exact**2 < 0.01


def test_clearances_are_the_distances_mujoco_measures() -> None:
    close = []
    for robot in generate(10, seed=2):
        model = mujoco.MjModel.from_xml_string(write_robot(robot))
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        for (first, second), gap in zip(*clearances(robot), strict=True):
            measured = mujoco.mj_geomDistance(model, data, first, second, 10.0, None)
            # MuJoCo's search ends a few millimetres early for some distant pairs.
            assert gap <= measured + 1e-9
            close.append(abs(gap - measured) < 1e-5)
    assert np.mean(close) > 0.99


def test_rest_capsules_stand_where_mujoco_puts_them() -> None:
    robot = candidate(4, 0)
    model = mujoco.MjModel.from_xml_string(write_robot(robot))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    capsules = rest_capsules(robot)
    np.testing.assert_allclose(capsules.position, data.geom_xpos, atol=1e-12)
    np.testing.assert_allclose(capsules.axis, data.geom_xmat.reshape(-1, 3, 3)[..., 2], atol=1e-12)
    np.testing.assert_allclose(capsules.radius, model.geom_size[:, 0])
    np.testing.assert_allclose(capsules.half_length[1:], model.geom_size[1:, 1])
    assert capsules.half_length[0] == 0.0
    assert capsules.limb.tolist() == list(range(robot.num_limbs))
    np.testing.assert_allclose(centre_of_mass(robot), data.subtree_com[1], atol=1e-12)
