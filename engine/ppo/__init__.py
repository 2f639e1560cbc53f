"""Proximal policy optimisation: pure maths, one update, and the training loop around them."""

from engine.ppo.train import train_teacher

__all__ = ["train_teacher"]
