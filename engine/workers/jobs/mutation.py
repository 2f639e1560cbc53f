"""Mutants of the training robots, for distillation."""

from typing import TYPE_CHECKING

from engine.config.robots import MutationConfig
from engine.errors import RunError, StopRequestedError
from engine.events import Progress, Result
from engine.morphology.mutation import each_mutant
from engine.text import counted
from engine.workers.jobs.job import Job
from engine.workers.robot_library import TRAINING

if TYPE_CHECKING:
    from engine.morphology.tree import Morphology

PROGRESS_EVERY = 10


def run(job: Job) -> None:
    """Mutants of the run's robots, as the set that ``extra`` names in ``mutant_set``."""
    config = job.config(MutationConfig)
    name = job.run.extra.get("mutant_set")
    if not isinstance(name, str):
        raise RunError(f"Run {job.run.id} mutation does not say which set to fill.")
    parents = job.named_learning_robots()
    total = len(parents) * config.mutants_per_robot
    found: list[Morphology] = []
    for mutant in each_mutant(
        parents,
        config.mutants_per_robot,
        config.seed,
        config.min_operations,
        config.max_operations,
    ):
        if job.context.should_stop():
            raise StopRequestedError("stopped between two mutants")
        found.append(mutant)
        if len(found) % PROGRESS_EVERY == 0 or len(found) == total:
            job.context.report(Progress(len(found), total, "robots"))
    members: list[tuple[Morphology, str | None]] = [(robot, TRAINING) for robot in found]
    made = job.fill_set(name, members)
    text = f"{counted(made.size, 'mutant')} of {counted(len(parents), 'robot')}, all valid"
    job.context.report(Result(float(made.size), text, "mutants"))
