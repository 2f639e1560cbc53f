"""A run as a Markdown report with plots beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from db.queries.artifacts import list_artifacts
from db.queries.evaluations import summaries
from db.queries.metrics import list_series, read_points
from db.queries.runs import get_run
from db.records import Run, RunKind, Series
from db.session import Database
from engine.errors import UsageError
from engine.workers.lineage import Ancestry
from hdtui.data.columns import RecordColumn
from hdtui.data.compare_returns import Returns, compare
from hdtui.data.curves import breaks_text
from hdtui.data.metric_names import metric_label, metric_order
from hdtui.data.run_list import flat_config
from hdtui.exports.formats import DataTable, as_markdown
from hdtui.exports.svg import Line, line_plot
from hdtui.exports.tables import robot_names, table_of
from hdtui.formatting import duration, size, with_interval

REPORT_NAME = "report.md"
_MAX_POINTS = 1000
_EPISODE_COLUMNS = tuple(
    map(
        RecordColumn,
        (
            *("policy", "task", "episodes", "mean_return", "std_return"),
            *("falls", "mean_length", "mean_speed_m_s"),
        ),
    )
)


@dataclass(frozen=True)
class Report:
    """The text of ``report.md`` and the plots it shows, by file name."""

    text: str
    plots: dict[str, str]


def run_report(database: Database, run_id: int) -> Report:
    """All that is known of a run: lineage, settings, curves, returns and files.

    Raises:
        RunError: There is no such run.
    """
    run = get_run(database, run_id)
    curves = [each for each in list_series(database, run_id) if each.robot_digest is None]
    curves = [each for each in curves if each.last_step is not None]
    curves.sort(key=lambda series: metric_order(series.name))
    plots = {_file_name(series): _plot(database, run, series) for series in curves}
    sections = [
        f"# Run {run.id}: {run.kind} {_text(run.name)}\n",
        _facts(run),
        _lineage(database, run),
        _returns(database, run),
        _curves(database, curves),
        _robots(database, run),
        _settings(run),
        _files(database, run),
    ]
    return Report("\n".join(section for section in sections if section), plots)


def _text(words: str) -> str:
    """Words that people chose, without what Markdown or HTML would take for markup."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#&" else each for each in words)


def _facts(run: Run) -> str:
    facts = {
        "state": run.state.value,
        "result": run.result_text,
        "reason": run.reason,
        "seed": run.seed,
        "started": _time(run.started_at),
        "took": None if run.took_s is None else duration(run.took_s),
        "host": f"{run.host}, {run.device}",
        "attempts": run.attempt,
        "versions": ", ".join(f"{name} {value}" for name, value in run.versions.items()),
        "tags": " ".join(run.tags),
        "note": run.note,
    }
    lines = [f"- {name}: {_text(str(value))}" for name, value in facts.items() if value]
    return "\n".join(lines) + "\n"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _lineage(database: Database, run: Run) -> str:
    rows = tuple(
        (each.id, each.kind, each.name, each.state, each.inputs, each.robot_sets)
        for each in sorted(Ancestry(database).ancestors(run), key=lambda each: each.id)
    )
    headings = ("run", "kind", "name", "state", "made from", "robots")
    return "## Lineage\n\n" + as_markdown(DataTable(headings, rows))


def _returns(database: Database, run: Run) -> str:
    rows = tuple(
        (
            subject.label,
            each.task,
            each.evaluations,
            each.robots,
            each.episodes,
            *_intervals(each),
        )
        for subject, returns in compare(database, [run.id]).subjects
        for each in returns
    )
    if not rows:
        return ""
    estimates = ("return", "trained", "unseen", "other", "gap")
    headings = ("policy", "task", "evaluations", "robots", "episodes", *estimates)
    words = "Means over robots with 95 % bootstrap intervals.\n\n"
    return "## Returns\n\n" + words + as_markdown(DataTable(headings, rows))


def _intervals(returns: Returns) -> list[str | None]:
    apart = (returns.trained, returns.unseen, returns.other)
    found = (returns.mean, *apart, returns.generalization_gap)
    return [
        None if each is None else with_interval(each.value, each.low, each.high) for each in found
    ]


def _curves(database: Database, curves: Sequence[Series]) -> str:
    shown = []
    for each in curves:
        shown.append(f"![{metric_label(each.name)}]({_file_name(each)})")
        broken = breaks_text(read_points(database, each.id, max_points=_MAX_POINTS))
        if broken:
            shown.append(f"{metric_label(each.name)} has points without a height: {broken}.")
    return "## Curves\n\n" + "\n\n".join(shown) + "\n" if shown else ""


def _file_name(series: Series) -> str:
    safe = "".join(each if each.isalnum() or each in "-_." else "-" for each in series.name)
    return f"plot-{series.id}-{safe}.svg"


def curves_plot(
    database: Database, runs: Sequence[int], metric: str, title: str | None = None
) -> str:
    """One metric of several runs over the same steps, as SVG.

    Raises:
        RunError: There is no such run.
        UsageError: A run has no such metric, or the runs count different steps.
    """
    found = [get_run(database, run_id) for run_id in runs]
    labels = {_step_label(run) for run in found}
    if len(labels) > 1:
        raise UsageError(f"these runs count different steps ({', '.join(sorted(labels))})")
    lines = []
    for run in found:
        known = {
            each.name: each
            for each in list_series(database, run.id)
            if each.robot_digest is None and each.last_step is not None
        }
        if metric not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(f"run {run.id} has no metric {metric!r}; it has: {names}")
        lines.append(_line(database, known[metric], f"{run.id} {run.name}"))
    return line_plot(title or metric_label(metric), labels.pop(), lines)


def _plot(database: Database, run: Run, series: Series) -> str:
    return line_plot(
        metric_label(series.name), _step_label(run), [_line(database, series, series.name)]
    )


def _line(database: Database, series: Series, name: str) -> Line:
    points = read_points(database, series.id, max_points=_MAX_POINTS)
    breaks = [(float(each.step), each.value) for each in points.extremes]
    return Line(name, points.step, points.value, points.low, points.high, breaks)


def _step_label(run: Run) -> str:
    if run.kind is RunKind.STUDENT:
        return "gradient steps"
    return "episodes" if run.kind is RunKind.EVALUATION else "control steps"


def _robots(database: Database, run: Run) -> str:
    found = [each for each in summaries(database) if run.id in (each.run_id, each.policy_run_id)]
    if not found:
        return ""
    judged_by = [get_run(database, number) for number in sorted({each.run_id for each in found})]
    names = robot_names(database, judged_by)
    table = table_of(found, _EPISODE_COLUMNS)
    headings = ("evaluation", "robot", *table.headings)
    rows = tuple(
        (each.run_id, names[each.run_id].get(each.robot_digest, each.robot_digest[:12]), *row)
        for each, row in zip(found, table.rows, strict=True)
    )
    return "## Robots\n\n" + as_markdown(DataTable(headings, rows))


def _settings(run: Run) -> str:
    rows: tuple[tuple[Any, ...], ...] = tuple(flat_config(run.config).items())
    return "## Settings\n\n" + as_markdown(DataTable(("setting", "value"), rows)) if rows else ""


def _files(database: Database, run: Run) -> str:
    rows = tuple(
        (each.kind, each.path, size(each.size_bytes), each.sha256)
        for each in list_artifacts(database, run.id)
    )
    headings = ("kind", "file", "size", "SHA-256")
    return "## Files\n\n" + as_markdown(DataTable(headings, rows)) if rows else ""
