"""Policies that were trained elsewhere: files that become runs, so that later stages read them."""

from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import ValidationError

from db.queries import lineage
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.errors import UsageError
from engine.workers.policy_files import trained_file
from engine.workers.stages import STAGES, StageRequest

_GONE = (RunState.FAILED, RunState.LOST, RunState.STOPPED)


def adoption(path: Path, robots: Sequence[str] = (), name: str = "") -> StageRequest:
    """What is asked for so that a teacher's or student's file becomes a run.

    Raises:
        UsageError: There is no such file, it holds neither, or one of another version.
    """
    file, kind, written = trained_file(path)
    try:
        config = STAGES[kind].config.model_validate(written)
    except ValidationError as error:
        raise UsageError(
            f"{path}: was trained with settings that this version does not know:"
            f" {'.'.join(map(str, error.errors()[0]['loc']))}"
        ) from error
    return StageRequest(
        kind, config, name=name or path.stem, robots=tuple(robots), adopted=file.document()
    )


def adoptions(paths: Sequence[Path], kinds: Collection[RunKind]) -> list[StageRequest]:
    """What is asked for so that files become runs of these kinds.

    Raises:
        UsageError: As ``adoption``; or a file holds what no run of these kinds leaves.
    """
    requests = [adoption(path) for path in paths]
    for path, request in zip(paths, requests, strict=True):
        if request.kind not in kinds:
            raise UsageError(f"{path}: holds a {request.kind}, expected a {' or '.join(kinds)}")
    return requests


def adopted_run(database: Database, request: StageRequest) -> Run | None:
    """The run that took the same file over already, whatever its path was; None without one."""
    document = request.adopted or {}
    for run in reversed(lineage.adopted(database, request.kind)):
        if run.extra["file"]["sha256"] == list(document["sha256"]) and run.state not in _GONE:
            return run
    return None
