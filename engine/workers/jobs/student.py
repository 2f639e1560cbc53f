"""A hypernetwork that clones the teacher from expert data, or is taken over."""

from pathlib import Path

from db.queries.runs import list_runs
from db.records import Run, RunKind
from engine.config.distillation import StudentConfig
from engine.distillation.training import train_student
from engine.errors import HdtuiError, RunError
from engine.workers.jobs.adoption import adopt
from engine.workers.jobs.job import Job
from engine.workers.lineage import Ancestry


def run(job: Job) -> None:
    """Train on the expert data of the input collection, corrected by that data's teacher."""
    if "file" in job.run.extra:
        adopt(job, "student")
        return
    config = job.config(StudentConfig)
    collection = job.input(RunKind.COLLECTION)
    data = job.artifact(collection, "expert_data")
    teacher = _teacher(job, collection) if config.correction_rounds else None
    taught_on = job.ask(lambda database: Ancestry(database).trained_on(collection))
    train_student(config, data, job.context, teacher, taught_on)


def _teacher(job: Job, collection: Run) -> Path:
    """The file of the teacher that a collection was made from.

    Raises:
        RunError: There is none.
    """
    inputs = job.ask(lambda database: list_runs(database, ids=collection.inputs))
    for teacher in inputs:
        if teacher.kind is RunKind.TEACHER:
            try:
                return job.policy(teacher, collection)
            except HdtuiError as error:
                raise RunError(f"correction_rounds needs the teacher: {error}") from error
    raise RunError(
        f"correction_rounds needs the teacher of run {collection.id} collection to label the"
        " student's states, and that run is gone; distil with correction_rounds=0"
    )
