"""Teachers by reinforcement learning: the stage."""

from collections.abc import Sequence
from pathlib import Path

from engine.config.teacher import TeacherConfig
from engine.errors import UsageError
from engine.events import Note, StageContext
from engine.morphology.tree import Morphology
from engine.ppo.loop import lead
from engine.ppo.share import Share
from engine.ppo.team import Team
from engine.rollout.children import use_one_thread


def train_teacher(
    config: TeacherConfig, robots: Sequence[Morphology], context: StageContext
) -> Path:
    """Train one teacher on ``robots``; returns the final checkpoint, from which a run could go on.

    The policy alone is reported as an artifact of kind ``policy``.

    Raises:
        UsageError: there are no robots.
        StopRequestedError: a stop was asked for; a checkpoint is written.
        DivergenceError: training diverged; the last good checkpoint is kept.
        CheckpointError: ``context.resume_from`` does not belong to this run.
    """
    if not robots:
        raise UsageError("no robots to train on: name a robot set with at least one")
    if config.processes > len(robots):
        # Results depend on the number of processes, never on the machine.
        context.report(
            Note("info", f"{len(robots)} robots keep {len(robots)} processes busy, not more")
        )
        config = config.model_copy(update={"processes": len(robots)})
    use_one_thread()
    with Team(config, robots, context.resume_from) as team:
        share = Share(config, robots, rank=0)
        return lead(share, team.meet(share.learner.exchanged_numbers), context)
