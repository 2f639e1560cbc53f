"""Hand-computed losses: what training minimises is what held-out samples are judged by."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.config.distillation import StudentConfig
from engine.distillation.benchmark import random_batch
from engine.distillation.minibatches import Choice, Minibatch
from engine.distillation.objective import held_out_loss, minibatch_loss

MEAN_FAR, MEAN_NEAR = 2.0, 1.0
"""The teacher's mean actions in a robot's first and second sample; it drew twice as much."""
DONE = 0.5
"""What the student does, whatever it sees."""


class Still(torch.nn.Module):
    """A student that does the same in every joint of every limb."""

    def encode(self, robots: object) -> None:
        del robots

    def mean(self, encoding: None, observation: Tensor, *_: object) -> Tensor:
        del encoding
        return torch.full((len(observation), 2), DONE)


def minibatch(robots: int, *means: float) -> Minibatch:
    """So many robots, each with a sample for each of the teacher's means."""
    batch = random_batch(robots, len(means))
    action_mean = torch.empty(batch.packing.num_rows, 2)
    for rows in batch.packing.robot_rows:
        own = action_mean[rows].view(len(means), -1, 2)
        own[:] = torch.tensor(means).view(-1, 1, 1)
        action_mean[rows] = own.view(-1, 2)
    return Minibatch(
        robots=batch.robots,
        packing=batch.packing,
        observation=batch.observation,
        action=2.0 * action_mean,
        action_mean=action_mean,
        terrain=None,
    )


@dataclass(frozen=True)
class Read:
    """Gives the minibatch of a choice by its number of robots."""

    minibatches: tuple[Minibatch, ...]

    def read(self, choice: Choice) -> Minibatch:
        wanted = len(choice.robots)
        return next(m for m in self.minibatches if len(m.robots.limb_counts) == wanted)


def choice(robots: int, samples: int) -> Choice:
    return Choice(tuple(range(robots)), np.zeros((robots, samples), dtype=np.int64))


@pytest.mark.parametrize(
    ("options", "far", "near"),
    [
        ({}, 0.5 * 1.5**2, 0.5 * 0.5**2),
        ({"downweight_large_actions": True}, 0.5 * 1.5**2 * math.exp(-1), 0.5 * 0.5**2),
        ({"loss": "logp"}, 0.5 * 3.5**2, 0.5 * 1.5**2),
        (
            {"loss": "logp", "downweight_large_actions": True},
            0.5 * 3.5**2 * math.exp(-3),
            0.5 * 1.5**2 * math.exp(-1),
        ),
    ],
    ids=["mean", "mean-weighed", "logp", "logp-weighed"],
)
def test_the_loss_and_the_held_out_loss_have_the_targets_and_weights_that_were_asked_for(
    options: dict[str, object], far: float, near: float
) -> None:
    config = StudentConfig.model_validate(options)
    both, one = minibatch(2, MEAN_FAR, MEAN_NEAR), minibatch(1, MEAN_NEAR, MEAN_NEAR)
    student = Still()
    assert float(minibatch_loss(config, student, both)) == pytest.approx((far + near) / 2)
    assert float(minibatch_loss(config, student, one)) == pytest.approx(near)
    choices = [choice(2, 2), choice(1, 2)]
    judged = held_out_loss(config, student, Read((both, one)), choices)  # type: ignore[arg-type]
    # Three robots weigh the same: two with both samples, one with the near one alone.
    assert judged == pytest.approx((2 * (far + near) / 2 + near) / 3)
