"""``hdtui runs stop | resume | clone | note | delete | lost``: what can be done to runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from db.records import RunState
from engine.errors import RunError, UsageError
from hdtui.cli import completion
from hdtui.cli.launch import StageOptions, allowed, configured, queue_and_follow
from hdtui.cli.options import Call, Detach, Seed, grouped_options
from hdtui.cli.output import print_json, say
from hdtui.cli.run_text import run_summary
from hdtui.cli.runs import RunId, RunIds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.session import Database


def register(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command("stop")(stop_command)
    app.command("resume")(resume_command)
    app.command("clone")(clone_command)
    app.command("lost")(lost_command)
    app.command("note")(note_command)
    app.command("delete")(delete_command)


@grouped_options()
def stop_command(
    call: Call,
    runs: RunIds,
    kill: Annotated[bool, typer.Option("--kill", help="Kill now, without a checkpoint.")] = False,
) -> None:
    """Ask workers to write a checkpoint and leave."""
    from db.queries.runs import list_runs
    from hdtui.actions import runs as actions
    from hdtui.data.run_states import SHELL_COMMANDS

    _, database = call.existing()
    for run in runs:
        say((actions.kill if kill else actions.stop)(database, run, SHELL_COMMANDS).text)
    if call.json:
        print_json({"runs": [run_summary(run) for run in list_runs(database, ids=runs)]})


@grouped_options()
def resume_command(call: Call, runs: RunIds, detach: Detach = True) -> None:
    """Continue stopped, failed, lost or interrupted runs; repair a finished collection's data."""
    from db.queries.runs import list_runs
    from hdtui.actions.runs import go_on
    from hdtui.cli.follow import follow

    _, database = call.existing()
    for run in runs:
        say(go_on(database, run).text)
    followed = [] if detach else follow(database, runs)
    if call.json:
        print_json({"runs": [run_summary(run) for run in list_runs(database, ids=runs)]})
    if any(run.state is not RunState.FINISHED for run in followed):
        raise typer.Exit(1)


@grouped_options(
    seed=Seed,
    preset=None,
    device=None,
    name=Annotated[
        str | None, typer.Option("--name", help="Else that of the run, with what differs.")
    ],
)
def clone_command(call: Call, stage: StageOptions, run: RunId) -> None:
    """Queue a run again: its settings, robots and inputs, with some settings changed."""
    from db.queries.runs import get_run
    from engine.workers.inherited import found_in
    from engine.workers.new_runs import clone_name, request_of
    from engine.workers.robot_library import set_names

    _, database = call.existing()
    cloned = get_run(database, run)
    before = request_of(cloned, found_in(database), set_names(database))
    request = replace(
        before,
        config=configured(before.config, stage.config, stage.settings, call.seed),
        study=before.study if stage.study is None else stage.study,
        allowed_roles=allowed(stage.allow_role),
    )
    own_name = "" if request.fills else clone_name(cloned, request)
    request = replace(request, name=stage.name or own_name)
    queue_and_follow(call, database, request, detach=stage.detach)


@grouped_options()
def lost_command(
    call: Call,
    host: Annotated[
        str,
        typer.Argument(
            metavar="HOST",
            help="Name of a machine that is gone.",
            autocompletion=completion.hosts,
        ),
    ],
) -> None:
    """Write another machine off: what worked there is lost, what waited for it is queued here."""
    from engine.workers.commands import write_off
    from engine.workers.machines import SILENT_AFTER_S

    _, database = call.existing()
    say(f"listening for a sign of life of {host} for {SILENT_AFTER_S:.0f} s ...")
    runs = write_off(database, host)
    for run in runs:
        lost = run.state is RunState.LOST
        said = f"lost, `hdtui runs resume {run.id}` goes on here" if lost else "waits here now"
        say(f"{run.id}: {said}")
    if call.json:
        print_json({"runs": [run_summary(run) for run in runs]})


@grouped_options()
def note_command(
    call: Call,
    run: RunId,
    note: Annotated[str | None, typer.Option("--note", help="Replace the note.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Replace the tags.")] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Study it belongs to; empty: none.")
    ] = None,
    archive: Annotated[
        bool | None,
        typer.Option("--archive/--unarchive", help="Hide it from lists, or bring it back."),
    ] = None,
) -> None:
    """Describe a run: note, tags, study, archived or not."""
    from db.queries.runs import get_run
    from hdtui.actions.runs import annotate
    from hdtui.actions.runs import archive as archive_runs

    _, database = call.existing()
    get_run(database, run)
    answer = annotate(database, run, tag, study, note)
    if archive is not None:
        archive_runs(database, [run], back=not archive)
    record = get_run(database, run)
    say(f"{answer.text}{' · archived' if record.archived else ''}")
    if call.json:
        print_json(run_summary(record))


@grouped_options()
def delete_command(
    call: Call,
    runs: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="[RUN...]", min=1, help="Numbers of runs.", autocompletion=completion.runs()
        ),
    ] = None,
    pipeline: Annotated[
        list[int] | None,
        typer.Option(
            "--pipeline",
            metavar="PIPELINE",
            help="All runs of a pipeline; may be repeated.",
            autocompletion=completion.pipelines,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really delete them and their files.")] = False,
) -> None:
    """Delete runs that have ended, with their folders: all that are named, or none."""
    from hdtui.actions.runs import delete, deletion

    _, database = call.existing()
    found = deletion(database, _named_runs(database, runs or [], pipeline or []))
    if not yes:
        raise RunError(f"{' '.join(found.sentences)} Say --yes to do it")
    say(delete(database, found.run_ids).text)
    if call.json:
        print_json({"deleted": found.run_ids, "size_bytes": found.size_bytes})


def _named_runs(database: Database, numbers: Sequence[int], pipelines: Sequence[int]) -> list[int]:
    """The runs with these numbers and those of these pipelines, oldest first.

    Raises:
        UsageError: None is named.
        RunError: There is no such run or pipeline.
    """
    from db.queries.runs import get_pipeline, get_run, list_runs

    if not numbers and not pipelines:
        raise UsageError("no runs are named; name their numbers, or --pipeline PIPELINE")
    found = {get_run(database, number).id for number in numbers}
    for each in pipelines:
        pipeline = get_pipeline(database, each).id
        found |= {run.id for run in list_runs(database, pipeline=pipeline, archived=True)}
    return sorted(found)
