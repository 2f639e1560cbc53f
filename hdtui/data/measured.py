"""What was measured alike: returns of policies with all that makes two of them comparable."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from db.records import EpisodeSummary, Run, RunKind
from engine.config.base import TaskConfig
from engine.evaluation.statistics import RobotReturn, kept_ratio
from engine.statistics import mean
from engine.text import counted
from engine.workers.lineage import Ancestry

ColumnName = Literal["return", "ratio", "unseen", "training"]
COMPARED: tuple[ColumnName, ...] = ("return", "ratio", "unseen", "training")
"""Columns of the list whose values stand under each other only where they are of one basis."""


@dataclass(frozen=True)
class Basis:
    """What returns have in common that can be compared: task, actions, robots and episodes.

    ``robots`` are digests with their episodes; of training, the names of the robot sets with 0.
    """

    task: str
    deterministic: bool
    robots: frozenset[tuple[str, int]]

    @property
    def words(self) -> str:
        """The basis in words: 8 robots, 16 episodes each, flat, mean actions."""
        actions = "mean actions" if self.deterministic else "sampled actions"
        episodes = sorted({number for _, number in self.robots})
        if episodes == [0]:
            return f"on {' '.join(sorted(name for name, _ in self.robots))}, {actions}"
        each = f"{episodes[0]} episodes each" if len(episodes) == 1 else "unequal episodes"
        robots, task = counted(len(self.robots), "robot"), json.loads(self.task)["name"]
        return f"{robots}, {each}, {task}, {actions}"


@dataclass(frozen=True)
class Measured:
    """A value of a run in a column; ``evaluation_id`` is the run that measured it."""

    run_id: int
    column: ColumnName
    basis: Basis
    value: float
    evaluation_id: int


def task_of(config: Mapping[str, Any]) -> str:
    """The settings of a run's task, those that were not written down at their defaults."""
    task = config.get("task")
    defaults = TaskConfig().model_dump(mode="json")
    return json.dumps({**defaults, **(task if isinstance(task, Mapping) else {})}, sort_keys=True)


def returns_by_policy(
    ancestry: Ancestry, found: Iterable[EpisodeSummary]
) -> dict[int, dict[str, RobotReturn]]:
    """What an evaluation found, by policy run and digest of the robot."""
    returns: dict[int, dict[str, RobotReturn]] = {}
    for each in found:
        if each.policy_run_id is not None and each.policy_run_id in ancestry.runs:
            own = RobotReturn(each.mean_return, each.std_return, each.episodes)
            returns.setdefault(each.policy_run_id, {})[each.robot_digest] = own
    return returns


def measured_in(
    ancestry: Ancestry, evaluation: Run, found: Iterable[EpisodeSummary]
) -> list[Measured]:
    """What an evaluation says of the policies of runs, by group of robots."""
    by_policy = returns_by_policy(ancestry, found)
    measured = []
    for run_id, own in by_policy.items():
        run = ancestry.runs[run_id]
        trained_on, known = ancestry.trained_on(run), ancestry.known_to(run)
        groups: dict[ColumnName, dict[str, RobotReturn]] = {
            "return": {digest: each for digest, each in own.items() if digest in trained_on},
            "unseen": {digest: each for digest, each in own.items() if digest not in known},
        }
        for column, robots in groups.items():
            if robots:
                value = mean([each.mean for each in robots.values()])
                basis = _basis(evaluation, robots)
                measured.append(Measured(run_id, column, basis, value, evaluation.id))
        beside, of_both = _beside_teachers(ancestry, run, by_policy)
        ratio = kept_ratio(of_both, beside)
        if ratio is not None:
            basis = _basis(evaluation, of_both)
            measured.append(Measured(run_id, "ratio", basis, ratio, evaluation.id))
    return measured


def _beside_teachers(
    ancestry: Ancestry, run: Run, by_policy: Mapping[int, Mapping[str, RobotReturn]]
) -> tuple[dict[str, RobotReturn], dict[str, RobotReturn]]:
    """Its teachers' returns on the robots they were trained on, and its own on the same."""
    beside: dict[str, RobotReturn] = {}
    for teacher in ancestry.teachers(run):
        if teacher.id != run.id:
            returns = by_policy.get(teacher.id, {})
            trained_on = ancestry.trained_on(teacher)
            beside |= {digest: each for digest, each in returns.items() if digest in trained_on}
    own = by_policy[run.id]
    return beside, {digest: own[digest] for digest in beside.keys() & own.keys()}


def _basis(evaluation: Run, robots: Mapping[str, RobotReturn]) -> Basis:
    return Basis(
        task_of(evaluation.config),
        bool(evaluation.config.get("deterministic", True)),
        frozenset((digest, each.episodes) for digest, each in robots.items()),
    )


def trained(runs: Iterable[Run]) -> list[Measured]:
    """The returns of teachers while they learn: sampled actions, on their own robot sets."""
    return [
        Measured(run.id, "training", basis, run.result, run.id)
        for run in runs
        if run.kind is RunKind.TEACHER and run.result is not None
        for basis in [Basis(task_of(run.config), False, frozenset((n, 0) for n in run.robot_sets))]
    ]


def chosen_basis(
    measured: Sequence[Measured], column: ColumnName, pinned: int | None
) -> Basis | None:
    """The basis of a column: that of the pinned run, else that of most runs, the newest of equals.

    None where nothing was measured.
    """
    own = [each for each in measured if each.column == column]
    runs: dict[Basis, set[int]] = {}
    newest: dict[Basis, int] = {}
    for each in own:
        runs.setdefault(each.basis, set()).add(each.run_id)
        newest[each.basis] = max(newest.get(each.basis, 0), each.evaluation_id)
    held = [basis for basis in runs if pinned in runs[basis]] or list(runs)
    return max(held, key=lambda basis: (len(runs[basis]), newest[basis]), default=None)


def result_basis(run: Run) -> tuple[object, ...]:
    """What results of runs have in common that can be averaged."""
    names = ("episodes", "deterministic")
    settings = tuple(run.config.get(name) for name in names)
    return (run.result_kind, task_of(run.config), frozenset(run.robot_sets), *settings)
