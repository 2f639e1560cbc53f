"""A policy that was trained elsewhere, taken over as the run that would have made it."""

from engine.events import ArtifactWritten, Result
from engine.files import write_bytes
from engine.rollout.saved_policy import load_policy
from engine.text import counted
from engine.workers.jobs.job import Job
from engine.workers.policy_files import policy_file_of


def adopt(job: Job, artifact: str) -> None:
    """Copy a teacher's or student's file into the run, where later stages find it.

    Raises:
        CheckpointError: It is gone, has changed since the run was queued, or cannot act.
    """
    file = policy_file_of(job.run.extra["file"])
    (source,) = file.checked_paths()
    _, description = load_policy(source)
    path = job.context.folder / f"{artifact}-a{job.context.attempt}.safetensors"
    sha256 = write_bytes(path, source.read_bytes())
    job.context.report(ArtifactWritten(artifact, path.stem, path, sha256))
    known = counted(len(description.digests), "robot")
    what = f"{description.network.kind}, {description.task}, trained on {known}"
    job.context.report(Result(None, f"taken over from {file.label.removeprefix('file ')}: {what}"))
