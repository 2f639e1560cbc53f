"""Sizes of the hypernetwork student and of the base MLPs it writes; the defaults are published."""

from typing import Literal

from pydantic import Field

from engine.config.base import Config

ContextKind = Literal["transformed", "raw"]


class HypernetworkConfig(Config):
    """The published student: three context encoders whose heads write one base MLP per robot."""

    context: ContextKind = Field(
        "transformed", description="Context features: transformed (one-hots, path sums) or raw."
    )
    embedding_width: int = Field(128, ge=4, le=4096, description="Width of a context embedding.")
    attention_heads: int = Field(2, ge=1, le=32, description="Heads of a context encoder.")
    feedforward_width: int = Field(
        256, ge=1, le=16384, description="Feed-forward width of a context encoder."
    )
    encoder_layers: int = Field(
        1, ge=1, le=8, description="Transformer layers of a context encoder."
    )
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Dropout on the context embedding, one mask per robot."
    )
    hidden_width: int = Field(256, ge=1, le=8192, description="Width of the base MLP.")
    hidden_layers: int | None = Field(
        None, ge=1, le=8, description="Hidden layers of the base MLP; none: 1 on flat, else 2."
    )
    terrain_width: int = Field(64, ge=1, le=1024, description="Width of the terrain encoder.")

    def base_hidden_layers(self, sees_terrain: bool) -> int:
        """Hidden layers of the base MLP for a task with or without a terrain observation."""
        if self.hidden_layers is not None:
            return self.hidden_layers
        return 2 if sees_terrain else 1
