"""Roll a frozen teacher out on every robot of a set and store what it saw and did."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from engine.config.distillation import CollectionConfig
from engine.distillation.dataset_writer import fill_folder
from engine.distillation.manifest import (
    Manifest,
    Source,
    digests_by_name,
    first_problem,
    installed_versions,
)
from engine.distillation.rollout_recorder import RecordingPlan, RobotOutcome
from engine.environments import VectorEnvironment
from engine.errors import DatasetError
from engine.events import ArtifactWritten, Metrics, Progress, Result, StageContext
from engine.files import file_sha256
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Morphology
from engine.rollout.saved_policy import PolicyDescription, load_policy

FOLDER_NAME = "expert-data"


def collect_expert_data(
    config: CollectionConfig,
    teacher_path: Path,
    robots: Sequence[Morphology],
    context: StageContext,
    recorded_sha256: str | None = None,
) -> Path:
    """Expert data of a teacher on ``robots``: the folder of shards and manifest.

    Robots that already stand in the folder's manifest with intact files are not collected again.
    ``recorded_sha256`` is the manifest's where the data were complete before: repaired ones are
    the same, byte for byte.

    Raises:
        DatasetError: the teacher cannot act on a robot or on the task, the folder holds data of
            another teacher, configuration or robot set, is not writable, or cannot be repaired.
        StopRequestedError: a stop was asked for; finished robots are kept.
    """
    folder = context.folder / FOLDER_NAME
    _check_robots(robots)
    _, teacher = load_policy(teacher_path)
    check_teacher(teacher, robots)
    source = _source(config, teacher_path, teacher, robots)
    plan = RecordingPlan(config, teacher_path, folder, source)
    progress = _Progress(context, config, len(robots))
    manifest, sha256 = fill_folder(plan, robots, context, progress.report)
    if recorded_sha256 not in (None, sha256):
        raise DatasetError(
            f"{folder}: repaired, the manifest has SHA-256 {sha256[:12]}, the data that were"
            f" collected first had {(recorded_sha256 or '')[:12]}: it was changed by hand, or this"
            " machine computes other numbers; remove the manifest and resume to collect all robots"
            " again, or collect into a new run"
        )
    _report(folder, manifest, sha256, context)
    return folder


def check_teacher(teacher: PolicyDescription, robots: Sequence[Morphology]) -> None:
    """Refuse robots that a bank of single-robot teachers has no teacher for.

    Raises:
        DatasetError: one of them has none.
    """
    if teacher.network.kind != "single_mlp":
        return
    missing = [robot.name for robot in robots if robot.digest not in teacher.digests]
    if missing:
        raise DatasetError(
            f"{missing[0]}: has no teacher, and neither have {len(missing) - 1} more of the"
            f" {len(robots)} robots: this run trained one teacher per robot, for"
            f" {len(teacher.digests)} robots; collect on those alone, without mutants, or train"
            " a universal teacher (network.kind=transformer)"
        )


def _source(
    config: CollectionConfig,
    teacher_path: Path,
    teacher: PolicyDescription,
    robots: Sequence[Morphology],
) -> Source:
    terrain = VectorEnvironment(robots[:1], config.task, 1, config.seed).terrain
    points = 0 if terrain is None else terrain.shape[1]
    if points != teacher.terrain_points:
        raise DatasetError(
            f"{teacher_path.name}: the teacher learned on {teacher.task} and sees"
            f" {teacher.terrain_points} heights, {config.task.name} shows {points}; collect with"
            f" task.name={teacher.task}"
        )
    try:
        return Source(
            teacher_sha256=file_sha256(teacher_path),
            action_std=teacher.action_std,
            task=config.task,
            seed=config.seed,
            samples_per_robot=config.samples_per_robot,
            simulations_per_robot=config.simulations_per_robot,
            robots_per_batch=config.robots_per_batch,
            stochastic=config.stochastic,
            minimum_return=config.minimum_return,
            maximum_fall_fraction=config.maximum_fall_fraction,
            robots=digests_by_name(robots),
            family=UNIMAL.name,
            observation_layout=UNIMAL.observation_layout.features,
            joint_names=UNIMAL.joint_names,
            terrain_points=points,
            versions=installed_versions(),
        )
    except ValidationError as error:
        raise DatasetError(
            f"{teacher_path}: cannot be collected from: {first_problem(error)}"
        ) from error


def _check_robots(robots: Sequence[Morphology]) -> None:
    """Shards are named after robots and hold what a body did, so both must differ."""
    if not robots:
        raise DatasetError("no robots to collect from; choose a robot set that is not empty")
    names = [robot.name for robot in robots]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DatasetError(f"two robots are named {min(twice)}; rename one of them")
    owners: dict[str, str] = {}
    for robot in robots:
        other = owners.setdefault(robot.digest, robot.name)
        if other != robot.name:
            raise DatasetError(f"{other} and {robot.name} are one body; leave one of them out")


def _report(folder: Path, manifest: Manifest, sha256: str, context: StageContext) -> None:
    if not manifest.shards:
        raise DatasetError(
            f"{folder}: {_filters(manifest.source)} leaves out all {len(manifest.dropped)} robots;"
            " collect into a new run with a looser filter, or train the teacher longer"
        )
    context.report(ArtifactWritten("expert_data", FOLDER_NAME, folder, sha256))
    returns = [shard.statistics.mean_return for shard in manifest.shards]
    samples = sum(shard.samples for shard in manifest.shards)
    mean = sum(returns) / len(returns)
    context.report(
        Result(
            float(samples),
            f"{samples} samples of {len(returns)} robots, teacher's mean return {mean:.0f},"
            f" {len(manifest.dropped)} robots left out",
            "samples",
        )
    )


def _filters(source: Source) -> str:
    """The quality filters that are set, as settings."""
    names = ("minimum_return", "maximum_fall_fraction")
    values = {name: getattr(source, name) for name in names}
    return " with ".join(f"{name}={value:g}" for name, value in values.items() if value is not None)


@dataclass
class _Progress:
    """Robots done, and what the teacher returned on them."""

    context: StageContext
    config: CollectionConfig
    total: int

    def report(self, outcomes: Sequence[RobotOutcome], count: int, done: int) -> None:
        self.context.report(Progress(done, self.total, "robots"))
        statistics = {outcome.robot_digest: outcome.statistics for outcome in outcomes}
        returns = [entry.mean_return for entry in statistics.values()]
        steps = count * self.config.steps * self.config.simulations_per_robot
        self.context.report(
            Metrics(
                step=steps,
                iteration=count,
                values={"teacher_return": sum(returns) / len(returns)},
                robots={
                    digest: {"episode_return": entry.mean_return}
                    for digest, entry in statistics.items()
                },
            )
        )
