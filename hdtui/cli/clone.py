"""``hdtui runs clone RUN``: the same again, with other settings."""

from dataclasses import replace
from typing import Annotated

import typer

from hdtui.cli.launch import configured, queue_and_follow
from hdtui.cli.options import (
    AllowedRoles,
    ConfigFile,
    Detach,
    Home,
    Json,
    Seed,
    Settings,
    Study,
)
from hdtui.cli.runs import RunId, existing
from hdtui.cli.stages import allowed


def clone_command(
    run: RunId,
    settings: Settings = None,
    config: ConfigFile = None,
    allow_role: AllowedRoles = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Else that of the run, with what differs.")
    ] = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Queue a run again: its settings, robots and inputs, with some settings changed."""
    from db.queries.runs import get_run
    from engine.workers.inherited import found_in
    from engine.workers.new_runs import clone_name, request_of
    from engine.workers.robot_library import set_names

    workspace, database = existing(home)
    cloned = get_run(database, run)
    before = request_of(cloned, found_in(database), set_names(database))
    chosen = configured(before.config, config, settings, seed)
    request = replace(
        before,
        config=chosen,
        study=before.study if study is None else study,
        allowed_roles=allowed(allow_role),
    )
    own_name = "" if request.fills else clone_name(cloned, request)
    request = replace(request, name=name or own_name)
    queue_and_follow(workspace, database, request, detach=detach, json=json)
