import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.environments.moments import RunningMoments

rows = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1e3, 1e3)
)


@given(st.lists(rows, min_size=1, max_size=5))
def test_moments_of_a_stream_are_those_of_the_whole(batches):
    moments = RunningMoments(3)
    for batch in batches:
        moments.update(batch)
    whole = np.concatenate(batches)

    assert moments.count == len(whole)
    assert np.allclose(moments.mean, whole.mean(axis=0), atol=1e-8)
    assert np.allclose(moments.variance, whole.var(axis=0), atol=1e-6)


@given(rows, rows)
def test_merging_is_seeing_both(left, right):
    first, second, both = RunningMoments(3), RunningMoments(3), RunningMoments(3)
    first.update(left)
    second.update(right)
    both.update(np.concatenate([left, right]))
    first.merge(second)

    assert np.allclose(first.mean, both.mean, atol=1e-8)
    assert np.allclose(first.variance, both.variance, atol=1e-6)


def test_moments_that_saw_nothing_leave_rows_alone():
    moments = RunningMoments(2)
    moments.update(np.zeros((0, 2)))
    moments.merge(RunningMoments(2))

    assert np.allclose(moments.normalize(np.array([[1.0, -2.0]]), clip=10.0), [[1.0, -2.0]])


def test_normal_rows_are_clipped_and_keep_their_type():
    moments = RunningMoments(1)
    moments.update(np.array([[-1.0], [1.0]]))
    normal = moments.normalize(np.array([[0.5], [100.0]], np.float32), clip=10.0)

    assert normal.dtype == np.float32
    assert np.allclose(normal, [[0.5], [10.0]])


def test_a_restored_state_goes_on_alike():
    moments, other = RunningMoments(2), RunningMoments(2)
    moments.update(np.arange(10.0).reshape(5, 2))
    other.restore(moments.state())
    for one in (moments, other):
        one.update(np.ones((3, 2)))

    assert np.array_equal(moments.mean, other.mean)
    assert np.array_equal(moments.variance, other.variance)
