"""A small teacher with random weights, a few generated robots, and expert data of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from engine.checkpoints import prefixed, save_checkpoint
from engine.config.base import TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig, student_network
from engine.config.network import NetworkKind, named_network
from engine.distillation.collection import collect_expert_data
from engine.events import StageContext
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology
from engine.rollout.saved_policy import DOCUMENT_KEY, POLICY_PREFIX, PolicyDescription


def silent_context(folder: Path) -> StageContext:
    return StageContext(folder, 1, lambda event: None, lambda: False)


def save_teacher(
    path: Path,
    seed: int = 1,
    kind: NetworkKind = "transformer",
    robots: Sequence[Morphology] = (),
) -> Path:
    description = PolicyDescription(
        network=named_network(kind, "small"),
        task="flat",
        terrain_points=0,
        digests=tuple(robot.digest for robot in robots),
        action_std=0.5,
    )
    policy = description.build(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.5)
    tensors = prefixed(POLICY_PREFIX, policy.state_dict())
    save_checkpoint(path, tensors, {DOCUMENT_KEY: description.model_dump(mode="json")})
    return path


@pytest.fixture(scope="session")
def robots() -> list[Morphology]:
    return generate(4, seed=5)


@pytest.fixture(scope="session")
def teacher_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("teacher") / "teacher.safetensors")


@pytest.fixture(scope="session")
def collection() -> CollectionConfig:
    return CollectionConfig(
        samples_per_robot=60,
        simulations_per_robot=4,
        robots_per_batch=2,
        processes=1,
        task=TaskConfig(episode_steps=10),
    )


@pytest.fixture(scope="session")
def expert_folder(
    tmp_path_factory: pytest.TempPathFactory,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
) -> Path:
    context = silent_context(tmp_path_factory.mktemp("collection"))
    return collect_expert_data(collection, teacher_path, robots, context)


@pytest.fixture(scope="session")
def student_config() -> StudentConfig:
    network = student_network("small").model_copy(
        update={"width": 16, "feedforward_width": 16, "hidden_width": 16}
    )
    return StudentConfig(
        network=network,
        epochs=4,
        validation_robots=1,
        robots_per_minibatch=2,
        samples_per_minibatch_robot=16,
        threads=1,
        device="cpu",
        checkpoint_every_s=1e6,
    )
