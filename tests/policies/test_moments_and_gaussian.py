"""Running moments equal those of all data at once; densities equal torch's."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from robot_batches import random_batch

from engine.policies.gaussian import ActionDeviation, log_probability, packed_joint_mask
from engine.policies.moments import ObservationMoments


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 1000))
def test_moments_in_parts_equal_moments_of_the_whole(sizes: list[int], seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    parts = [5.0 + torch.randn((2, size, 3), generator=source) * 3.0 for size in sizes]
    moments = ObservationMoments(3, slots=2)
    for part in parts:
        moments.merge(moments.deviations(part))
    whole = torch.cat(parts, dim=1).double()
    torch.testing.assert_close(moments.mean, whole.mean(1))
    torch.testing.assert_close(moments.variance, whole.var(1, correction=0))
    assert moments.count.tolist() == [sum(sizes)] * 2


def test_sums_of_two_processes_add_up() -> None:
    first, second = torch.randn(1, 10, 3), torch.randn(1, 20, 3) + 2.0
    apart, together = ObservationMoments(3), ObservationMoments(3)
    apart.merge(apart.deviations(first) + apart.deviations(second))
    together.merge(together.deviations(torch.cat([first, second], dim=1)))
    torch.testing.assert_close(apart.variance, together.variance)


def test_far_outliers_are_clipped_at_ten() -> None:
    assert ObservationMoments(1).normalize(torch.tensor([[100.0], [-100.0]])).tolist() == [
        [10.0],
        [-10.0],
    ]


def test_moments_that_saw_nothing_leave_features_alone() -> None:
    features = torch.randn(4, 3)
    torch.testing.assert_close(ObservationMoments(3).normalize(features), features)


def test_missing_joints_do_not_count_in_the_density() -> None:
    batch = random_batch((3, 5))
    packing = batch.packing(2)
    mask = packed_joint_mask(batch, packing)
    means, actions = torch.randn(2, packing.num_rows, 2)
    log_std = torch.tensor(math.log(0.7))
    density = torch.distributions.Normal(means, 0.7).log_prob(actions) * mask
    expected = torch.stack(
        [
            density[torch.from_numpy(packing.row_environment) == environment].sum()
            for environment in range(packing.num_environments)
        ]
    )
    torch.testing.assert_close(log_probability(actions, means, log_std, mask, packing), expected)


def test_a_fixed_deviation_has_no_parameter_and_a_learned_one_has_one() -> None:
    assert not list(ActionDeviation(0.9, learned=False).parameters())
    assert len(list(ActionDeviation(0.9, learned=True).parameters())) == 1
    assert math.isclose(ActionDeviation(0.9, learned=True).std(), 0.9, rel_tol=1e-6)
