"""``hdtui adopt FILE``: a policy that was trained elsewhere becomes a run of this workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hdtui.cli.launch import check_robot_set, queue_and_follow
from hdtui.cli.options import Call, Detach, Name, grouped_options

NoSeed = Annotated[
    int | None, typer.Option("--seed", help="No effect: the file keeps the seed of its training.")
]


@grouped_options(seed=NoSeed)
def adopt_command(
    call: Call,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A teacher's or student's policy or checkpoint (.safetensors), or pretrained.",
        ),
    ],
    robots: Annotated[
        list[str] | None,
        typer.Option("--robots", metavar="SET", help="Sets it was trained on; may be repeated."),
    ] = None,
    name: Name = None,
    detach: Detach = False,
) -> None:
    """Take over a trained teacher's or student's file as a run, for what reads one.

    The file says which robots it was trained on, by digest; they count as known everywhere.
    --robots names sets of a teacher's, for runs that follow, and is refused where one is none of
    them.
    """
    from engine.workers.adoption import adoption

    request = adoption(file, robots or [], name or "")
    for robot_set in robots or []:
        check_robot_set(call, robot_set)
    _, database = call.create()
    queue_and_follow(call, database, request, detach=detach)
