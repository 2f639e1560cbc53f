"""How a teacher is trained: its task, networks, PPO and use of the machine."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from engine.config.base import Config, Device, TaskConfig, TaskName
from engine.config.network import (
    NETWORK_NAMING,
    NetworkConfig,
    NetworkKind,
    named_network,
    renamed_network,
)

Placement = Literal["together", "apart"]
TeacherSize = Literal["smoke", "quick", "laptop", "paper"]


class PpoConfig(Config):
    """Proximal policy optimisation (arXiv 1707.06347) with generalised advantages (1506.02438)."""

    horizon: int = Field(
        64, ge=1, le=100_000, description="Control steps per environment and iteration."
    )
    epochs: int = Field(2, ge=1, le=100, description="Passes over a rollout.")
    minibatches: int = Field(8, ge=1, le=10_000, description="Gradient steps per pass.")
    discount: float = Field(0.99, gt=0, le=1, description="Discount of a reward per control step.")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="Decay of advantage estimates.")
    clip_range: float = Field(0.2, gt=0, lt=1, description="Clip range of the probability ratio.")
    value_clip_range: float | None = Field(
        0.2,
        gt=0,
        le=1e6,
        description="Clip range of values, in scaled returns; none: no clipping.",
    )
    advantage_scope: Literal["rollout", "robot"] = Field(
        "robot", description="Advantages are standardised per robot, or over the whole rollout."
    )
    learning_rate: float = Field(
        3e-4, gt=0, le=1, description="Adam's rate at the start, or at the top of the cosine."
    )
    schedule: Literal["adaptive", "cosine"] = Field(
        "adaptive", description="Follow the KL target, or warm up and decay along a cosine."
    )
    target_kl: float = Field(
        0.02, gt=0, le=10, description="KL a gradient step should keep to (adaptive schedule)."
    )
    learning_rate_limits: tuple[float, float] = Field(
        (1e-5, 2e-3),
        description="Lowest and highest rate of the adaptive schedule, above 0 and at most 1.",
    )
    warmup_iterations: int = Field(
        0, ge=0, le=1_000_000, description="Iterations of linear warm-up (cosine schedule)."
    )
    stop_kl: float | None = Field(
        None, gt=0, le=1e6, description="End an iteration's updates above this KL; none: never."
    )
    gradient_norm: float = Field(
        1.0, gt=0, le=1e12, description="Gradients are clipped to this norm, actor and critic each."
    )
    action_std: float = Field(0.9, gt=0, le=10, description="Standard deviation at the start.")
    learn_action_std: bool = Field(True, description="Learn one standard deviation for all joints.")

    @field_validator("learning_rate_limits")
    @classmethod
    def _limits_are_rates_in_order(cls, limits: tuple[float, float]) -> tuple[float, float]:
        lowest, highest = limits
        if not 0 < lowest <= highest <= 1:
            raise ValueError("expected the lowest and the highest rate, above 0 and at most 1")
        return limits


class TeacherConfig(Config):
    """One training run over a set of robots."""

    total_env_steps: int = Field(
        2_000_000, ge=1, le=10**12, description="Control steps, summed over all environments."
    )
    time_limit_s: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Seconds of training after which the run ends early; 0: none.",
    )
    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of weights, resets and actions.")
    device: Device = Field("auto", description="Where networks run; physics runs on the CPU.")
    processes: int = Field(
        0,
        ge=0,
        le=256,
        description="Processes of one thread each, fixed on resume; each owns some robots. 0: one a"
        " core.",
    )
    placement: Literal["auto", "together", "apart"] = Field(
        "auto",
        description="Every process simulates and learns, or simulation processes and one learner;"
        " auto: apart on CUDA. Fixed on resume.",
    )
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = Field(
        "auto", description="Of products in networks; auto: tf32 on CUDA, float32 on the CPU."
    )
    cuda_graphs: bool = Field(
        True, description="Launch the kernels of a step as one, on CUDA alone."
    )
    compiled: bool = Field(
        True, description="Let a compiler fuse what encoder layers compute, on CUDA alone."
    )
    simulations_per_robot: int = Field(
        16, ge=1, le=4096, description="Environments of every robot."
    )
    robots_at_once: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Robots simulated at a time, in rotation; 0: all of them.",
    )
    rotation_iterations: int = Field(
        64, ge=1, le=1_000_000_000, description="Iterations until the next robots take their turn."
    )
    checkpoint_every_s: float = Field(
        60.0, ge=0, le=1e9, description="Seconds between checkpoints."
    )
    task: TaskConfig = Field(default_factory=TaskConfig, description="What the robots learn.")
    network: NetworkConfig = Field(default_factory=NetworkConfig, description="Actor and critic.")
    ppo: PpoConfig = Field(default_factory=PpoConfig, description="The learning rule.")

    NAMING: ClassVar[tuple[str, ...]] = (*NETWORK_NAMING, "task.name")

    @model_validator(mode="after")
    def _every_part_learns(self) -> Self:
        if self.network.dropout:
            raise ValueError(
                "network.dropout is for students: PPO's ratios need the policy that acted"
            )
        samples = self.simulations_per_robot * self.ppo.horizon
        if samples < self.ppo.minibatches:
            raise ValueError(
                f"ppo.minibatches={self.ppo.minibatches}: a robot's {samples} samples an iteration"
                f" (simulations_per_robot={self.simulations_per_robot} times"
                f" ppo.horizon={self.ppo.horizon}) cannot fill {self.ppo.minibatches} minibatches;"
                " take fewer ppo.minibatches or a longer ppo.horizon"
            )
        return self

    def renamed(self, settings: Mapping[str, Any]) -> Self:
        """Another kind, size or task: the named network; published lengths follow the ground."""
        before, after = self.task.name, settings.get("task.name", self.task.name)
        if after not in get_args(TaskName) or set(settings).isdisjoint(self.NAMING):
            return self
        network = renamed_network(self.network, settings, (before, after))
        ppo, steps = self.ppo, self.total_env_steps
        published, wanted = _published_lengths(before), _published_lengths(after)
        if (steps, ppo.stop_kl) == published:
            steps, ppo = wanted[0], ppo.model_copy(update={"stop_kl": wanted[1]})
        changes = {"network": network, "total_env_steps": steps, "ppo": ppo}
        return self.model_copy(update=changes)


def _published_lengths(task: TaskName) -> tuple[int, float]:
    """Control steps, and the KL that ends an iteration: flat ground takes half the steps."""
    return (100_000_000, 0.05) if task in ("flat", "incline") else (200_000_000, 0.03)


def named_teacher(
    size: TeacherSize, kind: NetworkKind = "transformer", task: TaskName = "flat"
) -> TeacherConfig:
    """The settings of a preset for a kind of network and a task."""
    if size == "paper":
        return _paper_teacher(kind, task)
    base = TeacherConfig(task=TaskConfig(name=task), network=named_network(kind, "small", task))
    if size == "smoke":
        return base.model_copy(
            update={
                "total_env_steps": 8_192,
                "processes": 1,
                "simulations_per_robot": 8,
                "ppo": PpoConfig(minibatches=2),
                "network": base.network.model_copy(
                    update={"width": 32, "layers": 1, "feedforward_width": 64}
                ),
            }
        )
    steps = {"quick": 2_000_000, "laptop": 5_500_000}[size]
    return base.model_copy(update={"total_env_steps": steps})


def _paper_teacher(kind: NetworkKind, task: TaskName) -> TeacherConfig:
    """The published settings: 1e8 steps on flat ground, 2e8 on terrain."""
    steps, stop_kl = _published_lengths(task)
    return TeacherConfig(
        total_env_steps=steps,
        simulations_per_robot=1,
        robots_at_once=32,
        rotation_iterations=1,
        checkpoint_every_s=600.0,
        task=TaskConfig(name=task),
        network=named_network(kind, "published", task),
        ppo=PpoConfig(
            horizon=2560,
            epochs=8,
            minibatches=16,
            learning_rate=3e-4,
            schedule="cosine",
            warmup_iterations=5,
            advantage_scope="rollout",
            stop_kl=stop_kl,
            gradient_norm=0.5,
            action_std=0.9,
            learn_action_std=False,
        ),
    )
