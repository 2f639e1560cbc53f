"""Students with random weights and moments, as if they had been trained."""

from pathlib import Path

import torch

from engine.checkpoints import prefixed, save_checkpoint
from engine.config.base import TaskName
from engine.config.network import NetworkConfig
from engine.environments.terrain_observation import TERRAIN_POINTS
from engine.rollout.saved_policy import DOCUMENT_KEY, POLICY_PREFIX, PolicyDescription


def save_student(path: Path, task: TaskName, network: NetworkConfig, scale: float = 0.01) -> Path:
    """A student whose heads depend on the robot, its weights moved by noise of ``scale``."""
    description = PolicyDescription(
        network=network,
        task=task,
        terrain_points=0 if task in ("flat", "incline") else TERRAIN_POINTS,
        digests=(),
        action_std=0.5,
    )
    policy = description.build(1)
    source = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=source), alpha=scale)
    width = policy.moments.mean.shape[1]
    mean = torch.randn(width, generator=source, dtype=torch.float64)
    policy.moments.assign(mean, torch.rand(width, generator=source).double() + 0.01, 1000.0)
    tensors = prefixed(POLICY_PREFIX, policy.state_dict())
    save_checkpoint(path, tensors, {DOCUMENT_KEY: description.model_dump(mode="json")})
    return path
