"""``hdtui export ...``: tables as CSV or Markdown, curves as TensorBoard events, run reports."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import HdtuiError, UsageError
from engine.workers.wording import counted
from hdtui.cli.options import Home, Json, Seed, known_name
from hdtui.cli.output import print_json, say
from hdtui.cli.runs import check_metric_names, existing
from hdtui.cli.tables import Latency, Limbs, Policies, Scaling, Task, counted_claims, counted_costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.session import Database
    from hdtui.services.tables import DataTable

app = typer.Typer(no_args_is_help=True, help="Tables, curves and reports for other programs.")

Format = Annotated[str, typer.Option("--format", help="csv or markdown.")]
Out = Annotated[Path | None, typer.Option("--out", help="File to write; else stdout.")]
Runs = Annotated[list[int] | None, typer.Argument(metavar="[RUN...]", min=1)]


def _give(table: "Callable[[], DataTable]", file_format: str, out: Path | None, json: bool) -> None:
    """Write a table to a file or to stdout, as text or as JSON rows."""
    from hdtui.services.tables import WRITERS

    known_name(file_format, WRITERS, "format")
    found = table()
    if out is not None:
        write(out, WRITERS[file_format](found).encode())
        say(f"{out}: {counted(len(found.rows), 'row')}")
    if json:
        print_json({"rows": found.records()} if out is None else _written(out, len(found.rows)))
    elif out is None:
        print(WRITERS[file_format](found), end="")


def _written(out: Path, rows: int) -> dict[str, Any]:
    return {"file": out.absolute(), "rows": rows}


def write(path: Path, content: bytes) -> None:
    """Write a file that is complete or absent.

    Raises:
        HdtuiError: It cannot be written.
    """
    from engine.files import write_bytes

    try:
        write_bytes(path, content)
    except OSError as error:
        raise HdtuiError(f"{path}: cannot be written: {error.strerror}") from error


@app.command("runs")
def runs_command(
    runs: Runs = None,
    file_format: Format = "csv",
    out: Out = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Runs: all that are not archived, or those named."""
    from hdtui.services.tables import runs_table

    _, database = existing(home)
    _give(lambda: runs_table(database, runs or []), file_format, out, json)


@app.command("episodes")
def episodes_command(
    runs: Runs = None,
    file_format: Format = "csv",
    out: Out = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Evaluated episodes: all, or those of evaluations and policies named by their runs."""
    from hdtui.services.tables import episodes_table

    _, database = existing(home)
    _give(lambda: episodes_table(database, runs or []), file_format, out, json)


@app.command("robots")
def robots_command(
    robot_set: Annotated[str | None, typer.Option("--set", help="Only robots of a set.")] = None,
    file_format: Format = "csv",
    out: Out = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Robots of the library."""
    from hdtui.services.tables import robots_table

    _, database = existing(home)
    _give(lambda: robots_table(database, robot_set), file_format, out, json)


@app.command("efficiency")
def efficiency_command(
    task: Task = "flat",
    limbs: Limbs = None,
    latency: Latency = False,
    scaling: Scaling = False,
    policies: Policies = None,
    file_format: Format = "csv",
    out: Out = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """What one action of each policy costs."""
    from hdtui.services.tables import efficiency_table

    def table() -> "DataTable":
        asked = (task, limbs, latency, scaling, policies, home)
        return efficiency_table(counted_costs(*asked))

    _give(table, file_format, out, json)


@app.command("claims")
def claims_command(
    file_format: Format = "csv",
    out: Out = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """The claims of the paper and what our figures say."""
    from hdtui.services.tables import claims_table

    _give(lambda: claims_table(counted_claims(home)["claims"]), file_format, out, json)


@app.command("metrics")
def metrics_command(
    run: Annotated[int, typer.Argument(metavar="RUN", min=1)],
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Only these; default all.")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="csv, markdown or tensorboard.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; a folder for tensorboard.")
    ] = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Every point of a run's curves, also as events that TensorBoard shows.

    Values that are not finite are nan, inf and -inf in CSV, the texts NaN, Infinity and -Infinity
    in JSON; TensorBoard has 32 bits, so that values beyond 3.4e38 become infinite there.
    """
    from db.queries.metrics import list_series
    from hdtui.services.tables import metrics_table

    _, database = existing(home)
    check_metric_names(run, name or [], {one.name for one in list_series(database, run)})
    table = metrics_table(database, run, name or [])
    if file_format != "tensorboard":
        _give(lambda: table, file_format, out, json)
    elif out is None:
        raise UsageError("--format tensorboard writes a folder; name it with --out")
    else:
        path = _write_events(database, run, table, out)
        say(f"{path}: {counted(len(table.rows), 'point')}; `tensorboard --logdir {out}` shows them")
        if json:
            print_json(_written(path, len(table.rows)))


def _write_events(database: "Database", run: int, table: "DataTable", folder: Path) -> Path:
    import io

    from hdtui.services.run_events import run_scalars
    from hdtui.services.tensorboard import FILE_NAME, write_events

    started_s, scalars = run_scalars(database, run, table)
    content = io.BytesIO()
    write_events(content, scalars, started_s)
    path = folder / FILE_NAME.format(seconds=int(started_s))
    write(path, content.getvalue())
    return path


@app.command("curves")
def curves_command(
    runs: Annotated[list[int], typer.Argument(metavar="RUN...", min=1)],
    out: Annotated[Path, typer.Option("--out", help="SVG file to write.")],
    metric: Annotated[str, typer.Option("--metric", help="What to draw.")] = "return",
    title: Annotated[str | None, typer.Option("--title", help="Else the metric's name.")] = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """One metric of several runs over the same steps, in one plot."""
    from hdtui.services.report import curves_plot

    _, database = existing(home)
    write(out, curves_plot(database, runs, metric, title).encode())
    say(f"{out}: {metric} of {counted(len(runs), 'run')}")
    if json:
        print_json({"file": out.absolute(), "metric": metric, "runs": runs})


@app.command("run")
def run_command(
    run: Annotated[int, typer.Argument(metavar="RUN", min=1)],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.md and its plots.")],
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """A run as a Markdown report with plots: lineage, returns, curves, settings, files."""
    from hdtui.services.report import REPORT_NAME, run_report

    _, database = existing(home)
    report = run_report(database, run)
    for name, plot in report.plots.items():
        write(out / name, plot.encode())
    write(out / REPORT_NAME, report.text.encode())
    say(f"{out / REPORT_NAME}: {counted(len(report.plots), 'plot')}")
    if json:
        print_json({"report": (out / REPORT_NAME).absolute(), "plots": sorted(report.plots)})
