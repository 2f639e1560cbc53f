"""The student: reads a robot once, writes its base MLP, and acts as that MLP."""

import numpy as np
import pytest
import torch
from robot_batches import only_robot, random_batch, random_observation

from engine.config.hypernetwork import HypernetworkConfig
from engine.morphology.family import UNIMAL
from engine.policies.hypernetwork import Hypernetwork

LIMB_COUNTS = (5, 3, 8, 5)
SMALL = HypernetworkConfig(embedding_width=16, feedforward_width=24, hidden_width=12)


def _student(config: HypernetworkConfig = SMALL, terrain_points: int = 0) -> Hypernetwork:
    """A student in float64 whose heads have left their zero start."""
    torch.manual_seed(0)
    student = Hypernetwork(config, UNIMAL, terrain_points).double().eval()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return student


@torch.no_grad()
def test_a_fresh_student_writes_the_same_well_scaled_mlp_for_every_limb_of_every_robot() -> None:
    torch.manual_seed(0)
    student = Hypernetwork(HypernetworkConfig(), UNIMAL).eval()
    weights = student.encode(random_batch(LIMB_COUNTS, dtype=torch.float32))
    per_limb = torch.cat([part.reshape(-1, 17, 256) for part in weights.inputs])
    assert torch.equal(per_limb, per_limb[:1].expand_as(per_limb))
    assert float(per_limb.std()) == pytest.approx((12 * 17) ** -0.5, rel=0.05)
    assert float(weights.hidden[0].std()) == pytest.approx(256**-0.5, rel=0.05)
    assert torch.equal(weights.hidden[0], weights.hidden[0][:1].expand_as(weights.hidden[0]))
    assert float(weights.outputs[0].std()) == pytest.approx(256**-0.5, rel=0.1)
    assert not weights.input_bias.any()
    assert not weights.hidden_bias[0].any()
    assert not any(bias.any() for bias in weights.output_bias)


def test_layers_with_terrain_are_two_and_the_first_reads_the_terrain_embedding() -> None:
    student = Hypernetwork(HypernetworkConfig(), UNIMAL, terrain_points=1410)
    weights = student.encode(random_batch((4,), dtype=torch.float32))
    assert [tuple(weight.shape) for weight in weights.hidden] == [(1, 320, 256), (1, 256, 256)]


def test_an_action_is_that_of_a_plain_mlp_written_out_limb_by_limb() -> None:
    student = _student()
    batch = random_batch(LIMB_COUNTS)
    packing = batch.packing(2)
    observation = random_observation(packing)
    means = student.mean(student.encode(batch), observation, packing, None).detach().numpy()
    for robot, limbs in enumerate(LIMB_COUNTS):
        weights = student.encode(only_robot(batch, robot))
        inputs = weights.inputs[0][0].detach().numpy().reshape(limbs, 17, 12)
        rows = observation[packing.robot_rows[robot]].numpy().reshape(2, limbs, 17)
        features = sum(rows[:, limb] @ inputs[limb] for limb in range(limbs)) / limbs
        features = np.maximum(features + weights.input_bias.detach().numpy(), 0)
        hidden = features @ weights.hidden[0][0].detach().numpy()
        features = np.maximum(hidden + weights.hidden_bias[0].detach().numpy(), 0)
        outputs = weights.outputs[0][0].detach().numpy()
        expected = features @ outputs.T + weights.output_bias[0].detach().numpy()
        mask = only_robot(batch, robot).buckets[0].joint_mask.numpy().reshape(1, -1)
        own = means[packing.robot_rows[robot]].reshape(2, -1)
        # Neutral moments scale by 1 / sqrt(1 + 1e-8), not by 1.
        np.testing.assert_allclose(own, expected * mask, rtol=1e-6, atol=1e-7)


def test_the_company_of_other_robots_never_changes_an_action() -> None:
    student = _student()
    batch = random_batch(LIMB_COUNTS)
    packing = batch.packing(3)
    observation = random_observation(packing)
    together = student.mean(student.encode(batch), observation, packing, None)
    for robot in range(len(LIMB_COUNTS)):
        alone = only_robot(batch, robot)
        rows = packing.robot_rows[robot]
        own = student.mean(student.encode(alone), observation[rows], alone.packing(3), None)
        torch.testing.assert_close(together[rows], own, rtol=1e-10, atol=1e-12)


def test_terrain_changes_the_actions_of_its_own_environment_only() -> None:
    student = _student(terrain_points=7)
    batch = random_batch((4, 4))
    packing = batch.packing(2)
    observation, terrain = random_observation(packing), torch.randn(4, 7, dtype=torch.float64)
    encoding = student.encode(batch)
    before = student.mean(encoding, observation, packing, terrain)
    terrain[2] += 1.0
    changed = (student.mean(encoding, observation, packing, terrain) != before).any(dim=1)
    environments = torch.from_numpy(packing.row_environment)[changed]
    assert set(environments.tolist()) == {2}


def test_dropout_draws_one_mask_per_encoding_and_none_in_evaluation() -> None:
    student = _student()
    batch = random_batch(LIMB_COUNTS)
    assert torch.equal(student.encode(batch).input_bias, student.encode(batch).input_bias)
    student.train()
    first, second = student.encode(batch), student.encode(batch)
    assert not torch.equal(first.input_bias, second.input_bias)
    packing = batch.packing(2)
    one = random_observation(batch.packing(1))
    twice = torch.cat([one[rows].repeat(2, 1) for rows in _packed_order(batch)])
    means = student.mean(first, twice, packing, None)
    for rows in packing.robot_rows:
        samples = means[rows].view(2, -1)
        torch.testing.assert_close(samples[0], samples[1])


def _packed_order(batch: object) -> list[slice]:
    packing = batch.packing(1)  # type: ignore[attr-defined]
    return [packing.robot_rows[robot] for robot in packing.order]


def test_a_seeded_generator_repeats_the_dropout_masks() -> None:
    student = _student().train()
    batch = random_batch(LIMB_COUNTS)
    drawn = []
    for _ in range(2):
        student.dropout.generator = torch.Generator().manual_seed(3)
        drawn.append(student.encode(batch).hidden[0])
    assert torch.equal(drawn[0], drawn[1])


def test_a_student_of_the_raw_context_reads_the_raw_context_only() -> None:
    student = _student(SMALL.model_copy(update={"context": "raw"}))
    batch = random_batch((4,))
    before = student.encode(batch).input_bias
    batch.buckets[0].context.add_(1.0)
    assert torch.equal(student.encode(batch).input_bias, before)
    batch.buckets[0].normalized_raw_context.add_(1.0)
    assert not torch.equal(student.encode(batch).input_bias, before)
