"""The clipped losses by hand, on both sides of the clip range."""

import math

import pytest
import torch

from engine.ppo.learner import adapted_rate, cosine_rate
from engine.ppo.objective import approximate_kl, clipped_policy_losses, clipped_value_losses


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.1, 2.0, -2.2),  # inside: as it is
        (1.5, 2.0, -2.4),  # above, good action: no more to gain than 1.2
        (1.5, -2.0, 3.0),  # above, bad action: pays in full
        (0.5, 2.0, -1.0),  # below, good action: gains in full
        (0.5, -2.0, 1.6),  # below, bad action: no more to gain than 0.8
    ],
)
def test_the_policy_loss_clips_what_would_be_gained(
    ratio: float, advantage: float, loss: float
) -> None:
    result = clipped_policy_losses(torch.tensor([ratio]), torch.tensor([advantage]), 0.2)
    assert result.item() == pytest.approx(loss)


@pytest.mark.parametrize(
    ("value", "loss"),
    [
        (1.1, 0.5 * 1.9**2),  # within 0.2 of the old value 1: as it is
        (2.0, 0.5 * 1.8**2),  # towards the target 3 by more than 0.2: counted from 1.2
        (0.0, 0.5 * 3.0**2),  # away from the target: in full
    ],
)
def test_the_value_loss_keeps_near_the_old_value(value: float, loss: float) -> None:
    result = clipped_value_losses(
        torch.tensor([value]), torch.tensor([1.0]), torch.tensor([3.0]), 0.2
    )
    assert result.item() == pytest.approx(loss)


def test_the_kl_estimate_is_zero_without_change_and_positive_otherwise() -> None:
    ratio = torch.tensor([1.0, 2.0, 0.5])
    estimate = approximate_kl(ratio, ratio.log())
    assert estimate.tolist() == pytest.approx([0.0, 1 - math.log(2), -0.5 + math.log(2)])


def test_the_rate_follows_the_kl_within_its_limits() -> None:
    limits = (1e-5, 2e-3)
    assert adapted_rate(1e-3, 0.05, 0.02, limits) == pytest.approx(1e-3 / 1.5)
    assert adapted_rate(1e-3, 0.02, 0.02, limits) == 1e-3
    assert adapted_rate(1e-3, 0.001, 0.02, limits) == pytest.approx(1.5e-3)
    assert adapted_rate(1.9e-3, 0.001, 0.02, limits) == 2e-3
    assert adapted_rate(1e-5, 1.0, 0.02, limits) == 1e-5


def test_the_cosine_rate_warms_up_and_decays_to_zero() -> None:
    rates = [cosine_rate(1.0, iteration, 4, 12) for iteration in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[8] == pytest.approx(0.5)
    assert rates[12] == pytest.approx(0.0)
