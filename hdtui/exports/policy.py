"""A trained policy as one file for other people: its weights, and where it comes from."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from db.queries.artifacts import list_artifacts
from db.queries.robots import list_robots
from db.queries.runs import get_run
from db.records import Run, RunKind
from db.session import Database
from engine.errors import CheckpointError, UsageError
from engine.files import check_file, parse_json
from engine.workers.workspace import Workspace

ORIGIN = "origin"
"""The document of an exported policy holds under this key what its run was."""
_ARTIFACTS = {RunKind.TEACHER: "policy", RunKind.STUDENT: "student"}
_DOCUMENT = "hdtui"


def exported_policy(database: Database, run_id: int, *, half: bool = False) -> bytes:
    """What a teacher or student finished with, and in its document who trained it, and on what.

    That are the run's name, seed and end, the versions, revision and machine of its last attempt,
    and the names of the robots whose digests the policy holds; its settings are there. A policy
    that was taken over keeps what its file says. ``half`` writes weights as 16-bit floats, which
    are computed with as 32-bit ones again.

    Raises:
        RunError: There is no such run.
        UsageError: It is neither teacher nor student, has left no policy yet, or has weights that
            16 bits do not hold.
        CheckpointError: Its file is gone or damaged.
    """
    run = get_run(database, run_id)
    wanted = _ARTIFACTS.get(run.kind)
    if wanted is None:
        raise UsageError(f"run {run.id} is a {run.kind}, expected a teacher or student")
    found = [each for each in list_artifacts(database, run.id) if each.kind == wanted]
    if not found:
        raise UsageError(
            f"run {run.id} {run.kind} is {run.state} and has left no policy; let it finish"
            f" (`hdtui runs resume {run.id}`)"
        )
    path = Workspace(database.home).resolve(found[-1].path)
    try:
        check_file(path)
        with safe_open(path, framework="numpy") as file:
            document = parse_json((file.metadata() or {})[_DOCUMENT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a policy of hdtui's ({error})") from error
    if ORIGIN not in document:
        document[ORIGIN] = _origin(database, run, document["policy"]["digests"])
    if half:
        tensors = {name: _halved(f"{path}: {name}", tensor) for name, tensor in tensors.items()}
    return save(tensors, metadata={_DOCUMENT: json.dumps(document, allow_nan=False)})


def _halved(what: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype != np.float32:
        return tensor
    if np.abs(tensor).max(initial=0.0) > np.finfo(np.float16).max:
        raise UsageError(f"{what} holds numbers beyond 65,504, too large for --half")
    return tensor.astype(np.float16)


def _origin(database: Database, run: Run, digests: list[str]) -> dict[str, Any]:
    # Who took a file over did not make it: what its file does not say, nobody knows.
    made_with = {} if "file" in run.extra else dict(run.versions)
    names = {robot.digest: robot.name for robot in reversed(list_robots(database))}
    return {
        "run": {"kind": run.kind.value, "name": run.name, "seed": run.seed},
        "finished": run.ended_at.isoformat() if run.ended_at else None,
        "made_with": made_with,
        "robots": {digest: names.get(digest, "") for digest in digests},
    }
