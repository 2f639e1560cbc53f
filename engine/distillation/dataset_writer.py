"""A folder of expert data while it fills: begun or continued, a batch of robots at a time.

Robots are rolled out in batches that depend on the set alone, each with generators named by its
digest: a folder whose recording was killed and resumed ends with the same bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.distillation.damage import is_intact
from engine.distillation.manifest import (
    MANIFEST_NAME,
    DroppedRobot,
    Manifest,
    Source,
    load_manifest,
    save_manifest,
)
from engine.distillation.rollout_recorder import BatchJob, RecordingPlan, RobotOutcome, record_batch
from engine.errors import DatasetError
from engine.events import Note, StageContext
from engine.morphology.tree import Morphology
from engine.rollout.processes import map_in_processes

BatchRecorded = Callable[[Sequence[RobotOutcome], int, int], None]
"""Told of each batch: its robots, how many of the set they and those before them are, how many
robots are done by now.
"""

_NAMES_SHOWN = 3


def fill_folder(
    plan: RecordingPlan,
    robots: Sequence[Morphology],
    context: StageContext,
    on_batch: BatchRecorded,
) -> tuple[Manifest, str]:
    """Record all robots that do not stand in the folder yet: its manifest, complete, and its hash.

    Batches are told to ``on_batch`` in their order, whichever process is quicker, and those that
    stand there already like the others: a resumed recording tells what an undisturbed one tells.

    Raises:
        DatasetError: the folder holds data of another source, or is not writable.
        StopRequestedError: a stop was asked for; finished robots are kept.
    """
    manifest = _started(plan, context)
    batches = _batches(plan, robots)
    told = _tell(batches, manifest, 0, on_batch)
    jobs = [BatchJob(tuple(batch), plan) for batch in batches if not _recorded(batch, manifest)]
    processes = plan.config.processes
    for _, outcomes in map_in_processes(record_batch, jobs, processes, context.should_stop):
        manifest = _extended(manifest, outcomes)
        save_manifest(plan.folder, manifest)
        told = _tell(batches, manifest, told, on_batch)
    complete = manifest.model_copy(update={"complete": True})
    return complete, save_manifest(plan.folder, complete)


def _started(plan: RecordingPlan, context: StageContext) -> Manifest:
    """The folder's manifest as far as it got, without robots whose files are no longer intact."""
    folder = plan.folder
    if not (folder / MANIFEST_NAME).is_file():
        manifest = Manifest(source=plan.source)
        save_manifest(folder, manifest)
        return manifest
    manifest = load_manifest(folder)
    _check_source(folder, manifest.source, plan.source)
    intact = tuple(shard for shard in manifest.shards if is_intact(folder, shard))
    lost = len(manifest.shards) - len(intact)
    if not lost:
        return manifest
    context.report(Note("warning", f"{lost} damaged robots in {folder} are collected again"))
    # Until they are, nobody may take what is left for the whole.
    manifest = manifest.model_copy(update={"shards": intact, "complete": False})
    save_manifest(folder, manifest)
    return manifest


def _check_source(folder: Path, found: Source, wanted: Source) -> None:
    changed = [
        name
        for name in Source.model_fields
        if name != "robots" and getattr(wanted, name) != getattr(found, name)
    ]
    if changed:
        raise DatasetError(
            f"{folder}: holds data with other {', '.join(changed)}; collect into a new run"
        )
    if wanted.robots != found.robots:
        raise DatasetError(
            f"{folder}: was begun for other robots than the {len(wanted.robots)} of the set now:"
            f" {_difference(found.robots, wanted.robots)}; start a new collection for this set"
        )


def _difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Which robots two sets do not share, the first few by name."""
    both = found.keys() & wanted.keys()
    groups = {
        "added": wanted.keys() - found.keys(),
        "gone": found.keys() - wanted.keys(),
        "with another body": {name for name in both if found[name] != wanted[name]},
    }
    return ", ".join(f"{_shown(sorted(names))} {how}" for how, names in groups.items() if names)


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return " ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _batches(plan: RecordingPlan, robots: Sequence[Morphology]) -> list[Sequence[Morphology]]:
    """Robots as they are rolled out together, which depends on the set alone."""
    ordered = sorted(robots, key=lambda robot: (robot.num_limbs, robot.digest))
    size = plan.config.robots_per_batch
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _outcomes(manifest: Manifest) -> dict[str, RobotOutcome]:
    outcomes: list[RobotOutcome] = [*manifest.shards, *manifest.dropped]
    return {outcome.name: outcome for outcome in outcomes}


def _recorded(batch: Sequence[Morphology], manifest: Manifest) -> bool:
    return _outcomes(manifest).keys() >= {robot.name for robot in batch}


def _tell(
    batches: Sequence[Sequence[Morphology]],
    manifest: Manifest,
    told: int,
    on_batch: BatchRecorded,
) -> int:
    """Tell of the batches after the first ``told`` up to one that is missing; the new count."""
    outcomes = _outcomes(manifest)
    count = sum(len(batch) for batch in batches[:told])
    for batch in batches[told:]:
        if not _recorded(batch, manifest):
            break
        count += len(batch)
        told += 1
        on_batch([outcomes[robot.name] for robot in batch], count, len(outcomes))
    return told


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
