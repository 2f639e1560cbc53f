"""A training run on disk: written by the first process for all, read by each for itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from engine.checkpoints import load_checkpoint, prefixed, save_checkpoint, select
from engine.config.teacher import TeacherConfig
from engine.errors import CheckpointError
from engine.ppo.exchange import Exchange
from engine.ppo.trainer import Trainer
from engine.rollout.saved_policy import DOCUMENT_KEY, POLICY_PREFIX, PolicyDescription

_FREE_TO_CHANGE = ("total_env_steps", "time_limit_s", "checkpoint_every_s", "device")


def own_state(trainer: Trainer) -> bytes:
    """This process's simulations and accounts, as sent to the first process."""
    return safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in trainer.own_state().items()}
    )


def save_snapshot(trainer: Trainer, exchange: Exchange, path: Path) -> str:
    """Write what all processes need to go on; the others answer with ``own_state``."""
    tensors = trainer.common_state()
    for rank, content in enumerate(exchange.gather(own_state(trainer))):
        arrays = safetensors.numpy.load(content)
        tensors |= prefixed(
            f"share.{rank}", {name: torch.from_numpy(array) for name, array in arrays.items()}
        )
    return save_checkpoint(path, tensors, snapshot_document(trainer))


def save_policy(trainer: Trainer, path: Path) -> str:
    """Write the policy alone: all that later stages need."""
    tensors = prefixed(POLICY_PREFIX, dict(trainer.policy.state_dict()))
    document = snapshot_document(trainer)
    # A policy's file is the same for the same seed, however long it took.
    del document["progress"]["trained_s"]
    return save_checkpoint(path, tensors, document)


def snapshot_document(trainer: Trainer) -> dict[str, Any]:
    """What the tensors mean, as JSON."""
    config = trainer.config
    description = PolicyDescription(
        network=config.network,
        task=config.task.name,
        incline_deg=config.task.incline_deg,
        terrain_points=trainer.simulations.terrain_points,
        digests=trainer.digests,
        action_std=trainer.deviation.std(),
    )
    return {
        "kind": "teacher",
        DOCUMENT_KEY: description.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "progress": trainer.progress(),
    }


def restore_snapshot(trainer: Trainer, path: Path) -> None:
    """Continue from a snapshot of the same run.

    Raises:
        CheckpointError: the file is damaged, holds a policy alone, or another configuration's run.
    """
    tensors, document = load_checkpoint(path)
    _check_same_run(trainer, path, document)
    own = {
        name: tensor.numpy() for name, tensor in select(tensors, f"share.{trainer.rank}").items()
    }
    if not own:
        raise CheckpointError(f"{path}: holds a policy, not a run to go on from; start a new run")
    trainer.restore(tensors, own, document["progress"])


def _check_same_run(trainer: Trainer, path: Path, document: Mapping[str, Any]) -> None:
    present, stored = trainer.config.model_dump(mode="json"), document.get("config")
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: does not hold a teacher's training run")
    # A setting that is younger than the file had its default's effect.
    stored = {**TeacherConfig().model_dump(mode="json"), "placement": "together", **stored}
    for key, value in present.items():
        if key not in _FREE_TO_CHANGE and stored.get(key) != value:
            raise CheckpointError(
                f"{path}: was written with {key} = {stored.get(key)}, this run has {value};"
                " a run resumes with the settings it started with"
            )
    if tuple(document[DOCUMENT_KEY]["digests"]) != trainer.digests:
        raise CheckpointError(
            f"{path}: was written for other robots or another order of them; resume with the same"
            " robots in the same order"
        )
