"""When a run's epochs begin and its rounds of correction are due, known from its first step on."""

from dataclasses import dataclass

from engine.config.distillation import StudentConfig
from engine.distillation.dataset import Subset
from engine.distillation.minibatches import epoch_length


@dataclass(frozen=True)
class Schedule:
    """Epochs divided among rounds as evenly as can be; later rounds have more data.

    ``epoch_lengths[k]`` are the gradient steps of an epoch in round k; round 0 is before any
    correction.
    """

    epochs: int
    epoch_lengths: tuple[int, ...]

    def round_of(self, epoch: int) -> int:
        """The round an epoch belongs to, from 0."""
        return epoch * len(self.epoch_lengths) // self.epochs

    def steps_before(self, epoch: int) -> int:
        """Gradient steps taken when an epoch begins."""
        return sum(self.epoch_lengths[self.round_of(before)] for before in range(epoch))

    @property
    def total_steps(self) -> int:
        """Gradient steps of all epochs."""
        return self.steps_before(self.epochs)


def student_schedule(config: StudentConfig, training: Subset) -> Schedule:
    """The schedule of a student on ``training``, the collection's samples without any round's."""
    largest = max(len(samples) for samples in training.samples)
    per_round = config.correction_samples_per_robot
    per_round -= int(per_round * config.validation_fraction)
    return Schedule(
        config.epochs,
        tuple(
            epoch_length(
                len(training.robots),
                largest + done * per_round,
                config.robots_per_minibatch,
                config.samples_per_minibatch_robot,
            )
            for done in range(config.correction_rounds + 1)
        ),
    )
