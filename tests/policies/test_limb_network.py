"""Packing, padding and order never change what a limb network says."""

import pytest
import torch
from padded_network import padded_outputs
from robot_batches import only_robot, random_batch, random_observation

from engine.config.base import TaskName
from engine.config.network import NetworkConfig, NetworkKind, named_network
from engine.errors import ConfigError
from engine.morphology.family import UNIMAL
from engine.policies.build import build_critic, build_policy
from engine.policies.controller import BucketContext, RobotBatch, select_device
from engine.policies.limb_network import LimbNetwork
from engine.policies.policy import LimbPolicy, Policy

LIMB_COUNTS = (7, 4, 11, 4, 7)
KINDS: tuple[NetworkKind, ...] = (
    "transformer",
    "modumorph",
    "hypernetwork",
    "multi_mlp",
    "single_mlp",
)


def small(kind: NetworkKind, **changes: object) -> NetworkConfig:
    fields = named_network(kind, "small").model_dump() | {"width": 16, "hidden_width": 16}
    return NetworkConfig.model_validate(fields | changes)


def shaken(policy: Policy, seed: int = 5) -> Policy:
    """The policy with every parameter and moment moved off its careful start."""
    source = torch.Generator().manual_seed(seed)
    policy = policy.double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=source))
        policy.moments.mean.add_(torch.randn(policy.moments.mean.shape, generator=source))
        policy.moments.variance.mul_(2.0)
    return policy


def policy_of(config: NetworkConfig, batch: RobotBatch, task: TaskName = "flat") -> Policy:
    return shaken(build_policy(config, task, 0, batch.digests, seed=3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_robot_acts_the_same_alone_and_in_company(kind: NetworkKind) -> None:
    batch = random_batch(LIMB_COUNTS)
    packing = batch.packing(3)
    observation = random_observation(packing)
    policy = policy_of(small(kind), batch)
    together = policy.mean(policy.encode(batch), observation, packing, None)
    for robot in range(len(LIMB_COUNTS)):
        alone, rows = only_robot(batch, robot), packing.robot_rows[robot]
        mean = policy.mean(policy.encode(alone), observation[rows], alone.packing(3), None)
        torch.testing.assert_close(mean, together[rows], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_joint_slots_without_a_hinge_get_no_action(kind: NetworkKind) -> None:
    batch = random_batch((5,))
    policy = policy_of(small(kind), batch)
    mean = policy.mean(
        policy.encode(batch), random_observation(batch.packing(4)), batch.packing(4), None
    )
    missing = ~batch.buckets[0].joint_mask
    assert torch.equal(mean.view(4, 5, -1)[:, missing[0]], torch.zeros(4, int(missing.sum())))


@pytest.mark.parametrize("attention", ["self", "context"])
@pytest.mark.parametrize("kind", ["transformer", "modumorph"])
def test_padding_never_changes_the_action(kind: NetworkKind, attention: str) -> None:
    batch = random_batch(LIMB_COUNTS)
    policy = policy_of(small(kind, attention=attention, width=32), batch)
    assert isinstance(policy, LimbPolicy)
    network = policy.network
    assert isinstance(network, LimbNetwork)
    packing = batch.packing(3)
    observation = random_observation(packing)
    packed = network(network.encode(batch), observation, packing, None)
    normalized = network.inputs.moments.normalize(observation)
    for robot, limbs in enumerate(LIMB_COUNTS):
        rows = packing.robot_rows[robot]
        own = normalized[rows].view(3, limbs, -1)
        padded = padded_outputs(
            network, only_robot(batch, robot).buckets[0], own, UNIMAL.limb_limit
        )
        torch.testing.assert_close(packed[rows].view(3, limbs, -1), padded, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["transformer", "modumorph"])
@pytest.mark.parametrize("attention", ["self", "context"])
def test_permuting_limbs_permutes_actions(kind: NetworkKind, attention: str) -> None:
    batch = random_batch((6,))
    policy = policy_of(small(kind, attention=attention), batch)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    bucket = batch.buckets[0]
    permuted = RobotBatch(
        batch.limb_counts,
        batch.names,
        batch.digests,
        (
            BucketContext(
                bucket.robots,
                bucket.context[:, order],
                bucket.raw_context[:, order],
                bucket.normalized_raw_context[:, order],
                bucket.joint_mask[:, order],
            ),
        ),
    )
    packing = batch.packing(4)
    observation = random_observation(packing)
    mean = policy.mean(policy.encode(batch), observation, packing, None).view(4, 6, -1)
    moved = observation.view(4, 6, -1)[:, order].reshape(24, -1)
    permuted_mean = policy.mean(policy.encode(permuted), moved, packing, None).view(4, 6, -1)
    torch.testing.assert_close(permuted_mean, mean[:, order], atol=1e-6, rtol=0)


def test_a_positional_embedding_tells_limbs_apart() -> None:
    batch = random_batch((2,))
    bucket = batch.buckets[0]
    for features in (bucket.context, bucket.raw_context, bucket.normalized_raw_context):
        features[:, 1] = features[:, 0]
    bucket.joint_mask[:] = True
    observation = random_observation(batch.packing(1))
    observation[1] = observation[0]

    def means(*, positional: bool) -> torch.Tensor:
        policy = policy_of(small("transformer", positional_embedding=positional), batch)
        return policy.mean(policy.encode(batch), observation, batch.packing(1), None)

    same, apart = means(positional=False), means(positional=True)
    torch.testing.assert_close(same[0], same[1])
    assert not torch.allclose(apart[0], apart[1], atol=1e-4)


@pytest.mark.parametrize("critic", ["same", "robot_mlp"])
def test_a_value_does_not_depend_on_company(critic: str) -> None:
    batch = random_batch(LIMB_COUNTS)
    packing = batch.packing(2)
    observation = random_observation(packing)
    judge = build_critic(
        small("transformer", critic=critic), "flat", 0, batch.digests, seed=3
    ).double()
    together = judge.value(judge.encode(batch), observation, packing, None)
    assert together.shape == (packing.num_environments,)
    for robot in range(len(LIMB_COUNTS)):
        alone = only_robot(batch, robot)
        own = observation[packing.robot_rows[robot]]
        value = judge.value(judge.encode(alone), own, alone.packing(2), None)
        place = packing.robot_environments[robot]
        torch.testing.assert_close(value, together[place], atol=1e-6, rtol=0)


@pytest.mark.parametrize("task", ["variable", "obstacles"])
@pytest.mark.parametrize("kind", KINDS)
def test_heights_change_actions_and_values(kind: NetworkKind, task: TaskName) -> None:
    batch = random_batch((4, 6))
    packing = batch.packing(2)
    observation = random_observation(packing)
    source = torch.Generator().manual_seed(2)
    terrain = torch.rand((packing.num_environments, 40), generator=source).double()
    policy = shaken(build_policy(small(kind), task, 40, batch.digests, seed=3))
    critic = build_critic(small(kind, critic="same"), task, 40, batch.digests, seed=4).double()
    encoding = policy.encode(batch)
    flat = policy.mean(encoding, observation, packing, torch.zeros_like(terrain))
    rough = policy.mean(encoding, observation, packing, terrain)
    assert not torch.allclose(flat, rough)
    values = critic.value(critic.encode(batch), observation, packing, terrain)
    assert values.shape == (packing.num_environments,)
    with pytest.raises(ValueError, match="sees terrain"):
        policy.mean(encoding, observation, packing, None)


def test_the_published_moments_count_padding_as_zero_samples() -> None:
    batch = random_batch((3, 4))
    packing = batch.packing(2)
    observation = random_observation(packing)
    policy = build_policy(
        small("transformer", moments="published"), "flat", 0, batch.digests, seed=3
    )
    policy.moments.merge(policy.deviations(observation, packing, batch))
    assert policy.moments.count.tolist() == [4.0] * UNIMAL.limb_limit
    width = observation.shape[1]
    last_limb = observation[packing.robot_rows[1]].view(2, 4, width)[:, 3].double()
    expected = torch.cat([last_limb, torch.zeros(2, width).double()]).mean(0)
    torch.testing.assert_close(policy.moments.mean[3, :width], expected)
    assert not policy.moments.mean[4:].any()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_gpu_that_is_not_there_is_refused_and_auto_takes_the_cpu() -> None:
    assert select_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="sees no CUDA device here; expected auto or cpu"):
        select_device("cuda")
