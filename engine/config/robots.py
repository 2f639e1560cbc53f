"""What to generate and how to mutate: configurations of the first two stages."""

from typing import Self

from pydantic import Field, model_validator

from engine.config.base import Config


class GenerationConfig(Config):
    """Populations of new robots; those for training and those never trained on are disjoint."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of every random choice.")
    train_count: int = Field(
        16, ge=1, le=10_000, description="Robots generated for training the teacher."
    )
    unseen_count: int = Field(
        4, ge=0, le=10_000, description="Robots generated only to test generalisation."
    )


class MutationConfig(Config):
    """Mutants of the training robots, which distillation learns from as well."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="Seed of every random choice.")
    mutants_per_robot: int = Field(
        9, ge=0, le=1000, description="Mutants made of each training robot."
    )
    min_operations: int = Field(
        1, ge=1, le=20, description="Fewest mutation operations that make a mutant."
    )
    max_operations: int = Field(
        3, ge=1, le=20, description="Most mutation operations that make a mutant."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min_operations > self.max_operations:
            raise ValueError(
                f"min_operations={self.min_operations} is more than"
                f" max_operations={self.max_operations}"
            )
        return self
