"""A hypernetwork that clones the teacher from expert data."""

from db.records import RunKind
from engine.config.distillation import StudentConfig
from engine.distillation.training import train_student
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Train on the expert data of the input collection."""
    data = job.artifact(job.input(RunKind.COLLECTION), "expert_data")
    train_student(job.config(StudentConfig), data, job.context)
