"""Losses: balanced over robots, and the same whether samples are grouped by robot or not."""

import math

import pytest
import torch

from engine.config.distillation import student_network
from engine.distillation.benchmark import batch_loss, gradient_relative_error, random_batch
from engine.distillation.imitation import balanced_weights, imitation_loss, large_action_weights
from engine.policies.build import build_policy

SMALL = student_network("small").model_copy(update={"dropout": 0.0})


def test_grouping_samples_by_robot_changes_neither_loss_nor_gradients() -> None:
    batch = random_batch(6, 5, torch.float64)
    policy = build_policy(SMALL, "flat", 0, (), 0).double()
    grouped, single = batch_loss(policy, batch), batch_loss(policy, batch.per_sample())
    torch.testing.assert_close(grouped, single, rtol=1e-10, atol=0.0)
    assert gradient_relative_error(SMALL, batch) < 1e-10


def test_every_robot_weighs_the_same_and_missing_hinges_weigh_nothing() -> None:
    batch = random_batch(5, 3)
    weights = balanced_weights(batch.robots, batch.packing)
    for rows in batch.packing.robot_rows:
        assert float(weights[rows].sum()) == pytest.approx(1 / 5, rel=1e-5)
    masks = [b.joint_mask.repeat_interleave(3, dim=0).flatten(0, 1) for b in batch.robots.buckets]
    assert not weights[~torch.cat(masks)].any()


def test_the_loss_is_the_mean_over_real_joints_of_half_the_squared_difference() -> None:
    batch = random_batch(1, 1)
    mask = batch.robots.buckets[0].joint_mask[0]
    weights = balanced_weights(batch.robots, batch.packing)
    means, targets = torch.full(mask.shape, 0.75), torch.full(mask.shape, 0.25)
    assert float(imitation_loss(means, targets, weights)) == pytest.approx(0.5 * 0.5**2)


def test_targets_beyond_the_action_range_weigh_less() -> None:
    weights = large_action_weights(torch.tensor([0.0, -1.0, 2.0, -3.0]))
    expected = [1.0, 1.0, math.exp(-1.0), math.exp(-2.0)]
    assert weights.tolist() == pytest.approx(expected)
