"""A universal controller, trained by reinforcement on all robots at once."""

from db.queries.metrics import list_series
from engine.config.teacher import TeacherConfig
from engine.events import Result
from engine.ppo.train import train_teacher
from engine.workers.jobs.job import Job
from engine.workers.library import TRAINING


def run(job: Job) -> None:
    """Train on the training robots of the run's sets (on all, where they have no roles)."""
    robots = job.robots(TRAINING) or job.robots()
    train_teacher(job.config(TeacherConfig), robots, job.context)
    last = [
        series.last_value
        for series in list_series(job.database, job.run.id)
        if series.name == "return" and series.robot_digest is None
    ]
    if last and last[0] is not None:
        many = "robot" if len(robots) == 1 else "robots"
        text = f"mean return {last[0]:.0f} on {len(robots)} {many}"
        job.context.report(Result(last[0], text))
