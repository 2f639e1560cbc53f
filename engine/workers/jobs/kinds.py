"""Which job a kind of run is; its stage, and torch or mujoco with it, is loaded only then."""

from importlib import import_module
from typing import TYPE_CHECKING

from db.records import RunKind
from engine.workers.jobs.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {kind: f"engine.workers.jobs.{kind}" for kind in RunKind}


def run_job(job: Job) -> None:
    """Do the job of the run's kind."""
    run: Callable[[Job], None] = import_module(MODULES[job.run.kind]).run
    run(job)
