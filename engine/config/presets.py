"""Pipelines by name: what ``hdtui pipeline --preset`` and the launch form start from."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from engine.config.base import Config
from engine.config.distillation import (
    CollectionConfig,
    StudentConfig,
    named_student,
    student_of,
)
from engine.config.evaluation import DeploymentConfig, EvaluationConfig
from engine.config.robots import GenerationConfig, MutationConfig
from engine.config.teacher import TeacherConfig, named_teacher
from engine.errors import ConfigError

PresetName = Literal["smoke", "quick", "laptop", "paper"]
PRESET_SENTENCES: Mapping[str, str] = {
    "smoke": "every stage in under a minute, learns nothing",
    "quick": "4 to 9 minutes on two cores",
    "laptop": "an hour or two",
    "paper": "published sizes",
}
"""What the presets take, in a few words each."""


class PipelineConfig(Config):
    """Every stage of a pipeline; its seed is given to each stage that draws."""

    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of every stage.")
    generation: GenerationConfig = Field(
        GenerationConfig(), description="Robots to train on and to test with."
    )
    teacher: TeacherConfig = Field(
        TeacherConfig(), description="One policy for all robots, trained by PPO."
    )
    mutation: MutationConfig = Field(
        MutationConfig(), description="Mutants of the training robots."
    )
    collection: CollectionConfig = Field(
        CollectionConfig(), description="What the teacher sees and does, stored for students."
    )
    student: StudentConfig = Field(
        StudentConfig(), description="The hypernetwork that imitates the teacher."
    )
    evaluation: EvaluationConfig = Field(
        EvaluationConfig(), description="Returns of teacher, student and baselines."
    )
    deployment: DeploymentConfig = Field(
        DeploymentConfig(), description="The files that the student writes."
    )

    NAMING: ClassVar[tuple[str, ...]] = (
        *(f"teacher.{name}" for name in TeacherConfig.NAMING),
        *(f"student.{name}" for name in StudentConfig.NAMING),
    )

    def renamed(self, settings: Mapping[str, Any]) -> Self:
        """Each stage under the names that its settings choose."""
        stages: dict[str, Config] = {
            name: stage.renamed(
                {
                    key.removeprefix(f"{name}."): value
                    for key, value in settings.items()
                    if key.startswith(f"{name}.")
                }
            )
            for name, stage in (("teacher", self.teacher), ("student", self.student))
        }
        return self.model_copy(update=stages)

    def seeded(self) -> Self:
        """The same pipeline with its seed in every stage that has not been given another."""
        stages = {name: getattr(self, name) for name in type(self).model_fields if name != "seed"}
        seeded = {
            name: stage.model_copy(update={"seed": self.seed})
            for name, stage in stages.items()
            if stage.seed == type(stage).model_fields["seed"].default
        }
        return self.model_copy(update=seeded)

    def grounded(self) -> Self:
        """The same pipeline with every stage on the teacher's ground, unless given another."""
        task = self.teacher.task
        if task.name == "flat":
            return self
        ground = {"name": task.name, "incline_deg": task.incline_deg}
        stages: dict[str, Config] = {
            name: stage.model_copy(update={"task": stage.task.model_copy(update=ground)})
            for name, stage in (("collection", self.collection), ("evaluation", self.evaluation))
            if stage.task.name == "flat"
        }
        stages["student"] = student_of(self.student, task.name)
        return self.model_copy(update=stages)


PRESETS: dict[PresetName, PipelineConfig] = {
    "smoke": PipelineConfig(
        generation=GenerationConfig(train_count=4, unseen_count=2),
        teacher=named_teacher("smoke"),
        mutation=MutationConfig(mutants_per_robot=2),
        collection=CollectionConfig(samples_per_robot=512),
        student=named_student("smoke"),
        evaluation=EvaluationConfig(episodes=2, bootstrap_samples=500, record_poses=1),
    ),
    "quick": PipelineConfig(
        generation=GenerationConfig(train_count=8, unseen_count=4),
        teacher=named_teacher("quick").model_copy(update={"total_env_steps": 1_500_000}),
        mutation=MutationConfig(mutants_per_robot=5),
        collection=CollectionConfig(samples_per_robot=4000),
        student=named_student("quick"),
        evaluation=EvaluationConfig(episodes=8, record_poses=1),
    ),
    "laptop": PipelineConfig(
        generation=GenerationConfig(train_count=8, unseen_count=4),
        teacher=named_teacher("laptop"),
        mutation=MutationConfig(mutants_per_robot=9),
        collection=CollectionConfig(samples_per_robot=8000),
        student=named_student("laptop"),
        evaluation=EvaluationConfig(episodes=16, record_poses=1),
    ),
    "paper": PipelineConfig(
        generation=GenerationConfig(train_count=100, unseen_count=100),
        teacher=named_teacher("paper"),
        mutation=MutationConfig(mutants_per_robot=9),
        collection=CollectionConfig(samples_per_robot=8000),
        student=named_student("paper"),
        evaluation=EvaluationConfig(episodes=16),
    ),
}


def preset(name: str) -> PipelineConfig:
    """The pipeline of a preset.

    Raises:
        ConfigError: There is no such preset.
    """
    for known, config in PRESETS.items():
        if known == name:
            return config
    raise ConfigError(f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}")


def stage_preset(stage: str, name: str) -> Config:
    """One stage's settings of a preset; a teacher on its own runs to its full length.

    Raises:
        ConfigError: There is no such preset.
    """
    config: Config = getattr(preset(name), stage)
    if isinstance(config, TeacherConfig) and name == "quick":
        return named_teacher("quick")
    return config
