"""Whole pictures: sizes, drawings, ground, terrain, trail and following."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import walking

from engine.morphology.generation import generate
from engine.morphology.poses import mirror_pairs, rest_poses
from engine.morphology.tree import Morphology
from hdtui.canvas.camera import FRONT, SIDE, TOP, VIEWS, View
from hdtui.canvas.cells import MUTED, SPACE
from hdtui.canvas.picture import Drawing, Picture, draw

ROBOT = generate(1, 5)[0]


@settings(max_examples=60)
@given(st.integers(0, 90), st.integers(0, 40), st.sampled_from(Drawing), st.sampled_from(VIEWS))
def test_a_picture_has_the_asked_number_of_cells(
    width: int, height: int, drawing: Drawing, view: View
) -> None:
    frame = Picture(walking(ROBOT, steps=3), width, height, drawing, view).frame(1)
    assert frame.codes.shape == (height, width)
    assert frame.inks.shape == (height, width)


def test_ascii_draws_ascii_letters_alone() -> None:
    for view in VIEWS:
        poses = walking(ROBOT, steps=120, heights=np.sin(np.arange(400) / 9) / 5)
        for line in Picture(poses, 60, 18, Drawing.ASCII, view).frame(110).lines():
            assert line.isascii()


def test_ascii_marks_the_head_and_names_limbs_by_pair() -> None:
    text = "".join(draw(ROBOT, 60, 20, Drawing.ASCII))
    assert "O" in text
    assert "_" in text
    letters = {letter.lower() for letter in text if letter.isalpha() and letter not in "Om"}
    assert letters <= {chr(ord("a") + pair - 1) for pair in mirror_pairs(ROBOT)[1:].tolist()}


def test_the_ground_is_a_row_of_strokes_with_feet_in_front() -> None:
    lines = draw(ROBOT, 40, 14)
    assert "─" in lines[-2]
    assert "|0 m" in lines[-1]


def test_a_resting_robot_stands_on_the_ground(robots: list[Morphology]) -> None:
    for robot in robots:
        poses = rest_poses(robot)
        lowest = poses.position[0, :, 2] - poses.half_length * np.abs(poses.axis[0, :, 2])
        assert (lowest - poses.radius).min() == pytest.approx(0.0, abs=1e-6)


def test_mirrored_limbs_have_one_pair_number_and_others_their_own(
    robots: list[Morphology],
) -> None:
    for robot in robots:
        numbers = mirror_pairs(robot)
        by_identifier = {
            limb.identifier: int(number)
            for limb, number in zip(robot.limbs[1:], numbers[1:], strict=True)
        }
        for first, second in robot.symmetric_pairs:
            assert by_identifier[first] == by_identifier[second]
        assert numbers[0] == 0
        assert len(set(numbers.tolist())) == robot.num_limbs - len(robot.symmetric_pairs)


def test_turning_a_robot_by_a_whole_circle_changes_nothing() -> None:
    turned = SIDE
    for _ in range(8):
        turned = turned.turned(45)
    assert turned.yaw_deg == SIDE.yaw_deg
    assert draw(ROBOT, 40, 14, yaw_deg=turned.yaw_deg) == draw(ROBOT, 40, 14)


def test_a_walking_robot_stays_in_the_picture_and_the_metres_move() -> None:
    picture = Picture(walking(ROBOT, steps=300), 40, 14)
    first, last = picture.frame(20), picture.frame(299)
    for frame in (first, last):
        assert ((frame.inks > MUTED) & (frame.codes != SPACE)).sum() > 20
    assert first.text(13) != last.text(13)


def test_a_camera_that_stands_lets_the_robot_walk_out() -> None:
    picture = Picture(walking(ROBOT, steps=300), 40, 14)
    frame = picture.frame(299, camera_moment=0)
    assert not ((frame.inks > MUTED) & (frame.codes != SPACE)).any()


def test_a_robot_that_stands_still_sends_nothing() -> None:
    poses = walking(ROBOT, steps=200, speed_m_s=0.0)
    still = Picture(poses, 40, 14)
    assert still.frame(150).changes(still.frame(150)) == []


def test_the_trail_shows_where_the_head_was_in_the_last_two_seconds() -> None:
    poses = walking(ROBOT, steps=300, speed_m_s=0.6)
    frame = Picture(poses, 60, 18, view=FRONT).frame(250)
    assert ((frame.inks == MUTED) & (frame.codes >= 0x2800)).any()


def test_terrain_is_drawn_under_the_robot_and_replaces_the_flat_row() -> None:
    heights = 0.1 * np.sin(np.arange(600) / 10)
    flat = Picture(walking(ROBOT), 60, 18).frame(100)
    hilly = Picture(walking(ROBOT, heights=heights), 60, 18).frame(100)
    assert "─" in flat.text(16)
    assert not any("─" in line for line in hilly.lines())
    dotted = (hilly.inks == MUTED) & (hilly.codes >= 0x2800)
    assert dotted.any(axis=0).mean() > 0.6


def test_seen_from_above_there_is_no_ground_line() -> None:
    frame = Picture(walking(ROBOT), 60, 18, view=TOP).frame(100)
    assert not any("─" in line for line in frame.lines())
