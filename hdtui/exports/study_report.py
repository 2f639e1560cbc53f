"""A study as a Markdown page with figures and tables beside it; each number names its runs.

Figures are SVG and, with the extra ``figures``, PDF; tables are Markdown, CSV and LaTeX.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.records import Run
from engine.config.study import Measure, StudyConfig
from engine.evaluation.seeds_and_robots import performance_profile
from engine.files import write_bytes, write_text
from engine.workers.provenance import source_revision
from engine.workers.studies.running import Plan, begun_study
from engine.workers.studies.verdict import Answer, Verdict, scores_of, summary
from hdtui.data.studies import (
    Results,
    is_geometric,
    measured,
    search_document,
    verdict_of,
)
from hdtui.exports.formats import DataTable, as_csv, as_latex, as_markdown, as_toml
from hdtui.exports.pdf import as_pdf
from hdtui.exports.svg import Line, Measured, interval_plot, line_plot, scatter_plot
from hdtui.formatting import duration, measure

if TYPE_CHECKING:
    from db.session import Database
    from engine.evaluation.statistics import Estimate

REPORT_NAME, DECLARATION_NAME = "report.md", "study.toml"
_THRESHOLDS = 101


def report_path(home: Path, name: str) -> Path:
    """Where the report of a study stands in a workspace."""
    return home / "studies" / name / REPORT_NAME


def report(database: "Database", name: str) -> Path:
    """Write the report of a study that was begun into the workspace; the page."""
    return write_study_report(database, begun_study(database, name))


def write_study_report(database: "Database", plan: Plan, folder: Path | None = None) -> Path:
    """Write the report, its figures and tables, and the declaration to repeat it; the page.

    It stands in the workspace where no folder is named.
    """
    folder = folder or report_path(database.home, plan.study.name).parent
    results = measured(database, plan)
    verdict = verdict_of(plan, results)
    study = plan.study
    tables = {
        "comparisons": _comparisons_table(verdict),
        "results": _results_table(study, results),
        "cells": _cells_table(study, results),
        "runs": _runs_table(plan),
    }
    if study.ranges:
        found = search_document(plan, results)
        tables = {"trials": _trials_table(found), "cells": tables["cells"], "runs": tables["runs"]}
        figures = _searched(study, found)
        said = [found["sentence"], *_importance(found)]
    else:
        figures = {_file_name(each): _figure(study, results, each) for each in study.measured()}
        figures |= _profiles(study, results)
        said = [answer.sentence for answer in verdict.answers]
    figures = {name: text for name, text in figures.items() if text}
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", as_csv(table))
        write_text(folder / f"{name}.tex", as_latex(table))
    for name, text in figures.items():
        write_text(folder / f"{name}.svg", text)
        page = as_pdf(text)
        if page is not None:
            write_bytes(folder / f"{name}.pdf", page)
    write_text(folder / DECLARATION_NAME, as_toml(study.model_dump(mode="json")))
    path = folder / REPORT_NAME
    timed = sorted({each.timed_on for each in results.values() if each.latency_us is not None})
    write_text(path, _page(plan, said, tables, list(figures), timed))
    return path


def _page(
    plan: Plan,
    said: Sequence[str],
    tables: Mapping[str, DataTable],
    figures: Sequence[str],
    timed: Sequence[str],
) -> str:
    study = plan.study
    answers = "\n".join(f"- {sentence}" for sentence in said)
    whole = "".join(
        f"## {name.capitalize()}\n\n{_NOTES.get(name, '')}{as_markdown(table)}\n"
        for name, table in tables.items()
        if table.rows
    )
    shown = "\n".join(f"![{name}]({name}.svg)\n" for name in figures)
    machines = (
        f"Latencies are CPU time of a step (batch 1, one thread) on {'; '.join(timed)}.\n"
        if timed
        else ""
    )
    rule = "" if study.ranges else _rule(study)
    parts = [
        f"# Study {study.name}\n",
        f"{study.question}\n",
        f"## Verdict\n\n{answers}\n",
        rule,
        machines,
        shown,
        whole,
        _repeat(plan),
    ]
    return "\n".join(part for part in parts if part)


_NOTES = {"cells": "Measures by seed, what a cell cost, and the runs behind it.\n\n"}


def _rule(study: StudyConfig) -> str:
    equal = ", ".join(name.replace("_", " ") for name in study.equal) or "nothing"
    return (
        f"Means are over seeds and robots; brackets are {study.rule.confidence:.0%} intervals over"
        " both (a hierarchical bootstrap, as wide as the analysis of variance says). P values are"
        " adjusted for all comparisons (Holm). Compared at equal"
        f" {equal}, within 5 %; below {study.rule.minimum_seeds} seeds there is no verdict.\n"
    )


def _trials_table(found: Mapping[str, Any]) -> DataTable:
    settings = list(dict.fromkeys(key for each in found["trials"] for key in each["settings"]))
    rows = [
        (
            each["name"],
            *(each["settings"].get(key) for key in settings),
            each["value"],
            each["state"],
            " ".join(map(str, each["runs"])),
        )
        for each in found["trials"]
    ]
    return DataTable(("trial", *settings, found["measure"], "state", "runs"), tuple(rows))


def _importance(found: Mapping[str, Any]) -> list[str]:
    shares = ", ".join(f"{key} {share:.0%}" for key, share in found["importance"].items())
    return [f"What matters (PED-ANOVA): {shares}."] if shares else []


def _searched(study: StudyConfig, found: Mapping[str, Any]) -> dict[str, str]:
    """The measure of all trials against each setting that has numbers."""
    figures = {}
    for name, each in study.ranges.items():
        setting = each.setting or name
        points = [
            (float(trial["settings"][setting]), trial["value"])
            for trial in found["trials"]
            if trial["value"] is not None and each.categorical is None
        ]
        if points:
            log_x = each.log_uniform is not None
            figures[setting] = scatter_plot(found["measure"], setting, points, log_x=log_x)
    return figures


def _repeat(plan: Plan) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    revision = source_revision()
    commit = f", commit {revision}" if revision else ""
    return (
        f"## Again\n\n    hdtui study run {DECLARATION_NAME}\n\n"
        f"repeats the study in an empty workspace. Begun {plan.created_at[:16].replace('T', ' ')}"
        f" UTC with hdtui {plan.version}; written {now}{commit}.\n"
    )


def _results_table(study: StudyConfig, results: Results) -> DataTable:
    rows: list[tuple[Any, ...]] = []
    for combination in study.combinations():
        for each in study.measured():
            found = summary(study, results, combination.label, each)
            if found is None:
                if study.trained:  # else it is no measure of this network
                    rows.append((combination.label, each.label, None, "", None, 0, ""))
                continue
            runs = {
                run.id
                for seed in study.seeds
                for run in results[combination.label, seed].runs.values()
            }
            mean, middle = found.mean, found.interquartile_mean
            interval = _interval(mean.low, mean.high)
            row = (combination.label, each.label, mean.value, interval, middle.value)
            rows.append((*row, len(found.by_seed), " ".join(map(str, sorted(runs)))))
    headings = ("setting", "measure", "mean", "interval", "interquartile mean", "seeds", "runs")
    return DataTable(headings, tuple(rows))


def _comparisons_table(verdict: Verdict) -> DataTable:
    headings = (
        "setting",
        "against",
        "measure",
        "outcome",
        "expected",
        "difference",
        "interval",
        "adjusted p",
        "P(improvement)",
        "robots won",
        "seeds",
        "why",
        "runs",
    )
    return DataTable(headings, tuple(_comparison_row(answer) for answer in verdict.answers))


def _comparison_row(answer: Answer) -> tuple[Any, ...]:
    compared, difference = answer.comparison, answer.difference
    return (
        compared.cell,
        compared.against,
        compared.measure.label,
        str(answer.decision.outcome),
        compared.expected or "",
        None if difference is None else difference.value,
        "" if difference is None else _interval(difference.low, difference.high),
        answer.adjusted_p_value,
        answer.improvement,
        "" if answer.wins is None else f"{answer.wins[0]} of {answer.wins[1]}",
        len(answer.seeds),
        answer.decision.reason,
        " ".join(map(str, answer.runs)),
    )


def _cells_table(study: StudyConfig, results: Results) -> DataTable:
    rows = []
    for result in results.values():
        values = [result.values(each) for each in study.measured()]
        means = [sum(own.values()) / len(own) if own else None for own in values]
        runs = " ".join(str(number) for number in sorted(run.id for run in result.runs.values()))
        cell = result.cell
        budget = result.budget.values()
        rows.append((cell.combination.label, cell.seed, str(result.state), *means, *budget, runs))
    budgets = ("control steps", "samples", "gradient steps", "parameters")
    measures = (each.label for each in study.measured())
    costs = [f"cost: {name}" for name in budgets]
    headings = ("setting", "seed", "state", *measures, *costs, "runs")
    return DataTable(headings, tuple(rows))


def _runs_table(plan: Plan) -> DataTable:
    headings = (
        "run",
        "kind",
        "name",
        "seed",
        "state",
        "here by",
        "took",
        "hdtui",
        "commit",
        "torch",
        "mujoco",
        "machine",
    )
    runs = {run.id: run for run in plan.runs.values()}
    rows = [_run_row(runs[number], number in plan.made) for number in sorted(runs)]
    return DataTable(headings, tuple(rows))


def _run_row(run: Run, made: bool) -> tuple[Any, ...]:
    took = None if run.took_s is None else duration(run.took_s)
    versions = [run.versions.get(name, "") for name in ("hdtui", "revision", "torch", "mujoco")]
    machine = f"{run.host}, {run.versions.get('cores', '?')} cores, {run.device}"
    by = "this study" if made else "reused"
    return (run.id, str(run.kind), run.name, run.seed, str(run.state), by, took, *versions, machine)


def _figure(study: StudyConfig, results: Results, of: Measure) -> str:
    """A measure against the levels; on their own axis where one factor has numbers."""
    numbered = _numbered(study)
    if numbered and len(study.factors) > 1:
        return _curves(study, results, of, numbered)
    combinations = study.combinations()
    places = _places(study)
    drawn = []
    for place, combination in enumerate(combinations):
        found = summary(study, results, combination.label, of)
        if found is not None:
            mean = found.mean
            x = places[place]
            name = " ".join(level for _, level in combination.levels) or combination.label
            drawn.append(Measured(name, x, mean.value, mean.low, mean.high, found.by_seed))
    if not drawn:
        return ""
    log_x = bool(numbered) and is_geometric([each.x for each in drawn])
    return interval_plot(of.label, ", ".join(study.factors), drawn, log_x=log_x)


def _curves(study: StudyConfig, results: Results, of: Measure, factor: str) -> str:
    """A measure against a factor's numbers: a curve with its band for each other level."""
    points: dict[str, list[tuple[float, Estimate]]] = {}
    for combination in study.combinations():
        found = summary(study, results, combination.label, of)
        if found is not None:
            levels = dict(combination.levels)
            x = study.factors[factor][levels.pop(factor)].value or 0.0
            name = " ".join(f"{key}={level}" for key, level in levels.items())
            points.setdefault(name, []).append((x, found.mean))
    lines = []
    for name, own in points.items():
        own.sort(key=lambda point: point[0])
        means = [mean for _, mean in own]
        low = [mean.value if mean.low is None else mean.low for mean in means]
        high = [mean.value if mean.high is None else mean.high for mean in means]
        lines.append(Line(name, [x for x, _ in own], [mean.value for mean in means], low, high))
    if not lines:
        return ""
    places = sorted({x for line in lines for x in line.x})
    log_y = is_geometric([value for line in lines for value in (*line.y, *line.low)])
    return line_plot(
        of.label, factor, lines, x_ticks=places, log_x=is_geometric(places), log_y=log_y
    )


def _numbered(study: StudyConfig) -> str:
    """The only factor whose levels all have numbers; empty where there is none, or several."""
    found = [
        factor
        for factor, levels in study.factors.items()
        if all(level.value is not None for level in levels.values())
    ]
    return found[0] if len(found) == 1 else ""


def _places(study: StudyConfig) -> list[float]:
    """Where combinations stand: at the numbers of the only factor, else one after the other."""
    if len(study.factors) == 1 and (factor := _numbered(study)):
        return [level.value or 0.0 for level in study.factors[factor].values()]
    return [float(place) for place in range(1, len(study.combinations()) + 1)]


def _profiles(study: StudyConfig, results: Results) -> dict[str, str]:
    """Performance profiles: the share of seeds and robots that earn more than each return."""
    found = {}
    for of in study.measured():
        scores = {
            combination.label: scores
            for combination in study.combinations()
            if (scores := scores_of(study, results, combination.label, of)) is not None
        }
        values = [value for each in scores.values() for own in each.by_seed for value in own]
        if of.name not in ("return", "ratio") or not values:
            continue
        thresholds = np.linspace(min(values), max(values), _THRESHOLDS)
        lines = []
        for label, each in scores.items():
            share = performance_profile(each, thresholds).tolist()
            lines.append(Line(label, thresholds.tolist(), share, share, share))
        title = f"share of seeds and robots above a {of.label}"
        found[f"profile-{_file_name(of)}"] = line_plot(title, of.label, lines)
    return found


def _file_name(of: Measure) -> str:
    return "-".join("".join(x if x.isalnum() else " " for x in of.label).split())


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{measure(low)}, {measure(high)}]"
