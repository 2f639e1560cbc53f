"""Minibatches: every sample once, every robot as often as the others, packed as the shards say."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.distillation.dataset import Subset, load_dataset
from engine.distillation.minibatches import (
    Choice,
    MinibatchReader,
    epoch_choices,
    validation_choices,
)
from engine.policies.robots import robot_batch


@given(
    counts=st.lists(st.integers(8, 40), min_size=1, max_size=7),
    robots=st.integers(1, 4),
    samples=st.integers(1, 8),
    epoch=st.integers(0, 3),
)
def test_an_epoch_shows_every_robot_equally_often_and_no_sample_twice_before_all_others(
    counts: list[int], robots: int, samples: int, epoch: int
) -> None:
    subset = Subset(tuple(counts), tuple(np.arange(count) for count in counts))  # type: ignore[arg-type]
    choices = epoch_choices(subset, robots, samples, seed=3, epoch=epoch)
    shown = Counter(robot for choice in choices for robot in choice.robots)
    assert len(set(shown.values())) == 1
    assert max(len(choice.robots) for choice in choices) <= robots
    for robot, count in enumerate(counts):
        seen = Counter(
            int(sample)
            for choice in choices
            if robot in choice.robots
            for sample in choice.samples[choice.robots.index(robot)]
        )
        assert set(seen) <= set(range(count))
        assert max(seen.values()) - min((seen[s] for s in range(count)), default=0) <= 1


def test_epochs_differ_and_repeat_by_seed() -> None:
    subset = Subset((0, 1), (np.arange(20), np.arange(20)))  # type: ignore[arg-type]

    def shown(seed: int, epoch: int) -> list[list[int]]:
        return [c.samples.ravel().tolist() for c in epoch_choices(subset, 2, 5, seed, epoch)]

    assert shown(1, 0) == shown(1, 0)
    assert shown(1, 0) != shown(1, 1)
    assert shown(1, 0) != shown(2, 0)


def test_held_out_samples_are_spread_evenly() -> None:
    subset = Subset((0,), (np.arange(100, 200),))  # type: ignore[arg-type]
    (choice,) = validation_choices(subset, 4, 3)
    assert choice.samples.tolist() == [[100, 149, 199]]


def test_a_minibatch_holds_the_chosen_samples_of_the_chosen_robots(expert_folder: Path) -> None:
    dataset = load_dataset(expert_folder)
    reader = MinibatchReader(dataset.robots, torch.device("cpu"))
    choice = Choice((3, 0, 2), np.array([[5, 1], [7, 7], [0, 59]]))
    minibatch = reader.read(choice)
    for place, robot in enumerate(choice.robots):
        data = dataset.robots[robot]
        rows = minibatch.packing.robot_rows[place]
        own = minibatch.observation[rows].view(2, data.robot.num_limbs, -1).numpy()
        np.testing.assert_array_equal(own, data.arrays.observation[choice.samples[place]])
        means = minibatch.action_mean[rows].view(2, data.robot.num_limbs, -1).numpy()
        np.testing.assert_array_equal(means, data.arrays.action_mean[choice.samples[place]])


def test_the_robots_of_a_minibatch_look_as_if_they_were_read_anew(expert_folder: Path) -> None:
    dataset = load_dataset(expert_folder)
    reader = MinibatchReader(dataset.robots, torch.device("cpu"))
    selected = reader.select((2, 0, 3))
    fresh = robot_batch([dataset.robots[index].robot for index in (2, 0, 3)], "cpu")
    assert selected.digests == fresh.digests
    for own, expected in zip(selected.buckets, fresh.buckets, strict=True):
        assert own.robots == expected.robots
        assert torch.equal(own.context, expected.context)
        assert torch.equal(own.joint_mask, expected.joint_mask)
