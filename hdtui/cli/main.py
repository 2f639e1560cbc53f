"""The root command: the cockpit without words, and every other command below it."""

import errno
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import typer

from engine.errors import HdtuiError, UsageError
from hdtui.cli import (
    adopt,
    analysis,
    bench,
    completion,
    database,
    disk,
    doctor,
    export,
    pipeline,
    robot,
    robots,
    run_acts,
    runs,
    screenshots,
    settings,
    slots,
    stages,
    study,
)
from hdtui.cli.cockpit import open_cockpit
from hdtui.cli.deploy import deploy_command
from hdtui.cli.home import home_folder
from hdtui.cli.options import Home
from hdtui.cli.output import print_failure, refuse, replace_what_cannot_be_written, say

app = typer.Typer(
    name="hdtui",
    help="Train a teacher for many robots, distil it, and watch both: `hdtui` opens the cockpit.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("pipeline")(pipeline.pipeline_command)
robot.register(robots.app)
run_acts.register(runs.app)
app.add_typer(robots.app, name="robots")
app.add_typer(runs.app, name="runs")
app.add_typer(study.app, name="study")
app.add_typer(bench.app, name="bench")
app.add_typer(export.app, name="export")
app.add_typer(database.app, name="db")
stages.register(app)
app.command("deploy")(deploy_command)
app.command("adopt")(adopt.adopt_command)
analysis.register(app)
runs.app.command("compare")(analysis.compare_command)
runs.app.command("du")(disk.disk_command)
app.command("settings")(settings.settings_command)
app.command("slots")(slots.slots_command)
app.command("doctor")(doctor.doctor_command)
app.command("screenshots")(screenshots.screenshots_command)


INTERRUPTED = 130


@runtime_checkable
class _WrongWords(Protocol):
    """What the parser of options raises: typer has moved the class more than once."""

    exit_code: int

    def show(self) -> None: ...
    def format_message(self) -> str: ...


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
    version: Annotated[
        bool, typer.Option("--version", help="Say which hdtui this is, and leave.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="With --version: one JSON document, libraries too.")
    ] = False,
) -> None:
    """Open the cockpit."""
    if context.invoked_subcommand is not None:
        alone = {"--readonly": readonly, "--demo": demo, "--version": version}
        _refuse_before_a_command(context.obj or (), home, json, alone)
        return
    if version:
        from hdtui.cli.version import print_version

        print_version(json)
        return
    if json:
        raise UsageError("--json goes with --version, or stands after a command")
    if demo and home is not None:
        raise UsageError("--demo has a workspace of its own; leave --home out")
    if demo:
        from hdtui.cli.demo import open_demo

        raise typer.Exit(open_demo())
    raise typer.Exit(open_cockpit(home_folder(home), readonly=readonly))


def _refuse_before_a_command(
    arguments: Sequence[str], home: Path | None, json: bool, alone: Mapping[str, bool]
) -> None:
    """Refuse what stands before a command and would be lost there; a sentence says what to type.

    Raises:
        UsageError: An option that needs no command, or stands after it, stands before one.
    """
    for option, given in alone.items():
        if given:
            raise UsageError(f"{option} needs no command; leave one of them out")
    words = list(arguments)
    if home is not None:
        place = next(place for place, word in enumerate(words) if word.startswith("--home"))
        del words[place : place + (1 if "=" in words[place] else 2)]
        meant = shlex.join(["hdtui", *words, "--home", str(home)])
        raise UsageError(f"--home stands after the command: {meant}")
    if json:
        words.remove("--json")
        meant = shlex.join(["hdtui", *words, "--json"])
        raise UsageError(f"--json stands after the command: {meant}")


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
    if completion.asked():
        return completion.answer(lambda: _call(arguments))
    return _call(arguments)


def _call(arguments: Sequence[str]) -> int:
    words, json = list(arguments), "--json" in arguments
    try:
        _refuse_undecodable(arguments)
        command = typer.main.get_command(app)
        code = command(args=words, prog_name="hdtui", obj=words, standalone_mode=False)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except HdtuiError as error:
        return refuse(error, json)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if not isinstance(error, _WrongWords):
            raise
        error.show()
        code = error.exit_code
        if json:
            print_failure(UsageError(error.format_message()), code)
    if code == INTERRUPTED and json:
        print_failure(InterruptedError("ctrl+c ended this command; its runs go on"), code)
    return code if isinstance(code, int) else 0
