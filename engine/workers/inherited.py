"""What a stage takes over from the runs it reads, before anybody sets anything else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from db.queries.robots import list_robots, list_sets
from db.queries.runs import list_runs
from db.records import Robot, Run, RunKind
from db.session import Database
from engine.config.base import Config, TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig, student_of
from engine.config.evaluation import EvaluationConfig
from engine.errors import ConfigError, UsageError
from engine.morphology.mjcf import RobotFile
from engine.workers.robot_library import learning_robots

ONE_PER_ROBOT = "single_mlp"
SEEN_GROUNDS = ("variable", "obstacles")
"""Tasks whose ground policies see as heights."""
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


def check_ground(find: Find, inputs: Sequence[int], task: TaskConfig) -> None:
    """See that policies can act on a task: some grounds are seen as heights, others are not.

    Raises:
        UsageError: A policy learned with terrain heights and the task has none, or vice versa.
    """
    for run in find(inputs):
        learned = learned_ground(find, run)
        if learned is not None and sees_terrain(learned) != sees_terrain(task.name):
            raise UsageError(
                f"run {run.id} ({run.kind.value} {run.name}) learned on {learned} and"
                f" {_sight(learned)}, so it cannot act on {task.name}; leave the task out, or"
                f" choose a policy that learned on {task.name}"
            )


def check_grounds_of_pipeline(learned: str, tasks: Mapping[str, TaskConfig]) -> None:
    """See that the later stages of a pipeline are on a ground on which its teacher can act.

    Raises:
        ConfigError: The teacher is to learn with terrain heights and a stage has none, or vice
            versa.
    """
    for stage, task in tasks.items():
        if sees_terrain(learned) != sees_terrain(task.name):
            raise ConfigError(
                f"{stage}.task.name {task.name}: the teacher learns on {learned}"
                f" (teacher.task.name) and {_sight(learned)}, so it cannot act on {task.name};"
                " leave it out, or choose one ground for both"
            )


def sees_terrain(task: str) -> bool:
    """Whether policies see the ground of a task as heights."""
    return task in SEEN_GROUNDS


def _sight(task: str) -> str:
    return f"{'sees' if sees_terrain(task) else 'does not see'} terrain heights"


def learned_ground(find: Find, run: Run) -> str | None:
    """The task that a run's policy learned; None where the run that says so is gone."""
    origin = _origin(find, run)
    return None if origin is None else _on_ground_of(TaskConfig(), origin).name


def _origin(find: Find, run: Run) -> Run | None:
    """The run whose settings say on which ground a policy learned."""
    reads = {RunKind.DEPLOYMENT: RunKind.STUDENT, RunKind.STUDENT: RunKind.COLLECTION}
    found: Run | None = run
    while found is not None and found.kind in reads:
        found = _input(find, found, reads[found.kind])
    return found


def check_teachers(database: Database, teacher: Run, robots: Sequence[Robot | RobotFile]) -> None:
    """See that a run with one teacher per robot has one for each of these robots.

    Raises:
        UsageError: A robot has none.
    """
    if teacher.config.get("network", {}).get("kind") != ONE_PER_ROBOT:
        return
    known = {one.name for one in list_sets(database, removed=True)}
    names = [name for name in teacher.robot_sets if name in known]
    if not names:  # of a workspace that forgot them: the worker reads them from the policy
        return
    trained = {robot.digest for robot in learning_robots(database, names)}
    missing = [robot for robot in robots if robot.digest not in trained]
    if missing:
        raise UsageError(
            f"{missing[0].name} has no teacher: run {teacher.id} trained one per robot of"
            f" {' '.join(teacher.robot_sets)}; take those alone, without mutants, or train"
            " a universal teacher (network.kind=transformer)"
        )


def check_deployed(
    database: Database, deployment: Run, robots: Sequence[Robot | RobotFile]
) -> None:
    """See that a deployment wrote, or will write, a policy for each of these robots.

    Raises:
        UsageError: A robot has none.
    """
    known = {one.name for one in list_sets(database, removed=True)}
    if not set(deployment.robot_sets) <= known:  # forgotten by the workspace: the worker tells
        return
    covered = {
        robot.digest for name in deployment.robot_sets for robot in list_robots(database, name)
    }
    missing = [robot for robot in robots if robot.digest not in covered]
    if missing:
        raise UsageError(
            f"{missing[0].name} has no policy in run {deployment.id} deployment"
            f" {deployment.name}, which acts for the robots of {' '.join(deployment.robot_sets)};"
            f" deploy the student on it first, or evaluate the student"
        )


def _input(find: Find, run: Run, kind: RunKind) -> Run | None:
    return next((each for each in find(run.inputs) if each.kind is kind), None)


def _on_ground_of(task: TaskConfig, run: Run) -> TaskConfig:
    """``task`` on the ground of a run's configuration."""
    written: dict[str, Any] = dict(run.config.get("task", {}))
    ground = {key: written[key] for key in ("name", "incline_deg") if key in written}
    return TaskConfig.model_validate({**task.model_dump(), **ground})
