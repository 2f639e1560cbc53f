"""Minibatches gathered in a device's memory are those that are read from files."""

import numpy as np
import pytest
import torch

from engine.distillation.benchmark import made_up_robots
from engine.distillation.device_samples import DeviceReader, PrefetchingReader, Reader
from engine.distillation.minibatches import Choice, MinibatchReader

CPU = torch.device("cpu")


def choices(robots: int, samples: int) -> list[Choice]:
    """Minibatches of a few robots in any order, with samples in any order."""
    rng = np.random.default_rng(3)
    return [
        Choice(
            tuple(rng.permutation(robots)[:4].tolist()),
            np.stack([rng.integers(0, samples, 5) for _ in range(4)]),
        )
        for _ in range(3)
    ]


@pytest.mark.parametrize("kind", [DeviceReader, PrefetchingReader])
def test_every_reader_gathers_the_same_minibatch(kind: type[Reader]) -> None:
    robots = made_up_robots(7, 9)
    plain, other = MinibatchReader(robots, CPU), kind(robots, CPU)
    coming = choices(7, 9)
    for place, choice in enumerate(coming):
        expected, found = plain.read(choice), other.read(choice)
        if place + 1 < len(coming):
            other.expect(coming[place + 1])
        assert found.packing == expected.packing
        for name in ("observation", "action", "action_mean"):
            assert torch.equal(getattr(found, name), getattr(expected, name))
        assert found.robots.digests == expected.robots.digests
        assert found.robots.names == expected.robots.names
        for own, same in zip(found.robots.buckets, expected.robots.buckets, strict=True):
            assert own.robots == same.robots
            for name in ("context", "raw_context", "normalized_raw_context", "joint_mask"):
                assert torch.equal(getattr(own, name), getattr(same, name))
