"""Another kind, size or task is the named configuration of that name, however it is asked for."""

from typing import get_args

import pytest

from engine.config.base import Config, TaskName
from engine.config.distillation import StudentConfig, named_student, student_network
from engine.config.network import NetworkConfig, NetworkKind, NetworkSize, named_network
from engine.config.overrides import with_assignments
from engine.config.presets import PRESETS, stage_preset
from engine.config.teacher import TeacherConfig, named_teacher
from engine.errors import ConfigError

KINDS = get_args(NetworkKind)
STUDENT_KINDS = ("hypernetwork", "transformer", "modumorph", "multi_mlp")


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
    ("preset", "kind", "word", "reader"),
    [
        ("quick", "transformer", "network.context=raw", "a hypernetwork student"),
        ("quick", "multi_mlp", "network.context=raw", "a hypernetwork student"),
        ("quick", "multi_mlp", "network.dropout=0.2", "a hypernetwork student"),
        ("quick", "transformer", "network.hidden_width=64", "a hypernetwork or multi_mlp student"),
        ("quick", "modumorph", "network.hidden_layers=3", "a hypernetwork or multi_mlp student"),
        ("quick", "multi_mlp", "network.width=32", "a hypernetwork or transformer or modumorph"),
        ("quick", "multi_mlp", "network.layers=9", "a hypernetwork or transformer or modumorph"),
        ("smoke", "hypernetwork", "network.attention=self", "a transformer or modumorph student"),
        ("quick", "hypernetwork", "network.positional_embedding=true", "a transformer or modumor"),
        ("smoke", "hypernetwork", "network.scaled_embedding=true", "a transformer or modumorph"),
        ("quick", "hypernetwork", "network.scaled_embedding=false", "a transformer or modumorph"),
        ("quick", "hypernetwork", "network.critic=same", "a teacher's critic"),
        ("laptop", "transformer", "network.critic=robot_mlp", "a teacher's critic"),
        ("smoke", "hypernetwork", "network.critic_hidden_width=7", "a teacher's critic"),
    ],
)
def test_a_student_refuses_what_nothing_would_read(
    preset: str, kind: NetworkKind, word: str, reader: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        changed("student", preset, f"network.kind={kind}", word)
    sentence = str(refused.value)
    key, value = word.split("=")
    assert f"{key} is read by {reader}" in sentence
    assert f"not by a {kind} student; leave it at " in sentence
    assert not sentence.endswith(f" {value}")


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("network.moments=published", r"network\.moments of a student is shared"),
        ("network.kind=single_mlp", "single_mlp has a network for each robot it was trained on"),
        ("validation_fraction=0", "patience_epochs is read where something is held out"),
    ],
)
def test_a_student_that_could_not_be_judged_is_refused(word: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        changed("student", "paper", "validation_robots=0", word)


@pytest.mark.parametrize("size", get_args(NetworkSize))
@pytest.mark.parametrize("task", get_args(TaskName))
@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_every_named_network_and_what_its_kind_reads_is_a_students(
    kind: NetworkKind, task: TaskName, size: NetworkSize
) -> None:
    named = StudentConfig(network=student_network(size, task, kind)).network
    read = {"multi_mlp": {"hidden_width": 48}, "hypernetwork": {"context": "raw", "dropout": 0.0}}
    changes = read.get(kind, {"width": 48, "attention": "self", "positional_embedding": True})
    changed_network = named.model_copy(update=changes)
    assert StudentConfig(network=changed_network).network == changed_network


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_the_smoke_student_of_another_kind_keeps_what_both_kinds_read(kind: NetworkKind) -> None:
    found = changed("student", "smoke", f"network.kind={kind}")
    assert isinstance(found, StudentConfig)
    start, small = named_student("smoke").network, student_network("small", kind=kind)
    both = {
        "hypernetwork": set(NetworkConfig.model_fields),
        "multi_mlp": {"hidden_width", "hidden_layers"},
    }.get(kind, {"width", "layers", "heads", "feedforward_width"})
    kept = {name: getattr(start, name) for name in both}
    assert found.network == small.model_copy(update=kept)
    assert found.network.dropout == (0.1 if kind == "hypernetwork" else 0.0)
    # A pipeline's student, and the way back.
    pipeline = with_assignments(PRESETS["smoke"], [f"student.network.kind={kind}"])
    assert pipeline.student.network == found.network
    back = with_assignments(found, ["network.kind=hypernetwork"])
    assert (back.network.dropout, back.network.width) == (0.1, 64)
