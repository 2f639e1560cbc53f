"""A universal controller, trained by reinforcement on all robots at once."""

from engine.config.teacher import TeacherConfig
from engine.ppo.train import train_teacher
from engine.workers.jobs.job import Job
from engine.workers.library import TRAINING


def run(job: Job) -> None:
    """Train on the training robots of the run's sets (on all, where they have no roles)."""
    robots = job.robots(TRAINING) or job.robots()
    train_teacher(job.config(TeacherConfig), robots, job.context)
