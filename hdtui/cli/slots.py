"""``hdtui slots [N]``: how many runs work at once."""

from __future__ import annotations

from typing import Annotated

import typer

from hdtui.cli.options import Call, grouped_options
from hdtui.cli.output import print_json, say


@grouped_options()
def slots_command(
    call: Call,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="So many from now on; else says how many.")
    ] = None,
) -> None:
    """How many runs work at once in this workspace; a supervisor at work follows at once.

    HDTUI_SLOTS, where a supervisor was started with it, wins over it on that machine.
    """
    from db.queries.runs import list_runs
    from engine.workers.machines import is_here
    from engine.workers.observed import observed
    from engine.workers.slots import slots_here
    from hdtui.actions.slots import change_slots
    from hdtui.data.run_views import ACTIVE

    _, database = call.existing("is nothing at work") if number is None else call.create()
    if number is not None:
        say(change_slots(database, str(number)).text)
    here = slots_here(database)
    active = observed(database, list_runs(database, states=ACTIVE, archived=True))
    in_use = sum(1 for run in active if run.state in ACTIVE and is_here(run))
    if call.json:
        print_json(
            {
                "slots": here.number,
                "in_use": in_use,
                "why": here.sentence,
                "stored": here.stored,
                "variable": here.variable,
            }
        )
    elif number is None:
        print(f"{here.number} slots, {in_use} in use: {here.sentence}")
