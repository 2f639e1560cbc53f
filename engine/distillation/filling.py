"""A folder of expert data while it fills: begun or continued, a batch of robots at a time.

Robots are rolled out in batches that depend on the set alone, each with generators named by its
digest: a folder whose recording was killed and resumed ends with the same bytes.
"""

from collections.abc import Callable, Sequence

from engine.distillation.manifest import (
    MANIFEST_NAME,
    DroppedRobot,
    Manifest,
    Shard,
    Source,
    load_manifest,
    save_manifest,
)
from engine.distillation.recording import BatchJob, RecordingPlan, RobotOutcome, record_batch
from engine.errors import DatasetError
from engine.events import Note, StageContext
from engine.files import file_sha256
from engine.morphology.tree import Morphology
from engine.rollout.processes import map_in_processes

BatchRecorded = Callable[[Sequence[RobotOutcome], Manifest], None]
"""Told of each batch that was recorded: its robots, and the folder's manifest with them."""


def fill_folder(
    plan: RecordingPlan,
    robots: Sequence[Morphology],
    context: StageContext,
    on_batch: BatchRecorded,
) -> tuple[Manifest, str]:
    """Record all robots that do not stand in the folder yet: its manifest, complete, and its hash.

    Raises:
        DatasetError: the folder holds data of another source, or is not writable.
        StopRequestedError: a stop was asked for; finished robots are kept.
    """
    manifest = _started(plan, context)
    jobs = [BatchJob(tuple(batch), plan) for batch in _unfinished(plan, robots, manifest)]
    processes = plan.config.processes
    for _, outcomes in map_in_processes(record_batch, jobs, processes, context.should_stop):
        manifest = _extended(manifest, outcomes)
        save_manifest(plan.folder, manifest)
        on_batch(outcomes, manifest)
    complete = manifest.model_copy(update={"complete": True})
    return complete, save_manifest(plan.folder, complete)


def _started(plan: RecordingPlan, context: StageContext) -> Manifest:
    """The folder's manifest as far as it got, without shards that are no longer intact."""
    folder = plan.folder
    if not (folder / MANIFEST_NAME).is_file():
        manifest = Manifest(source=plan.source)
        save_manifest(folder, manifest)
        return manifest
    manifest = load_manifest(folder)
    if manifest.source != plan.source:
        changed = [
            name
            for name in Source.model_fields
            if getattr(plan.source, name) != getattr(manifest.source, name)
        ]
        raise DatasetError(
            f"{folder}: holds data with other {', '.join(changed)}; collect into a new run"
        )
    intact = tuple(shard for shard in manifest.shards if _is_intact(plan, shard))
    if len(intact) < len(manifest.shards):
        lost = len(manifest.shards) - len(intact)
        context.report(Note("warning", f"{lost} damaged shards in {folder} are collected again"))
    return manifest.model_copy(update={"shards": intact})


def _is_intact(plan: RecordingPlan, shard: Shard) -> bool:
    path = plan.folder / shard.path
    return path.is_file() and file_sha256(path) == shard.sha256


def _unfinished(
    plan: RecordingPlan, robots: Sequence[Morphology], manifest: Manifest
) -> list[Sequence[Morphology]]:
    """Batches with a robot still to do; how robots are batched does not depend on progress."""
    done = {shard.name for shard in manifest.shards}
    done |= {robot.name for robot in manifest.dropped}
    ordered = sorted(robots, key=lambda robot: (robot.num_limbs, robot.digest))
    size = plan.config.robots_per_batch
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
