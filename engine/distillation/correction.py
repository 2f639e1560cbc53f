"""Rounds of on-policy correction: the student acts, the teacher says what it would have done.

A student that only saw its teacher's states never learns what to do after a mistake of its own
(DAgger, arXiv 1011.0686). A round is a folder of expert data like a collection's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.distillation import CollectionConfig, StudentConfig
from engine.distillation.damage import find_damage
from engine.distillation.dataset import ExpertDataset, load_dataset
from engine.distillation.dataset_writer import fill_folder
from engine.distillation.manifest import (
    MANIFEST_NAME,
    Manifest,
    Source,
    digests_by_name,
    installed_versions,
    load_manifest,
)
from engine.distillation.rollout_recorder import RecordingPlan
from engine.distillation.snapshots import Student, save_policy
from engine.errors import CheckpointError, DatasetError
from engine.events import Metrics, Note, StageContext
from engine.files import file_sha256
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.rollout.children import use_one_thread
from engine.rollout.saved_policy import PolicyDescription

ROUND = "correction_round"
_STUDENT_NAME = "student.safetensors"


def check_teacher_file(source: Source, teacher_path: Path | None) -> Path:
    """The file of the teacher that expert data came from.

    Raises:
        DatasetError: it is missing or another teacher's.
    """
    if teacher_path is None or not teacher_path.is_file():
        raise DatasetError(
            f"correction_rounds needs teacher {source.teacher_sha256[:12]}, which the expert data"
            " was collected from, to label the student's states; its checkpoint is gone: restore"
            " it, or distil with correction_rounds=0"
        )
    found = file_sha256(teacher_path)
    if found != source.teacher_sha256:
        raise DatasetError(
            f"{teacher_path}: is teacher {found[:12]}, the expert data was collected from teacher"
            f" {source.teacher_sha256[:12]}; two teachers cannot be mixed"
        )
    return teacher_path


@dataclass(frozen=True)
class Corrections:
    """Records a run's rounds, and finds them again when it is resumed."""

    config: StudentConfig
    base: Source
    robots: Sequence[Morphology]
    teacher_path: Path
    description: PolicyDescription
    context: StageContext

    def folder(self, number: int) -> Path:
        """Where a round's expert data is, counted from 1."""
        return self.context.folder / f"correction-{number}"

    def load(self, manifests: Sequence[str]) -> list[ExpertDataset]:
        """The rounds that a snapshot was trained on, by the hashes of their manifests.

        What of a round is damaged is recorded again, with the same bytes.

        Raises:
            CheckpointError: a round is gone, or another one than the snapshot was trained on.
            StopRequestedError: a stop was asked for; finished robots are kept.
        """
        for number, sha256 in enumerate(manifests, 1):
            folder = self.folder(number)
            harm = find_damage(folder, sha256)
            if harm is not None and self._repaired(number) != sha256:
                raise CheckpointError(
                    f"{harm}, and this is not the round of correction that the checkpoint was"
                    " trained on; start a new run"
                )
        return [load_dataset(self.folder(number)) for number in range(1, len(manifests) + 1)]

    def _repaired(self, number: int) -> str | None:
        """The hash of a round's manifest, made whole; None where its student or data is another."""
        student = self.folder(number) / _STUDENT_NAME
        if not student.is_file():
            return None
        plan = self._plan(number, file_sha256(student), student)
        if _is_another(plan):
            return None
        return self._fill(plan)[1]

    def record(self, number: int, student: Student) -> ExpertDataset:
        """Let the student act on its training robots and store what the teacher would have done.

        A round that was interrupted goes on, if it was this very student's.

        Raises:
            DatasetError: the disk is full, or the teacher cannot act on a robot.
            StopRequestedError: a stop was asked for; finished robots are kept.
        """
        folder = self.folder(number)
        path = folder / _STUDENT_NAME
        weights = student.policy.state_dict()
        sha256 = save_policy(path, weights, self.description, {"kind": "acting_student"})
        plan = self._plan(number, sha256, path)
        _forget_others(plan)
        rounds = self.config.correction_rounds
        text = f"correction {number} of {rounds}: the teacher labels the student's own states"
        self.context.report(Note("info", text))
        manifest, manifest_sha256 = self._fill(plan)
        self._report(number, student, manifest)
        student.corrections.append(manifest_sha256)
        return load_dataset(folder)

    def _fill(self, plan: RecordingPlan) -> tuple[Manifest, str]:
        filled = fill_folder(plan, self.robots, self.context, lambda *_: None)
        # Rolling out in this process leaves its floating-point mode as it is by default.
        use_one_thread()
        return filled

    def _plan(self, number: int, student_sha256: str, student_path: Path) -> RecordingPlan:
        base, samples = self.base, self.config.correction_samples_per_robot
        seed = int(generator(self.config.seed, "correction", number).integers(2**62))
        # A student's mistakes show late in an episode: rather whole episodes than many beginnings.
        simulations = max(samples // base.task.episode_steps, 1)
        recording = CollectionConfig(
            seed=seed,
            task=base.task,
            samples_per_robot=samples,
            simulations_per_robot=min(simulations, base.simulations_per_robot),
            robots_per_batch=base.robots_per_batch,
            stochastic=base.stochastic,
            processes=self.config.threads,
        )
        source = base.model_copy(
            update={
                "student_sha256": student_sha256,
                "seed": seed,
                "samples_per_robot": samples,
                "simulations_per_robot": recording.simulations_per_robot,
                "minimum_return": None,
                "maximum_fall_fraction": None,
                "robots": digests_by_name(self.robots),
                "versions": installed_versions(),
            }
        )
        folder = self.folder(number)
        return RecordingPlan(recording, self.teacher_path, folder, source, student_path)

    def _report(self, number: int, student: Student, manifest: Manifest) -> None:
        returns = {s.robot_digest: s.statistics.mean_return for s in manifest.shards}
        mean = sum(returns.values()) / len(returns)
        self.context.report(
            Metrics(
                student.step,
                student.epoch,
                {ROUND: number, "correction_return": mean},
                {digest: {"correction_return": value} for digest, value in returns.items()},
            )
        )


def _forget_others(plan: RecordingPlan) -> None:
    """Begin the folder anew where it holds another student's states, from an attempt given up."""
    if _is_another(plan):
        (plan.folder / MANIFEST_NAME).unlink()


def _is_another(plan: RecordingPlan) -> bool:
    """Whether the folder holds another round than the plan's, or one that cannot be read."""
    if not (plan.folder / MANIFEST_NAME).is_file():
        return False
    try:
        return load_manifest(plan.folder).source != plan.source
    except DatasetError:
        return True
