"""``hdtui pipeline``: every stage, from robots to deployed policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from db.records import Run, RunKind, RunState
from engine.config.presets import preset as named_preset
from hdtui.cli import completion
from hdtui.cli.deploy import deployed_files
from hdtui.cli.follow import follow
from hdtui.cli.launch import StageOptions, allowed, check_robot_set
from hdtui.cli.options import Call, Seed, grouped_options
from hdtui.cli.output import print_json, print_table, safe, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.session import Database


@grouped_options(
    seed=Seed,
    device=None,
    name=Annotated[str | None, typer.Option("--name", help="A name for the runs.")],
)
def pipeline_command(
    call: Call,
    stage: StageOptions,
    robots: Annotated[
        str | None,
        typer.Option(
            "--robots",
            metavar="SET",
            help="Robot set to train on; else new robots.",
            autocompletion=completion.robot_sets,
        ),
    ] = None,
) -> None:
    """Teacher, mutation, collection, student, evaluation, deployment, each a run."""
    from db.queries.runs import get_run, list_runs
    from hdtui.actions.queueing import start_pipeline

    config = stage.applied(named_preset(stage.preset), call.seed)
    check_robot_set(call, robots)
    _, database = call.create()
    answer = start_pipeline(
        database,
        config,
        preset=stage.preset,
        robots=robots,
        name=stage.name,
        study=stage.study,
        allowed_roles=allowed(stage.allow_role),
    )
    say(f"{answer.text}; in {database.home}")
    pipeline = get_run(database, answer.run_id or 0).pipeline
    runs = list_runs(database, pipeline=pipeline, newest_first=False)
    if not stage.detach:
        runs = follow(database, [run.id for run in runs])
    document = pipeline_document(database, pipeline, runs)
    if call.json:
        print_json(document)
    elif not stage.detach:
        print_returns(document)
    if not stage.detach and any(run.state is not RunState.FINISHED for run in runs):
        raise typer.Exit(1)


def pipeline_document(
    database: Database, pipeline: int | None, runs: Sequence[Run]
) -> dict[str, Any]:
    """A pipeline for scripts: its runs, mean returns, student over teacher, deployed files."""
    document: dict[str, Any] = {
        "pipeline": pipeline,
        "runs": [
            {"id": run.id, "kind": run.kind, "state": run.state, "seconds": seconds(run)}
            for run in runs
        ],
        "returns": None,
        "ratio": None,
        "deployed": [],
    }
    for run in runs:
        if run.kind is RunKind.EVALUATION and run.state is RunState.FINISHED:
            document |= evaluated(database, run)
        if run.kind is RunKind.DEPLOYMENT:
            document["deployed"] = deployed_files(database, run)
    return document


def evaluated(database: Database, run: Run) -> dict[str, Any]:
    """``returns`` and ``ratio`` of an evaluation run, as it wrote them down."""
    from db.queries.artifacts import list_artifacts
    from engine.files import MAX_DOCUMENT_BYTES, parse_json, read_file

    for artifact in list_artifacts(database, run.id):
        if artifact.kind == "evaluation":
            report = parse_json(read_file(database.home / artifact.path, MAX_DOCUMENT_BYTES))
            return {"returns": report["returns"], "ratio": report["ratio"]}
    return {}


def seconds(run: Run) -> float | None:
    """How long a run has worked, None before its start."""
    if run.started_at is None:
        return None
    end = run.ended_at or run.reported_at or run.started_at
    return round((end - run.started_at).total_seconds(), 3)


def print_returns(document: dict[str, Any]) -> None:
    """Mean returns of teacher, student and random policy, known and unseen robots."""
    if document["returns"] is None:
        return
    rows = [
        [
            robots,
            *(f"{returns[policy]:.1f}" for policy in ("teacher", "student", "random")),
            "·" if document["ratio"][robots] is None else f"{document['ratio'][robots]:.2f}",
        ]
        for robots, returns in document["returns"].items()
        if returns
    ]
    print_table(["robots", "teacher", "student", "random", "student/teacher"], rows)
    for path in document["deployed"]:
        print(safe(str(path)))
