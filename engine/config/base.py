"""Shared parts of stage configurations: frozen, checked where they are built, JSON in and out."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

TaskName = Literal["flat", "variable", "obstacles", "incline"]
TERRAIN_TASKS = ("variable", "obstacles")
"""Tasks whose ground policies see as heights."""
Device = Literal["auto", "cpu", "cuda"]


KnownFrom = Literal["training", "collection", "nothing"]
"""Where a student knows a robot from: its teacher's training, its own data alone, or not at all."""


class Config(BaseModel):
    """Base of every configuration: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    NAMING: ClassVar[tuple[str, ...]] = ()
    """Dotted settings that choose among named configurations; others follow from them."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        """No value is read as another type: true is not 1, "5" is not 5; 2e6 is a whole number."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        wanted = {annotation, *get_args(annotation)}
        if wanted & {int, float}:
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, bool | str | bytes):
                    raise ValueError("expected a number")
        elif bool in wanted and not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value

    def renamed(self, settings: Mapping[str, Any]) -> Self:
        """What stands here under the names that ``settings`` choose, for all of them to change.

        A preset's network of another kind, size or task is the named one of that kind, size and
        task, not this one under another name; what was changed by hand stays.
        """
        del settings
        return self


class TaskConfig(Config):
    """What the robots have to do and how an episode ends."""

    name: TaskName = Field("flat", description="Ground the robots run on.")
    episode_steps: int = Field(
        1000, ge=1, le=100_000, description="Control steps until the clock truncates an episode."
    )
    reset_noise: float = Field(
        0.005,
        ge=0,
        le=0.1,
        description="Half width of the uniform noise on every position and velocity.",
    )
    incline_deg: float = Field(10.0, ge=0, le=30, description="Slope of the incline task, degrees.")
    num_courses: int = Field(
        4, ge=1, le=64, description="Terrain courses a model holds; each episode picks one."
    )

    @property
    def sees_terrain(self) -> bool:
        """Whether policies see the ground as heights."""
        return self.name in TERRAIN_TASKS
