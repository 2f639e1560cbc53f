"""Expert data as training sees it: robots, memory-mapped samples, what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.config.distillation import StudentConfig
from engine.distillation.manifest import Manifest, Shard, check_layout, load_manifest
from engine.distillation.shards import RESUME, ShardArrays, open_shard
from engine.errors import DatasetError, RobotError
from engine.morphology.family import UNIMAL
from engine.morphology.mjcf import load_robot
from engine.morphology.tree import Morphology
from engine.random import generator


@dataclass(frozen=True)
class RobotData:
    """One robot with its samples: the collection's, then those of each round of correction."""

    robot: Morphology
    arrays: ShardArrays
    shard: Shard
    corrections: tuple[ShardArrays, ...] = ()

    @property
    def parts(self) -> tuple[ShardArrays, ...]:
        """All its samples, in the order in which they are counted."""
        return (self.arrays, *self.corrections)

    def take(self, samples: npt.NDArray[np.int64]) -> ShardArrays:
        """Copies of some samples, counted from the collection's first through all rounds."""
        if not self.corrections:
            return self.arrays.take(samples)
        taken = self.arrays.take(np.zeros_like(samples))  # arrays of the right size, to be filled
        start = 0
        for part in self.parts:
            own = (samples >= start) & (samples < start + part.samples)
            values = part.take(samples[own] - start).tensors()
            for name, array in taken.tensors().items():
                array[own] = values[name]
            start += part.samples
        return taken


@dataclass(frozen=True)
class ExpertDataset:
    """Every robot's checked, memory-mapped samples."""

    manifest: Manifest
    robots: tuple[RobotData, ...]


@dataclass(frozen=True)
class Subset:
    """Some samples of some robots: ``samples[i]`` are the sample indices of ``robots[i]``."""

    robots: tuple[RobotData, ...]
    samples: tuple[npt.NDArray[np.int64], ...]


@dataclass(frozen=True)
class Split:
    """What is trained on, and the two ways of being held out."""

    training: Subset
    held_out_samples: Subset
    held_out_robots: Subset


def load_dataset(folder: Path) -> ExpertDataset:
    """The expert data of a folder, every byte checked against its manifest.

    Raises:
        DatasetError: something is missing, damaged, unfinished, or of another teacher or layout.
    """
    manifest = load_manifest(folder)
    if not manifest.complete:
        raise DatasetError(
            f"{folder}: the collection is not finished; resume the run that collects it"
        )
    check_layout(folder, manifest.source, UNIMAL)
    return ExpertDataset(
        manifest, tuple(_load_robot(folder, shard, manifest) for shard in manifest.shards)
    )


def _load_robot(folder: Path, shard: Shard, manifest: Manifest) -> RobotData:
    path = folder / shard.robot_path
    try:
        robot = load_robot(path)
    except RobotError as error:
        raise DatasetError(f"{shard.name}: {error}; {RESUME}") from error
    if robot.digest != shard.robot_digest:
        raise DatasetError(
            f"{path}: the body has digest {robot.digest[:12]}, the manifest says"
            f" {shard.robot_digest[:12]}; the file was changed; {RESUME}"
        )
    if robot.num_limbs != shard.num_limbs:
        raise DatasetError(
            f"{folder / shard.path}: has samples of {shard.num_limbs} limbs, {shard.name} has"
            f" {robot.num_limbs}; collect into a new run"
        )
    return RobotData(robot, open_shard(folder, shard, manifest.source), shard)


def split_dataset(
    dataset: ExpertDataset, config: StudentConfig, corrections: Sequence[ExpertDataset] = ()
) -> Split:
    """Hold out whole robots and a share of the others' samples, drawn by seed.

    Samples of ``corrections`` join those of the training robots, the same share held out.
    """
    order = generator(config.seed, "validation-robots").permutation(len(dataset.robots))
    if len(order) <= config.validation_robots:
        raise DatasetError(
            f"{len(order)} robots with expert data, {config.validation_robots} of them held out"
            " for validation: none is left to train on; lower validation_robots"
        )
    held_out = [dataset.robots[index] for index in order[: config.validation_robots]]
    training = [dataset.robots[index] for index in order[config.validation_robots :]]
    robots = _corrected(training[: config.max_robots], corrections)
    parts = [_split_samples(data, config) for data in robots]
    return Split(
        training=Subset(robots, tuple(kept for kept, _ in parts)),
        held_out_samples=_nonempty(robots, [held for _, held in parts]),
        held_out_robots=_nonempty(held_out, [np.arange(data.arrays.samples) for data in held_out]),
    )


def _corrected(
    robots: Sequence[RobotData], corrections: Sequence[ExpertDataset]
) -> tuple[RobotData, ...]:
    rounds = [{data.robot.digest: data.arrays for data in each.robots} for each in corrections]
    return tuple(
        replace(data, corrections=tuple(arrays[data.robot.digest] for arrays in rounds))
        for data in robots
    )


def _split_samples(
    data: RobotData, config: StudentConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sample indices to train on and held out: of the collection, then of each round."""
    kept, held = [], []
    start = 0
    for round_number, part in enumerate((data.arrays, *data.corrections)):
        name = f"validation-samples-{round_number}" if round_number else "validation-samples"
        order = generator(config.seed, name, data.robot.digest).permutation(part.samples)
        if not round_number:
            order = order[: config.max_samples_per_robot]
        count = int(len(order) * config.validation_fraction)
        held.append(np.sort(order[:count]) + start)
        kept.append(np.sort(order[count:]) + start)
        start += part.samples
    if not len(kept[0]):
        raise DatasetError(f"{data.robot.name}: no sample is left to train on")
    return np.concatenate(kept), np.concatenate(held)


def _nonempty(robots: Sequence[RobotData], samples: Sequence[npt.NDArray[np.int64]]) -> Subset:
    pairs = [(data, own) for data, own in zip(robots, samples, strict=True) if own.size]
    return Subset(tuple(data for data, _ in pairs), tuple(own for _, own in pairs))


def pooled_moments(
    robots: Sequence[RobotData],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Mean, variance (F,) and count of all observations; every limb row weighs the same."""
    counts = np.array([data.shard.moments.count for data in robots], dtype=np.float64)
    means = np.array([data.shard.moments.mean for data in robots])
    variances = np.array([data.shard.moments.variance for data in robots])
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(axis=0)
    variance = (share * (variances + np.square(means - mean))).sum(axis=0)
    return mean, variance, int(counts.sum())
