"""Snapshots of a student in training: refused where a part is missing, no file on a full disk."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from listening import Listener, same_student, stopped

from engine.checkpoints import load_checkpoint, save_checkpoint
from engine.config.distillation import StudentConfig
from engine.distillation.training import train_student
from engine.errors import CheckpointError

Tensors = dict[str, torch.Tensor]
Damage = Callable[[Tensors, dict[str, Any]], object]


def without(prefix: str) -> Damage:
    """Takes away the tensors whose names begin so."""

    def damage(tensors: Tensors, _: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.startswith(prefix)]:
            del tensors[name]

    return damage


def flattened(prefix: str) -> Damage:
    """Gives a tensor another shape."""

    def damage(tensors: Tensors, _: dict[str, Any]) -> None:
        name = next(name for name in tensors if name.startswith(prefix) and tensors[name].dim() > 1)
        tensors[name] = tensors[name].flatten()

    return damage


@pytest.fixture(scope="module")
def snapshot(
    tmp_path_factory: pytest.TempPathFactory, expert_folder: Path, student_config: StudentConfig
) -> Path:
    """A snapshot after the first epoch, with a best student so far."""
    return stopped(9, student_config, expert_folder, tmp_path_factory.mktemp("stopped")).path


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda _, document: document.pop("step"), "'step'"),
        (lambda _, document: document.pop("epoch"), "'epoch'"),
        (lambda _, document: document.pop("best_loss"), "'best_loss'"),
        (lambda _, document: document.update(best_step="many"), "many"),
        (lambda _, document: document.update(step=0), "optimiser states after 0 gradient steps"),
        (without("controller."), "loading state_dict"),
        (without("optimizer."), "0 optimiser states after 9 gradient steps"),
        (without("optimizer.3.exp_avg_sq"), "optimiser's state 3"),
        (flattened("optimizer."), "not of its parameter's shape"),
        (without("best."), "best weights so far"),
        (flattened("best."), "best weights so far"),
    ],
)
def test_a_snapshot_that_lacks_a_part_is_refused(
    tmp_path: Path,
    expert_folder: Path,
    student_config: StudentConfig,
    snapshot: Path,
    damage: Damage,
    part: str,
) -> None:
    tensors, document = load_checkpoint(snapshot)
    damage(tensors, document)
    path = tmp_path / "damaged.safetensors"
    save_checkpoint(path, tensors, document)
    with pytest.raises(CheckpointError, match=rf"damaged\.safetensors: lacks a part.*{part}"):
        train_student(student_config, expert_folder, Listener().context(tmp_path, 2, path))


@contextmanager
def no_room() -> Iterator[None]:
    """No file can grow beyond 1000 bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("stop_after", [2, None])
def test_a_full_disk_says_so_and_the_run_goes_on_once_there_is_room(
    tmp_path: Path,
    expert_folder: Path,
    student_config: StudentConfig,
    snapshot: Path,
    stop_after: int | None,
) -> None:
    with no_room(), pytest.raises(CheckpointError, match=r"cannot be written \(.*resume the run"):
        train_student(
            student_config, expert_folder, Listener(stop_after).context(tmp_path, 2, snapshot)
        )
    assert not list(tmp_path.iterdir())
    resumed = train_student(
        student_config, expert_folder, Listener().context(tmp_path, 3, snapshot)
    )
    whole = train_student(student_config, expert_folder, Listener().context(tmp_path / "whole"))
    assert same_student(whole, resumed)
