"""Train a student on expert data: minibatches grouped by robot, early stop, bit-exact resume."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import torch
from torch import nn

from engine.config.distillation import StudentConfig
from engine.distillation.correction import ROUND, Corrections, check_teacher_file
from engine.distillation.dataset import (
    ExpertDataset,
    Split,
    Subset,
    load_dataset,
    pooled_moments,
    split_dataset,
)
from engine.distillation.device_samples import reader_of
from engine.distillation.device_training import DeviceSteps, fits
from engine.distillation.manifest import MANIFEST_NAME
from engine.distillation.minibatches import (
    Choice,
    MinibatchReader,
    epoch_choices,
    validation_choices,
)
from engine.distillation.objective import held_out_loss, learning_rate
from engine.distillation.schedule import student_schedule
from engine.distillation.snapshots import (
    Student,
    describe_student,
    load_snapshot,
    save_snapshot,
    save_student,
)
from engine.distillation.student_returns import student_returns
from engine.distillation.thread_gradients import ThreadGradients
from engine.errors import DatasetError, DivergenceError, StopRequestedError
from engine.events import (
    ArtifactWritten,
    CheckpointWritten,
    Metrics,
    Note,
    Progress,
    Result,
    StageContext,
)
from engine.files import file_sha256
from engine.policies.controller import choose_device, parameters_of
from engine.policies.policy import HypernetworkPolicy
from engine.policies.precision import computing, precision_on
from engine.random import torch_seed
from engine.rollout.children import use_one_thread
from engine.rollout.saved_policy import PolicyDescription

_REPORTS_PER_RUN = 100
_STEPS_PER_REPORT = 5
_VALIDATION_SAMPLES_PER_ROBOT = 256


def train_student(
    config: StudentConfig,
    expert_folder: Path,
    context: StageContext,
    teacher_path: Path | None = None,
    taught_on: Collection[str] = (),
) -> Path:
    """Clone a teacher's behaviour into one student; the path of the best student's file.

    ``teacher_path`` is needed for rounds of correction alone. ``taught_on`` are the digests of the
    robots that the teacher was trained on, which the student's file keeps.

    Raises:
        DatasetError: the expert data is missing, damaged or not usable, or the teacher that is to
            correct the student is missing.
        CheckpointError: the checkpoint to resume from is damaged or another run's, or the disk is
            full.
        DivergenceError: the loss is no longer a number.
        StopRequestedError: a stop was asked for; a checkpoint was written.
    """
    use_one_thread()
    run = _started(config, expert_folder, context, teacher_path)
    taught = {"teacher_digests": tuple(sorted(taught_on))}
    run.description = run.description.model_copy(update=taught)
    while run.student.epoch < config.epochs and not run.is_stale():
        run.correct_when_due()
        run.train_epoch()
    return run.finish()


def _started(
    config: StudentConfig, expert_folder: Path, context: StageContext, teacher_path: Path | None
) -> "_Run":
    dataset = load_dataset(expert_folder)
    split = split_dataset(dataset, config)
    if config.patience_epochs and not (
        split.held_out_samples.robots or split.held_out_robots.robots
    ):
        raise DatasetError(
            f"{expert_folder}: no robot has samples enough for validation_fraction to hold one out,"
            " and patience_epochs needs it; raise validation_fraction or validation_robots"
        )
    source = dataset.manifest.source
    robots = [data.robot for data in split.training.robots]
    description = describe_student(config, source, [robot.digest for robot in robots])
    corrections = None
    if config.correction_rounds:
        teacher = check_teacher_file(source, teacher_path)
        corrections = Corrections(config, source, robots, teacher, description, context)
    policy = description.build(torch_seed(config.seed, "student"))
    device, why = choose_device(config.device, lambda: parameters_of(policy))
    context.report(Note("info", f"{why}, {precision_on(device, config.precision)}"))
    # The student's own moments, of all its robots together, whatever its teachers normalised by.
    mean, variance, count = pooled_moments(split.training.robots)
    policy.moments.assign(torch.from_numpy(mean), torch.from_numpy(variance), count)
    policy.to(device)
    student = Student(policy, torch.optim.Adam(policy.parameters(), fused=True))
    data_sha256 = file_sha256(expert_folder / MANIFEST_NAME)
    if context.resume_from is not None:
        load_snapshot(context.resume_from, student, config, data_sha256)
    return _Run(
        config, context, dataset, split, student, description, corrections, data_sha256, device
    )


@dataclass
class _Run:
    """One training run: the student, its data, and when it last reported and saved."""

    config: StudentConfig
    context: StageContext
    dataset: ExpertDataset
    split: Split
    student: Student
    description: PolicyDescription
    corrections: Corrections | None
    data_sha256: str
    device: torch.device
    started_s: float = field(default_factory=time.monotonic)
    saved_s: float = field(default_factory=time.monotonic)
    saved_step: int = -1
    steps_before: int = 0
    norm: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    rounds: list[ExpertDataset] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schedule = student_schedule(self.config, self.split.training)
        self.watch = student_returns(self.config, self.dataset.manifest.source.task, self.split)
        self._take_data()
        if self.corrections is not None:
            self._see(self.corrections.load(self.student.corrections))
        self.steps_before = self.student.step
        first = self._choices(0)
        self.samples_per_step = sum(choice.samples.size for choice in first) / len(first)
        self.total_steps = self.schedule.total_steps
        self.precision = precision_on(self.device, self.config.precision)
        self.report_every = max(self.total_steps // _REPORTS_PER_RUN, _STEPS_PER_REPORT)

    def _see(self, rounds: Sequence[ExpertDataset]) -> None:
        """Let these rounds of correction join what is trained on and what is held out."""
        self.rounds += rounds
        self.split = split_dataset(self.dataset, self.config, self.rounds)
        self._take_data()

    def _take_data(self) -> None:
        """Learn from the training's samples as they are now, in the way that suits the device."""
        robots, student = self.split.training.robots, self.student
        self.steps: DeviceSteps | ThreadGradients
        policy = student.policy
        if isinstance(policy, HypernetworkPolicy) and fits(robots, self.device):
            self.steps = DeviceSteps(self.config, policy, student.optimizer, robots, self.device)
        else:
            reader = reader_of(robots, self.device)
            self.steps = ThreadGradients(self.config, policy, reader, self.device)

    def _choices(self, epoch: int) -> list[Choice]:
        config = self.config
        return epoch_choices(
            self.split.training,
            config.robots_per_minibatch,
            config.samples_per_minibatch_robot,
            config.seed,
            epoch,
        )

    def correct_when_due(self) -> None:
        """Record the round of correction that the next epoch belongs to, unless there is one."""
        number = self.schedule.round_of(self.student.epoch)
        if self.corrections is None or number == len(self.rounds):
            return
        self._save()
        self._see([self.corrections.record(number, self.student)])
        self.student.forget_best()

    def is_stale(self) -> bool:
        """No better held-out loss for as many epochs as the configuration is patient.

        A round of correction that is still to come may yet help.
        """
        patience = self.config.patience_epochs
        if patience is None or len(self.rounds) < self.config.correction_rounds:
            return False
        return self.student.epochs_since_best >= patience

    def train_epoch(self) -> None:
        """Take the epoch's remaining gradient steps, then judge the student."""
        done = self.student.step - self.schedule.steps_before(self.student.epoch)
        choices = self._choices(self.student.epoch)[done:]
        for choice, following in zip_longest(choices, choices[1:]):
            every = self.config.return_every_steps
            if every is not None and self.student.step % every == 0:
                self._measure_returns()
            self._step(choice, following)
            if self.context.should_stop():
                self._save()
                raise StopRequestedError(f"stopped after gradient step {self.student.step}")
            if time.monotonic() - self.saved_s >= self.config.checkpoint_every_s:
                self._save()
        self._judge()
        self.student.epoch += 1

    def _measure_returns(self) -> None:
        """Report the returns of the student as it is now."""
        acting = self.description.build()
        acting.load_state_dict(self.student.policy.state_dict())
        acting.eval()
        step, epoch = self.student.step, self.student.epoch
        try:
            metrics = self.watch.metrics(acting, step, epoch, self.context.should_stop)
        except StopRequestedError:
            self._save()
            raise
        self.context.report(metrics)

    def _step(self, choice: Choice, following: Choice | None) -> None:
        student, config = self.student, self.config
        rate = learning_rate(config, student.step, self.total_steps)
        with computing(self.device, self.precision):
            if isinstance(self.steps, DeviceSteps):
                loss, self.norm = self.steps.take(choice, student.step, rate)
                self.student.losses.append(loss)
            else:
                self._step_of_threads(self.steps, choice, following, rate)
        student.step += 1
        if student.step % self.report_every == 0:
            self._check_gradient(rate)
            self._report(rate, float(self.norm))

    def _step_of_threads(
        self, gradients: ThreadGradients, choice: Choice, following: Choice | None, rate: float
    ) -> None:
        """Gradients on several threads, or on a device that cannot hold the data, and Adam."""
        student = self.student
        for group in student.optimizer.param_groups:
            group["lr"] = rate
        student.losses.append(gradients.backward(choice, student.step))
        if following is not None:
            gradients.reader.expect(following)
        limit = self.config.gradient_norm
        self.norm = nn.utils.clip_grad_norm_(student.policy.parameters(), limit)
        # A device is not waited for at every step: it is asked before anything is told or kept.
        if self.device.type == "cpu":
            self._check_gradient(rate)
        student.optimizer.step()

    def _check_gradient(self, rate: float = 0.0) -> None:
        """Stop where the last gradient is not finite; once one is not, none after it is."""
        norm = float(self.norm)
        if not math.isfinite(norm):
            # What led there is what a user needs now.
            self._report(rate, norm)
        self._check_finite("gradient", norm)

    def _check_finite(self, what: str, value: float) -> None:
        """Stop before a student that is no longer one is judged, saved or written."""
        if not math.isfinite(value):
            raise DivergenceError(
                f"the {what} is {value} after gradient step {self.student.step}: it diverged;"
                " a lower learning_rate may hold"
            )

    def _report(self, rate: float, gradient_norm: float) -> None:
        loss = float(torch.stack(self.student.losses).mean())
        self.student.losses.clear()
        step = self.student.step
        elapsed = max(time.monotonic() - self.started_s, 1e-9)
        speed = (step - self.steps_before) / elapsed
        self.context.report(Progress(step, self.total_steps, "gradient steps", speed))
        values = {"loss": loss, "learning_rate": rate, "gradient_norm": gradient_norm}
        values["samples_per_s"] = speed * self.samples_per_step
        if self.corrections is not None:
            values[ROUND] = len(self.rounds)
        self.context.report(Metrics(step, self.student.epoch, values))

    def _judge(self) -> None:
        """Held-out losses, and the student kept aside where it is the best so far."""
        student = self.student
        self._check_gradient()
        values = {}
        if self.split.held_out_samples.robots:
            values["held_out_sample_loss"] = self._held_out_loss(self.split.held_out_samples)
        if self.split.held_out_robots.robots:
            values["held_out_robot_loss"] = self._held_out_loss(self.split.held_out_robots)
        judged = None
        if values:
            # A factor of either loss counts the same; the few held-out robots alone are noisy.
            judged = math.prod(values.values()) ** (1.0 / len(values))
            values["held_out_loss"] = judged
            if not math.isfinite(judged):
                self.context.report(Metrics(student.step, student.epoch, values))
            self._check_finite("held-out loss", judged)
        student.remember(judged)
        self.context.report(Metrics(student.step, student.epoch, values))

    def _held_out_loss(self, subset: Subset) -> float:
        reader = MinibatchReader(subset.robots, self.device)
        choices = validation_choices(
            subset, self.config.robots_per_minibatch, _VALIDATION_SAMPLES_PER_ROBOT
        )
        return held_out_loss(self.config, self.student.policy, reader, choices)

    def _save(self) -> None:
        student, folder = self.student, self.context.folder
        if student.step == self.saved_step:
            return
        self._check_gradient()
        path = folder / f"checkpoint-a{self.context.attempt}-{student.step:08d}.safetensors"
        sha256 = save_snapshot(path, student, self.config, self.data_sha256, self.description)
        self.saved_s, self.saved_step = time.monotonic(), student.step
        best = None if math.isinf(student.best_loss) else student.best_loss
        self.context.report(CheckpointWritten(student.step, path, sha256, best))

    def finish(self) -> Path:
        """Write the best student and say how good it is."""
        if self.config.return_every_steps is not None:
            self._measure_returns()
        student = self.student
        path = self.context.folder / f"student-a{self.context.attempt}.safetensors"
        source = self.dataset.manifest.source
        sha256 = save_student(path, student, self.config, source, self.description)
        self.context.report(ArtifactWritten("student", path.name, path, sha256))
        if self.is_stale():
            text = f"no better held-out loss for {student.epochs_since_best} epochs: stopped early"
            self.context.report(Note("info", text))
        self.context.report(self._result())
        return path

    def _result(self) -> Result:
        student = self.student
        if math.isinf(student.best_loss):
            return Result(None, f"{student.step} gradient steps, nothing held out to judge by")
        return Result(
            student.best_loss,
            f"held-out loss {student.best_loss:.3g} after {student.best_step} gradient steps",
            "loss",
        )
