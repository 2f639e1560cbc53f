"""Kinds and sizes of the networks a teacher (or an aligned student) is built from."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from engine.config.base import Config, TaskName
from engine.config.hypernetwork import ContextKind
from engine.errors import ConfigError

NetworkKind = Literal["transformer", "modumorph", "hypernetwork", "multi_mlp", "single_mlp"]
NetworkSize = Literal["published", "compressed", "small"]
CriticKind = Literal["same", "robot_mlp"]

_DECODER_HIDDEN_LAYERS: dict[TaskName, int] = {
    "flat": 0,
    "incline": 0,
    "variable": 1,
    "obstacles": 2,
}
_DECODER_WIDTH = 64
TERRAIN_WIDTH = 64


def decoder_widths(task: TaskName) -> tuple[int, ...]:
    """Widths of a limb decoder's hidden layers: none on flat ground, one or two with terrain."""
    return (_DECODER_WIDTH,) * _DECODER_HIDDEN_LAYERS[task]


class NetworkConfig(Config):
    """An actor and its critic: separate networks, by default of the same shape."""

    kind: NetworkKind = Field(
        "transformer",
        description="Transformer over limbs, ModuMorph, hypernetwork (HN-RL), one MLP for all"
        " robots, or one MLP per robot.",
    )
    width: int = Field(64, ge=4, le=4096, description="Embedding width of a limb.")
    layers: int = Field(2, ge=1, le=64, description="Encoder layers.")
    heads: int = Field(2, ge=1, le=64, description="Attention heads; must divide the width.")
    feedforward_width: int = Field(128, ge=1, le=65536, description="Feed-forward width.")
    hidden_width: int = Field(256, ge=1, le=8192, description="Hidden width of MLPs.")
    hidden_layers: int = Field(2, ge=1, le=16, description="Hidden layers of MLPs.")
    attention: Literal["context", "self"] = Field(
        "context",
        description="Attention from the morphology alone (once per robot) or from observations.",
    )
    positional_embedding: bool = Field(
        False, description="Add a learned embedding of a limb's depth-first position."
    )
    context: ContextKind = Field(
        "transformed", description="Context features a hypernetwork reads: transformed or raw."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout on a hypernetwork's context embedding (students)."
    )
    scaled_embedding: bool = Field(
        False, description="Multiply embeddings by the square root of the width, as published."
    )
    moments: Literal["shared", "published"] = Field(
        "shared",
        description="Observation moments shared over limbs, or per limb slot with padding.",
    )
    critic: CriticKind = Field(
        "robot_mlp", description="Critic: shaped like the actor, or one value MLP per robot."
    )
    critic_hidden_width: int = Field(
        128, ge=1, le=8192, description="Hidden width of the value MLPs, one per robot."
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.kind in ("transformer", "modumorph", "hypernetwork") and self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide width={self.width}")
        return self

    @property
    def reads_classes(self) -> bool:
        """Whether it reads the transformed context, with its classes of joint ranges and gears."""
        return (
            self.kind == "modumorph"
            or (self.kind == "transformer" and self.attention == "context")
            or (self.kind == "hypernetwork" and self.context == "transformed")
        )


_PUBLISHED: dict[NetworkKind, dict[str, object]] = {
    "transformer": {"attention": "self"},
    "modumorph": {"attention": "context"},
    "hypernetwork": {
        "layers": 1,
        "feedforward_width": 256,
        "hidden_layers": 1,
        "moments": "shared",
        "critic": "robot_mlp",
    },
    "multi_mlp": {},
    "single_mlp": {"critic": "robot_mlp", "critic_hidden_width": 256},
}


def named_network(kind: NetworkKind, size: NetworkSize, task: TaskName = "flat") -> NetworkConfig:
    """The network of a kind at its published, compressed or small size for a task.

    MLPs have no compressed form of their own: they keep the published one.
    """
    if size == "small":
        return _small_network(kind, task)
    fields: dict[str, object] = {
        "kind": kind,
        "width": 128,
        "layers": 5,
        "heads": 2,
        "feedforward_width": 1024,
        "scaled_embedding": True,
        "moments": "published",
        "critic": "same",
        **_PUBLISHED[kind],
    }
    if kind == "hypernetwork" and decoder_widths(task):
        fields["hidden_layers"] = 2
    if size == "compressed":
        fields |= _compressed_fields(kind, task)
    return NetworkConfig.model_validate(fields)


NETWORK_NAMING = ("network.kind", "network.size")
SIZE_SENTENCE = "A named size of the network; what follows from it can still be changed by itself."


def renamed_network(
    network: NetworkConfig,
    settings: Mapping[str, Any],
    tasks: tuple[TaskName, TaskName],
    named: Callable[[NetworkKind, NetworkSize, TaskName], NetworkConfig] = named_network,
) -> NetworkConfig:
    """The network that settings of ``NETWORK_NAMING`` choose, on the second task after the first.

    A network that is no named one, and whose size is not chosen, stays as it is.

    Raises:
        ConfigError: There is no such kind or size.
    """
    kind = _chosen("network.kind", settings, NetworkKind, network.kind)
    size = _chosen("network.size", settings, NetworkSize, None)
    before, after = tasks
    if size is not None:
        return named(kind, size, after)
    for known in get_args(NetworkSize):
        if network == named(network.kind, known, before):
            return named(kind, known, after)
    return network


def _chosen(key: str, settings: Mapping[str, Any], names: Any, otherwise: Any) -> Any:
    chosen = settings.get(key, otherwise)
    if chosen != otherwise and chosen not in get_args(names):
        raise ConfigError(f"{key}: found {chosen!r}; expected one of {', '.join(get_args(names))}")
    return chosen


def _small_network(kind: NetworkKind, task: TaskName) -> NetworkConfig:
    fields: dict[str, object] = {"kind": kind}
    if kind == "hypernetwork":
        hidden_layers = 2 if decoder_widths(task) else 1
        fields |= {"layers": 1, "hidden_layers": hidden_layers, "hidden_width": 128}
    return NetworkConfig.model_validate(fields)


def _compressed_fields(kind: NetworkKind, task: TaskName) -> dict[str, object]:
    if kind == "modumorph":
        return {"layers": 1, "heads": 1, "feedforward_width": 128}
    if kind == "transformer" and decoder_widths(task):
        return {"layers": 2, "heads": 1, "feedforward_width": 128}
    if kind == "transformer":
        return {"layers": 1, "heads": 1, "feedforward_width": 256}
    return {}
