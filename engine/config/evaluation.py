"""How policies are evaluated and how a student is deployed."""

from typing import Literal

from pydantic import Field

from engine.config.base import Config, TaskConfig

DeploymentFormat = Literal["npz", "onnx"]


class EvaluationConfig(Config):
    """Episodes of policies on robots; equal seeds give equal resets to every policy."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of resets, terrain and actions.")
    task: TaskConfig = Field(default_factory=TaskConfig, description="What the robots do.")
    episodes: int = Field(16, ge=1, le=100_000, description="Episodes per robot and policy.")
    deterministic: bool = Field(True, description="Take mean actions; else sample.")
    processes: int = Field(2, ge=1, le=256, description="Processes of one thread each.")
    record_poses: int = Field(
        0, ge=0, le=64, description="First episodes of each robot and policy recorded to watch."
    )
    bootstrap_samples: int = Field(
        2000, ge=100, le=1_000_000, description="Resamples behind an interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the intervals.")


class DeploymentConfig(Config):
    """One small MLP per robot, as a file."""

    format: DeploymentFormat = Field(
        "npz", description="Arrays for numpy, or ONNX for any runtime."
    )
    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of the observations of the check.")
