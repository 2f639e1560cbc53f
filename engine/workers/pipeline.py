"""A whole pipeline as queued runs, each reading what earlier ones make."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from db.machine import boot_id
from db.queries.robots import list_robots
from db.queries.runs import insert_pipeline, insert_run, list_pipelines, list_runs
from db.records import Pipeline, Run, RunKind
from db.session import Database
from engine.config.base import Config
from engine.config.presets import PRESETS, PipelineConfig
from engine.errors import ConfigError
from engine.workers.devices import check_devices
from engine.workers.drivable import bodies, check_drivable
from engine.workers.new_runs import built_run, warn
from engine.workers.robot_library import TRAINING, UNSEEN, resolve_set
from engine.workers.robot_roles import check_roles
from engine.workers.stage_checks import check_grounds_of_pipeline
from engine.workers.stages import GENERATED, MUTANTS, StageRequest
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace


@dataclass(frozen=True)
class RobotSets:
    """The sets a pipeline works on; ``made`` are those its generation run fills, by role.

    Where no robots are kept unseen, ``unseen`` is empty.
    """

    training: str
    unseen: str
    mutants: str
    made: Mapping[str, str]


@dataclass(frozen=True)
class _Step:
    """A run of a pipeline: its settings, and the earlier ones that it reads, by kind."""

    kind: RunKind
    config: Config
    reads: Sequence[RunKind] = ()
    sets: Sequence[str] = ()
    fills: Mapping[str, str] | None = None
    baselines: tuple[str, ...] = ()


def queue_pipeline(
    database: Database,
    config: PipelineConfig,
    *,
    preset: str | None = None,
    robots: str | None = None,
    name: str | None = None,
    study: str | None = None,
    allowed_roles: Collection[str] = (),
) -> tuple[Pipeline, list[Run]]:
    """Queue every stage at once and see that somebody starts them; the runs in that order.

    ``robots`` names a set to train on; without one, robots are generated. Robots never trained on
    are those of the set with that role, else generated. ``study`` groups the runs with others that
    answer the same question.

    Raises:
        UnknownRobotSetError: No set has that name; here as below nothing is queued.
        RoleNotAllowedError: It is not for training.
        ConfigError: The teacher could not go on to mutants or to another stage's ground, or this
            machine lacks a device.
    """
    config = config.seeded().grounded()
    _check_settings(config)
    check_devices(config)
    unseen_given = False
    if robots is not None:
        resolve_set(database, Workspace(database.home), robots)
        check_roles(database, [robots], allowed_roles)
        learners = {"the teacher": config.teacher.network, "the student": config.student.network}
        check_drivable(learners, bodies(Workspace(database.home), list_robots(database, robots)))
        unseen_given = bool(list_robots(database, robots, role=TRAINING, limit=1)) and bool(
            list_robots(database, robots, role=UNSEEN, limit=1)
        )
    preset = preset or _preset_name(config)
    label = name or _free_label(database, f"{preset}-{robots or GENERATED}", config.seed)
    with database.write() as session:
        pipeline = insert_pipeline(session, label, preset, robots or GENERATED, config.seed)
        queued: dict[RunKind, int] = {}
        for step in _steps(config, _robot_sets(pipeline.id, config, robots, unseen_given)):
            request = StageRequest(
                step.kind,
                step.config,
                name=_name_of(label, step.kind, config.seed),
                study=study or "",
                inputs=tuple(queued[kind] for kind in step.reads if kind in queued),
                baselines=step.baselines,
                fills=step.fills or {},
            )
            new = built_run(request, step.sets, pipeline=pipeline.id)
            queued[step.kind] = insert_run(session, new, boot_id()).id
    ensure_supervisor(database)
    runs = list_runs(database, pipeline=pipeline.id, newest_first=False)
    if robots is not None:
        warn(database, next(run for run in runs if run.kind is RunKind.TEACHER))
    return pipeline, runs


def _check_settings(config: PipelineConfig) -> None:
    if config.teacher.network.kind == "single_mlp":
        raise ConfigError(
            "a pipeline acts on mutants and unseen robots, which one MLP per robot"
            " (teacher.network.kind=single_mlp) does not know; run teach, collect and distill"
        )
    tasks = {"collection": config.collection.task, "evaluation": config.evaluation.task}
    check_grounds_of_pipeline(config.teacher.task, tasks)


def _preset_name(config: PipelineConfig) -> str:
    known = (name for name, each in PRESETS.items() if each.seeded().grounded() == config)
    return next(known, "custom")


def _free_label(database: Database, what: str, seed: int) -> str:
    """What a pipeline is called that is given no name; the second one of a name is numbered."""
    taken = {pipeline.name for pipeline in list_pipelines(database)}
    label, number = f"{what}-s{seed}", 1
    while label in taken:
        number += 1
        label = f"{what}-{number}-s{seed}"
    return label


def _name_of(label: str, kind: RunKind, seed: int) -> str:
    """The name of a pipeline's run: its kind in that of the pipeline, before the seed."""
    ending = f"-s{seed}"
    if label.endswith(ending):
        return f"{label.removesuffix(ending)}-{kind}{ending}"
    return f"{label}-{kind}"


def _robot_sets(
    pipeline: int, config: PipelineConfig, robots: str | None, unseen_given: bool
) -> RobotSets:
    training = robots or f"pipeline{pipeline}-training"
    made = {} if robots else {TRAINING: training}
    if robots and unseen_given:
        unseen = robots
    else:
        unseen = f"pipeline{pipeline}-unseen" if config.generation.unseen_count else ""
        made |= {UNSEEN: unseen} if unseen else {}
    return RobotSets(training, unseen, f"pipeline{pipeline}-mutants", made)


def _steps(config: PipelineConfig, sets: RobotSets) -> list[_Step]:
    """The runs in an order in which each comes after what it reads."""
    kind = RunKind
    # Only who reads generated robots waits for the generation.
    first = [kind.GENERATION] if TRAINING in sets.made else []
    last = [kind.GENERATION] if sets.made and not first else []
    both = [sets.training, sets.mutants]
    judged = [name for name in (sets.training, sets.unseen) if name]
    policies = [kind.TEACHER, kind.STUDENT, *last]
    steps = [
        _Step(kind.TEACHER, config.teacher, first, [sets.training]),
        _Step(kind.MUTATION, config.mutation, first, [sets.training], {MUTANTS: sets.mutants}),
        _Step(kind.COLLECTION, config.collection, [kind.TEACHER, kind.MUTATION], both),
        _Step(kind.STUDENT, config.student, [kind.COLLECTION]),
        _Step(kind.EVALUATION, config.evaluation, policies, judged, baselines=("random",)),
        _Step(kind.DEPLOYMENT, config.deployment, [kind.STUDENT], [sets.training]),
    ]
    if not sets.made:
        return steps
    return [_Step(kind.GENERATION, config.generation, fills=sets.made), *steps]
