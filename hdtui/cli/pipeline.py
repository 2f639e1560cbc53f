"""``hdtui pipeline``: every stage, from robots to deployed policies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from db.records import Run, RunKind, RunState
from engine.config.presets import preset as named_preset
from engine.workers.devices import check_devices
from hdtui.cli import completion
from hdtui.cli.follow import follow
from hdtui.cli.launch import configured, say_warnings
from hdtui.cli.options import (
    AllowedRoles,
    ConfigFile,
    Detach,
    Home,
    Json,
    Preset,
    Seed,
    Settings,
    Study,
    open_workspace,
)
from hdtui.cli.output import print_json, print_table, safe, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.session import Database
    from engine.workers.workspace import Workspace


def pipeline_command(
    preset: Preset = "quick",
    robots: Annotated[
        str | None,
        typer.Option(
            "--robots",
            metavar="SET",
            help="Robot set to train on; else new robots.",
            autocompletion=completion.robot_sets,
        ),
    ] = None,
    settings: Settings = None,
    config: ConfigFile = None,
    allow_role: AllowedRoles = None,
    name: Annotated[str | None, typer.Option("--name", help="A name for the runs.")] = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Teacher, mutation, collection, student, evaluation, deployment, each a run."""
    from engine.workers.pipeline import queue_pipeline
    from hdtui.cli.stages import allowed

    chosen = configured(named_preset(preset), config, settings, seed)
    check_devices(chosen)
    check_robot_set(robots, home)
    workspace, database = open_workspace(home)
    pipeline, runs = queue_pipeline(
        database,
        chosen,
        preset=preset,
        robots=robots,
        name=name,
        study=study,
        allowed_roles=allowed(allow_role),
    )
    say(f"pipeline {pipeline.id}: {len(runs)} runs queued in {workspace.home}")
    for run in runs:
        say_warnings(database, run)
    if not detach:
        runs = follow(database, workspace.home, [run.id for run in runs])
    if json:
        print_json(pipeline_document(workspace, database, pipeline.id, runs))
    elif not detach:
        print_returns(pipeline_document(workspace, database, pipeline.id, runs))
    if not detach and any(run.state is not RunState.FINISHED for run in runs):
        raise typer.Exit(1)


def check_robot_set(name: str | None, home: Path | None) -> None:
    """See that a set can be had before anything is created.

    Raises:
        UnknownRobotSetError: Neither the library nor the built-in names know it.
    """
    from db.queries.robots import get_set
    from engine.workers.robot_library import BUILT_IN_SETS, built_in_files
    from hdtui.cli.options import read_workspace

    if name is None:
        return
    if name in BUILT_IN_SETS:
        built_in_files(name)
        return
    _, database = read_workspace(home)
    if database is None:
        from engine.errors import UnknownRobotSetError

        raise UnknownRobotSetError(
            f'there is no robot set "{name}": this workspace is empty; the built-in sets are '
            f"{', '.join(BUILT_IN_SETS)}, and `hdtui robots import DIR --into {name}` makes one"
        )
    get_set(database, name)


def pipeline_document(
    workspace: "Workspace", database: "Database", pipeline: int, runs: "Sequence[Run]"
) -> dict[str, Any]:
    """A pipeline for scripts: its runs, mean returns, student over teacher, deployed files."""
    from db.queries.artifacts import list_artifacts

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
            document |= evaluated(workspace, database, run)
        if run.kind is RunKind.DEPLOYMENT:
            document["deployed"] = [
                workspace.home / artifact.path
                for artifact in list_artifacts(database, run.id)
                if artifact.kind == "deployed_policy"
            ]
    return document


def evaluated(workspace: "Workspace", database: "Database", run: Run) -> dict[str, Any]:
    """``returns`` and ``ratio`` of an evaluation run, as it wrote them down."""
    from db.queries.artifacts import list_artifacts
    from engine.files import MAX_DOCUMENT_BYTES, parse_json, read_file

    for artifact in list_artifacts(database, run.id):
        if artifact.kind == "evaluation":
            report = parse_json(read_file(workspace.resolve(artifact.path), MAX_DOCUMENT_BYTES))
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
