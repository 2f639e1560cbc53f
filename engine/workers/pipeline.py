"""A whole pipeline as queued runs, each reading what earlier ones make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from db.queries.robots import list_robots
from db.queries.runs import insert_pipeline, insert_run, list_runs
from db.records import NewRun, Pipeline, Run, RunKind
from db.session import Database
from engine.config.base import Config
from engine.config.presets import PRESETS, PipelineConfig
from engine.errors import ConfigError
from engine.workers.commands import ensure_supervisor
from engine.workers.library import UNSEEN, resolve_set
from engine.workers.liveness import boot_id
from engine.workers.workspace import Workspace

GENERATED = "generated"
"""What a pipeline says of its robots where no set was named."""


@dataclass(frozen=True)
class RobotSets:
    """The sets a pipeline works on; ``made`` are those its generation run fills."""

    training: str
    unseen: str
    mutants: str
    made: Mapping[str, str]


def queue_pipeline(
    database: Database,
    config: PipelineConfig,
    *,
    preset: str | None = None,
    robots: str | None = None,
    name: str | None = None,
    study: str | None = None,
) -> tuple[Pipeline, list[Run]]:
    """Queue every stage at once and see that somebody starts them; the runs in that order.

    ``robots`` names a set to train on; without one, robots are generated. Robots never trained on
    are those of the set with that role, else generated. ``study`` groups the runs with others that
    answer the same question. UnknownRobotSetError (nothing is queued) where no set has that name;
    ConfigError where the teacher could not go on to mutants.
    """
    if config.teacher.network.kind == "single_mlp":
        raise ConfigError(
            "a pipeline acts on mutants and unseen robots, which one MLP per robot"
            " (teacher.network.kind=single_mlp) does not know; run teach, collect and distill"
        )
    unseen_given = False
    if robots is not None:
        resolve_set(database, Workspace(database.home), robots)
        unseen_given = bool(list_robots(database, robots, role=UNSEEN, limit=1))
    preset = preset or _preset_name(config)
    config = config.seeded().grounded()
    label = name or f"{preset}-{robots or GENERATED}-s{config.seed}"
    with database.write() as session:
        pipeline = insert_pipeline(session, label, preset, robots or GENERATED, config.seed)
        queued: dict[RunKind, int] = {}
        for stage in _stages(config, _robot_sets(pipeline.id, robots, unseen_given)):
            inputs = tuple(queued[kind] for kind in stage.reads if kind in queued)
            new = replace(stage.run(label, pipeline.id, inputs), group=study or None)
            queued[stage.kind] = insert_run(session, new, boot_id()).id
    ensure_supervisor(database.home)
    return pipeline, list_runs(database, pipeline=pipeline.id, newest_first=False)


def _preset_name(config: PipelineConfig) -> str:
    known = (name for name, each in PRESETS.items() if each == config)
    return next(known, "custom")


@dataclass(frozen=True)
class _Stage:
    kind: RunKind
    config: Config
    reads: Sequence[RunKind]
    sets: Sequence[str]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def run(self, name: str, pipeline: int, inputs: tuple[int, ...]) -> NewRun:
        return NewRun(
            kind=self.kind,
            name=name,
            config=self.config.model_dump(mode="json"),
            seed=int(getattr(self.config, "seed", 0)),
            inputs=inputs,
            robot_sets=tuple(dict.fromkeys(self.sets)),
            pipeline=pipeline,
            device=str(getattr(self.config, "device", "cpu")),
            extra=dict(self.extra),
        )


def _robot_sets(pipeline: int, robots: str | None, unseen_given: bool) -> RobotSets:
    training = robots or f"pipeline{pipeline}-training"
    unseen = robots if robots and unseen_given else f"pipeline{pipeline}-unseen"
    made = {} if robots else {"training_set": training}
    if unseen != robots:
        made["unseen_set"] = unseen
    return RobotSets(training, unseen, f"pipeline{pipeline}-mutants", made)


def _stages(config: PipelineConfig, sets: RobotSets) -> list[_Stage]:
    """The stages in an order in which each comes after what it reads."""
    kind = RunKind
    both = [sets.training, sets.mutants]
    seen_and_unseen = [sets.training, sets.unseen]
    # Only who reads generated robots waits for the generation.
    first = [kind.GENERATION] if "training_set" in sets.made else []
    last = [kind.GENERATION] if sets.made and not first else []
    stages = [
        _Stage(kind.TEACHER, config.teacher, first, [sets.training]),
        _Stage(
            kind.MUTATION,
            config.mutation,
            first,
            [sets.training],
            {"mutant_set": sets.mutants},
        ),
        _Stage(kind.COLLECTION, config.collection, [kind.TEACHER, kind.MUTATION], both),
        _Stage(kind.STUDENT, config.student, [kind.COLLECTION], []),
        _Stage(
            kind.EVALUATION,
            config.evaluation,
            [kind.TEACHER, kind.STUDENT, *last],
            seen_and_unseen,
            {"baselines": ["random"]},
        ),
        _Stage(kind.DEPLOYMENT, config.deployment, [kind.STUDENT], [sets.training]),
    ]
    if not sets.made:
        return stages
    return [_Stage(kind.GENERATION, config.generation, [], [], sets.made), *stages]
