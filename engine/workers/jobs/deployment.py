"""The student, folded into one small MLP per robot."""

from db.queries.artifacts import list_artifacts
from db.records import RunKind
from engine.config.evaluation import DeploymentConfig
from engine.deployment.deploy import deploy_student
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Write a policy file for every robot of the run's sets that an earlier attempt did not."""
    student = job.policy(job.input(RunKind.STUDENT))
    written = job.ask(lambda database: list_artifacts(database, job.run.id))
    known = {file.name: file.sha256 for file in written if file.kind == "deployed_policy"}
    deploy_student(job.config(DeploymentConfig), student, job.robots(), job.context, known)
