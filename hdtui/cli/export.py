"""``hdtui export ...``: tables as CSV, Markdown, LaTeX, curves as TensorBoard events, reports."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import HdtuiError, UsageError
from engine.text import counted
from hdtui.cli import completion
from hdtui.cli.analysis import CostOptions, counted_claims
from hdtui.cli.options import Call, grouped_options, known_name
from hdtui.cli.output import print_json, say
from hdtui.cli.runs import RunId, RunIds, check_metric_names
from hdtui.exports.formats import WRITERS, DataTable
from hdtui.formatting import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.records import Run
    from db.session import Database

app = typer.Typer(no_args_is_help=True, help="Tables, curves and reports for other programs.")

TENSORBOARD = "tensorboard"


def _format_option(*known: str) -> Any:
    """``--format``, one of these words.

    Raises:
        UsageError: Another one is given, when it is read.
    """

    def check(value: str) -> str:
        return known_name(value, known, "format")

    words = f"{', '.join(known[:-1])} or {known[-1]}."
    offers = completion.words(*known)
    return typer.Option("--format", help=words, autocompletion=offers, callback=check)


Format = Annotated[str, _format_option(*WRITERS)]
Runs = Annotated[
    list[int] | None,
    typer.Argument(
        metavar="[RUN...]", min=1, help="Numbers of runs.", autocompletion=completion.runs()
    ),
]


@dataclass(frozen=True)
class Destination:
    """Where a table goes, and as what."""

    file_format: Format = "csv"
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else stdout.")] = None

    def take(self, call: Call, table: DataTable) -> None:
        """Write the table to the file or to stdout, as text or as JSON rows."""
        text = WRITERS[self.file_format](table)
        if self.out is None:
            if call.json:
                print_json({"rows": table.records()})
            else:
                print(text, end="")
            return
        write(self.out, text.encode())
        say(f"{self.out}: {counted(len(table.rows), 'row')}")
        if call.json:
            print_json({"file": self.out.absolute(), "rows": len(table.rows)})


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
@grouped_options()
def runs_command(call: Call, destination: Destination, runs: Runs = None) -> None:
    """Runs: all that are not archived, or those named."""
    from hdtui.exports.tables import runs_table

    _, database = call.existing()
    destination.take(call, runs_table(database, runs or []))


@app.command("episodes")
@grouped_options()
def episodes_command(call: Call, destination: Destination, runs: Runs = None) -> None:
    """Evaluated episodes: all, or those of evaluations and policies named by their runs."""
    from hdtui.exports.tables import episodes_table

    _, database = call.existing()
    destination.take(call, episodes_table(database, runs or []))


@app.command("robots")
@grouped_options()
def robots_command(
    call: Call,
    destination: Destination,
    robot_set: Annotated[
        str | None,
        typer.Option(
            "--set",
            metavar="SET",
            help="Only robots of a set.",
            autocompletion=completion.robot_sets,
        ),
    ] = None,
) -> None:
    """Robots of the library."""
    from hdtui.exports.tables import robots_table

    _, database = call.existing()
    destination.take(call, robots_table(database, robot_set))


@app.command("efficiency")
@grouped_options()
def efficiency_command(call: Call, destination: Destination, costs: CostOptions) -> None:
    """What one action of each policy costs."""
    from hdtui.exports.tables import efficiency_table

    destination.take(call, efficiency_table(costs.count(call)))


@app.command("claims")
@grouped_options()
def claims_command(call: Call, destination: Destination) -> None:
    """The claims of the paper and what our figures say."""
    from hdtui.exports.tables import claims_table

    destination.take(call, claims_table(counted_claims(call)["claims"]))


@app.command("metrics")
@grouped_options(
    file_format=Annotated[str, _format_option(*WRITERS, TENSORBOARD)],
    out=Annotated[
        Path | None,
        typer.Option("--out", help="File to write; for tensorboard a folder, one inside per run."),
    ],
)
def metrics_command(
    call: Call,
    destination: Destination,
    runs: RunIds,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Only these; default all.", autocompletion=completion.metrics),
    ] = None,
) -> None:
    """Every point of runs' curves, also as events that TensorBoard shows, run by run.

    Values that are not finite are nan, inf and -inf in CSV, the texts NaN, Infinity and -Infinity
    in JSON; TensorBoard has 32 bits, so that values beyond 3.4e38 become infinite there.
    """
    from db.queries.metrics import list_series
    from db.queries.runs import get_run
    from hdtui.exports.tables import metrics_table

    _, database = call.existing()
    chosen = [get_run(database, number) for number in dict.fromkeys(runs)]
    for run in chosen:
        check_metric_names(run.id, name or [], {one.name for one in list_series(database, run.id)})
    if destination.file_format != TENSORBOARD:
        destination.take(call, metrics_table(database, [run.id for run in chosen], name or []))
        return
    out = destination.out
    if out is None:
        raise UsageError("--format tensorboard writes a folder; name it with --out")
    written = _write_events(database, chosen, name or [], out)
    points = counted(sum(each["rows"] for each in written), "point")
    say(
        f"{out}: {points} of {counted(len(written), 'run')}, each in a folder of its own;"
        f" `tensorboard --logdir {shlex.quote(str(out))}` shows them"
    )
    if call.json:
        print_json({"folder": out.absolute(), "runs": written})


def _write_events(
    database: Database, runs: Sequence[Run], names: Sequence[str], out: Path
) -> list[dict[str, Any]]:
    """One folder per run, which TensorBoard takes for a run, with one file; what was written.

    Raises:
        UsageError: A folder holds events of something else, which would join the run's curves.
    """
    import io

    from hdtui.exports.tables import metrics_table
    from hdtui.exports.tensorboard import events_path, run_scalars, write_events

    paths = [events_path(out, run) for run in runs]
    for path in paths:
        others = sorted(each.name for each in path.parent.glob("*tfevents*") if each != path)
        if others:
            raise UsageError(
                f"{path.parent} holds {others[0]}, events of another run, and TensorBoard joins the"
                " curves of one folder; name another folder with --out"
            )
    written = []
    for run, path in zip(runs, paths, strict=True):
        table = metrics_table(database, [run.id], names)
        started_s, scalars = run_scalars(database, run.id, table)
        content = io.BytesIO()
        write_events(content, scalars, started_s)
        write(path, content.getvalue())
        written.append({"run": run.id, "file": path.absolute(), "rows": len(table.rows)})
    return written


@app.command("curves")
@grouped_options()
def curves_command(
    call: Call,
    runs: RunIds,
    out: Annotated[Path, typer.Option("--out", help="SVG file to write.")],
    metric: Annotated[str, typer.Option("--metric", help="What to draw.")] = "return",
    title: Annotated[str | None, typer.Option("--title", help="Else the metric's name.")] = None,
) -> None:
    """One metric of several runs over the same steps, in one plot."""
    from hdtui.exports.report import curves_plot

    _, database = call.existing()
    write(out, curves_plot(database, runs, metric, title).encode())
    say(f"{out}: {metric} of {counted(len(runs), 'run')}")
    if call.json:
        print_json({"file": out.absolute(), "metric": metric, "runs": runs})


@app.command("run")
@grouped_options()
def run_command(
    call: Call,
    run: RunId,
    out: Annotated[Path, typer.Option("--out", help="Folder for report.md and its plots.")],
) -> None:
    """A run as a Markdown report with plots: lineage, returns, curves, settings, files."""
    from hdtui.exports.report import REPORT_NAME, run_report

    _, database = call.existing()
    report = run_report(database, run)
    for name, plot in report.plots.items():
        write(out / name, plot.encode())
    write(out / REPORT_NAME, report.text.encode())
    say(f"{out / REPORT_NAME}: {counted(len(report.plots), 'plot')}")
    if call.json:
        print_json({"report": (out / REPORT_NAME).absolute(), "plots": sorted(report.plots)})


@app.command("policy")
@grouped_options()
def policy_command(
    call: Call,
    run: RunId,
    out: Annotated[Path, typer.Option("--out", help="File to write (.safetensors).")],
    half: Annotated[
        bool, typer.Option("--half", help="Weights as 16-bit floats: half the size.")
    ] = False,
) -> None:
    """A teacher's or student's policy as a file for others, which says where it comes from.

    `--policy FILE` and `hdtui adopt FILE` take it in any workspace.
    """
    from hdtui.exports.policy import exported_policy

    _, database = call.existing()
    content = exported_policy(database, run, half=half)
    write(out, content)
    say(f"{out}: the policy of run {run}, {size(len(content))}")
    if call.json:
        print_json({"file": out.absolute(), "run": run, "bytes": len(content)})
