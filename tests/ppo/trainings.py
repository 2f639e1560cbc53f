"""Short trainings on real physics, and what is compared of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine.checkpoints import load_checkpoint
from engine.config.network import NetworkConfig, NetworkKind
from engine.config.teacher import PpoConfig, TeacherConfig
from engine.errors import StopRequestedError
from engine.events import CheckpointWritten, Event, Metrics, StageContext
from engine.morphology.tree import Morphology
from engine.ppo import train_teacher

HORIZON, SIMULATIONS, ROBOTS = 8, 4, 3
STEPS_AN_ITERATION = HORIZON * SIMULATIONS * ROBOTS
CLOCK = (
    "steps_per_second",
    "share_physics",
    "share_observation",
    "share_inference",
    "share_update",
)


def config(iterations: int, kind: NetworkKind = "transformer", **changes: object) -> TeacherConfig:
    """A run of some iterations; the first rollout only measures moments."""
    fields: dict[str, object] = {
        "total_env_steps": (iterations + 1) * STEPS_AN_ITERATION,
        "processes": 1,
        "simulations_per_robot": SIMULATIONS,
        "checkpoint_every_s": 3600.0,
        "task": {"episode_steps": 12},
        "network": NetworkConfig(
            kind=kind, width=16, layers=1, feedforward_width=16, hidden_width=16
        ),
        "ppo": PpoConfig(horizon=HORIZON, minibatches=2),
    }
    return TeacherConfig.model_validate(fields | changes)


def train(
    settings: TeacherConfig,
    robots: list[Morphology],
    folder: Path,
    should_stop: Callable[[], bool] = lambda: False,
    resume_from: Path | None = None,
    told: list[Event] | None = None,
) -> list[Event]:
    events: list[Event] = [] if told is None else told
    attempt = 2 if resume_from else 1
    context = StageContext(folder, attempt, events.append, should_stop, resume_from)
    train_teacher(settings, robots, context)
    return events


def after(calls: int) -> Callable[[], bool]:
    """True from the given poll on."""
    polls = iter(range(1, 10**6))
    return lambda: next(polls) >= calls


def numbers(events: list[Event]) -> list[tuple[int, dict[str, float]]]:
    """All metrics but those the clock decides."""
    return [
        (event.step, {name: value for name, value in event.values.items() if name not in CLOCK})
        for event in events
        if isinstance(event, Metrics)
    ]


def final_tensors(folder: Path, attempt: int) -> dict[str, torch.Tensor]:
    return load_checkpoint(max(folder.glob(f"checkpoint-a{attempt}-*.safetensors")))[0]


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def check_resume(settings: TeacherConfig, robots: list[Morphology], folder: Path) -> None:
    """Train 4 iterations; train 2, stop, resume, train 2: the same bits."""
    straight, broken = folder / "straight", folder / "broken"
    whole = train(settings, robots, straight)
    first: list[Event] = []
    context = StageContext(broken, 1, first.append, after(2))
    with pytest.raises(StopRequestedError):
        train_teacher(settings, robots, context)
    checkpoint = first[-1]
    assert isinstance(checkpoint, CheckpointWritten)
    rest = train(settings, robots, broken, resume_from=checkpoint.path)
    assert numbers(first) + numbers(rest) == numbers(whole)
    assert_same(final_tensors(broken, 2), final_tensors(straight, 1))


def check_stop_half_way(
    settings: TeacherConfig, robots: list[Morphology], folder: Path, polls: int
) -> int:
    """Stop at a poll in the middle of something, resume: the same bits. The steps at the stop."""
    straight, broken = folder / "straight", folder / "broken"
    whole = train(settings, robots, straight)
    first: list[Event] = []
    with pytest.raises(StopRequestedError):
        train_teacher(settings, robots, StageContext(broken, 1, first.append, after(polls)))
    checkpoint = first[-1]
    assert isinstance(checkpoint, CheckpointWritten)
    rest = train(settings, robots, broken, resume_from=checkpoint.path)
    assert numbers(first) + numbers(rest) == numbers(whole)
    assert_same(final_tensors(broken, 2), final_tensors(straight, 1))
    return checkpoint.step
