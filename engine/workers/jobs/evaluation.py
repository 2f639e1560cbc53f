"""Policies on robots, trained on and never seen, and how much of the teacher the student keeps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db.queries.artifacts import list_artifacts
from db.queries.evaluations import set_policies
from db.queries.runs import get_run
from db.records import Run, RunKind
from engine.config.evaluation import EvaluationConfig
from engine.deployment.actors import DeployedActors
from engine.errors import CheckpointError, RunError, UsageError
from engine.evaluation.evaluate import Evaluation, evaluate_policies
from engine.evaluation.statistics import generalization_gap, surely_positive
from engine.events import ArtifactWritten, Result
from engine.files import write_text
from engine.random import generator
from engine.rollout.actors import ActorFactory, CheckpointActors, RandomActors, ZeroActors
from engine.workers.jobs.job import Job, check_file
from engine.workers.library import TRAINING, UNSEEN
from engine.workers.policy_files import DEPLOYED, policy_file_of, training_robots

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
    if any({"teacher", "student"} <= returns.keys() for returns in document["returns"].values()):
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
    """Digests of the robots by what training knew of them.

    ``train``: all policies that were trained were trained on them; ``unseen``: none was. Where no
    policy says so, the roles in the robot sets do.
    """
    everyone = [robot.digest for robot in job.robots()]
    known = _training_robots(job)
    if known:
        trained = set(frozenset.intersection(*known))
        unseen = set(everyone) - set(frozenset.union(*known))
    else:
        trained = {robot.digest for robot in job.robots(TRAINING)}
        unseen = {robot.digest for robot in job.robots(UNSEEN)} - trained
    groups = {
        "train": [digest for digest in everyone if digest in trained],
        "unseen": [digest for digest in everyone if digest in unseen],
        "robots": [digest for digest in everyone if digest not in trained | unseen],
    }
    return {name: digests for name, digests in groups.items() if digests}


def _training_robots(job: Job) -> list[frozenset[str]]:
    """Digests that each trained policy among the inputs and files was trained on."""
    paths: list[Path] = []
    for policy in job.inputs:
        if policy.kind is RunKind.TEACHER:
            paths.append(job.artifact(policy, "policy"))
        elif policy.kind is RunKind.STUDENT:
            paths.append(job.artifact(policy, "student"))
        elif policy.kind is RunKind.DEPLOYMENT:
            paths += _student_behind(job, policy)
    for each in job.run.extra.get("files", ()):
        file = policy_file_of(each)
        paths += file.checked_paths() if file.kind != DEPLOYED else ()
    return [training_robots(path) for path in paths]


def _student_behind(job: Job, deployment: Run) -> list[Path]:
    """The file of the student that was deployed; none where it is gone, as nobody acts by it."""
    students = [get_run(job.database, run_id) for run_id in deployment.inputs]
    try:
        return [job.artifact(run, "student") for run in students if run.kind is RunKind.STUDENT]
    except (CheckpointError, RunError):
        return []


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
        "ratio": {
            group: _ratio(evaluation, of_group, groups[group])
            for group, of_group in returns.items()
        },
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


def _ratio(
    evaluation: Evaluation, returns: Mapping[str, float], digests: Sequence[str]
) -> float | None:
    """Student over teacher; None where either is missing or the teacher may earn nothing."""
    teacher, student = returns.get("teacher"), returns.get("student")
    if teacher is None or student is None:
        return None
    own = next(summary for summary in evaluation.policies if summary.label == "teacher")
    if not surely_positive([own.robot_returns[digest] for digest in digests]):
        return None
    return student / teacher


def _headline(document: Mapping[str, Any]) -> Result:
    """Student beside teacher on each group of robots; its number is the first ratio, if any."""
    robots = {"train": "training robots", "unseen": "unseen robots", "robots": "other robots"}
    words = []
    for group, returns in document["returns"].items():
        ratio = document["ratio"][group]
        kept = "the teacher earns about nothing" if ratio is None else f"{ratio:.2f}"
        words.append(
            f"{returns['student']:.0f} of teacher's {returns['teacher']:.0f} ({kept})"
            f" on {robots[group]}"
        )
    ratios = [ratio for ratio in document["ratio"].values() if ratio is not None]
    return Result(ratios[0] if ratios else None, f"student {', '.join(words)}")
