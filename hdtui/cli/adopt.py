"""``hdtui adopt FILE``: a teacher that was trained elsewhere becomes a run of this workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from db.records import RunKind
from engine.config.teacher import TeacherConfig
from engine.errors import UsageError
from engine.text import counted
from hdtui.cli.launch import check_robot_set, queue_and_follow
from hdtui.cli.options import Call, Detach, Name, grouped_options
from hdtui.cli.output import say

NoSeed = Annotated[
    int | None, typer.Option("--seed", help="No effect: the file keeps the seed of its training.")
]


@grouped_options(seed=NoSeed)
def adopt_command(
    call: Call,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A teacher's policy or checkpoint (.safetensors)")
    ],
    robots: Annotated[
        list[str] | None,
        typer.Option("--robots", metavar="SET", help="Sets it was trained on; may be repeated."),
    ] = None,
    name: Name = None,
    detach: Detach = False,
) -> None:
    """Take over a trained teacher's file as a run, to collect from, evaluate and compare.

    The file says which robots it was trained on, by digest; they count as known everywhere.
    --robots names sets of them, for runs that follow, and is refused where one is none of them.
    """
    from engine.workers.policy_files import teacher_file, training_robots
    from engine.workers.stages import StageRequest

    found, written = teacher_file(file)
    try:
        config = TeacherConfig.model_validate(written)
    except ValidationError as error:
        raise UsageError(
            f"{file}: was trained with settings that this version does not know:"
            f" {'.'.join(map(str, error.errors()[0]['loc']))}"
        ) from error
    robots = robots or []
    for robot_set in robots:
        check_robot_set(call, robot_set)
    _, database = call.create()
    request = StageRequest(
        RunKind.TEACHER,
        config,
        name=name or file.stem,
        robots=tuple(robots),
        adopted=found.document(),
    )
    known = counted(len(training_robots(file)), "robot")
    say(f"{file.name} was trained on {known}, by the digests that it holds")
    queue_and_follow(call, database, request, detach=detach)
