"""Runs side by side: what their policies earn, on what they were judged alike, how they differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, get_args

import numpy as np

from db.queries.evaluations import list_episodes
from db.queries.metrics import list_series
from db.queries.runs import get_run, list_runs
from db.records import EvaluatedEpisode, Run, RunKind
from db.session import Database
from engine.evaluation.robot_groups import Group, Knowledge, robot_groups
from engine.evaluation.statistics import (
    Estimate,
    Statistic,
    bootstrap,
    bootstrap_draws,
    generalization_gap,
    interquartile_mean,
    mean,
    paired_difference,
)
from engine.statistics import Difference, Interval, interval, welch_difference
from engine.workers.lineage import Ancestry
from hdtui.data.measured import task_of
from hdtui.data.run_list import config_key, flat_config

RobotReturns = dict[str, dict[tuple[int, int], float]]
"""Episode returns by robot digest, then by seed and episode number."""


class Condition(NamedTuple):
    """What makes episodes of equal seed comparable: the task's settings and how actions come."""

    task: str
    settings: str
    deterministic: bool


@dataclass(frozen=True)
class JudgedEpisodes:
    """Episodes under one condition, each once and from the newest evaluation that ran it.

    ``evaluations`` are those that any of them is from; ``samples`` are the resamples of the newest.
    """

    robots: RobotReturns
    evaluations: tuple[int, ...]
    samples: int


@dataclass(frozen=True)
class ComparedPolicy:
    """A policy: that of a run, or one that an evaluation judged; what it earned by condition."""

    label: str
    run: Run
    judged: Mapping[Condition, JudgedEpisodes]
    trained_on: frozenset[str]
    known: frozenset[str]


@dataclass(frozen=True)
class Returns:
    """What a policy earns under one condition, robots being the units of the intervals."""

    task: str
    deterministic: bool
    robots: int
    episodes: int
    evaluations: tuple[int, ...]
    mean: Estimate | None
    """Over all robots; None where they are of several groups, which make no common mean."""
    interquartile_mean: Estimate | None
    trained: Estimate | None
    unseen: Estimate | None
    other: Estimate | None
    """Over robots that it knows and its teachers were not trained on, such as mutants."""
    generalization_gap: Estimate | None


@dataclass(frozen=True)
class PairedDifference:
    """First minus second, on the robots and seeds that both were judged on."""

    first: str
    second: str
    task: str
    group: Group
    robots: int
    episodes: int
    difference: Estimate


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ by their seeds alone, and their mean return with its interval over runs."""

    runs: tuple[int, ...]
    task: str
    group: Group
    over_seeds: Interval
    difference_to_first: Difference | None


@dataclass(frozen=True)
class Comparison:
    """What ``hdtui compare`` says."""

    subjects: tuple[tuple[ComparedPolicy, tuple[Returns, ...]], ...]
    training_returns: Mapping[int, float | None]
    groups: tuple[SeedGroup, ...]
    differences: tuple[PairedDifference, ...]
    config: Mapping[str, Mapping[int, Any]]


def compare(database: Database, run_ids: Sequence[int]) -> Comparison:
    """Compare runs by everything that evaluations in the database say about them.

    Raises:
        RunError: There is no run of such a number.
    """
    runs = [get_run(database, run_id) for run_id in dict.fromkeys(run_ids)]
    subjects = _subjects(database, runs)
    judged = tuple(
        (subject, tuple(_returns(subject, condition) for condition in sorted(subject.judged)))
        for subject in subjects
    )
    return Comparison(
        subjects=judged,
        training_returns={run.id: _training_return(database, run) for run in runs},
        groups=_groups(judged),
        differences=tuple(
            difference
            for first, second in combinations(subjects, 2)
            for difference in _paired(first, second)
        ),
        config=_config_differences(runs),
    )


def _subjects(database: Database, runs: Sequence[Run]) -> list[ComparedPolicy]:
    ids = [run.id for run in runs if run.kind is not RunKind.EVALUATION]
    evaluations = [run.id for run in runs if run.kind is RunKind.EVALUATION]
    ancestry = Ancestry(database)
    episodes = list_episodes(database, policy_run_ids=ids)
    judged: dict[str, tuple[Run, list[EvaluatedEpisode]]] = {
        f"{run.kind} {run.id}": (run, [each for each in episodes if each.policy_run_id == run.id])
        for run in runs
        if run.id in ids
    }
    for each in list_episodes(database, run_ids=evaluations):
        evaluation = ancestry.runs[each.run_id]
        judged.setdefault(f"{each.policy} in {each.run_id}", (evaluation, []))[1].append(each)
    by = {each.run_id for _, own in judged.values() for each in own}
    evaluated = {run.id: run for run in list_runs(database, ids=by, archived=True)}
    subjects = []
    for label, (run, own) in judged.items():
        # Of a policy in an evaluation the run that made it knows its robots; of one of no run,
        # such as a random one, those of the policies beside it are told apart.
        maker = next((each.policy_run_id for each in own), None)
        knowledge = ancestry.knowledge(ancestry.runs.get(maker or run.id, run))
        conditions = _by_condition(own, evaluated)
        subjects.append(
            ComparedPolicy(label, run, conditions, knowledge.trained_on, knowledge.known)
        )
    return subjects


def _condition(task: str, evaluation: Run) -> Condition:
    config = evaluation.config
    return Condition(task, task_of(config), bool(config.get("deterministic", True)))


def _by_condition(
    episodes: Sequence[EvaluatedEpisode], evaluations: Mapping[int, Run]
) -> dict[Condition, JudgedEpisodes]:
    """What was judged by condition; where an episode was run twice, the newer one counts."""
    newest: dict[Condition, dict[tuple[str, int, int], EvaluatedEpisode]] = {}
    for each in sorted(episodes, key=lambda each: each.run_id):
        own = newest.setdefault(_condition(each.task, evaluations[each.run_id]), {})
        own[each.robot_digest, each.seed, each.episode] = each
    return {
        condition: _judged(list(own.values()), evaluations) for condition, own in newest.items()
    }


def _judged(episodes: Sequence[EvaluatedEpisode], evaluations: Mapping[int, Run]) -> JudgedEpisodes:
    robots: RobotReturns = {}
    for each in episodes:
        robots.setdefault(each.robot_digest, {})[each.seed, each.episode] = each.episode_return
    used = tuple(sorted({each.run_id for each in episodes}))
    return JudgedEpisodes(
        robots, used, int(evaluations[used[-1]].config.get("bootstrap_samples", 2000))
    )


def _returns(subject: ComparedPolicy, condition: Condition) -> Returns:
    judged = subject.judged[condition]
    robots, samples = judged.robots, judged.samples
    means = {digest: float(np.mean(list(own.values()))) for digest, own in sorted(robots.items())}
    trained, unseen, other = _apart(subject, means)
    # A policy without robots of its own (random, a file) knows no difference.
    known = bool(subject.known)
    several = sum(map(bool, (trained, unseen, other))) > 1
    values = list(means.values())
    return Returns(
        task=condition.task,
        deterministic=condition.deterministic,
        robots=len(robots),
        episodes=sum(len(own) for own in robots.values()),
        evaluations=judged.evaluations,
        mean=None if several else _estimate(values, samples),
        interquartile_mean=None if several else _estimate(values, samples, interquartile_mean),
        trained=_estimate(trained, samples) if known else None,
        unseen=_estimate(unseen, samples) if known else None,
        other=_estimate(other, samples) if known else None,
        generalization_gap=(
            generalization_gap(trained, unseen, bootstrap_draws(), samples=samples)
            if known and trained and unseen
            else None
        ),
    )


def _apart(
    subject: ComparedPolicy, means: Mapping[str, float]
) -> tuple[list[float], list[float], list[float]]:
    """Returns on the robots a policy was trained on, on those it does not know, on the rest."""
    groups = robot_groups(means, [Knowledge(subject.trained_on, subject.known)])
    trained, unseen, other = (
        [means[digest] for digest in groups.get(group, ())] for group in get_args(Group)
    )
    return trained, unseen, other


def _estimate(
    values: Sequence[float], samples: int, statistic: Statistic = mean
) -> Estimate | None:
    return bootstrap(values, statistic, bootstrap_draws(), samples=samples) if values else None


def _paired(first: ComparedPolicy, second: ComparedPolicy) -> list[PairedDifference]:
    found = []
    for condition in sorted(first.judged.keys() & second.judged.keys()):
        own, other = first.judged[condition].robots, second.judged[condition].robots
        sides = (first.judged[condition], second.judged[condition])
        newest = max(sides, key=lambda judged: judged.evaluations[-1])
        shared = {
            digest: sorted(own[digest].keys() & other[digest].keys())
            for digest in sorted(own.keys() & other.keys())
        }
        shared = {digest: keys for digest, keys in shared.items() if keys}
        knowledge = [Knowledge(each.trained_on, each.known) for each in (first, second)]
        for group, digests in robot_groups(shared, knowledge).items():
            of_group = {digest: shared[digest] for digest in digests}
            means = [
                [float(np.mean([side[digest][key] for key in keys])) for side in (own, other)]
                for digest, keys in of_group.items()
            ]
            columns = list(zip(*means, strict=True))
            found.append(
                PairedDifference(
                    first.label,
                    second.label,
                    condition.task,
                    group,
                    len(of_group),
                    sum(len(keys) for keys in of_group.values()),
                    paired_difference(
                        columns[0], columns[1], bootstrap_draws(), samples=newest.samples
                    ),
                )
            )
    return found


def _groups(judged: Sequence[tuple[ComparedPolicy, tuple[Returns, ...]]]) -> tuple[SeedGroup, ...]:
    members: dict[tuple[str, Group, str], list[tuple[int, float]]] = {}
    for subject, returns in judged:
        if subject.run.kind is RunKind.EVALUATION:
            continue  # the same policy judged twice is not two seeds
        for condition, each in zip(sorted(subject.judged), returns, strict=True):
            alike = f"{condition} {config_key(subject.run)}"
            estimates = {"train": each.trained, "unseen": each.unseen}
            if not any(estimates.values()):
                estimates = {"robots": each.mean}
            for group in get_args(Group):
                found = estimates.get(group)
                if found is not None:
                    key = (each.task, group, alike)
                    members.setdefault(key, []).append((subject.run.id, found.value))
    seeds = {subject.run.id: subject.run.seed for subject, _ in judged}
    groups: list[SeedGroup] = []
    first: dict[tuple[str, Group], list[float]] = {}
    for (task, group, _), own in members.items():
        if len({seeds[run_id] for run_id, _ in own}) < len(own):
            continue  # nor are two runs of one seed
        values = [value for _, value in own]
        reference = first.setdefault((task, group), values)
        difference = None if reference is values else welch_difference(values, reference)
        runs = tuple(run_id for run_id, _ in own)
        groups.append(SeedGroup(runs, task, group, interval(values), difference))
    return tuple(groups)


def _training_return(database: Database, run: Run) -> float | None:
    return next(
        (
            series.last_value
            for series in list_series(database, run.id)
            if series.name == "return" and series.robot_digest is None
        ),
        None,
    )


def _config_differences(runs: Sequence[Run]) -> dict[str, dict[int, Any]]:
    """Settings in which the runs differ; null where a run has no such setting."""
    flat = {run.id: flat_config(run.config) for run in runs}
    names = dict.fromkeys(name for config in flat.values() for name in config)
    values = {name: {run_id: own.get(name) for run_id, own in flat.items()} for name in names}
    return {
        name: own
        for name, own in values.items()
        if len({json.dumps(value, sort_keys=True) for value in own.values()}) > 1
    }


def comparison_document(found: Comparison) -> dict[str, Any]:
    """A comparison for scripts."""
    return {
        "runs": [
            {
                "id": subject.run.id,
                "policy": subject.label,
                "kind": subject.run.kind,
                "name": subject.run.name,
                "seed": subject.run.seed,
                "state": subject.run.state,
                "training_return": found.training_returns.get(subject.run.id),
                "returns": returns,
            }
            for subject, returns in found.subjects
        ],
        "groups": found.groups,
        "differences": found.differences,
        "config": found.config,
    }
