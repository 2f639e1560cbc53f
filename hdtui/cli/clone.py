"""``hdtui runs clone RUN``: the same again, with other settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from hdtui.cli.launch import StageOptions, allowed, configured, queue_and_follow
from hdtui.cli.options import Call, Seed, grouped_options
from hdtui.cli.runs import RunId


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
