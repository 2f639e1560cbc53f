"""Expert data: a frozen teacher rolled out on training robots and mutants."""

from db.records import RunKind
from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Collect from the input teacher on all robots of the run's sets."""
    teacher = job.artifact(job.input(RunKind.TEACHER), "policy")
    collect_expert_data(job.config(CollectionConfig), teacher, job.robots(), job.context)
