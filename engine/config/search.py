"""What a search varies and how it looks: ranges of settings, trials, and which of them go on."""

import math
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from engine.config.base import Config

RANGE_KINDS = ("uniform", "log_uniform", "integer", "categorical")


class Range(Config):
    """Values that a setting may take; one of its four kinds is given."""

    setting: str = Field("", description="The setting, as --set takes it; else the factor's name.")
    uniform: tuple[float, float] | None = Field(None, description="From low to high.")
    log_uniform: tuple[float, float] | None = Field(
        None, description="From low to high, small ones as often as large ones."
    )
    integer: tuple[int, int] | None = Field(None, description="Whole numbers from low to high.")
    categorical: tuple[Any, ...] | None = Field(None, description="One of these values.")

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = [kind for kind in RANGE_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"expected one of {', '.join(RANGE_KINDS)}; found {found}")
        bounds = self.uniform or self.log_uniform or self.integer
        if bounds is not None and bounds[0] >= bounds[1]:
            raise ValueError(f"{given[0]}: expected a low and a higher number, found {bounds}")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError("log_uniform: expected numbers above 0")
        if self.categorical is not None:
            plain = all(isinstance(each, bool | int | float | str) for each in self.categorical)
            if not plain or len(set(self.categorical)) < max(len(self.categorical), 2):
                raise ValueError("categorical: expected two or more different plain values")
        return self

    def ends(self) -> Iterator[Any]:
        """The values that have to be valid for all between to be: both bounds, or every choice."""
        bounds = self.uniform or self.log_uniform or self.integer
        yield from bounds if bounds is not None else self.categorical or ()

    def holds(self, value: Any) -> bool:
        """Whether a value lies in it."""
        bounds = self.uniform or self.log_uniform or self.integer
        if bounds is None:
            return value in (self.categorical or ())
        return math.isfinite(value) and bounds[0] <= value <= bounds[1]


class Halving(Config):
    """Successive halving (arXiv 1810.05934): trials that are behind in training are stopped."""

    first: float = Field(
        0.1, gt=0, lt=1, description="Share of the training after which trials are compared first."
    )
    factor: int = Field(
        3, ge=2, le=10, description="One of so many goes on; the next look comes as much later."
    )


class Search(Config):
    """How ranges are searched; each trial is a cell (for every seed) as any other."""

    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="What proposes: a tree of Parzen estimators, or chance."
    )
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of what is proposed.")
    trials: int = Field(20, ge=1, le=500, description="How many are tried.")
    together: int = Field(2, ge=1, le=64, description="How many are tried at once.")
    halving: Halving | None = Field(None, description="Stop trials that are behind; else none.")
    paused: bool = Field(False, description="Stopped: nothing new is tried until it is resumed.")
    left_out: tuple[str, ...] = Field((), description="Trials that halving stopped.")
