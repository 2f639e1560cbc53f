"""The student, folded into one small MLP per robot."""

from db.records import RunKind
from engine.config.evaluation import DeploymentConfig
from engine.deployment.deploy import deploy_student
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Write a policy file for every robot of the run's sets."""
    student = job.policy(job.input(RunKind.STUDENT))
    deploy_student(job.config(DeploymentConfig), student, job.robots(), job.context)
