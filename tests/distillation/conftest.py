"""A small teacher with random weights, a few generated robots, and expert data of them."""

from pathlib import Path

import pytest
from teachers import save_teacher, silent_context

from engine.config.base import TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig, student_network
from engine.distillation.collection import collect_expert_data
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology


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
