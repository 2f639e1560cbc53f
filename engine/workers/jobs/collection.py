"""Expert data: a frozen teacher rolled out on training robots and mutants."""

from db.queries.artifacts import list_artifacts
from db.records import RunKind
from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Collect from the input teacher on robots that may be learnt from, or repair what was.

    Robots of a set that are kept unseen are not among them: a student would have seen them.
    """
    teacher = job.policy(job.input(RunKind.TEACHER))
    config = job.config(CollectionConfig)
    written = job.ask(lambda database: list_artifacts(database, job.run.id))
    recorded = next((file.sha256 for file in written if file.kind == "expert_data"), None)
    collect_expert_data(config, teacher, job.learning_robots(), job.context, recorded)
