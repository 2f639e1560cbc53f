"""Evaluate policies on robots on all cores: episodes as they finish, statistics at the end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.config.evaluation import EvaluationConfig
from engine.errors import UsageError
from engine.evaluation.episodes import EpisodesJob, JudgedRobot, run_episodes
from engine.evaluation.recordings import Recordings
from engine.evaluation.robot_groups import Group
from engine.evaluation.statistics import (
    Estimate,
    RobotReturn,
    bootstrap,
    bootstrap_draws,
    earns,
    interquartile_mean,
    mean,
    paired_difference,
    ratio_of_means,
    robot_means,
)
from engine.events import (
    Episode,
    EpisodesFinished,
    Metrics,
    Progress,
    Result,
    ResultKind,
    StageContext,
)
from engine.morphology.tree import Morphology
from engine.rollout.actors import ActorFactory
from engine.rollout.processes import map_in_processes
from engine.statistics import sample_deviation


@dataclass(frozen=True)
class PolicySummary:
    """One policy over all robots."""

    label: str
    mean_return: Estimate
    interquartile_mean_return: Estimate
    fall_fraction: float
    mean_length: float
    mean_speed_m_s: float
    robot_returns: Mapping[str, float]
    """Mean return by robot digest."""


@dataclass(frozen=True)
class Timing:
    """Where the time of an evaluation went; seconds of all processes together but for the wall's.

    ``simulation_s`` and ``inference_s`` are what the same steps cost without anything around them.
    """

    wall_s: float
    processes: int
    steps: int
    simulation_s: float
    inference_s: float

    @property
    def overhead(self) -> float:
        """Time spent over time that simulation and inference alone need; 1 is perfect."""
        needed = self.simulation_s + self.inference_s
        return self.wall_s * self.processes / needed if needed > 0 else 1.0


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: summaries, and paired differences of policies to the first one."""

    episodes: tuple[Episode, ...]
    policies: tuple[PolicySummary, ...]
    differences: Mapping[str, Estimate]
    """This policy's return minus the first one's, paired by robot."""
    ratios: Mapping[str, Estimate]
    """This policy's mean return over the first one's, where that is surely above zero."""
    timing: Timing | None = None
    groups: Mapping[Group, "Evaluation"] = field(default_factory=dict)
    """The same by what policies know of robots: trained and unseen ones make no common mean."""


GROUP_WORDS: Mapping[Group, str] = {"train": "trained", "unseen": "unseen", "robots": "other"}


def evaluate_policies(
    config: EvaluationConfig,
    policies: Mapping[str, ActorFactory],
    robots: Sequence[Morphology],
    context: StageContext,
    owners: Mapping[str, int] | None = None,
    known: Sequence[Episode] = (),
    groups: Mapping[Group, Sequence[str]] | None = None,
) -> Evaluation:
    """Every policy on every robot, with the same resets; ``policies`` are named by their labels.

    ``owners`` says which run a label's policy comes from, for recorded episodes. ``known`` are
    episodes that an earlier attempt reported: a policy and robot that has them all is not run
    again. ``groups`` are digests of robots whose returns are told apart, all together where it is
    None.

    Raises:
        UsageError: there is no policy or no robot.
        StopRequestedError: a stop was asked for; reported episodes stay.
    """
    if not policies or not robots:
        raise UsageError("an evaluation needs at least one policy and one robot")
    jobs = [
        EpisodesJob(label, actors, robot, config, _recordings(config, context, label, owners or {}))
        for robot in robots
        for label, actors in policies.items()
    ]
    episodes = {index: found for index, job in enumerate(jobs) if (found := _complete(job, known))}
    waiting = [index for index in range(len(jobs)) if index not in episodes]
    total = len(jobs) * config.episodes
    if episodes:
        context.report(Progress(len(episodes) * config.episodes, total, "episodes"))
    judged: list[JudgedRobot] = []
    started = time.monotonic()
    for place, robot in map_in_processes(
        run_episodes, [jobs[index] for index in waiting], config.processes, context.should_stop
    ):
        job = jobs[waiting[place]]
        judged.append(robot)
        episodes[waiting[place]] = robot.episodes
        rate = len(judged) * config.episodes / max(time.monotonic() - started, 1e-9)
        # Episodes last: where they stand, all that belongs to them does.
        _report_recordings(job, context)
        context.report(EpisodesFinished(robot.episodes))
        context.report(Progress(len(episodes) * config.episodes, total, "episodes", rate))
    ordered = tuple(episode for index in sorted(episodes) for episode in episodes[index])
    evaluation = summarize(config, ordered, list(policies), robots)
    everyone: Mapping[Group, Sequence[str]] = {"robots": [robot.digest for robot in robots]}
    evaluation = replace(evaluation, groups=_by_group(config, evaluation, groups or everyone))
    _report(config, evaluation, context)
    processes = max(min(config.processes, len(waiting)), 1)
    return replace(evaluation, timing=_timing(time.monotonic() - started, processes, judged))


def _complete(job: EpisodesJob, known: Sequence[Episode]) -> tuple[Episode, ...] | None:
    """A job's episodes in their order, where an earlier attempt reported all of them."""
    config = job.config
    wanted = (job.label, job.robot.digest, config.task.name, config.seed)
    found = {
        each.episode: each
        for each in known
        if (each.policy, each.robot_digest, each.task, each.seed) == wanted
    }
    if found.keys() != set(range(config.episodes)):
        return None
    return tuple(found[number] for number in range(config.episodes))


def _timing(wall_s: float, processes: int, judged: Sequence[JudgedRobot]) -> Timing:
    """Of what this attempt ran."""
    return Timing(
        wall_s,
        processes,
        sum(each.steps for each in judged),
        sum(each.simulation_s for each in judged),
        sum(each.inference_s for each in judged),
    )


def _recordings(
    config: EvaluationConfig, context: StageContext, label: str, owners: Mapping[str, int]
) -> Recordings | None:
    if not config.record_poses:
        return None
    return Recordings(
        context.folder, context.attempt, label, owners.get(label), config.record_poses
    )


def _report_recordings(job: EpisodesJob, context: StageContext) -> None:
    if job.recordings:
        config = job.config
        for artifact in job.recordings.artifacts(job.robot, config.task.name, config.episodes):
            context.report(artifact)


def summarize(
    config: EvaluationConfig,
    episodes: Sequence[Episode],
    labels: Sequence[str],
    robots: Sequence[Morphology],
) -> Evaluation:
    """Statistics of finished episodes; every policy has episodes on every robot."""
    return _summarized(config, episodes, labels, [robot.digest for robot in robots])


def _by_group(
    config: EvaluationConfig, evaluation: Evaluation, groups: Mapping[Group, Sequence[str]]
) -> dict[Group, Evaluation]:
    labels = [summary.label for summary in evaluation.policies]
    found = {}
    for group, digests in groups.items():
        own = [each for each in evaluation.episodes if each.robot_digest in digests]
        found[group] = _summarized(config, own, labels, digests)
    return found


def _summarized(
    config: EvaluationConfig,
    episodes: Sequence[Episode],
    labels: Sequence[str],
    named: Sequence[str],
) -> Evaluation:
    digests = list(dict.fromkeys(named))
    summaries = tuple(_summary(config, episodes, label, digests) for label in labels)
    first = list(summaries[0].robot_returns.values())
    differences = {
        other.label: paired_difference(
            list(other.robot_returns.values()),
            first,
            bootstrap_draws(),
            samples=config.bootstrap_samples,
            confidence=config.confidence,
        )
        for other in summaries[1:]
    }
    ratios = _ratios(config, summaries, returns_of(episodes, labels[0]))
    return Evaluation(tuple(episodes), summaries, differences, ratios)


def returns_of(episodes: Sequence[Episode], label: str) -> dict[str, RobotReturn]:
    """What a policy earned on each robot, by digest."""
    returns: dict[str, list[float]] = {}
    for each in episodes:
        if each.policy == label:
            returns.setdefault(each.robot_digest, []).append(each.episode_return)
    return {
        digest: RobotReturn(sum(own) / len(own), sample_deviation(own), len(own))
        for digest, own in returns.items()
    }


def _ratios(
    config: EvaluationConfig,
    summaries: Sequence[PolicySummary],
    reference: Mapping[str, RobotReturn],
) -> dict[str, Estimate]:
    first = list(summaries[0].robot_returns.values())
    if not earns(list(reference.values())):
        return {}
    return {
        other.label: ratio_of_means(
            list(other.robot_returns.values()),
            first,
            bootstrap_draws(),
            samples=config.bootstrap_samples,
            confidence=config.confidence,
        )
        for other in summaries[1:]
    }


def _summary(
    config: EvaluationConfig, episodes: Sequence[Episode], label: str, digests: Sequence[str]
) -> PolicySummary:
    own = [episode for episode in episodes if episode.policy == label]
    by_robot = {digest: [e for e in own if e.robot_digest == digest] for digest in digests}
    returns = robot_means([[e.episode_return for e in by_robot[digest]] for digest in digests])
    estimates = [
        bootstrap(
            returns,
            statistic,
            bootstrap_draws(),
            samples=config.bootstrap_samples,
            confidence=config.confidence,
        )
        for statistic in (mean, interquartile_mean)
    ]
    return PolicySummary(
        label=label,
        mean_return=estimates[0],
        interquartile_mean_return=estimates[1],
        fall_fraction=float(np.mean([e.terminated for e in own])),
        mean_length=float(np.mean([e.length for e in own])),
        mean_speed_m_s=float(np.mean([e.mean_speed_m_s for e in own])),
        robot_returns=dict(zip(digests, returns.tolist(), strict=True)),
    )


def _report(config: EvaluationConfig, evaluation: Evaluation, context: StageContext) -> None:
    values: dict[str, float] = {}
    for group, found in evaluation.groups.items():
        # Trained and unseen robots have metrics of their own; one group alone needs no name.
        values |= _values(found, f" {GROUP_WORDS[group]}" if len(evaluation.groups) > 1 else "")
    robots: dict[str, dict[str, float]] = {}
    for summary in evaluation.policies:
        for digest, value in summary.robot_returns.items():
            robots.setdefault(digest, {})[f"{summary.label}.episode_return"] = value
    step = len(evaluation.episodes)
    context.report(Metrics(step=step, iteration=0, values=values, robots=robots))
    texts = []
    for group, found in evaluation.groups.items():
        where = f" on {GROUP_WORDS[group]} robots" if len(evaluation.groups) > 1 else ""
        means = ", ".join(f"{s.label} {_words(s.mean_return)}" for s in found.policies)
        texts.append(f"mean return{where}: {means}")
    first = next(iter(evaluation.groups.values())).policies[0]
    kind: ResultKind = "return" if config.deterministic else "sampled_return"
    context.report(Result(first.mean_return.value, "; ".join(texts), kind))


def _values(found: Evaluation, group: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for summary in found.policies:
        name = f"{summary.label}{group}"
        values |= _with_bounds(f"{name}.mean_return", summary.mean_return)
        values[f"{name}.interquartile_mean_return"] = summary.interquartile_mean_return.value
        values[f"{name}.fall_fraction"] = summary.fall_fraction
    for what, estimates in (("difference", found.differences), ("ratio", found.ratios)):
        for label, estimate in estimates.items():
            values |= _with_bounds(f"{label}{group}.{what}", estimate)
    return values


def _with_bounds(name: str, found: Estimate) -> dict[str, float]:
    """An estimate as metrics; one without an interval has no bounds."""
    bounds = {f"{name}_low": found.low, f"{name}_high": found.high}
    return {
        name: found.value,
        **{each: value for each, value in bounds.items() if value is not None},
    }


def _words(found: Estimate) -> str:
    """A mean return and half its interval, where there is one: 1499 ± 446."""
    half = "" if found.half_width is None else f" ± {found.half_width:.0f}"
    return f"{found.value:.0f}{half}"
