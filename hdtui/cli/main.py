"""The root command: the cockpit without words, and every other command below it."""

from collections.abc import Sequence
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
from hdtui.cli.options import Home, home_folder
from hdtui.cli.output import say

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
app.command("adopt")(adopt.adopt_command)
tables.register(app)
runs.app.command("compare")(tables.compare_command)
app.command("doctor")(doctor.doctor_command)
app.command("screenshots")(screenshots.screenshots_command)


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
                f"--home stands after the command: hdtui {context.invoked_subcommand} --home {home}"
            )
        return
    if demo:
        from hdtui.cli.demo import open_demo

        raise typer.Exit(open_demo())
    raise typer.Exit(open_cockpit(home_folder(home), readonly=readonly))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code: 0 done, 1 failed, 2 wrong use."""
    command = typer.main.get_command(app)
    try:
        command(args=list(arguments), prog_name="hdtui")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except UsageError as error:
        say(f"hdtui: {error}")
        return 2
    except HdtuiError as error:
        say(f"hdtui: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    return 0
