"""Runs as they really are: a record that says active although its process is gone is wrong."""

from collections.abc import Sequence
from dataclasses import replace

from db.records import Run
from db.session import Database
from engine.workers.machines import Machines
from engine.workers.post_mortem import INTERRUPTED, STRANGER, PostMortem, how_it_ended, last_line
from engine.workers.process import worker_of
from engine.workers.workspace import Workspace


def observed(database: Database, records: Sequence[Run]) -> list[Run]:
    """These runs in the same order, those whose process is gone in the state that this means.

    Only this machine's processes can be looked at; another's runs come back as they are.
    """
    machines = Machines.of(database, [run for run in records if run.state.active])
    seen = []
    for run in records:
        end = _end_of(database, run, machines) if run.state.active else None
        seen.append(replace(run, state=end.state, reason=end.reason) if end else run)
    return seen


def _end_of(database: Database, run: Run, machines: Machines) -> PostMortem | None:
    """What is to be written of a run whose process is gone; None where it lives, or may."""
    if machines.restarted(run):
        return INTERRUPTED
    worker = worker_of(run, database.home)
    if worker is None or worker.alive:
        return None
    if worker.process.alive:
        return STRANGER
    return how_it_ended(run, None, last_line(Workspace(database.home).log_path(run.id)))
