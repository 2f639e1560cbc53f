"""A run as a policy: what it finished with, or the newest checkpoint it has.

Whoever queues a run that reads an unfinished teacher or student fixes the checkpoint there and then
(step, file and SHA-256, in the reader's ``extra``), and it is kept for as long as the reader is.
One that is just stopping writes one more: the reader waits for its end and takes that. Pipelines
queue their stages without this, so theirs wait until an input has finished.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.queries.artifacts import latest_checkpoint
from db.queries.runs import is_run_number, list_runs
from db.records import CHECKPOINTS, NewRun, Run, RunKind, RunState
from db.session import Database
from engine.errors import UsageError
from engine.files import expanded

TRAINED = (RunKind.TEACHER, RunKind.STUDENT)
"""Kinds whose checkpoints hold a policy."""


@dataclass(frozen=True)
class ReadCheckpoint:
    """The checkpoint of an unfinished run that another one reads; ``path`` as the database has it.

    ``step`` counts what the run counts: control steps of a teacher, gradient steps of a student.
    """

    step: int
    path: str
    sha256: str


def acts(run: Run) -> bool:
    """Whether a run holds a policy now: it has finished, or it is past a checkpoint."""
    if run.state is RunState.FINISHED:
        return True
    return run.kind in TRAINED and run.state is not RunState.QUEUED and _saved(run)


def policy_problem(run: Run) -> str | None:
    """Why nothing can be read of a run, now or by its end; None where it can."""
    if not run.state.ended or acts(run):
        return None
    why = " and has no checkpoint to use" if run.kind in TRAINED else ", expected finished"
    return (
        f"run {run.id} {run.kind} is {run.state}{why}; `hdtui runs resume {run.id}` lets it go on"
    )


def run_of_folder(home: Path, word: str) -> int | None:
    """The run whose folder in this workspace a word names, None where it is another file."""
    try:
        folder = expanded(Path(word), "--policy").absolute()
        found = folder.is_dir() and is_run_number(folder.name)
    except (UsageError, OSError):  # who takes it for a file says why it is none
        return None
    same = found and folder.parent.resolve() == (home / "runs").resolve()
    return int(folder.name) if same else None


def with_checkpoints(database: Database, new: NewRun) -> NewRun:
    """The run to queue, with the checkpoint of every unfinished policy that it reads.

    Raises:
        UsageError: An input ended unfinished and left no checkpoint.
    """
    found: dict[str, Any] = {}
    for run in list_runs(database, ids=new.inputs):
        if run.kind not in TRAINED or run.state in (RunState.FINISHED, RunState.QUEUED):
            continue
        _check(run)
        if run.state is RunState.STOPPING:
            found[str(run.id)] = None
        elif _saved(run):
            found[str(run.id)] = _newest(database, run)
    known = {key: value for key, value in new.extra.items() if key != CHECKPOINTS}
    return replace(new, extra={**known, **({CHECKPOINTS: found} if found else {})})


def settled_checkpoints(database: Database, run: Run) -> Mapping[str, Any]:
    """What a run reads of unfinished policies, now that none of them is stopping any more.

    Raises:
        UsageError: One of them left no checkpoint.
    """
    found = dict(run.extra.get(CHECKPOINTS, {}))
    for source in list_runs(database, ids=[int(key) for key in found]):
        if found[str(source.id)] is None:
            _check(source)
            if source.state is RunState.FINISHED:
                del found[str(source.id)]
            else:
                found[str(source.id)] = _newest(database, source)
    return found


def read_checkpoints(run: Run) -> dict[int, ReadCheckpoint]:
    """By the number of an input, the checkpoint that a run reads of it."""
    found = run.extra.get(CHECKPOINTS, {})
    return {int(key): ReadCheckpoint(**value) for key, value in found.items() if value}


def input_words(run: Run) -> list[str]:
    """The inputs of a run, each with the step whose checkpoint is read where it had not finished.

    "1 at 40,960 steps".
    """
    found = read_checkpoints(run)
    words = []
    for number in run.inputs:
        fixed = f" at {found[number].step:,} steps" if number in found else ""
        last = (
            " at its last checkpoint"
            if run.extra.get(CHECKPOINTS, {}).get(str(number), "") is None
            else ""
        )
        words.append(f"{number}{fixed}{last}")
    return words


def checkpoints_read(run: Run) -> str:
    """What a queued run reads of policies that have not finished, empty where all have.

    "reads run 1 at 40,960 steps".
    """
    read = run.extra.get(CHECKPOINTS, {})
    words = [each for each in input_words(run) if each.split()[0] in read]
    return f"reads run {' and run '.join(words)}" if words else ""


def _check(run: Run) -> None:
    problem = policy_problem(run)
    if problem is not None:
        raise UsageError(problem)


def _saved(run: Run) -> bool:
    return run.checkpoint_step is not None


def _newest(database: Database, run: Run) -> dict[str, Any]:
    checkpoint = latest_checkpoint(database, run.id)
    if checkpoint is None:
        raise UsageError(f"run {run.id} {run.kind} has no checkpoint to use")
    return {"step": checkpoint.step, "path": checkpoint.path, "sha256": checkpoint.sha256}
