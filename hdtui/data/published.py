"""The setting that the paper declares, and in what a run departs from it.

Choices of the method are declared, not sizes: a small machine trains small networks for fewer
steps. What is compared has to have cost the same (``Budget``), whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.records import CHECKPOINTS, Run, RunKind, RunState
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.teacher import TeacherConfig
from hdtui.data.measured import task_of
from hdtui.formatting import setting, steps

if TYPE_CHECKING:
    from engine.config.base import Config
    from engine.workers.lineage import Ancestry

DECLARED: Mapping[RunKind, Mapping[str, Any]] = {
    RunKind.TEACHER: {"network.kind": "transformer"},
    RunKind.COLLECTION: {
        "stochastic": True,
        "minimum_return": None,
        "maximum_fall_fraction": None,
    },
    RunKind.STUDENT: {
        "network.kind": "hypernetwork",
        "network.context": "transformed",
        "network.dropout": 0.1,
        "loss": "mean",
        "downweight_large_actions": False,
        "max_robots": None,
        "max_samples_per_robot": None,
        "correction_rounds": 0,
    },
    RunKind.EVALUATION: {
        "deterministic": True,
        "task.episode_steps": 1000,
        "task.reset_noise": 0.005,
    },
}
"""The paper's choices by kind of run; its students also learn from mutants."""
REINFORCED: Mapping[str, Any] = {
    **DECLARED[RunKind.TEACHER],
    "network.kind": "hypernetwork",
    "network.context": DECLARED[RunKind.STUDENT]["network.context"],
}
"""The student's network trained by reinforcement learning instead (HN-RL)."""
_CONFIGS: Mapping[RunKind, type[Config]] = {
    RunKind.TEACHER: TeacherConfig,
    RunKind.COLLECTION: CollectionConfig,
    RunKind.STUDENT: StudentConfig,
    RunKind.EVALUATION: EvaluationConfig,
}
_WORDS: Mapping[tuple[str, Any], str] = {
    ("network.context", "raw"): "read raw contexts",
    ("deterministic", False): "sampled its actions",
    ("stochastic", False): "took mean actions",
}
_ALMOST = 0.99
_EQUAL = 0.05


def departure(run: Run, declared: Mapping[str, Any] | None = None) -> str:
    """In what a run differs from the declared setting of its kind, as the end of a sentence.

    Empty where it does not. Settings that were not written down have their defaults.
    """
    defaults = _CONFIGS[run.kind]().model_dump(mode="json")
    for key, expected in (declared or DECLARED[run.kind]).items():
        found = _setting(run.config, defaults, key.split("."))
        if found != expected:
            words = _WORDS.get((key, found))
            words = words or f"has {key} {setting(found)}, not {setting(expected)}"
            return f"{_subject(run)} {words}"
    return ""


def _subject(run: Run) -> str:
    return "it" if run.kind is RunKind.EVALUATION else f"its {run.kind} {run.id}"


def _setting(config: Mapping[str, Any], defaults: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = config
    standard: Any = defaults
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) and part in found else None
        standard = standard.get(part) if isinstance(standard, Mapping) else None
    return standard if found is None else found


def chain_departure(ancestry: Ancestry, evaluation: Run, policy: Run) -> str:
    """Why a policy behind an evaluation is not of the declared setting; empty where it is."""
    runs = ancestry.ancestors(policy)
    for run in (evaluation, *runs):
        read = run.extra.get(CHECKPOINTS)
        if read:
            return f"{_subject(run)} read {' '.join(read)} before it had finished"
        if run.state is not RunState.FINISHED:
            return f"{_subject(run)} is {run.state}"
        if run.kind is RunKind.TEACHER and (run.done or 0.0) < _ALMOST * (run.total or 0.0):
            return f"its teacher {run.id} made {steps(run.done)} of {steps(run.total)} steps"
    found = [departure(run) for run in (evaluation, *runs) if run.kind in DECLARED]
    acting = (RunKind.TEACHER, RunKind.COLLECTION, RunKind.EVALUATION)
    grounds = {task_of(run.config) for run in (evaluation, *runs) if run.kind in acting}
    if len(grounds) > 1:
        found.append("its robots ran on another ground than its teacher learned on")
    return next((words for words in found if words), "")


@dataclass(frozen=True)
class Budget:
    """What a student cost: control steps of its teachers, samples, gradient steps."""

    control_steps: float
    samples: float
    gradient_steps: float

    def difference(self, other: Budget) -> str:
        """In what two budgets are unequal, in words; empty where they are within 5 %."""
        for name, own in vars(self).items():
            theirs = getattr(other, name)
            if abs(own - theirs) > _EQUAL * max(own, theirs):
                return f"{name.replace('_', ' ')} {steps(own)} against {steps(theirs)}"
        return ""


def control_steps(run: Run) -> float:
    """The control steps that a teacher took, else those it was to take."""
    planned = TeacherConfig().total_env_steps
    return run.done or run.total or float(run.config.get("total_env_steps", planned))


def budget(ancestry: Ancestry, student: Run) -> Budget:
    """What a student cost, from what its runs counted, else from their settings."""
    runs = ancestry.ancestors(student)
    per_robot = CollectionConfig().samples_per_robot
    samples = sum(
        float(run.config.get("samples_per_robot", per_robot)) * len(ancestry.robots_of(run))
        for run in runs
        if run.kind is RunKind.COLLECTION
    )
    taught = sum(control_steps(run) for run in runs if run.kind is RunKind.TEACHER)
    epochs = float(student.config.get("epochs", StudentConfig().epochs))
    return Budget(taught, samples, student.done or epochs * samples)
