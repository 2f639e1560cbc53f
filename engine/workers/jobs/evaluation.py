"""Policies on robots, trained on and never seen, and how much of the teacher the student keeps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from db.queries.artifacts import list_artifacts
from db.queries.evaluations import list_episodes, set_policies
from db.records import Run, RunKind
from db.session import Database
from engine.config.evaluation import EvaluationConfig
from engine.deployment.actors import DeployedActors
from engine.errors import UsageError
from engine.evaluation.evaluate import Evaluation, evaluate_policies, returns_of
from engine.evaluation.robot_groups import Group, Knowledge, robot_groups
from engine.evaluation.statistics import (
    ABOUT_NOTHING,
    bootstrap_draws,
    generalization_gap,
    kept_ratio,
)
from engine.events import ArtifactWritten, Episode, Result
from engine.files import write_text
from engine.rollout.actors import ActorFactory, CheckpointActors, RandomActors, ZeroActors
from engine.workers.jobs.job import Job, check_file
from engine.workers.lineage import Ancestry
from engine.workers.policy_files import DEPLOYED, file_knowledge, policy_file_of
from engine.workers.robot_library import TRAINING, UNSEEN
from engine.workers.run_policies import TRAINED, read_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

BASELINES: dict[str, ActorFactory] = {"random": RandomActors(), "zero": ZeroActors()}
POLICY_KINDS = (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT)
_IN_WORDS: Mapping[Group, str] = {"train": "training", "unseen": "unseen", "robots": "other"}


def run(job: Job) -> None:
    """Evaluate the inputs, the files and the baselines that ``extra`` names, in that order."""
    labels = _labels(job.inputs)
    policies = {label: _actors(job, policy) for label, policy in labels.items()}
    policies |= dict(_from_file(each) for each in job.run.extra.get("files", ()))
    policies |= {name: _baseline(name) for name in job.run.extra.get("baselines", ())}
    known = {name: labels[name].id if name in labels else None for name in policies}
    job.ask(lambda database: _name_policies(database, job.run.id, known))
    config = job.config(EvaluationConfig)
    owners = {name: policy.id for name, policy in labels.items()}
    episodes = job.ask(lambda database: _reported(database, job.run.id))
    groups = _groups(job)
    evaluation = evaluate_policies(
        config, policies, job.robots(), job.context, owners, known=episodes, groups=groups
    )
    document = _document(evaluation, groups, config)
    read = read_checkpoints(job.run)
    document["checkpoints"] = {
        label: {"run": policy.id, **asdict(read[policy.id])}
        for label, policy in labels.items()
        if policy.id in read
    }
    path = job.context.folder / f"evaluation-a{job.context.attempt}.json"
    sha256 = write_text(path, json.dumps(document, indent=1) + "\n")
    job.context.report(ArtifactWritten("evaluation", "evaluation", path, sha256))
    if any({"teacher", "student"} <= returns.keys() for returns in document["returns"].values()):
        job.context.report(_headline(document, groups))


def _name_policies(database: Database, run_id: int, known: Mapping[str, int | None]) -> None:
    with database.write() as session:
        set_policies(session, run_id, known)


def _reported(database: Database, run_id: int) -> list[Episode]:
    """Episodes of an attempt before this one; a claim forgets those of other policies."""
    names = [each.name for each in fields(Episode)]
    return [
        Episode(**{name: getattr(each, name) for name in names})
        for each in list_episodes(database, run_ids=[run_id])
    ]


def _labels(inputs: Sequence[Run]) -> dict[str, Run]:
    """Policies by kind, with the run's number where two are of one kind."""
    policies = [policy for policy in inputs if policy.kind in POLICY_KINDS]
    kinds = [policy.kind for policy in policies]
    return {
        str(policy.kind) if kinds.count(policy.kind) == 1 else f"{policy.kind} {policy.id}": policy
        for policy in policies
    }


def _actors(job: Job, policy: Run) -> ActorFactory:
    if policy.kind in TRAINED:
        return CheckpointActors(job.policy(policy))
    paths: list[Path] = []
    for artifact in job.ask(lambda database: list_artifacts(database, policy.id)):
        if artifact.kind == "deployed_policy":
            paths.append(job.workspace.resolve(artifact.path))
            check_file(paths[-1], artifact.sha256, policy.id)
    return DeployedActors(tuple(paths))


def _from_file(document: Mapping[str, Any]) -> tuple[str, ActorFactory]:
    file = policy_file_of(document)
    paths = file.checked_paths()
    if file.kind == DEPLOYED:
        return file.label, DeployedActors(paths)
    return file.label, CheckpointActors(paths[0])


def _baseline(name: str) -> ActorFactory:
    if name not in BASELINES:
        raise UsageError(f'There is no baseline "{name}"; there are {" and ".join(BASELINES)}.')
    return BASELINES[name]


def _groups(job: Job) -> dict[Group, list[str]]:
    """Digests of the robots by what the policies know of them, as comparisons and claims have it.

    Where no policy knows a robot, the roles in the robot sets do.
    """
    everyone = [robot.digest for robot in job.robots()]
    policies = _knowledge(job)
    if not any(each.says for each in policies):
        trained = frozenset(robot.digest for robot in job.robots(TRAINING))
        unseen = frozenset(robot.digest for robot in job.robots(UNSEEN)) - trained
        policies = [Knowledge(trained, frozenset(everyone) - unseen)]
    return robot_groups(everyone, policies)


def _knowledge(job: Job) -> list[Knowledge]:
    """What policies know of robots: of runs by their lineage, of files by what they say."""
    policies = [run for run in job.inputs if run.kind in POLICY_KINDS]
    files = [policy_file_of(each) for each in job.run.extra.get("files", ())]

    def of_runs(database: Database) -> list[Knowledge]:
        ancestry = Ancestry(database)
        return [ancestry.knowledge(run) for run in policies]

    return [*job.ask(of_runs), *map(file_knowledge, files)]


def _document(
    evaluation: Evaluation, groups: Mapping[Group, Sequence[str]], config: EvaluationConfig
) -> dict[str, Any]:
    timing = evaluation.timing
    returns = {
        group: {
            summary.label: sum(summary.robot_returns[digest] for digest in digests) / len(digests)
            for summary in evaluation.policies
        }
        for group, digests in groups.items()
    }
    return {
        "returns": returns,
        "ratio": {group: _ratio(found) for group, found in evaluation.groups.items()},
        "groups": {
            group: {
                "policies": [asdict(summary) for summary in found.policies],
                "differences": {key: asdict(each) for key, each in found.differences.items()},
                "ratios": {key: asdict(each) for key, each in found.ratios.items()},
            }
            for group, found in evaluation.groups.items()
        },
        "policies": [asdict(summary) for summary in evaluation.policies],
        "differences": {
            label: asdict(difference) for label, difference in evaluation.differences.items()
        },
        "generalization_gap": _gaps(evaluation, groups, config),
        "timing": None if timing is None else {**asdict(timing), "overhead": timing.overhead},
    }


def _gaps(
    evaluation: Evaluation, groups: Mapping[Group, Sequence[str]], config: EvaluationConfig
) -> dict[str, Any]:
    """Return on training robots minus that on unseen ones, by policy; empty without either."""
    if not groups.keys() >= {"train", "unseen"}:
        return {}
    return {
        summary.label: asdict(
            generalization_gap(
                [summary.robot_returns[digest] for digest in groups["train"]],
                [summary.robot_returns[digest] for digest in groups["unseen"]],
                bootstrap_draws(),
                samples=config.bootstrap_samples,
                confidence=config.confidence,
            )
        )
        for summary in evaluation.policies
    }


def _ratio(found: Evaluation) -> float | None:
    """Student over teacher; None where either is missing or the teacher earns about nothing."""
    teacher, student = (returns_of(found.episodes, label) for label in ("teacher", "student"))
    return kept_ratio(student, teacher)


def _headline(document: Mapping[str, Any], groups: Mapping[Group, Sequence[str]]) -> Result:
    """Student beside teacher on each group of robots; its number is the first ratio, if any."""
    kept: list[str] = []
    unsure: dict[str, list[str]] = {}
    for group, words in _IN_WORDS.items():
        if group not in groups:
            continue
        returns, ratio = document["returns"][group], document["ratio"][group]
        teacher, student = f"{returns['teacher']:.0f}", f"{returns['student']:.0f}"
        if ratio is None:
            one = len(groups[group]) == 1 and returns["teacher"] >= ABOUT_NOTHING
            why = "one robot makes no ratio" if one else "the teacher earns about nothing"
            both = f"teacher {teacher}, student {student} on {words} robots"
            unsure.setdefault(why, []).append(both)
        else:
            both = (
                f"{student} of {teacher}" if kept else f"student {student} of teacher's {teacher}"
            )
            kept.append(f"{both} ({ratio:.2f}) on {words}")
    sentences = [", ".join(kept) + " robots" * (len(kept) == 1)] if kept else []
    sentences += [f"{'; '.join(parts)}: {why}" for why, parts in unsure.items()]
    for group, returns in document["returns"].items():
        on = f" on {_IN_WORDS[group]} robots" if len(document["returns"]) > 1 else ""
        others = [key for key in returns if key not in ("teacher", "student")]
        sentences += [f"{label} {returns[label]:.0f}{on}" for label in others]
    ratios = [ratio for ratio in document["ratio"].values() if ratio is not None]
    return Result(ratios[0] if ratios else None, "; ".join(sentences), "ratio")
