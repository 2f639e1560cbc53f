"""The camera: axes, scale, and following in whole cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from library import walking

from engine.morphology.poses import rest_poses
from engine.morphology.tree import Morphology
from hdtui.canvas.camera import (
    SIDE,
    VIEWS,
    Camera,
    View,
    fitting_scale,
    follow_offsets,
    smoothed_path,
)

angles = st.floats(-180, 180)


@given(angles, st.floats(0, 90))
def test_the_axes_of_a_camera_are_orthonormal_and_right_handed(yaw: float, pitch: float) -> None:
    camera = Camera(View("any", yaw, pitch), 36.0, 78, 50.0)
    axes = np.stack([camera.right, camera.forward, camera.up])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_a_metre_along_x_is_the_scale_times_the_cosine_of_the_yaw() -> None:
    camera = Camera(SIDE, 40.0, 78, 50.0)
    origin, ahead = camera.project(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert ahead[0] - origin[0] == pytest.approx(40.0 * np.cos(np.radians(20)))
    assert origin[0] == 39.0
    assert origin[1] == 50.0


def test_up_in_the_world_is_up_in_the_picture() -> None:
    camera = Camera(SIDE, 40.0, 78, 50.0)
    ground, above = camera.project(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert above[1] - ground[1] == pytest.approx(-40.0 * np.cos(np.radians(10)))


@given(st.integers(0, 400), st.sampled_from(VIEWS))
def test_a_path_is_followed_in_whole_cells_and_stays_within_one_of_the_middle(
    seed: int, view: View
) -> None:
    random = np.random.default_rng(seed)
    path = np.cumsum(random.normal(0, 0.03, (60, 3)), axis=0)
    path[:, 2] = 0
    camera = Camera(view, 36.0, 78, 50.0)
    offsets = follow_offsets(path, camera)
    assert (offsets[:, 0] % 2 == 0).all()
    columns = camera.project(path)[:, 0] - offsets[:, 0]
    assert np.abs(columns - 39.0).max() <= 2.0


def test_a_path_that_stands_still_never_moves_the_camera() -> None:
    path = np.tile([3.3, 0.1, 0.0], (50, 1)) + np.random.default_rng(1).normal(0, 1e-3, (50, 3))
    offsets = follow_offsets(path * (1, 1, 0), Camera(SIDE, 36.0, 78, 50.0))
    assert len(np.unique(offsets[:, 0])) == 1


def test_smoothing_keeps_a_straight_line_away_from_its_ends() -> None:
    line = np.stack([np.arange(40.0), 2 * np.arange(40.0), np.zeros(40)], axis=1)
    np.testing.assert_allclose(smoothed_path(line, 10)[5:-5], line[5:-5], atol=1e-9)


def test_every_turn_of_a_robot_fits_the_picture(robots: list[Morphology]) -> None:
    for robot in robots:
        poses = rest_poses(robot)
        scale = fitting_scale(poses, 78, 52)
        for yaw in range(0, 360, 45):
            camera = Camera(View("turned", yaw, 10.0), scale, 78, 50.0)
            reach = poses.half_length[:, None] * poses.axis[0]
            ends = np.concatenate([poses.position[0] + reach, poses.position[0] - reach])
            columns = camera.project(ends)[:, 0]
            assert columns.max() - columns.min() <= 0.8 * 78 + 1e-6


def test_a_taller_robot_is_drawn_smaller_only_where_it_would_not_fit(
    robots: list[Morphology],
) -> None:
    poses = walking(robots[0])
    assert fitting_scale(poses, 78, 52) <= fitting_scale(poses, 78, 104)
    assert fitting_scale(poses, 78, 52) <= fitting_scale(poses, 156, 52)
