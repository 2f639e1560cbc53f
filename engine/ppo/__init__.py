"""Proximal policy optimisation: read processes, placement, loop, trainer, objective, learner."""

from engine.ppo.processes import train_teacher

__all__ = ["train_teacher"]
