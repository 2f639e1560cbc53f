"""A universal controller, trained by reinforcement on all robots at once, or taken over."""

from db.queries.metrics import list_series
from engine.config.teacher import TeacherConfig
from engine.errors import RobotError
from engine.events import ArtifactWritten, Result
from engine.files import write_bytes
from engine.morphology.drivable import undrivable_reason
from engine.ppo import train_teacher
from engine.rollout.saved_policy import load_policy
from engine.text import counted
from engine.workers.jobs.job import Job
from engine.workers.policy_files import policy_file_of


def run(job: Job) -> None:
    """Train on the training robots of the run's sets (on all of a set that has none)."""
    if "file" in job.run.extra:
        _adopt(job)
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


def _adopt(job: Job) -> None:
    """Copy a teacher that was trained elsewhere into the run, where later stages find it."""
    source = policy_file_of(job.run.extra["file"]).checked_paths()[0]
    _, description = load_policy(source)
    path = job.context.folder / f"policy-a{job.context.attempt}.safetensors"
    sha256 = write_bytes(path, source.read_bytes())
    job.context.report(ArtifactWritten("policy", path.stem, path, sha256))
    known = counted(len(description.digests), "robot")
    what = f"{description.network.kind}, {description.task}, trained on {known}"
    job.context.report(Result(None, f"taken over from {source.name}: {what}"))
