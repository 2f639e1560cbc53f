"""Bodies become a decision process: observations, rewards, falling and clocks, batched by robot."""

from engine.environments.episodes import EpisodeBatch
from engine.environments.vector import VectorEnvironment

__all__ = ["EpisodeBatch", "VectorEnvironment"]
