"""Policies on robots, trained on and never seen, and how much of the teacher the student keeps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db.queries.artifacts import list_artifacts
from db.queries.evaluations import set_policies
from db.records import Run, RunKind
from engine.config.evaluation import EvaluationConfig
from engine.deployment.actors import DeployedActors
from engine.errors import UsageError
from engine.evaluation.evaluate import Evaluation, evaluate_policies
from engine.evaluation.statistics import generalization_gap
from engine.events import ArtifactWritten, Result
from engine.files import write_text
from engine.random import generator
from engine.rollout.actors import ActorFactory, CheckpointActors, RandomActors, ZeroActors
from engine.workers.jobs.job import Job, check_file
from engine.workers.library import TRAINING, UNSEEN
from engine.workers.policy_files import DEPLOYED, policy_file_of

if TYPE_CHECKING:
    from pathlib import Path

BASELINES: dict[str, ActorFactory] = {"random": RandomActors(), "zero": ZeroActors()}
POLICY_KINDS = (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT)


def run(job: Job) -> None:
    """Evaluate the inputs, the files and the baselines that ``extra`` names, in that order."""
    labels = _labels(job.inputs)
    policies = {label: _actors(job, policy) for label, policy in labels.items()}
    policies |= dict(_from_file(each) for each in job.run.extra.get("files", ()))
    policies |= {name: _baseline(name) for name in job.run.extra.get("baselines", ())}
    with job.database.write() as session:
        known = {name: labels[name].id if name in labels else None for name in policies}
        set_policies(session, job.run.id, known)
    config = job.config(EvaluationConfig)
    owners = {name: policy.id for name, policy in labels.items()}
    evaluation = evaluate_policies(config, policies, job.robots(), job.context, owners)
    document = _document(evaluation, _groups(job), config)
    path = job.context.folder / f"evaluation-a{job.context.attempt}.json"
    sha256 = write_text(path, json.dumps(document, indent=1) + "\n")
    job.context.report(ArtifactWritten("evaluation", "evaluation", path, sha256))
    if any(ratio is not None for ratio in document["ratio"].values()):
        job.context.report(_headline(document))


def _labels(inputs: Sequence[Run]) -> dict[str, Run]:
    """Policies by kind, with the run's number where two are of one kind."""
    policies = [policy for policy in inputs if policy.kind in POLICY_KINDS]
    kinds = [policy.kind for policy in policies]
    return {
        str(policy.kind) if kinds.count(policy.kind) == 1 else f"{policy.kind} {policy.id}": policy
        for policy in policies
    }


def _actors(job: Job, policy: Run) -> ActorFactory:
    if policy.kind is RunKind.TEACHER:
        return CheckpointActors(job.artifact(policy, "policy"))
    if policy.kind is RunKind.STUDENT:
        return CheckpointActors(job.artifact(policy, "student"))
    paths: list[Path] = []
    for artifact in list_artifacts(job.database, policy.id):
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


def _groups(job: Job) -> dict[str, list[str]]:
    """Digests of the robots by what training knew of them."""
    everyone = [robot.digest for robot in job.robots()]
    trained = {robot.digest for robot in job.robots(TRAINING)}
    unseen = {robot.digest for robot in job.robots(UNSEEN)} - trained
    groups = {
        "train": [digest for digest in everyone if digest in trained],
        "unseen": [digest for digest in everyone if digest in unseen],
        "robots": [digest for digest in everyone if digest not in trained | unseen],
    }
    return {name: digests for name, digests in groups.items() if digests}


def _document(
    evaluation: Evaluation, groups: Mapping[str, Sequence[str]], config: EvaluationConfig
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
        "ratio": {group: _ratio(of_group) for group, of_group in returns.items()},
        "policies": [asdict(summary) for summary in evaluation.policies],
        "differences": {
            label: asdict(difference) for label, difference in evaluation.differences.items()
        },
        "generalization_gap": _gaps(evaluation, groups, config),
        "timing": None if timing is None else {**asdict(timing), "overhead": timing.overhead},
    }


def _gaps(
    evaluation: Evaluation, groups: Mapping[str, Sequence[str]], config: EvaluationConfig
) -> dict[str, Any]:
    """Return on training robots minus that on unseen ones, by policy; empty without either."""
    if not groups.keys() >= {"train", "unseen"}:
        return {}
    return {
        summary.label: asdict(
            generalization_gap(
                [summary.robot_returns[digest] for digest in groups["train"]],
                [summary.robot_returns[digest] for digest in groups["unseen"]],
                generator(config.seed, "bootstrap-gap", summary.label),
                samples=config.bootstrap_samples,
                confidence=config.confidence,
            )
        )
        for summary in evaluation.policies
    }


def _ratio(returns: Mapping[str, float]) -> float | None:
    """Student over teacher; None where either is missing or the teacher earns nothing."""
    teacher, student = returns.get("teacher"), returns.get("student")
    if teacher is None or student is None or teacher <= 0:
        return None
    return student / teacher


def _headline(document: Mapping[str, Any]) -> Result:
    ratio = document["ratio"]
    robots = {"train": "training robots", "unseen": "unseen robots", "robots": "other robots"}
    kept = {robots[group]: value for group, value in ratio.items() if value is not None}
    words = ", ".join(f"{value:.2f} on {group}" for group, value in kept.items())
    return Result(next(iter(kept.values())), f"student keeps of its teacher's return: {words}")
