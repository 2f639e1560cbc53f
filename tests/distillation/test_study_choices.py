"""Choices of a study change what a student is trained on, and what it reads."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from listening import Listener, same_student, weights
from torch import Tensor

from engine.config.distillation import StudentConfig
from engine.distillation.dataset import load_dataset, split_dataset
from engine.distillation.training import train_student
from engine.morphology.tree import Morphology
from engine.policies.policy import Policy
from engine.policies.robots import robot_batch
from engine.rollout.saved_policy import load_policy


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {"loss": "logp"}),
        # The teacher draws actions beyond the range, its means are all within.
        ({"loss": "logp"}, {"downweight_large_actions": True}),
    ],
    ids=["logp", "downweight"],
)
def test_another_loss_gives_another_student_and_other_curves(
    tmp_path: Path,
    expert_folder: Path,
    student_config: StudentConfig,
    options: dict[str, object],
    changed: dict[str, object],
) -> None:
    plain = student_config.model_copy(update={"epochs": 1, **options})
    paths, listeners = [], []
    for place, config in enumerate((plain, plain.model_copy(update=changed))):
        listeners.append(Listener())
        context = listeners[-1].context(tmp_path / str(place))
        paths.append(train_student(config, expert_folder, context))
    assert not same_student(*paths)
    for name in ("loss", "held_out_sample_loss", "held_out_robot_loss"):
        one, other = (listener.curve(name) for listener in listeners)
        assert len(one) == len(other)
        assert one != other


def test_a_student_learns_from_so_many_robots_and_samples_only(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    limits = {"max_robots": 2, "max_samples_per_robot": 40, "epochs": 1}
    config = student_config.model_copy(update=limits)
    dataset = load_dataset(expert_folder)
    assert {data.arrays.samples for data in dataset.robots} == {60}
    split = split_dataset(dataset, config)
    trained, held_out = split.training, split.held_out_samples
    assert [len(samples) for samples in trained.samples] == [36, 36]
    assert [len(samples) for samples in held_out.samples] == [4, 4]
    listener = Listener()
    path = train_student(config, expert_folder, listener.context(tmp_path))
    assert load_policy(path)[1].digests == tuple(data.robot.digest for data in trained.robots)
    # 36 samples are two minibatches of 16 for both robots; without limits there are six.
    assert list(listener.points("held_out_loss")) == [2]
    whole = Listener()
    config = student_config.model_copy(update={"epochs": 1})
    path = train_student(config, expert_folder, whole.context(tmp_path / "whole"))
    assert len(load_policy(path)[1].digests) == 3
    assert list(whole.points("held_out_loss")) == [6]


def test_a_student_of_raw_context_differs_and_comes_back_reading_it(
    tmp_path: Path,
    expert_folder: Path,
    student_config: StudentConfig,
    robots: list[Morphology],
) -> None:
    policies, paths = {}, {}
    for kind in ("raw", "transformed"):
        network = student_config.network.model_copy(update={"context": kind})
        config = student_config.model_copy(update={"network": network, "epochs": 2})
        listener = Listener()
        paths[kind] = train_student(config, expert_folder, listener.context(tmp_path / kind))
        policies[kind], description = load_policy(paths[kind])
        assert description.network.context == kind
    raw, transformed = (weights(path) for path in paths.values())
    alike = [name for name, own in raw.items() if own.shape == transformed[name].shape]
    assert any(not torch.equal(raw[name], transformed[name]) for name in alike)
    for kind, other in (("raw", "transformed"), ("transformed", "raw")):
        before = first_actions(policies[kind], robots, "")
        assert not torch.equal(before, first_actions(policies[kind], robots, kind))
        assert torch.equal(before, first_actions(policies[kind], robots, other))


def first_actions(policy: Policy, robots: list[Morphology], without: str) -> Tensor:
    """Actions at the same observations, one of the two contexts blanked where it is named."""
    batch = robot_batch(robots, "cpu")
    names = {"raw": ("raw_context", "normalized_raw_context"), "transformed": ("context",)}
    blanked = tuple(
        replace(
            bucket,
            **{name: torch.zeros_like(getattr(bucket, name)) for name in names.get(without, ())},
        )
        for bucket in batch.buckets
    )
    batch = replace(batch, buckets=blanked)
    packing = batch.packing(1)
    width = policy.moments.mean.shape[-1]
    observation = torch.linspace(-1, 1, packing.num_rows * width).view(-1, width)
    with torch.no_grad():
        return policy.mean(policy.encode(batch), observation, packing, None)
