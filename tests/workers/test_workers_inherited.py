"""Stages take over from what they read: the ground, the student's depth, who has a teacher."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.queries.robots import list_robots
from db.queries.runs import queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.presets import PRESETS
from engine.config.teacher import TeacherConfig, named_teacher
from engine.errors import ConfigError, UsageError
from engine.morphology.generation import generate
from engine.workers.inherited import (
    collection_of_teacher,
    evaluation_of_policies,
    found_in,
    student_of_collection,
)
from engine.workers.pipeline import queue_pipeline
from engine.workers.robot_library import TRAINING, UNSEEN, make_set
from engine.workers.stage_checks import check_ground, check_teachers
from engine.workers.workspace import Workspace
from hdtui.actions.run_form import RunForm
from hdtui.data.form_choices import FormChoices


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path)
    yield opened
    opened.close()


def _queued(database: Database, kind: RunKind, config: object, inputs: tuple[int, ...] = ()) -> Run:
    document = config.model_dump(mode="json")  # type: ignore[attr-defined]
    return queue_run(
        database,
        NewRun(kind=kind, name=kind, config=document, seed=1, inputs=inputs, robot_sets=("two",)),
    )


def _teacher(database: Database, config: TeacherConfig) -> Run:
    return _queued(database, RunKind.TEACHER, config)


def test_all_that_follows_a_terrain_teacher_is_on_its_ground(database: Database) -> None:
    teacher = _teacher(database, named_teacher("smoke", task="obstacles"))
    collection = collection_of_teacher(CollectionConfig(), teacher)
    assert collection.task.name == "obstacles"
    collected = _queued(database, RunKind.COLLECTION, collection, (teacher.id,))
    student = student_of_collection(StudentConfig(), found_in(database), collected)
    assert student.network.hidden_layers == 2
    check_ground(found_in(database), [teacher.id], collection.task)
    with pytest.raises(UsageError, match="learned on obstacles and sees"):
        check_ground(found_in(database), [teacher.id], CollectionConfig().task)
    assert not student.downweight_large_actions
    distilled = _queued(database, RunKind.STUDENT, student, (collected.id,))
    for inputs in ([teacher.id], [distilled.id]):
        judged = evaluation_of_policies(EvaluationConfig(), found_in(database), inputs)
        assert judged.task.name == "obstacles"
    assert evaluation_of_policies(EvaluationConfig(), found_in(database), []) == EvaluationConfig()


def test_the_form_takes_over_what_the_command_takes_over(database: Database) -> None:
    teacher = _teacher(database, named_teacher("smoke", "single_mlp", task="variable"))
    collection = collection_of_teacher(CollectionConfig(), teacher)
    collected = _queued(database, RunKind.COLLECTION, collection, (teacher.id,))
    known = FormChoices((), (), by_number={run.id: run for run in (teacher, collected)})

    def form(stage: str, run: Run) -> Any:
        found = RunForm(stage, inputs=str(run.id))
        assert "variable" not in str(found.config())
        found.take_defaults(known)
        return found.config()

    assert form("collection", teacher).task.name == "variable"
    assert form("evaluation", teacher).task.name == "variable"
    student = form("student", collected)
    assert (student.network.hidden_layers, student.downweight_large_actions) == (2, True)


def test_one_teacher_per_robot_acts_for_the_robots_it_trained_on_alone(
    database: Database, tmp_path: Path
) -> None:
    first, second = generate(2, seed=4)
    members = [(first, TRAINING), (second, UNSEEN)]
    make_set(database, Workspace(tmp_path), "two", members)
    make_set(database, Workspace(tmp_path), "one", members[:1])
    teacher = _teacher(database, named_teacher("smoke", "single_mlp"))
    both, one = list_robots(database, "two"), list_robots(database, "one")
    check_teachers(database, teacher, one)
    with pytest.raises(UsageError, match=f"{second.name} has no teacher"):
        check_teachers(database, teacher, both)
    check_teachers(database, _teacher(database, named_teacher("smoke")), both)
    collected = _queued(database, RunKind.COLLECTION, CollectionConfig(), (teacher.id,))
    student = student_of_collection(StudentConfig(), found_in(database), collected)
    assert student.downweight_large_actions


def test_a_pipeline_with_one_teacher_per_robot_is_refused_before_it_trains(
    database: Database,
) -> None:
    teacher = named_teacher("smoke", "single_mlp")
    config = PRESETS["smoke"].model_copy(update={"teacher": teacher})
    with pytest.raises(ConfigError, match="single_mlp"):
        queue_pipeline(database, config)


def test_a_pipeline_follows_its_teachers_ground_unless_told_otherwise() -> None:
    flat = PRESETS["laptop"]
    assert flat.grounded() == flat
    teacher = named_teacher("laptop", task="variable")
    rough = flat.model_copy(update={"teacher": teacher}).grounded()
    assert {rough.collection.task.name, rough.evaluation.task.name} == {"variable"}
    assert rough.student.network.hidden_layers == 2
