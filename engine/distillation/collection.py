"""Roll a frozen teacher out on every robot of a set and store what it saw and did.

Robots are rolled out in batches that depend on the set alone, each with generators named by its
digest: a collection that was killed and resumed ends with the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.distillation import CollectionConfig
from engine.distillation.manifest import (
    MANIFEST_NAME,
    DroppedRobot,
    Manifest,
    Shard,
    Source,
    installed_versions,
    load_manifest,
    save_manifest,
)
from engine.distillation.recording import BatchJob, RobotOutcome, record_batch
from engine.environments import VectorEnvironment
from engine.errors import DatasetError
from engine.events import ArtifactWritten, Metrics, Note, Progress, Result, StageContext
from engine.files import file_sha256
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Morphology
from engine.rollout.actors import CheckpointActors
from engine.rollout.processes import map_in_processes

FOLDER_NAME = "expert-data"


def collect_expert_data(
    config: CollectionConfig,
    teacher_path: Path,
    robots: Sequence[Morphology],
    context: StageContext,
) -> Path:
    """Expert data of a teacher on ``robots``: the folder of shards and manifest.

    Robots that already stand in the folder's manifest with intact shards are not collected again.

    Raises:
        DatasetError: the folder holds data of another teacher or configuration, or is not writable.
        StopRequestedError: a stop was asked for; finished robots are kept.
    """
    folder = context.folder / FOLDER_NAME
    _check_names(robots)
    manifest = _started(folder, _source(config, teacher_path, robots[0]), context)
    batches = _unfinished(config, robots, manifest)
    jobs = [
        BatchJob(tuple(batch), config, teacher_path, folder, manifest.source) for batch in batches
    ]
    progress = _Progress(context, config, len(robots), manifest)
    for _, outcomes in map_in_processes(record_batch, jobs, config.processes, context.should_stop):
        manifest = _extended(manifest, outcomes)
        save_manifest(folder, manifest)
        progress.report(outcomes, manifest)
    return _finished(folder, manifest, context)


def _source(config: CollectionConfig, teacher_path: Path, robot: Morphology) -> Source:
    actor = CheckpointActors(teacher_path).actor([robot], 1, config.seed)
    environment = VectorEnvironment([robot], config.task, 1, config.seed)
    terrain = environment.terrain
    return Source(
        teacher_sha256=file_sha256(teacher_path),
        action_std=actor.std,
        task=config.task,
        seed=config.seed,
        samples_per_robot=config.samples_per_robot,
        simulations_per_robot=config.simulations_per_robot,
        robots_per_batch=config.robots_per_batch,
        stochastic=config.stochastic,
        minimum_return=config.minimum_return,
        family=UNIMAL.name,
        observation_layout=UNIMAL.observation_layout.features,
        joint_names=UNIMAL.joint_names,
        terrain_points=0 if terrain is None else terrain.shape[1],
        versions=installed_versions(),
    )


def _check_names(robots: Sequence[Morphology]) -> None:
    """Shards are named after robots, so names must differ."""
    if not robots:
        raise DatasetError("no robots to collect from; choose a robot set that is not empty")
    names = [robot.name for robot in robots]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DatasetError(f"two robots are named {min(twice)}; rename one of them")


def _started(folder: Path, source: Source, context: StageContext) -> Manifest:
    """The folder's manifest as far as it got, without shards that are no longer intact."""
    if not (folder / MANIFEST_NAME).is_file():
        manifest = Manifest(source=source)
        save_manifest(folder, manifest)
        return manifest
    manifest = load_manifest(folder)
    if manifest.source != source:
        changed = [
            name
            for name in Source.model_fields
            if getattr(source, name) != getattr(manifest.source, name)
        ]
        raise DatasetError(
            f"{folder}: holds data with other {', '.join(changed)}; collect into a new run"
        )
    intact = tuple(shard for shard in manifest.shards if _is_intact(folder, shard))
    if len(intact) < len(manifest.shards):
        lost = len(manifest.shards) - len(intact)
        context.report(Note("warning", f"{lost} damaged shards in {folder} are collected again"))
    return manifest.model_copy(update={"shards": intact})


def _is_intact(folder: Path, shard: Shard) -> bool:
    path = folder / shard.path
    return path.is_file() and file_sha256(path) == shard.sha256


def _unfinished(
    config: CollectionConfig, robots: Sequence[Morphology], manifest: Manifest
) -> list[Sequence[Morphology]]:
    """Batches with a robot still to do; how robots are batched does not depend on progress."""
    done = {shard.name for shard in manifest.shards}
    done |= {robot.name for robot in manifest.dropped}
    ordered = sorted(robots, key=lambda robot: (robot.num_limbs, robot.digest))
    size = config.robots_per_batch
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [batch for batch in batches if any(robot.name not in done for robot in batch)]


def _extended(manifest: Manifest, outcomes: Sequence[RobotOutcome]) -> Manifest:
    """The manifest with a batch's robots; by name, as processes finish in any order."""
    shards = {shard.name: shard for shard in manifest.shards}
    dropped = {robot.name: robot for robot in manifest.dropped}
    for outcome in outcomes:
        if isinstance(outcome, DroppedRobot):
            dropped[outcome.name] = outcome
        else:
            shards[outcome.name] = outcome
    return manifest.model_copy(
        update={
            "shards": tuple(shards[name] for name in sorted(shards)),
            "dropped": tuple(dropped[name] for name in sorted(dropped)),
        }
    )


def _finished(folder: Path, manifest: Manifest, context: StageContext) -> Path:
    complete = manifest.model_copy(update={"complete": True})
    sha256 = save_manifest(folder, complete)
    if not manifest.shards:
        raise DatasetError(
            f"{folder}: the teacher's return is below {manifest.source.minimum_return} on every"
            " robot; lower minimum_return or train the teacher longer"
        )
    context.report(ArtifactWritten("expert_data", FOLDER_NAME, folder, sha256))
    returns = [shard.statistics.mean_return for shard in manifest.shards]
    samples = sum(shard.samples for shard in manifest.shards)
    mean = sum(returns) / len(returns)
    context.report(
        Result(
            mean,
            f"{samples} samples of {len(returns)} robots, teacher's mean return {mean:.0f},"
            f" {len(manifest.dropped)} robots left out",
        )
    )
    return folder


@dataclass
class _Progress:
    """Robots done, and what the teacher returned on them."""

    context: StageContext
    config: CollectionConfig
    total: int
    manifest: Manifest

    def report(self, outcomes: Sequence[RobotOutcome], manifest: Manifest) -> None:
        done = len(manifest.shards) + len(manifest.dropped)
        self.context.report(Progress(done, self.total, "robots"))
        statistics = {outcome.robot_digest: outcome.statistics for outcome in outcomes}
        returns = [entry.mean_return for entry in statistics.values()]
        steps = done * self.config.steps * self.config.simulations_per_robot
        self.context.report(
            Metrics(
                step=steps,
                iteration=done,
                values={"teacher_return": sum(returns) / len(returns)},
                robots={
                    digest: {"episode_return": entry.mean_return}
                    for digest, entry in statistics.items()
                },
            )
        )
