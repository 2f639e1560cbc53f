"""What a stage takes over from the runs it reads, before anybody sets anything else."""

from collections.abc import Callable, Sequence
from typing import Any

from db.queries.runs import list_runs
from db.records import Run, RunKind
from db.session import Database
from engine.config.base import Config, TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig, student_of
from engine.config.evaluation import EvaluationConfig

ONE_PER_ROBOT = "single_mlp"
Find = Callable[[Sequence[int]], Sequence[Run]]
"""Gives the runs of some numbers."""


def found_in(database: Database) -> Find:
    """Runs of a database."""
    return lambda numbers: list_runs(database, ids=numbers)


def starting_config(base: Config, find: Find, inputs: Sequence[int]) -> Config:
    """A preset's settings of a stage with what follows from the runs that it reads."""
    found = find(inputs[:1])
    if isinstance(base, CollectionConfig) and found and found[0].kind is RunKind.TEACHER:
        return collection_of_teacher(base, found[0])
    if isinstance(base, StudentConfig) and found and found[0].kind is RunKind.COLLECTION:
        return student_of_collection(base, find, found[0])
    if isinstance(base, EvaluationConfig):
        return evaluation_of_policies(base, find, inputs)
    return base


def collection_of_teacher(base: CollectionConfig, teacher: Run) -> CollectionConfig:
    """A collection on the ground that the teacher learned on."""
    return base.model_copy(update={"task": _on_ground_of(base.task, teacher)})


def student_of_collection(base: StudentConfig, find: Find, run: Run) -> StudentConfig:
    """A student as it was published for a collection's task and its kind of teacher."""
    task = _on_ground_of(TaskConfig(), run)
    teacher = _input(find, run, RunKind.TEACHER)
    network = teacher.config.get("network", {}) if teacher else {}
    return student_of(base, task.name, one_per_robot=network.get("kind") == ONE_PER_ROBOT)


def evaluation_of_policies(
    base: EvaluationConfig, find: Find, inputs: Sequence[int]
) -> EvaluationConfig:
    """An evaluation on the ground that the first of the policies learned on."""
    run = next(iter(find(inputs[:1])), None)
    origin = None if run is None else _origin(find, run)
    if origin is None:
        return base
    return base.model_copy(update={"task": _on_ground_of(base.task, origin)})


def learned_ground(find: Find, run: Run) -> TaskConfig | None:
    """The task that a run's policy learned; None where the run that says so is gone."""
    origin = _origin(find, run)
    return None if origin is None else _on_ground_of(TaskConfig(), origin)


def _origin(find: Find, run: Run) -> Run | None:
    """The run whose settings say on which ground a policy learned."""
    reads = {RunKind.DEPLOYMENT: RunKind.STUDENT, RunKind.STUDENT: RunKind.COLLECTION}
    found: Run | None = run
    while found is not None and found.kind in reads:
        found = _input(find, found, reads[found.kind])
    return found


def _input(find: Find, run: Run, kind: RunKind) -> Run | None:
    return next((each for each in find(run.inputs) if each.kind is kind), None)


def _on_ground_of(task: TaskConfig, run: Run) -> TaskConfig:
    """``task`` on the ground of a run's configuration."""
    written: dict[str, Any] = dict(run.config.get("task", {}))
    ground = {key: written[key] for key in ("name", "incline_deg") if key in written}
    return TaskConfig.model_validate({**task.model_dump(), **ground})
