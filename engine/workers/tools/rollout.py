"""Recorded actions played on one robot, for ``hdtui robots rollout``."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config.base import TaskConfig
from engine.environments.trajectory import record
from engine.errors import HdtuiError, UsageError
from engine.files import complete_file, read_file
from engine.morphology.mjcf import parse_robot

MAX_STEPS = 1_000_000
MAX_BYTES = 1 << 29
"""So many steps of the largest robots in double precision."""


def run(
    *, name: str, xml: str, task: str, actions: str, out: str, seed: int, noise: bool
) -> dict[str, Any]:
    """Play ``actions`` (T, L, J) and write the trajectory to ``out`` as an npz file.

    Raises:
        UsageError: The actions file cannot be read as numbers or does not fit the robot.
        HdtuiError: ``out`` cannot be written.
    """
    robot = parse_robot(xml.encode(), name)
    arrays = record(robot, _task(task), _load_actions(Path(actions)), seed, noise=noise)
    _write(Path(out), arrays)
    ended = np.flatnonzero(arrays["terminated"] | arrays["truncated"])
    return {
        "robot": name,
        "digest": robot.digest,
        "file": out,
        "steps": len(arrays["reward"]),
        "return": float(arrays["reward"].sum()),
        "first_end": int(ended[0]) if len(ended) else None,
    }


def _task(name: str) -> TaskConfig:
    return TaskConfig.model_validate({"name": name})


def _load_actions(path: Path) -> npt.NDArray[np.floating]:
    try:
        actions = np.load(io.BytesIO(read_file(path, MAX_BYTES)), allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{path}: cannot be read as a .npy file of numbers (T, L, J): {reason}"
        ) from error
    if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "fiu":
        raise UsageError(f"{path}: holds no array of numbers; expected (T, L, J) actions")
    if actions.ndim != 3:
        raise UsageError(f"{path}: holds actions of shape {actions.shape}, expected (T, L, J)")
    if len(actions) > MAX_STEPS:
        raise UsageError(f"{path}: {len(actions)} steps, at most {MAX_STEPS} can be played")
    return actions.astype(np.float64)


def _write(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    try:
        with complete_file(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise HdtuiError(f"{path}: cannot be written: {error}") from error
