import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.simulation.ground import OBSTACLE_COURSE
from engine.simulation.terrain import (
    COURSE_SCALE_M,
    COURSE_SINK_M,
    NUM_OBSTACLES,
    OBSTACLE_CELL_M,
    OBSTACLE_HEIGHT_M,
    height_field,
    obstacle_heights,
    obstacles,
    variable_heights,
)

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_variable_courses_start_flat_and_stay_within_their_heights(seed):
    heights = variable_heights(np.random.default_rng(seed))

    assert heights.shape == (161, 1101)
    assert not heights[:, :60].any()
    assert heights.min() >= 0.0
    assert heights.max() <= 1.2
    assert heights.any()


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_flat_stretches_part_the_shapes(seed):
    heights = variable_heights(np.random.default_rng(seed))
    flat = (heights == 0.0).all(axis=0)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]))))[::2]

    assert runs[0] >= 80 - 1  # 6 m at the start and at least 2 m before the first shape
    assert (runs >= 20).sum() >= 4


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_the_same_seed_draws_the_same_course(seed):
    first, second = (variable_heights(np.random.default_rng(seed)) for _ in range(2))

    assert np.array_equal(first, second)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_height_fields_hold_heights_and_sink_where_it_is_flat(seed):
    heights = variable_heights(np.random.default_rng(seed))
    stored = height_field(heights)

    assert stored.min() >= 0.0
    assert stored.max() <= 1.0
    assert not stored[heights == 0.0].any()
    back = stored * COURSE_SCALE_M - COURSE_SINK_M
    assert np.allclose(back[heights > 0.0], heights[heights > 0.0], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_boxes_stand_on_the_course_and_leave_its_ends_clear(seed):
    boxes = obstacles(np.random.default_rng(seed))
    low, high = boxes.center_m - boxes.half_size_m, boxes.center_m + boxes.half_size_m

    assert boxes.center_m.shape == (NUM_OBSTACLES, 2)
    assert ((boxes.half_size_m >= 0.5) & (boxes.half_size_m <= 1.0)).all()
    assert (low[:, 0] >= 6.0 - OBSTACLE_COURSE.start_m - 1e-9).all()
    assert (high[:, 0] <= OBSTACLE_COURSE.end_m - 6.0 + 1e-9).all()
    assert (np.abs(np.stack([low[:, 1], high[:, 1]])) <= 20.0 + 1e-9).all()


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_the_height_grid_shows_exactly_the_boxes(seed):
    boxes = obstacles(np.random.default_rng(seed))
    heights = obstacle_heights(boxes)
    rows, columns = heights.shape
    x = np.arange(columns) * OBSTACLE_CELL_M[0] - OBSTACLE_COURSE.start_m
    y = np.arange(rows) * OBSTACLE_CELL_M[1] - OBSTACLE_COURSE.half_width_m
    distance_x = np.abs(x[:, None] - boxes.center_m[:, 0]) - boxes.half_size_m[:, 0]
    distance_y = np.abs(y[:, None] - boxes.center_m[:, 1]) - boxes.half_size_m[:, 1]
    distance = np.maximum(distance_y[:, None], distance_x[None])

    assert (heights[(distance < -1e-6).any(axis=2)] == OBSTACLE_HEIGHT_M).all()
    assert not heights[(distance > 1e-6).all(axis=2)].any()
