"""Another kind, size or task is the named configuration of that name, however it is asked for."""

from typing import get_args

import pytest

from engine.config.base import Config, TaskName
from engine.config.distillation import StudentConfig, student_network
from engine.config.network import NetworkKind, NetworkSize, named_network
from engine.config.overrides import with_assignments
from engine.config.presets import PRESETS, stage_preset
from engine.config.teacher import TeacherConfig, named_teacher
from engine.errors import ConfigError

KINDS = get_args(NetworkKind)


def changed(stage: str, preset: str, *words: str) -> Config:
    return with_assignments(stage_preset(stage, preset), words)


@pytest.mark.parametrize("task", get_args(TaskName))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["quick", "laptop", "paper"])
def test_a_teacher_of_another_kind_and_task_is_the_named_one(
    preset: str, kind: NetworkKind, task: TaskName
) -> None:
    found = changed("teacher", preset, f"network.kind={kind}", f"task.name={task}")
    assert found == named_teacher(preset, kind, task)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", get_args(NetworkSize))
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_of_every_kind_can_be_asked_for(kind: NetworkKind, size: NetworkSize) -> None:
    found = changed("teacher", "quick", f"network.kind={kind}", f"network.size={size}")
    assert isinstance(found, TeacherConfig)
    assert found.network == named_network(kind, size)


@pytest.mark.parametrize("kind", ["hypernetwork", "transformer", "multi_mlp"])
def test_a_student_of_another_architecture_is_the_published_one(kind: NetworkKind) -> None:
    found = changed("student", "laptop", f"network.kind={kind}")
    assert isinstance(found, StudentConfig)
    assert found.network == student_network("published", kind=kind)


def test_what_was_changed_by_hand_stays_and_later_words_win() -> None:
    found = changed("teacher", "quick", "network.width=32", "network.kind=modumorph")
    assert isinstance(found, TeacherConfig)
    assert (found.network.kind, found.network.width) == ("modumorph", 32)
    again = with_assignments(found, ["network.kind=hypernetwork"])
    assert (again.network.kind, again.network.width) == ("hypernetwork", 32)


def test_a_pipeline_names_its_stages() -> None:
    words = ["teacher.network.kind=hypernetwork", "student.network.kind=transformer"]
    found = with_assignments(PRESETS["paper"], words)
    assert found.teacher.network == named_network("hypernetwork", "published")
    assert found.student.network == student_network("published", kind="transformer")


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("network.kind=mlp", "expected one of transformer"),
        ("network.size=huge", "expected one of published, compressed, small"),
        ("network.siz=small", "did you mean network.size"),
        ("network.dropout=0.1", "for students"),
        ("ppo.minibatches=2000", "cannot fill 2000 minibatches"),
    ],
)
def test_a_name_or_value_that_means_nothing_is_refused(word: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        changed("teacher", "quick", word)


@pytest.mark.parametrize(
    "words",
    [("network.moments=published",), ("network.kind=multi_mlp", "network.dropout=0.2")],
)
def test_a_student_refuses_what_it_would_not_read(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"network\."):
        changed("student", "quick", *words)
