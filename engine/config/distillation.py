"""How expert data is collected from a teacher, and how a student learns from it."""

from collections.abc import Iterator, Mapping
from functools import cache
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

_TRUNK = ("width", "layers", "heads", "feedforward_width")
_MLP = ("hidden_width", "hidden_layers")
_LIMB_NETWORK = frozenset({*_TRUNK, "attention", "positional_embedding", "scaled_embedding"})
_READ: Mapping[NetworkKind, frozenset[str]] = {
    "hypernetwork": frozenset({*_TRUNK, *_MLP, "context", "dropout"}),
    "transformer": _LIMB_NETWORK,
    "modumorph": _LIMB_NETWORK,
    "multi_mlp": frozenset(_MLP),
}
"""What a student of each kind is built from; one network per robot is no student."""
_OF_NO_SIZE = frozenset(("context", "dropout"))
"""Choices of a study that leave a network the named one of its size."""


def student_network(
    size: NetworkSize, task: TaskName = "flat", kind: NetworkKind = "hypernetwork"
) -> NetworkConfig:
    """A student's network: HyperDistill's drops out entries of its context embedding."""
    network = named_network(kind, size, task)
    dropout = 0.1 if kind == "hypernetwork" else 0.0
    return network.model_copy(update={"dropout": dropout, "moments": "shared"})


def _aligned(kind: NetworkKind, size: NetworkSize, task: TaskName) -> NetworkConfig:
    return student_network(size, task, kind)


_SMOKE_NETWORK = student_network("small").model_copy(update={"hidden_width": 64})


@cache
def _named_networks(kind: NetworkKind) -> tuple[NetworkConfig, ...]:
    """Every student's network of a kind that has a name: sizes, tasks and presets."""
    sizes, tasks = get_args(NetworkSize), get_args(TaskName)
    named = [student_network(size, task, kind) for size in sizes for task in tasks]
    return (*named, *(each for each in [_SMOKE_NETWORK] if each.kind == kind))


def _unread_settings(network: NetworkConfig) -> Iterator[str]:
    """A sentence on every setting that is not the named network's and that nothing reads.

    A network of a named size has that network's value; any other has that of any named one.
    """
    read = _READ[network.kind]
    named = _named_networks(network.kind)
    alike = [each for each in named if not _differing(each, network) & (read - _OF_NO_SIZE)]
    for name in NetworkConfig.model_fields:
        expected = sorted({getattr(each, name) for each in alike or named})
        if name in read or getattr(network, name) in expected:
            continue
        readers = " or ".join(kind for kind, settings in _READ.items() if name in settings)
        reader = f"a {readers} student" if readers else "a teacher's critic"
        values = " or ".join(str(value).lower() for value in expected)
        yield (
            f"network.{name} is read by {reader} alone, not by a {network.kind} student;"
            f" leave it at {values}"
        )


def _differing(one: NetworkConfig, other: NetworkConfig) -> frozenset[str]:
    fields = NetworkConfig.model_fields
    return frozenset(name for name in fields if getattr(one, name) != getattr(other, name))


def _of_another_kind(network: NetworkConfig, kind: NetworkKind, task: TaskName) -> NetworkConfig:
    """A network of no named size as another kind: it keeps what both kinds read.

    The rest is that of the size it differs least from.
    """

    def distance(size: NetworkSize) -> int:
        return len(_differing(student_network(size, task, network.kind), network))

    size = min(get_args(NetworkSize), key=distance)
    both = _READ.get(network.kind, frozenset()) & _READ.get(kind, frozenset())
    kept = {name: getattr(network, name) for name in both}
    return student_network(size, task, kind).model_copy(update=kept)


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
        None,
        ge=-1e9,
        le=1e9,
        description="Leave out robots on which the teacher's mean return is below this.",
    )
    maximum_fall_fraction: float | None = Field(
        None, ge=0, le=1, description="Leave out robots that fall in a larger share of episodes."
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
        None, ge=1, le=1_000_000, description="Train on so many robots only, drawn by seed."
    )
    max_samples_per_robot: int | None = Field(
        None, ge=1, le=10_000_000, description="Train on so many samples of a robot only."
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
    gradient_norm: float = Field(
        0.5, gt=0, le=1e12, description="Gradients are clipped to this norm."
    )
    patience_epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Stop after so many epochs without a better held-out loss.",
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
        None,
        ge=1,
        le=1_000_000_000,
        description="Measure the student's return every so many gradient steps.",
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
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = Field(
        "auto", description="Of products in networks; auto: tf32 on CUDA, float32 on the CPU."
    )
    checkpoint_every_s: float = Field(
        60.0, ge=0, le=1e9, description="Seconds between checkpoints."
    )

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
        kind = settings.get("network.kind", network.kind)
        if kind != network.kind:
            network = _of_another_kind(network, kind, task)
        return self.model_copy(update={"network": network})

    @model_validator(mode="after")
    def _every_setting_is_read(self) -> Self:
        if self.network.moments != "shared":
            raise ValueError(
                "network.moments of a student is shared: its data are normalised over all robots"
            )
        if self.network.kind not in _READ:
            raise ValueError(
                f"network.kind={self.network.kind} has a network for each robot it was trained on"
                f" and none for the robots a student is judged on; take one of {', '.join(_READ)}"
            )
        unread = next(_unread_settings(self.network), None)
        if unread is not None:
            raise ValueError(unread)
        held_out = self.validation_robots or self.validation_fraction
        if self.patience_epochs is not None and not held_out:
            raise ValueError(
                "patience_epochs is read where something is held out, and validation_robots and"
                " validation_fraction are 0; hold something out or leave patience_epochs at none"
            )
        return self

    @model_validator(mode="after")
    def _every_round_trains(self) -> Self:
        if self.correction_rounds >= self.epochs:
            raise ValueError(
                f"epochs={self.epochs} cannot be divided among"
                f" correction_rounds={self.correction_rounds}; take more epochs or fewer rounds"
            )
        return self


_SIZES: dict[StudentSize, dict[str, object]] = {
    "smoke": {
        "network": _SMOKE_NETWORK,
        "epochs": 8,
        "threads": 1,
        "validation_robots": 1,
        "robots_per_minibatch": 8,
        "samples_per_minibatch_robot": 32,
        "correction_samples_per_robot": 256,
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
