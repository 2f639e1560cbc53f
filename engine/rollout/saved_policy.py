"""A policy in a checkpoint file: how it is described there, and how it comes back."""

from pathlib import Path

import torch
from pydantic import Field, ValidationError

from engine.checkpoints import load_checkpoint, select
from engine.config.base import Config, KnownFrom, TaskName
from engine.config.network import NetworkConfig
from engine.errors import CheckpointError
from engine.policies.build import build_policy
from engine.policies.policy import Policy

POLICY_PREFIX = "controller"
"""The policy's tensors are named ``controller.NAME`` in the file."""
BEST_PREFIX = "best"
"""A student's checkpoint holds its best weights so far beside those that go on learning."""
DOCUMENT_KEY = "policy"
"""The document holds a ``PolicyDescription`` under this key."""


class PolicyDescription(Config):
    """Everything a policy is built from besides its weights."""

    network: NetworkConfig
    task: TaskName
    terrain_points: int = Field(ge=0)
    digests: tuple[str, ...]
    """Training robots, by digest."""
    teacher_digests: tuple[str, ...] = ()
    """Of a student: the robots that its teacher was trained on."""
    collected_digests: tuple[str, ...] = ()
    """Of a student: all robots whose behaviour was asked for, held out and left out ones too."""
    action_std: float = Field(gt=0)
    incline_deg: float = Field(10.0, ge=0, le=30)
    """Slope of the ground it learned on, where its task is ``incline``."""

    def known_from(self, digest: str) -> KnownFrom:
        """Where a policy knows a robot from."""
        if digest in (self.teacher_digests or self.digests):
            return "training"
        met = digest in self.digests or digest in self.collected_digests
        return "collection" if met else "nothing"

    def build(self, seed: int = 0) -> Policy:
        """A fresh policy of this description."""
        return build_policy(self.network, self.task, self.terrain_points, self.digests, seed)


def load_policy(path: Path, device: torch.device | str = "cpu") -> tuple[Policy, PolicyDescription]:
    """The policy of a teacher's or student's file, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged, holds no policy of this version, or one with
            weights that are not finite.
    """
    tensors, document = load_checkpoint(path, device)
    weights = select(tensors, BEST_PREFIX) or select(tensors, POLICY_PREFIX)
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: {name} holds numbers that are not finite: its training has diverged;"
                " take an earlier checkpoint, or train anew with a lower learning rate"
            )
    try:
        description = PolicyDescription.model_validate(document.get(DOCUMENT_KEY))
        policy = description.build()
        policy.load_state_dict(weights)
    except (ValidationError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: holds no policy that this version can build ({str(error).splitlines()[0]})"
        ) from error
    policy.to(device)
    policy.eval()
    return policy, description
