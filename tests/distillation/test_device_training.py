"""Steps on padded robots are the steps on packed ones."""

import numpy as np
import pytest
import torch

from engine.config.distillation import StudentConfig, student_network
from engine.distillation.benchmark import made_up_robots
from engine.distillation.device_training import DeviceSteps, PaddedData, padded_loss
from engine.distillation.minibatches import Choice, MinibatchReader
from engine.distillation.objective import minibatch_loss
from engine.policies.build import build_policy
from engine.policies.policy import HypernetworkPolicy

CPU = torch.device("cpu")


def student(**network: object) -> tuple[StudentConfig, HypernetworkPolicy]:
    """A small student whose heads already tell robots apart."""
    sizes = {"width": 16, "hidden_width": 12, "feedforward_width": 20, **network}
    config = StudentConfig(network=student_network("published").model_copy(update=sizes))
    policy = build_policy(config.network, "flat", 0, (), 1)
    assert isinstance(policy, HypernetworkPolicy)
    torch.manual_seed(0)
    for parameter in policy.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    policy.moments.assign(torch.randn(17).double(), torch.rand(17).double() + 0.5, 10.0)
    return config, policy


def choice(robots: int, samples: int) -> Choice:
    rng = np.random.default_rng(1)
    return Choice(
        tuple(rng.permutation(robots)[:5].tolist()),
        np.stack([rng.integers(0, samples, 6) for _ in range(5)]),
    )


@pytest.mark.parametrize("context", ["transformed", "raw"])
def test_loss_and_gradients_are_those_of_packed_robots(context: str) -> None:
    config, policy = student(context=context, dropout=0.0)
    robots = made_up_robots(8, 10)
    chosen = choice(8, 10)
    expected = minibatch_loss(config, policy, MinibatchReader(robots, CPU).read(chosen))
    gradients = torch.autograd.grad(expected, list(policy.parameters()))
    data = PaddedData(robots, "action_mean", CPU)
    places = torch.from_numpy(data.places(chosen))
    found = padded_loss(config, policy.hypernetwork, data, places, (5, 6), None)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for own, same in zip(
        torch.autograd.grad(found, list(policy.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(own, same, rtol=1e-4, atol=1e-7)


def test_steps_repeat_with_their_dropout_and_lower_the_loss() -> None:
    robots, chosen = made_up_robots(6, 10), choice(6, 10)
    losses = []
    for _ in range(2):
        config, policy = student(dropout=0.1)
        optimizer = torch.optim.Adam(policy.parameters(), fused=True)
        steps = DeviceSteps(config, policy, optimizer, robots, CPU)
        losses.append([float(steps.take(chosen, number, 1e-2)[0]) for number in range(30)])
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.8 * losses[0][0]
