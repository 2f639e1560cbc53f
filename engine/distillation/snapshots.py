"""A student while it learns: its snapshots to resume from, and its file when it is done."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from engine.checkpoints import load_checkpoint, prefixed, save_checkpoint, select
from engine.config.distillation import StudentConfig
from engine.distillation.manifest import Source
from engine.errors import CheckpointError
from engine.policies.policy import Policy
from engine.rollout.saved_policy import (
    BEST_PREFIX,
    DOCUMENT_KEY,
    POLICY_PREFIX,
    PolicyDescription,
)

_OPTIMIZER_PREFIX = "optimizer"
_LOSSES = "losses"
_FREE_ON_RESUME = {"device", "precision", "checkpoint_every_s"}
"""Settings that may change on resume, because they do not change what is learned."""


@dataclass
class Student:
    """The network, its optimiser and how far it is; ``best`` holds the best weights so far.

    ``corrections`` are the hashes of the manifests of the rounds whose data it has seen,
    ``losses`` those of the steps whose mean is still to be told.
    """

    policy: Policy
    optimizer: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    epochs_since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    corrections: list[str] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)

    def remember(self, held_out_loss: float | None) -> None:
        """Keep the weights if they are the best; without anything held out, always."""
        if held_out_loss is not None and held_out_loss >= self.best_loss:
            self.epochs_since_best += 1
            return
        self.best_loss = math.inf if held_out_loss is None else held_out_loss
        self.best_step = self.step
        self.epochs_since_best = 0
        self.best = {name: t.detach().clone() for name, t in self.policy.state_dict().items()}

    def forget_best(self) -> None:
        """Judge anew: losses on other data cannot be compared."""
        self.best_loss = math.inf
        self.epochs_since_best = 0
        self.best = {}


def save_snapshot(
    path: Path,
    student: Student,
    config: StudentConfig,
    data_sha256: str,
    description: PolicyDescription,
) -> str:
    """Write everything training needs to go on bit for bit; the file's SHA-256.

    With ``description`` it is a policy as well: the best weights so far.

    Raises:
        CheckpointError: the disk is full or cannot be written.
    """
    state = student.optimizer.state_dict()["state"]
    moments = {
        f"{index}.{name}": value
        for index, entries in state.items()
        for name, value in entries.items()
    }
    tensors = {
        **prefixed(POLICY_PREFIX, student.policy.state_dict()),
        **prefixed(BEST_PREFIX, student.best),
        **prefixed(_OPTIMIZER_PREFIX, moments),
        **({_LOSSES: torch.stack(student.losses)} if student.losses else {}),
    }
    document = {
        "kind": "student_snapshot",
        DOCUMENT_KEY: description.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "data_sha256": data_sha256,
        "step": student.step,
        "epoch": student.epoch,
        "best_loss": None if math.isinf(student.best_loss) else student.best_loss,
        "best_step": student.best_step,
        "epochs_since_best": student.epochs_since_best,
        "corrections": student.corrections,
    }
    return _written(path, tensors, document)


def load_snapshot(path: Path, student: Student, config: StudentConfig, data_sha256: str) -> None:
    """Put ``student`` where the snapshot was.

    Raises:
        CheckpointError: the file is damaged or lacks a part, or was made with other data or
            settings.
    """
    tensors, document = load_checkpoint(path)
    if document.get("kind") != "student_snapshot":
        raise CheckpointError(f"{path}: is no snapshot of a student in training")
    _check_same(path, document, config, data_sha256)
    try:
        _restore(student, tensors, document)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: lacks a part of a student in training or holds another's"
            f" ({type(error).__name__}: {reason}); start a new run"
        ) from error


def _restore(student: Student, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    student.policy.load_state_dict(select(tensors, POLICY_PREFIX))
    student.step, student.epoch = int(document["step"]), int(document["epoch"])
    _load_optimizer(student, select(tensors, _OPTIMIZER_PREFIX))
    best_loss = document["best_loss"]
    student.best_loss = math.inf if best_loss is None else float(best_loss)
    student.best_step = int(document["best_step"])
    student.epochs_since_best = int(document["epochs_since_best"])
    student.corrections = [str(sha256) for sha256 in document.get("corrections", ())]
    student.best = select(tensors, BEST_PREFIX)
    device = next(student.policy.parameters()).device
    student.losses = list(tensors.get(_LOSSES, torch.empty(0)).to(device))
    shapes = {name: tensor.shape for name, tensor in student.policy.state_dict().items()}
    if student.best or best_loss is not None:
        found = {name: tensor.shape for name, tensor in student.best.items()}
        if found != shapes:
            raise ValueError("the best weights so far are not those of this network")


def _check_same(
    path: Path, document: dict[str, object], config: StudentConfig, data_sha256: str
) -> None:
    if document.get("data_sha256") != data_sha256:
        raise CheckpointError(f"{path}: was trained on other expert data; start a new run")
    try:
        before = StudentConfig.model_validate(document.get("config"))
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: holds no configuration of this version; start a new run"
        ) from error
    differing = {n for n in type(config).model_fields if getattr(before, n) != getattr(config, n)}
    changed = differing - _FREE_ON_RESUME
    if changed:
        raise CheckpointError(
            f"{path}: {', '.join(sorted(changed))} differ from when it was written; a resumed"
            " run keeps its settings"
        )


def _load_optimizer(student: Student, moments: dict[str, Tensor]) -> None:
    """Give the optimiser its moments back; parameters that no loss reaches have none."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = value
    if bool(state) != bool(student.step):
        raise ValueError(f"{len(state)} optimiser states after {student.step} gradient steps")
    parameters = list(student.policy.parameters())
    for index, entries in state.items():
        shape = parameters[index].shape
        expected = {"step": torch.Size(()), "exp_avg": shape, "exp_avg_sq": shape}
        if {name: value.shape for name, value in entries.items()} != expected:
            raise ValueError(f"the optimiser's state {index} is not of its parameter's shape")
    groups = student.optimizer.state_dict()["param_groups"]
    student.optimizer.load_state_dict({"state": state, "param_groups": groups})


def describe_student(
    config: StudentConfig, source: Source, digests: Sequence[str]
) -> PolicyDescription:
    """What a student's policy is built from; ``digests`` are its training robots'."""
    return PolicyDescription(
        network=config.network,
        task=source.task.name,
        incline_deg=source.task.incline_deg,
        terrain_points=source.terrain_points,
        digests=tuple(digests),
        collected_digests=tuple(sorted(source.robots.values())),
        action_std=source.action_std,
    )


def save_student(
    path: Path,
    student: Student,
    config: StudentConfig,
    source: Source,
    description: PolicyDescription,
) -> str:
    """Write the best weights as a policy that evaluation and deployment load; its SHA-256."""
    document = {
        "kind": "student",
        "config": config.model_dump(mode="json"),
        "teacher_sha256": source.teacher_sha256,
        "best_step": student.best_step,
        "corrections": student.corrections,
    }
    weights = student.best or student.policy.state_dict()
    return save_policy(path, weights, description, document)


def save_policy(
    path: Path,
    weights: Mapping[str, Tensor],
    description: PolicyDescription,
    document: Mapping[str, object],
) -> str:
    """Write a policy's file, to be read by ``load_policy``; its SHA-256.

    Raises:
        CheckpointError: the disk is full or cannot be written.
    """
    described = {**document, DOCUMENT_KEY: description.model_dump(mode="json")}
    return _written(path, prefixed(POLICY_PREFIX, weights), described)


def _written(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, object]) -> str:
    """Write a checkpoint; what a full or read-only disk means for a student in training."""
    try:
        return save_checkpoint(path, tensors, document)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror}); make room, then resume the run: it"
            " goes on from its last checkpoint"
        ) from error
