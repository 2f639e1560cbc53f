"""One teacher per robot: collected from like any other, refused where a robot has none."""

from pathlib import Path

import pytest
import torch
from listening import Listener
from teachers import save_teacher, silent_context

from engine.config.base import TaskConfig
from engine.config.distillation import (
    CollectionConfig,
    StudentConfig,
    student_network,
    student_of,
)
from engine.config.network import NetworkKind
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset, pooled_moments
from engine.distillation.training import train_student
from engine.errors import DatasetError
from engine.morphology.tree import Morphology
from engine.policies.robots import robot_batch
from engine.rollout.saved_policy import load_policy


@pytest.fixture(scope="module")
def single_teachers(tmp_path_factory: pytest.TempPathFactory, robots: list[Morphology]) -> Path:
    path = tmp_path_factory.mktemp("single-teachers") / "teacher.safetensors"
    return save_teacher(path, kind="single_mlp", robots=robots)


@pytest.fixture(scope="module")
def single_teachers_data(
    single_teachers: Path, robots: list[Morphology], collection: CollectionConfig
) -> Path:
    context = silent_context(single_teachers.parent)
    return collect_expert_data(collection, single_teachers, robots, context)


def test_a_student_of_single_teachers_has_moments_of_its_own(
    tmp_path: Path,
    single_teachers: Path,
    single_teachers_data: Path,
    student_config: StudentConfig,
) -> None:
    folder = single_teachers_data
    config = student_of(student_config, "flat", one_per_robot=True)
    assert config.downweight_large_actions
    config = config.model_copy(update={"epochs": 2, "validation_robots": 0})
    student = load_policy(train_student(config, folder, Listener().context(tmp_path)))[0]
    mean, variance, _ = pooled_moments(load_dataset(folder).robots)
    torch.testing.assert_close(student.moments.mean[0], torch.from_numpy(mean))
    torch.testing.assert_close(student.moments.variance[0], torch.from_numpy(variance))
    assert not torch.equal(student.moments.mean, load_policy(single_teachers)[0].moments.mean)


@pytest.mark.parametrize("kind", ["transformer", "multi_mlp"])
def test_students_of_other_architectures_learn_from_single_teachers(
    tmp_path: Path,
    robots: list[Morphology],
    single_teachers_data: Path,
    student_config: StudentConfig,
    kind: NetworkKind,
) -> None:
    tiny = {"width": 16, "layers": 1, "feedforward_width": 16}
    network = student_network("small", kind=kind)
    if kind == "transformer":
        network = network.model_copy(update=tiny)
    config = student_config.model_copy(
        update={"network": network, "epochs": 12, "learning_rate": 3e-3}
    )
    config = student_of(config, "flat", one_per_robot=True)
    StudentConfig.model_validate(config.model_dump())
    listener = Listener()
    path = train_student(config, single_teachers_data, listener.context(tmp_path))
    policy, description = load_policy(path)
    assert description.network.kind == kind
    for name in ("loss", "held_out_sample_loss"):
        curve = listener.curve(name)
        assert curve[-1] < 0.9 * curve[0]
    # One student acts on all of them, the robot it has never been trained on too.
    assert len(description.digests) == len(robots) - 1
    batch = robot_batch(robots, "cpu")
    packing = batch.packing(1)
    observation = torch.zeros(packing.num_rows, policy.moments.mean.shape[-1])
    assert policy.mean(policy.encode(batch), observation, packing, None).isfinite().all()


def test_a_robot_without_a_teacher_is_named_before_anything_is_recorded(
    tmp_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    teacher = save_teacher(tmp_path / "teacher.safetensors", kind="single_mlp", robots=robots[:2])
    with pytest.raises(DatasetError, match=f"{robots[2].name}.*universal teacher"):
        collect_expert_data(collection, teacher, robots, silent_context(tmp_path))
    assert not (tmp_path / "expert-data").exists()


def test_a_teacher_on_other_ground_says_which_task_to_collect_on(
    tmp_path: Path, robots: list[Morphology], collection: CollectionConfig, teacher_path: Path
) -> None:
    elsewhere = collection.model_copy(update={"task": TaskConfig(name="variable")})
    with pytest.raises(DatasetError, match=r"task\.name=flat"):
        collect_expert_data(elsewhere, teacher_path, robots, silent_context(tmp_path))
    assert not (tmp_path / "expert-data").exists()


def test_a_student_for_terrain_has_the_second_hidden_layer(student_config: StudentConfig) -> None:
    layers = {task: student_of(student_config, task) for task in ("flat", "variable", "obstacles")}
    assert [each.network.hidden_layers for each in layers.values()] == [1, 2, 2]
