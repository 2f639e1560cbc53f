"""How expert data is collected from a teacher, and how a student learns from it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from engine.config.base import Config, Device, TaskConfig, TaskName
from engine.config.network import (
    NETWORK_NAMING,
    NetworkConfig,
    NetworkKind,
    NetworkSize,
    named_network,
    renamed_network,
)

ImitationLoss = Literal["mean", "logp"]
StudentSize = Literal["smoke", "quick", "laptop", "paper"]


def student_network(
    size: NetworkSize, task: TaskName = "flat", kind: NetworkKind = "hypernetwork"
) -> NetworkConfig:
    """A student's network: HyperDistill's drops out entries of its context embedding."""
    network = named_network(kind, size, task)
    dropout = 0.1 if kind == "hypernetwork" else 0.0
    return network.model_copy(update={"dropout": dropout, "moments": "shared"})


def _aligned(kind: NetworkKind, size: NetworkSize, task: TaskName) -> NetworkConfig:
    return student_network(size, task, kind)


class CollectionConfig(Config):
    """Rollouts of a frozen teacher on every robot of a set."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of resets, terrain and actions.")
    task: TaskConfig = Field(default_factory=TaskConfig, description="What the teacher does.")
    samples_per_robot: int = Field(
        8000, ge=1, le=10_000_000, description="Control steps stored per robot."
    )
    simulations_per_robot: int = Field(
        8, ge=1, le=4096, description="Simulations of a robot that are stepped together."
    )
    robots_per_batch: int = Field(
        1,
        ge=1,
        le=4096,
        description="Robots one process rolls out and writes together; a resume goes by as many.",
    )
    stochastic: bool = Field(
        True, description="Sample actions from the teacher; else take their means."
    )
    minimum_return: float | None = Field(
        None, description="Leave out robots on which the teacher's mean return is below this."
    )
    processes: int = Field(2, ge=1, le=256, description="Processes of one thread each.")

    @property
    def steps(self) -> int:
        """Control steps per simulation, so that at least ``samples_per_robot`` come together."""
        return -(-self.samples_per_robot // self.simulations_per_robot)


class StudentConfig(Config):
    """Behaviour cloning of one student on expert data of many robots."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of weights, order and dropout.")
    network: NetworkConfig = Field(
        default_factory=lambda: student_network("published"),
        description="The student's kind, size and regularisation.",
    )
    loss: ImitationLoss = Field(
        "mean", description="Match the teacher's mean action, or its sampled actions (logp)."
    )
    downweight_large_actions: bool = Field(
        False, description="Weigh targets beyond the action range by exp(1 - |a|)."
    )
    max_robots: int | None = Field(
        None, ge=1, description="Train on so many robots only, drawn by seed."
    )
    max_samples_per_robot: int | None = Field(
        None, ge=1, description="Train on so many samples of a robot only."
    )
    validation_robots: int = Field(
        4, ge=0, le=100_000, description="Robots held out of training, drawn by seed."
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of each training robot's samples that is held out."
    )
    epochs: int = Field(20, ge=1, le=100_000, description="Passes over the data at most.")
    robots_per_minibatch: int = Field(64, ge=1, le=4096, description="Robots of a minibatch.")
    samples_per_minibatch_robot: int = Field(
        80, ge=1, le=100_000, description="Samples of each of a minibatch's robots."
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam's peak learning rate.")
    warmup_fraction: float = Field(
        0.02, ge=0, lt=1, description="Share of the gradient steps over which the rate rises."
    )
    gradient_norm: float = Field(0.5, gt=0, description="Gradients are clipped to this norm.")
    patience_epochs: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better held-out loss."
    )
    correction_rounds: int = Field(
        0,
        ge=0,
        le=100,
        description="Rounds in which the teacher labels the student's own states (DAgger); the"
        " epochs are divided among them.",
    )
    correction_samples_per_robot: int = Field(
        2000, ge=1, le=10_000_000, description="Control steps a round adds per training robot."
    )
    return_every_steps: int | None = Field(
        None, ge=1, description="Measure the student's return every so many gradient steps."
    )
    return_robots: int = Field(
        4,
        ge=1,
        le=4096,
        description="Trained and held-out robots it is measured on, each.",
    )
    return_episodes: int = Field(
        4, ge=1, le=1024, description="Episodes per robot, side by side, it is measured by."
    )
    threads: int = Field(
        2,
        ge=1,
        le=256,
        description="Threads that share the robots of a minibatch; fixed on resume.",
    )
    device: Device = Field("auto", description="Where the student is trained.")
    checkpoint_every_s: float = Field(60.0, ge=0, description="Seconds between checkpoints.")

    NAMING: ClassVar[tuple[str, ...]] = NETWORK_NAMING

    def renamed(self, settings: Mapping[str, Any]) -> Self:
        """Another kind or size of student: the named network, on the ground of the teacher."""
        if set(settings).isdisjoint(self.NAMING):
            return self
        tasks: tuple[TaskName, ...] = ("flat", "variable")
        sizes = get_args(NetworkSize)
        sees_terrain = any(self.network == student_network(size, "variable") for size in sizes)
        task = tasks[sees_terrain]
        network = renamed_network(self.network, settings, (task, task), _aligned)
        return self.model_copy(update={"network": network})

    @model_validator(mode="after")
    def _every_setting_is_read(self) -> "StudentConfig":
        if self.network.moments != "shared":
            raise ValueError(
                "network.moments of a student is shared: its data are normalised over all robots"
            )
        if self.network.dropout and self.network.kind != "hypernetwork":
            raise ValueError(
                f"network.dropout is a hypernetwork's, a {self.network.kind} student has none; "
                "set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _every_round_trains(self) -> "StudentConfig":
        if self.correction_rounds >= self.epochs:
            raise ValueError(
                f"{self.epochs} epochs cannot be divided among {self.correction_rounds} rounds of"
                " correction; take more epochs or fewer rounds"
            )
        return self


_SIZES: dict[StudentSize, dict[str, object]] = {
    "smoke": {
        "network": student_network("small").model_copy(update={"hidden_width": 64}),
        "epochs": 8,
        "threads": 1,
        "validation_robots": 1,
        "robots_per_minibatch": 8,
        "samples_per_minibatch_robot": 32,
    },
    "quick": {"epochs": 10, "validation_robots": 2, "robots_per_minibatch": 32},
    "laptop": {"epochs": 16, "validation_robots": 4},
    "paper": {
        "epochs": 150,
        "validation_robots": 20,
        "learning_rate": 3e-4,
        "patience_epochs": 20,
    },
}


def named_student(size: StudentSize) -> StudentConfig:
    """The student's settings of a preset."""
    return StudentConfig.model_validate(_SIZES[size])


def student_of(
    student: StudentConfig, task: TaskName, *, one_per_robot: bool = False
) -> StudentConfig:
    """A student as it was published for a task and a kind of teacher.

    Where terrain is seen the base MLP has a second hidden layer; with one teacher per robot, whose
    actions grow large, large targets weigh less.
    """
    network = student.network
    if network.kind == "hypernetwork":
        layers = named_network("hypernetwork", "published", task).hidden_layers
        network = network.model_copy(update={"hidden_layers": layers})
    return student.model_copy(
        update={
            "network": network,
            "downweight_large_actions": student.downweight_large_actions or one_per_robot,
        }
    )
