import numpy as np
import pytest

from engine.config.base import TaskConfig
from engine.environments import VectorEnvironment
from engine.environments.terrain_observation import (
    FORWARD_M,
    LEFT_M,
    TERRAIN_POINTS,
    TerrainReader,
)
from engine.simulation.courses import Grid
from engine.simulation.ground import Course


def test_the_grid_has_the_published_points_and_reach():
    assert TERRAIN_POINTS == 1410
    assert (FORWARD_M.min(), FORWARD_M.max()) == pytest.approx((-1.0, 4.0))
    assert (LEFT_M.min(), LEFT_M.max()) == pytest.approx((-4.0, 4.0))


def test_the_grid_is_denser_near_the_robot():
    ahead = np.unique(FORWARD_M[FORWARD_M >= 0.0])

    assert (np.diff(np.diff(ahead)) > 0.0).all()


def ramp(slope_x: float, slope_y: float) -> Grid:
    """A plane, high enough to stay positive, on a 0.1 m grid around the origin."""
    course = Course(20.0, 20.0, 20.0)
    axis = np.linspace(-20.0, 20.0, 401)
    heights = 50.0 + slope_x * axis[None, :] + slope_y * axis[:, None]
    return Grid(course, (0.1, 0.1), heights.astype(np.float32)[None])


def read(grid: Grid, head: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    choice = np.array([0])
    rise = grid.height_m(choice, head[:, 0], head[:, 1])
    return TerrainReader(1).heights(grid, choice, head, rise, quaternion)


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, 90.0, -135.0])
def test_heights_turn_with_the_heading(yaw_deg):
    yaw = np.deg2rad(yaw_deg)
    quaternion = np.array([[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]])
    head = np.array([[1.0, -2.0, 1.0]])
    grid = ramp(0.5, -0.2)
    heights = read(grid, head, quaternion)[0]
    world_x = np.cos(yaw) * FORWARD_M - np.sin(yaw) * LEFT_M
    world_y = np.sin(yaw) * FORWARD_M + np.cos(yaw) * LEFT_M

    # Each point takes the nearest of cells 0.1 m apart: at most 0.05 m off along x and y.
    assert np.abs(heights - (0.5 * world_x - 0.2 * world_y)).max() < 0.05 * 0.7 + 1e-3


def test_a_head_that_looks_straight_up_faces_x():
    half = np.sqrt(0.5)
    quaternion = np.array([[half, 0.0, -half, 0.0]])
    head = np.zeros((1, 3))
    heights = read(ramp(1.0, 0.0), head, quaternion)[0]

    assert np.abs(heights - FORWARD_M).max() < 0.051


def test_beyond_the_course_the_last_height_goes_on():
    head = np.array([[19.9, 19.9, 1.0]])
    quaternion = np.array([[1.0, 0.0, 0.0, 0.0]])
    heights = read(ramp(1.0, 0.0), head, quaternion)[0]

    assert heights.max() == pytest.approx(0.1, abs=1e-3)


def test_the_flat_start_reads_zero_near_the_robot(crawler):
    environment = VectorEnvironment([crawler], TaskConfig(name="variable"), 3, seed=0)
    environment.reset()
    near = np.abs(FORWARD_M) < 2.5

    assert environment.terrain is not None
    assert not environment.terrain[:, near].any()


def test_boxes_show_as_four_metres(crawler):
    environment = VectorEnvironment([crawler], TaskConfig(name="obstacles"), 8, seed=0)
    environment.reset()

    assert environment.terrain is not None
    assert set(np.unique(environment.terrain)) <= {0.0, 4.0}
