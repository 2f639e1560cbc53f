"""The root command: the cockpit without words, and every other command below it."""

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import HdtuiError, UsageError
from hdtui.cli import (
    adopt,
    bench,
    database,
    doctor,
    export,
    pipeline,
    robots,
    runs,
    screenshots,
    stages,
    tables,
)
from hdtui.cli.cockpit import open_cockpit
from hdtui.cli.deploy import deploy_command
from hdtui.cli.options import Home, home_folder
from hdtui.cli.output import refuse, replace_what_cannot_be_written, say

app = typer.Typer(
    name="hdtui",
    help="Train a teacher for many robots, distil it, and watch both: `hdtui` opens the cockpit.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("pipeline")(pipeline.pipeline_command)
app.add_typer(robots.app, name="robots")
app.add_typer(runs.app, name="runs")
app.add_typer(bench.app, name="bench")
app.add_typer(export.app, name="export")
app.add_typer(database.app, name="db")
stages.register(app)
app.command("deploy")(deploy_command)
app.command("adopt")(adopt.adopt_command)
tables.register(app)
runs.app.command("compare")(tables.compare_command)
app.command("doctor")(doctor.doctor_command)
app.command("screenshots")(screenshots.screenshots_command)


_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""Why a stream without a name takes no more."""


@app.callback(invoke_without_command=True)
def cockpit(
    context: typer.Context,
    home: Home = None,
    readonly: Annotated[
        bool,
        typer.Option("--readonly", help="Look, but change nothing: capitals answer read-only."),
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Look at a made-up workspace; nothing is kept.")
    ] = False,
) -> None:
    """Open the cockpit."""
    if context.invoked_subcommand is not None:
        if home is not None:
            raise UsageError(
                f"--home stands after the command: {_with_home_last(context.obj, home)}"
            )
        return
    if demo:
        from hdtui.cli.demo import open_demo

        raise typer.Exit(open_demo())
    raise typer.Exit(open_cockpit(home_folder(home), readonly=readonly))


def _with_home_last(arguments: Sequence[str], home: Path) -> str:
    """The command line that was meant where ``--home`` stood before the command."""
    words = list(arguments)
    place = next(place for place, word in enumerate(words) if word.startswith("--home"))
    del words[place : place + (1 if "=" in words[place] else 2)]
    return shlex.join(["hdtui", *words, "--home", str(home)])


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code: 0 done, 1 failed, 2 wrong use."""
    replace_what_cannot_be_written()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            where = f"{error.filename}: " if error.filename is not None else ""
            say(f"hdtui: {where}{error.strerror or error}")
            return 1
        _forget_stdout()
        if error.errno != errno.EPIPE:  # who closed a pipe has seen enough
            say(f"hdtui: the output cannot be written: {error.strerror}")
        return 1
    return code


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    """Words that are no text can neither be kept in a database nor shown."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding()
            raise UsageError(f"{word!r} is no {encoding} text; nothing was done") from None


def _forget_stdout() -> None:
    """Throw away what still waits to be written, which Python would complain about at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> int:
    try:
        _refuse_undecodable(arguments)
        command = typer.main.get_command(app)
        command(args=list(arguments), prog_name="hdtui", obj=list(arguments))
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except HdtuiError as error:
        return refuse(error)
    except KeyboardInterrupt:
        return 130
    return 0
