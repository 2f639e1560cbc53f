"""A study as a Markdown page with figures and tables beside it; each number names its runs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.records import Run
from engine.config.study import Measure, StudyConfig
from engine.evaluation.seeds_and_robots import performance_profile
from engine.files import write_text
from engine.workers.provenance import source_revision
from engine.workers.studies.running import Plan
from engine.workers.studies.verdict import Answer, Verdict, scores_of, summary
from hdtui.data.studies import Results, measured, verdict_of
from hdtui.exports.formats import DataTable, as_csv, as_latex, as_markdown
from hdtui.exports.svg import Line, Measured, interval_plot, line_plot
from hdtui.formatting import duration, measure

if TYPE_CHECKING:
    from db.session import Database

REPORT_NAME, DECLARATION_NAME = "report.md", "study.toml"
_THRESHOLDS = 101
_GEOMETRIC = 8.0
"""Numbers whose largest is so many times the smallest stand on a logarithmic axis."""


def write_study_report(database: "Database", plan: Plan, folder: Path) -> Path:
    """Write the report, its figures and tables, and the declaration to repeat it; the page."""
    results = measured(database, plan)
    verdict = verdict_of(plan, results)
    study = plan.study
    tables = {
        "results": _results_table(study, results),
        "comparisons": _comparisons_table(verdict),
        "cells": _cells_table(study, results),
        "runs": _runs_table(plan),
    }
    figures = {
        f"{_file_name(each)}.svg": _figure(study, results, each) for each in study.measured()
    }
    figures |= _profiles(study, results)
    figures = {name: text for name, text in figures.items() if text}
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", as_csv(table))
        write_text(folder / f"{name}.tex", as_latex(table))
    for name, text in figures.items():
        write_text(folder / name, text)
    write_text(folder / DECLARATION_NAME, as_toml(study.model_dump(mode="json")))
    path = folder / REPORT_NAME
    write_text(path, _page(plan, verdict, tables, list(figures)))
    return path


def _page(
    plan: Plan, verdict: Verdict, tables: Mapping[str, DataTable], figures: Sequence[str]
) -> str:
    study = plan.study
    shown = "\n".join(f"![{name.removesuffix('.svg')}]({name})\n" for name in figures)
    answers = "\n".join(f"- {answer.sentence}" for answer in verdict.answers)
    equal = ", ".join(name.replace("_", " ") for name in study.equal) or "nothing"
    parts = [
        f"# Study {study.name}\n",
        f"{study.question}\n",
        f"## Verdict\n\n{answers}\n",
        f"Means are over seeds and robots; brackets are {study.rule.confidence:.0%} intervals over"
        " both (a hierarchical bootstrap, as wide as the analysis of variance says). P values are"
        " adjusted for all comparisons (Holm). Compared at equal"
        f" {equal}, within 5 %; below {study.rule.minimum_seeds} seeds there is no verdict.\n",
        "## Comparisons\n\n" + as_markdown(tables["comparisons"]),
        "## Results\n\n" + as_markdown(tables["results"]),
        shown,
        "## Cells\n\nMeasures by seed, what a cell cost, and the runs behind it.\n\n"
        + as_markdown(tables["cells"]),
        "## Runs\n\n" + as_markdown(tables["runs"]),
        _repeat(plan),
    ]
    return "\n".join(part for part in parts if part)


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
                rows.append((combination.label, each.label, None, "", None, 0))
                continue
            mean, middle = found.mean, found.interquartile_mean
            interval = _interval(mean.low, mean.high)
            row = (combination.label, each.label, mean.value, interval, middle.value)
            rows.append((*row, len(found.by_seed)))
    headings = ("setting", "measure", "mean", "interval", "interquartile mean", "seeds")
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
    took = None
    if run.started_at is not None and run.ended_at is not None:
        took = duration((run.ended_at - run.started_at).total_seconds())
    versions = [run.versions.get(name, "") for name in ("hdtui", "revision", "torch", "mujoco")]
    machine = f"{run.host}, {run.versions.get('cores', '?')} cores, {run.device}"
    by = "this study" if made else "reused"
    return (run.id, str(run.kind), run.name, run.seed, str(run.state), by, took, *versions, machine)


def _figure(study: StudyConfig, results: Results, of: Measure) -> str:
    """A measure against the levels; on their own axis where a single factor has numbers."""
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
    numbers = [each.x for each in drawn]
    wide = min(numbers) > 0 and max(numbers) >= _GEOMETRIC * min(numbers)
    log_x = wide and places != _ranks(study)
    return interval_plot(of.label, ", ".join(study.factors), drawn, log_x=log_x)


def _places(study: StudyConfig) -> list[float]:
    """Where combinations stand: at the numbers of the only factor, else one after the other."""
    if len(study.factors) == 1:
        [levels] = study.factors.values()
        values = [level.value for level in levels.values()]
        numbers = [value for value in values if value is not None]
        if len(numbers) == len(values):
            return numbers
    return _ranks(study)


def _ranks(study: StudyConfig) -> list[float]:
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
        found[f"profile-{_file_name(of)}.svg"] = line_plot(title, of.label, lines)
    return found


def _file_name(of: Measure) -> str:
    return "-".join("".join(x if x.isalnum() else " " for x in of.label).split())


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{measure(low)}, {measure(high)}]"


def as_toml(document: Mapping[str, Any]) -> str:
    """A document of plain values as TOML, one line a key; what is None is left out."""
    known = {key: value for key, value in document.items() if value is not None}
    return "".join(f"{_quoted(key)} = {_toml(value)}\n" for key, value in known.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        known = {key: each for key, each in value.items() if each is not None}
        items = (f"{_quoted(key)} = {_toml(each)}" for key, each in known.items())
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)
