"""What is asked of a network's cost: which one, on how many limbs, and which part of its work."""

from typing import Literal

from pydantic import Field

from engine.config.base import Config, TaskName
from engine.config.network import NetworkConfig

NetworkPart = Literal["acting", "writing"]
"""A control step of what acts (a hypernetwork's base MLP), or the one-off writing of that."""


class NetworkQuestion(Config):
    """The cost of a fresh network: its weights do not matter to it."""

    task: TaskName = Field(description="The ground decides what the network sees.")
    network: NetworkConfig = Field(description="Its kind and sizes.")
    limbs: int | None = Field(None, ge=1, description="Limbs of the robot; else all there can be.")
    part: NetworkPart = Field("acting", description="A control step, or writing a base MLP.")
    timing: int | None = Field(
        None, description="Which of several timings, as a number; none: it is not timed."
    )
