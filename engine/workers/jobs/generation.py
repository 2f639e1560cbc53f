"""New robots that can stand and move: a set to train on and one never trained on."""

import time
from collections.abc import Iterator

from engine.config.robots import GenerationConfig
from engine.environments.viability import viable
from engine.errors import StopRequestedError
from engine.events import Metrics, Progress, Result
from engine.morphology.generation import candidates
from engine.morphology.tree import Morphology
from engine.text import counted
from engine.workers.jobs.job import Job
from engine.workers.robot_library import TRAINING, UNSEEN

BATCH = 8


def run(job: Job) -> None:
    """Fill the sets that ``extra`` names: ``training_set`` and ``unseen_set``, or one of them.

    Candidates come in one order from the seed; the training robots are the first that pass.
    """
    config = job.config(GenerationConfig)
    wanted = [
        (job.run.extra.get("training_set"), TRAINING, config.train_count),
        (job.run.extra.get("unseen_set"), UNSEEN, config.unseen_count),
    ]
    sets = [(name, role, count) for name, role, count in wanted if name and count]
    robots = _viable_robots(job, config.seed, sum(count for _, _, count in sets))
    for name, role, count in sets:
        members: list[tuple[Morphology, str | None]] = [(next(robots), role) for _ in range(count)]
        job.fill_set(name, members)
    text = " and ".join(counted(count, f"{role} robot") for _, role, count in sets)
    job.context.report(Result(float(sum(count for _, _, count in sets)), text, "robots"))


def _viable_robots(job: Job, seed: int, count: int) -> Iterator[Morphology]:
    """Candidates that pass, until ``count`` did; says how many were tried."""
    started = time.monotonic()
    source = candidates(seed)
    passed = tried = 0
    while passed < count:
        if job.context.should_stop():
            raise StopRequestedError("stopped between two batches of candidates")
        batch = [next(source) for _ in range(BATCH)]
        chosen = [robot for robot, good in zip(batch, viable(batch, seed), strict=True) if good]
        chosen = chosen[: count - passed]
        tried += len(batch)
        passed += len(chosen)
        rate = passed / (time.monotonic() - started)
        job.context.report(Progress(passed, count, "robots", rate))
        job.context.report(Metrics(tried, tried // BATCH, {"viable share": passed / tried}))
        yield from chosen
