"""One teacher per robot: collected from like any other, refused where a robot has none."""

from pathlib import Path

import pytest
import torch
from listening import Listener
from teachers import save_teacher, silent_context

from engine.config.base import TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig, student_of
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset, pooled_moments
from engine.distillation.training import train_student
from engine.errors import DatasetError
from engine.morphology.tree import Morphology
from engine.rollout.saved_policy import load_policy


def test_a_student_of_single_teachers_has_moments_of_its_own(
    tmp_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    student_config: StudentConfig,
) -> None:
    teacher = save_teacher(tmp_path / "teacher.safetensors", kind="single_mlp", robots=robots)
    folder = collect_expert_data(collection, teacher, robots, silent_context(tmp_path))
    config = student_of(student_config, "flat", one_per_robot=True)
    assert config.downweight_large_actions
    config = config.model_copy(update={"epochs": 2, "validation_robots": 0})
    student = load_policy(train_student(config, folder, Listener().context(tmp_path)))[0]
    mean, variance, _ = pooled_moments(load_dataset(folder).robots)
    torch.testing.assert_close(student.moments.mean[0], torch.from_numpy(mean))
    torch.testing.assert_close(student.moments.variance[0], torch.from_numpy(variance))
    assert not torch.equal(student.moments.mean, load_policy(teacher)[0].moments.mean)


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
