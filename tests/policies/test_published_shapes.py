"""Published sizes have the published numbers of parameters, by formulas written out here."""

from itertools import pairwise

import pytest

from engine.config.base import TaskName
from engine.config.network import NetworkSize, named_network
from engine.policies.build import build_critic, build_policy

OBSERVED, RAW, CONTEXT, POINTS, WIDTH = 17, 35, 53, 1410, 128
TASKS: tuple[TaskName, ...] = ("flat", "variable", "obstacles")


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def trunk(layers: int, feedforward: int, *, context_norm: bool) -> int:
    norms = 2 * WIDTH * (3 if context_norm else 2)
    attention = linear(WIDTH, 3 * WIDTH) + linear(WIDTH, WIDTH)
    return layers * (norms + attention + linear(WIDTH, feedforward) + linear(feedforward, WIDTH))


def decoder_shapes(task: TaskName, outputs: int) -> list[tuple[int, int]]:
    hidden = {"flat": [], "variable": [64], "obstacles": [64, 64]}[task]
    widths = [WIDTH + (0 if task == "flat" else 64), *hidden, outputs]
    return list(pairwise(widths))


def terrain(task: TaskName) -> int:
    return 0 if task == "flat" else linear(POINTS, 64) + linear(64, 64)


def transformer(task: TaskName, layers: int, feedforward: int, outputs: int) -> int:
    return (
        linear(OBSERVED + RAW, WIDTH)
        + trunk(layers, feedforward, context_norm=False)
        + sum(linear(*shape) for shape in decoder_shapes(task, outputs))
        + terrain(task)
    )


def modumorph(task: TaskName, layers: int, feedforward: int, outputs: int) -> int:
    written = [(OBSERVED + RAW, WIDTH), *decoder_shapes(task, outputs)]
    heads = sum(linear(WIDTH, a * b) + linear(WIDTH, b) for a, b in written)
    encoder = linear(CONTEXT, WIDTH) + linear(WIDTH, WIDTH)
    attention = linear(CONTEXT, WIDTH) + 2 * linear(WIDTH, WIDTH)
    return (
        encoder + heads + attention + trunk(layers, feedforward, context_norm=True) + terrain(task)
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", ["published", "compressed"])
def test_the_transformer_has_the_published_parameters(task: TaskName, size: NetworkSize) -> None:
    layers, feedforward = (5, 1024) if size == "published" else (1, 256)
    if size == "compressed" and task != "flat":
        layers, feedforward = 2, 128
    config = named_network("transformer", size, task)
    points = 0 if task == "flat" else POINTS
    policy = build_policy(config, task, points, (), seed=1)
    critic = build_critic(config, task, points, (), seed=1)
    assert count(policy) == transformer(task, layers, feedforward, outputs=2)
    assert count(critic) == transformer(task, layers, feedforward, outputs=1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", ["published", "compressed"])
def test_modumorph_has_the_published_parameters(task: TaskName, size: NetworkSize) -> None:
    layers, feedforward = (5, 1024) if size == "published" else (1, 128)
    config = named_network("modumorph", size, task)
    points = 0 if task == "flat" else POINTS
    policy = build_policy(config, task, points, (), seed=1)
    assert count(policy) == modumorph(task, layers, feedforward, outputs=2)


def test_the_published_transformer_on_flat_ground_has_1_66_million_parameters() -> None:
    policy = build_policy(named_network("transformer", "published"), "flat", 0, (), seed=1)
    assert count(policy) == 1_656_322


def count(module: object) -> int:
    return sum(parameter.numel() for parameter in module.parameters())  # type: ignore[attr-defined]
