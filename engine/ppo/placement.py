"""Where the parts of a training run work: device, processes, and who learns."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints import read_document
from engine.config.teacher import TeacherConfig
from engine.environments.terrain_observation import terrain_points
from engine.morphology.tree import Morphology
from engine.policies.build import build_policy
from engine.policies.controller import choose_device, parameters_of
from engine.policies.precision import precision_on


@dataclass(frozen=True)
class Placed:
    """A configuration whose machine-made settings are numbers, and why they are these."""

    config: TeacherConfig
    device: torch.device
    text: str


def place(config: TeacherConfig, robots: Sequence[Morphology], resume_from: Path | None) -> Placed:
    """Choose what the configuration leaves to the machine; a resumed run keeps what it had.

    Raises:
        ConfigError: a device was asked for that is not here.
        CheckpointError: the checkpoint to resume from is damaged.
    """
    device, reason = choose_device(config.device, lambda: _parameters(config))
    before = {} if resume_from is None else _choices_of(resume_from)
    placement = config.placement
    if placement == "auto":
        placement = before.get("placement", "apart" if device.type == "cuda" else "together")
    processes = config.processes or before.get("processes") or _processes(placement)
    processes = min(processes, len(robots))
    chosen = {"placement": placement, "processes": processes}
    config = config.model_copy(update=chosen)
    precision = precision_on(device, config.precision)
    work = (
        f"{processes} simulation processes and a learner"
        if placement == "apart"
        else f"{processes} processes that simulate and learn"
    )
    return Placed(config, device, f"{reason}; {work}, {precision}")


def _parameters(config: TeacherConfig) -> int:
    points = terrain_points(config.task)
    policy = build_policy(config.network, config.task.name, points, (), 0)
    return parameters_of(policy)


def _processes(placement: str) -> int:
    """One a core; a learner that is apart has one to itself where there are several."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max((cores or 1) - (placement == "apart"), 1)


def _choices_of(checkpoint: Path) -> dict[str, Any]:
    """What a run chose when it began; runs of versions that had no choice were together."""
    config = read_document(checkpoint).get("config")
    config = config if isinstance(config, dict) else {}
    return {
        "placement": config.get("placement", "together"),
        "processes": config.get("processes"),
    }
