"""Hear what a stage reports, ask it to stop, compare the students that it wrote."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from engine.config.distillation import StudentConfig
from engine.distillation.training import train_student
from engine.errors import StopRequestedError
from engine.events import CheckpointWritten, Event, Metrics, StageContext
from engine.rollout.saved_policy import load_policy


@dataclass
class Listener:
    """Collects events; asks to stop after so many polls."""

    stop_after: int | None = None
    polls: int = 0
    events: list[Event] = field(default_factory=list)

    def should_stop(self) -> bool:
        self.polls += 1
        return self.stop_after is not None and self.polls >= self.stop_after

    def context(self, folder: Path, attempt: int = 1, resume: Path | None = None) -> StageContext:
        return StageContext(folder, attempt, self.events.append, self.should_stop, resume)

    def curve(self, name: str) -> list[float]:
        return list(self.points(name).values())

    def points(self, name: str) -> dict[int, float]:
        """A metric's values by step."""
        metrics = [event for event in self.events if isinstance(event, Metrics)]
        return {event.step: event.values[name] for event in metrics if name in event.values}

    def last_checkpoint(self) -> Path:
        return [event.path for event in self.events if isinstance(event, CheckpointWritten)][-1]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_policy(path)[0].state_dict())


def same_student(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one)


def stopped(
    after: int, config: StudentConfig, expert_folder: Path, folder: Path
) -> CheckpointWritten:
    """The checkpoint of a run that was stopped after so many steps."""
    listener = Listener(after)
    with pytest.raises(StopRequestedError):
        train_student(config, expert_folder, listener.context(folder))
    (written,) = [e for e in listener.events if isinstance(e, CheckpointWritten)]
    return written
