"""Queue runs from the shell and follow them: the part that all stage commands share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from db.records import Run, RunKind, RunState
from engine.config.base import Config
from engine.config.overrides import with_assignments, with_file, with_settings
from hdtui.cli.follow import follow
from hdtui.cli.output import print_json, say
from hdtui.cli.runs import run_summary

if TYPE_CHECKING:
    from db.session import Database
    from engine.workers.stages import StageRequest
    from engine.workers.workspace import Workspace

ConfigType = TypeVar("ConfigType", bound=Config)


def configured(
    config: ConfigType, file: Path | None, settings: Sequence[str] | None, seed: int | None
) -> ConfigType:
    """A preset's configuration with a file, then ``--set`` words, then ``--seed`` applied.

    Raises:
        ConfigError: A key or value is not valid.
    """
    if file is not None:
        config = with_file(config, file)
    config = with_assignments(config, settings or [])
    return config if seed is None else with_settings(config, {"seed": seed}, "--seed")


def queue_and_follow(
    workspace: "Workspace",
    database: "Database",
    request: "StageRequest",
    *,
    detach: bool,
    json: bool,
    finished: "Callable[[Run], Mapping[str, Any]] | None" = None,
) -> Run:
    """Queue one run, start a supervisor, and wait for the end unless told to leave it alone.

    ``finished`` does what is left to do with a finished run; what it gives is told with the run.
    Leaves with exit code 1 where the run did not finish.
    """
    from engine.workers.new_runs import queue_stage
    from engine.workers.run_policies import checkpoints_read

    run = queue_stage(database, request)
    reads = f"; {checkpoints_read(run)}" if checkpoints_read(run) else ""
    say(f"run {run.id}: {run.kind.value} {run.name} queued{reads}")
    say_warnings(database, run)
    if not detach:
        run = follow(database, workspace.home, [run.id])[-1]
    done = not detach and run.state is RunState.FINISHED
    also = finished(run) if finished is not None and done else {}
    if json:
        print_json({"run": run_document(workspace, database, run), **also})
    if not detach and run.state is not RunState.FINISHED:
        raise typer.Exit(1)
    return run


def say_warnings(database: "Database", run: Run) -> None:
    """Say what was written down as worth a warning when the run was queued."""
    from db.queries.runs import list_events

    for event in list_events(database, run_id=run.id):
        if event.level == "warning":
            say(f"warning: {event.text}")


def run_document(workspace: "Workspace", database: "Database", run: Run) -> dict[str, Any]:
    """A run for scripts, with the absolute paths of its artifacts and what an evaluation found."""
    from db.queries.artifacts import list_artifacts

    artifacts: list[dict[str, Any]] = [
        {
            "kind": artifact.kind,
            "name": artifact.name,
            "path": workspace.home / artifact.path,
            "sha256": artifact.sha256,
        }
        for artifact in list_artifacts(database, run.id)
    ]
    described = {**run_summary(run), "folder": workspace.home / run.folder, "artifacts": artifacts}
    from engine.files import MAX_DOCUMENT_BYTES, parse_json, read_file

    found = [each["path"] for each in artifacts if each["kind"] == RunKind.EVALUATION.value]
    if found:
        described["evaluation"] = parse_json(read_file(found[0], MAX_DOCUMENT_BYTES))
    return described
