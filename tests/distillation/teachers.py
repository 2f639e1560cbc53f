"""Teachers with random weights, and a context that tells nobody anything."""

from collections.abc import Sequence
from pathlib import Path

import torch

from engine.checkpoints import prefixed, save_checkpoint
from engine.config.base import TaskName
from engine.config.network import NetworkKind, named_network
from engine.events import StageContext
from engine.morphology.tree import Morphology
from engine.rollout.saved_policy import DOCUMENT_KEY, POLICY_PREFIX, PolicyDescription


def silent_context(folder: Path) -> StageContext:
    return StageContext(folder, 1, lambda event: None, lambda: False)


def save_teacher(
    path: Path,
    seed: int = 1,
    kind: NetworkKind = "transformer",
    robots: Sequence[Morphology] = (),
    task: TaskName = "flat",
    terrain_points: int = 0,
    scale: float = 1.5,
) -> Path:
    description = PolicyDescription(
        network=named_network(kind, "small", task),
        task=task,
        terrain_points=terrain_points,
        digests=tuple(robot.digest for robot in robots),
        action_std=0.5,
    )
    policy = description.build(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(scale)
    tensors = prefixed(POLICY_PREFIX, policy.state_dict())
    save_checkpoint(path, tensors, {DOCUMENT_KEY: description.model_dump(mode="json")})
    return path
