"""A universal controller, trained by reinforcement on all robots at once, or taken over."""

from db.queries.metrics import list_series
from engine.config.teacher import TeacherConfig
from engine.errors import RobotError
from engine.events import Result
from engine.morphology.drivable import undrivable_reason
from engine.ppo import train_teacher
from engine.text import counted
from engine.workers.jobs.adoption import adopt
from engine.workers.jobs.job import Job


def run(job: Job) -> None:
    """Train on the training robots of the run's sets (on all of a set that has none)."""
    if "file" in job.run.extra:
        adopt(job, "policy")
        return
    robots = job.learning_robots()
    config = job.config(TeacherConfig)
    if reason := undrivable_reason(config.network, robots):
        raise RobotError(f"this teacher cannot drive {reason}")
    train_teacher(config, robots, job.context)
    last = [
        series.last_value
        for series in job.ask(lambda database: list_series(database, job.run.id))
        if series.name == "return" and series.robot_digest is None
    ]
    if last and last[0] is not None:
        text = f"mean return {last[0]:.0f} on {counted(len(robots), 'robot')}"
        job.context.report(Result(last[0], text, "sampled_return"))
