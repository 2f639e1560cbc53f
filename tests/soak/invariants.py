"""What must hold of a workspace whatever was done to it."""

from itertools import pairwise

from sqlalchemy import select

from db.models import AttemptRow
from db.queries.artifacts import list_artifacts, list_checkpoints
from db.queries.metrics import count_points
from db.queries.runs import get_run, list_runs
from db.records import Run, RunState
from db.session import Database
from engine.errors import CheckpointError
from engine.workers.jobs.job import check_file
from engine.workers.workspace import Workspace


def violations(database: Database, workspace: Workspace, most_active: int, slots: int) -> list[str]:
    """Everything that is not as promised, one sentence each."""
    found = [f"the database: {problem}" for problem in database.problems()]
    if most_active > slots:
        found.append(f"{most_active} runs worked at once on a machine of {slots} slots")
    runs = list_runs(database, archived=True)
    for run in runs:
        found += _of_attempts(database, run)
        found += _of_files(database, workspace, run)
        found += _of_curves(database, run)
        found += _of_order(database, run)
    return found


def _of_attempts(database: Database, run: Run) -> list[str]:
    query = select(AttemptRow).where(AttemptRow.run_id == run.id).order_by(AttemptRow.number)
    with database.read() as session:
        attempts = list(session.scalars(query))
    found = []
    if [attempt.number for attempt in attempts] != list(range(1, run.attempt + 1)):
        found.append(f"run {run.id}: attempts are not numbered 1 to {run.attempt}")
    for attempt in attempts:
        if attempt.ended_at is not None and not attempt.reason:
            found.append(f"run {run.id} attempt {attempt.number}: ended without a reason")
        if "is a copy, or was moved" in (attempt.reason or ""):
            found.append(f"run {run.id} attempt {attempt.number}: {attempt.reason}, and was not")
        if attempt.ended_at is None and run.state.ended:
            found.append(f"run {run.id} attempt {attempt.number}: never ended")
    for before, after in pairwise(attempts):
        if before.ended_at is None or before.ended_at > after.started_at:
            found.append(f"run {run.id}: attempts {before.number} and {after.number} overlap")
    return found


def _of_files(database: Database, workspace: Workspace, run: Run) -> list[str]:
    found = []
    for file in [*list_checkpoints(database, run.id), *list_artifacts(database, run.id)]:
        try:
            check_file(workspace.resolve(file.path), file.sha256, run.id)
        except CheckpointError as error:
            found.append(str(error))
    if run.state is RunState.FINISHED:
        partial = [path.name for path in workspace.run_folder(run.id).rglob(".*.tmp")]
        found += [f"run {run.id}: {name} was left" for name in partial]
    return found


def _of_curves(database: Database, run: Run) -> list[str]:
    return [
        f"run {run.id} curve {curve}: came, stored, summed up: {counts}"
        for curve, counts in count_points(database, run.id).items()
        if len(set(counts)) > 1
    ]


def _of_order(database: Database, run: Run) -> list[str]:
    found = []
    for input_id in run.inputs:
        read = get_run(database, input_id)
        if run.started_at and (read.ended_at is None or read.ended_at > run.started_at):
            found.append(f"run {run.id} started before its input {input_id} had finished")
    return found
