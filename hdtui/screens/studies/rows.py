"""How studies are written: the list, the matrix of settings and seeds, answers, the chart."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from db.records import RunState
from engine.evaluation.decision import VERDICTS, Outcome
from engine.text import counted
from hdtui import formatting
from hdtui.data.run_states import GLYPHS
from hdtui.data.smoothing import Path
from hdtui.data.studies import value_of
from hdtui.data.study_views import (
    EYES_FIRST,
    StudyView,
    UnreadableStudy,
    axis_of,
    short_labels,
)
from hdtui.widgets import chart as charts
from hdtui.widgets.bars import progress_line
from hdtui.widgets.lines import BLANK, Line, Span, muted, wrapped
from hdtui.widgets.table import Column, TableRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.config.study import Measure, StudyConfig
    from engine.workers.studies.results import Result
    from engine.workers.studies.verdict import Answer, Summary

LIST_COLUMNS = (
    Column("state", "", 1, gap=1),
    Column("study", "study", 22, gap=1, middle=True),
    Column("preset", "preset", 6, gap=1, leaves_first=2),
    Column("seeds", "seeds", 5, True, gap=2, leaves_first=4),
    Column("runs", "runs", 9, True, gap=2, leaves_first=1),
    Column("progress", "progress", 14, gap=2),
    Column("answer", "answer", 16, grow=True, gap=0, leaves_first=3),
)
SEED_WIDTH, MEAN_WIDTH, LABEL_WIDTH = 9, 15, 20
_PROGRESS_WIDTH = 14
_ANSWER_ROLES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.OPEN: ("∙", "text"),
    Outcome.NOT_COMPARABLE: ("≠", "warn"),
    Outcome.TOO_SMALL: ("∙", "muted"),
    Outcome.UNMEASURED: ("∙", "muted"),
}
SEED_MARK, MEAN_MARK = "◦", "▪"


def list_columns(names: Sequence[str]) -> list[Column]:
    """The columns, the names of studies as wide as they are where that is not much."""
    longest = max((len(name) for name in names), default=0)
    return [
        replace(each, width=min(26, max(20, longest))) if each.key == "study" else each
        for each in LIST_COLUMNS
    ]


def list_row(view: StudyView | UnreadableStudy) -> TableRow:
    """A study that was begun."""
    if isinstance(view, UnreadableStudy):
        name = (Span(formatting.printable(view.name)),)
        words = (Span(formatting.printable(view.sentence), "bad"),)
        cells = ((Span("✗", "bad"),), name, *[BLANK] * 5)
        return TableRow(cells, instead=words, instead_from=2)
    finished = view.states[RunState.FINISHED]
    glyph, role = GLYPHS[view.state]
    return TableRow(
        (
            (Span(glyph, role),),
            (Span(view.study.name),),
            (Span(view.study.preset),),
            (Span(str(len(view.study.seeds))),),
            (Span(f"{finished} of {view.total}"),),
            _progress(view.progress, _PROGRESS_WIDTH),
            (Span(answered_words(view)),),
        )
    )


def declared_row(name: str, question: str) -> TableRow:
    """A study that can be begun."""
    cells = (BLANK, (Span(name),), *[BLANK] * 5)
    return TableRow(cells, instead=(muted(question),), instead_from=2)


def _progress(share: float, width: int) -> Line:
    words = formatting.percent(share).rjust(6)
    bar = progress_line(share, width - len(words))
    heavy = bar.rstrip("─")
    return (Span(heavy, "accent"), Span(bar[len(heavy) :], "muted"), Span(words))


def answered_words(view: StudyView) -> str:
    """What a study says in a few words: each outcome, the same ones counted."""
    if view.study.ranges:
        return f"{len(view.study.trials)} of {view.study.search.trials} trials"
    outcomes = [str(answer.decision.outcome) for answer in view.verdict.answers]
    words = []
    for outcome in dict.fromkeys(outcomes):
        number = outcomes.count(outcome)
        words.append(outcome if number == 1 else f"{number} {outcome}")
    return ", ".join(words) or "nothing is compared"


def states_words(view: StudyView) -> str:
    """How many runs of a study are in which state, what needs eyes first."""
    if not view.study.trained:
        left = len(view.uncounted)
        return f"{counted(left, 'network')} to be counted" if left else "counted, no runs"
    states = view.states
    words = [f"{states[state]} {state}" for state in EYES_FIRST if states[state]]
    words += [f"{len(view.plan.missing)} deleted"] if view.plan.missing else []
    return ", ".join([f"{states[RunState.FINISHED]} of {view.total} runs finished", *words])


def value_words(measure: Measure, value: float | None) -> str:
    """A measure as what it is: a return, a ratio, steps, a number of parameters."""
    if value is None:
        return formatting.UNKNOWN
    if measure.name == "return":
        return formatting.episode_return(value)
    if measure.name == "ratio":
        return formatting.ratio(value)
    if measure.name == "latency":
        return formatting.measure(value)
    if measure.name in ("steps_to_reach", "steps_to_earn_back"):
        return formatting.steps(value)
    return formatting.amount(value)


def mean_words(measure: Measure, found: Summary | None) -> str:
    """A mean with the half width of its interval where it has one."""
    if found is None:
        return formatting.UNKNOWN
    mean = found.mean
    words = value_words(measure, mean.value)
    if mean.low is None or mean.high is None or mean.high <= mean.low:
        return words
    return f"{words} ± {value_words(measure, (mean.high - mean.low) / 2)}"


def matrix_columns(
    view: StudyView, measure: Measure, width: int, seed_place: int
) -> tuple[list[Column], list[int]]:
    """The columns that fit, and the seeds that they show: those around the cursor's."""
    heading, labels = short_labels(view.study)
    longest = max([len(heading), *(len(label) for label in labels.values())])
    label_width = min(longest, max(LABEL_WIDTH, width // 3))
    means = [mean_words(measure, view.summary(label, measure)) for label in labels]
    mean_width = max([len("mean"), *(len(words) for words in means)])
    room = width - 2 - 2 - label_width - 2 - mean_width
    seeds = list(view.study.seeds)
    fitting = max(1, room // (SEED_WIDTH + 1))
    first = max(0, min(seed_place - fitting // 2, len(seeds) - fitting))
    shown = seeds[first : first + fitting]
    columns = [
        Column("glyph", "", 1, gap=1),
        Column("setting", heading, label_width, gap=2, middle=True),
        *(Column(f"s{seed}", f"s{seed}", SEED_WIDTH, True, gap=1) for seed in shown),
        Column("mean", "mean", mean_width, True, gap=0),
    ]
    columns[-2] = Column(columns[-2].key, columns[-2].title, SEED_WIDTH, True, gap=2)
    return columns, shown


def matrix_row(
    view: StudyView,
    label: str,
    name: str,
    measure: Measure,
    seeds: Sequence[int],
    at: int | None,
) -> TableRow:
    """A setting: a cell a seed, the one of seed ``at`` under the cursor, and the mean."""
    cells = [cell_line(view.result(label, seed), measure, seed == at) for seed in seeds]
    states = [view.result(label, seed).state for seed in view.study.seeds]
    known = view.study.trained or not view.uncounted
    glyph, role = GLYPHS[_together(states) if known else RunState.QUEUED]
    mean = mean_words(measure, view.summary(label, measure))
    return TableRow(
        (
            (Span(glyph, role),),
            (Span(name),),
            *cells,
            (Span(mean, "muted" if mean == formatting.UNKNOWN else "text"),),
        )
    )


def _together(states: Sequence[RunState]) -> RunState:
    """What several cells are together: what needs eyes first, finished last."""
    return next((state for state in EYES_FIRST if state in states), RunState.FINISHED)


def cell_line(result: Result, measure: Measure, at_cursor: bool) -> Line:
    """A cell's value; until it has one its state, with how far it is."""
    value = value_of(result, measure)
    if value is not None:
        words, role = value_words(measure, value), "text"
    else:
        glyph, role = GLYPHS[result.state]
        words = formatting.UNKNOWN
        if result.state is not RunState.FINISHED:
            share = formatting.percent(result.progress).rjust(5) if result.progress else ""
            words = f"{glyph}{share}"
    return (Span(words, f"{role} reverse" if at_cursor else role),)


def cell_words(result: Result) -> str:
    """What stands behind a cell, in a sentence."""
    runs = sorted({run.id for run in result.runs.values()})
    cell = result.cell
    name = f"{cell.combination.label} s{cell.seed}"
    if not cell.recipes:
        return f"{name}: counted from the network, no run stands behind it"
    if not runs:
        return f"{name}: its runs were deleted; R queues them again"
    listed = " ".join(map(str, runs[:8])) + (" …" if len(runs) > 8 else "")
    return f"{name}: {result.state} {formatting.percent(result.progress)}, runs {listed}"


def answer_lines(view: StudyView, width: int, most: int, rest: str) -> list[Line]:
    """Each answer as a sentence, wrapped; ``rest`` says where those are that have no room."""
    if view.said:
        words = wrapped(formatting.printable(view.said), max(10, width - 2))
        lines: list[Line] = [(Span(f" {row}"),) for row in words]
        return lines[:most]
    found = [line for answer in view.verdict.answers for line in sentence_lines(answer, width)]
    if len(found) > most:
        found = [*found[: max(0, most - 1)], (muted(f"   {rest}"),)]
    return found or [(muted(" This study compares nothing."),)]


def sentence_lines(answer: Answer, width: int) -> list[Line]:
    """An answer as a sentence behind the glyph of its outcome, wrapped."""
    glyph, role = _answer_glyph(answer)
    rows = wrapped(formatting.printable(answer.sentence), max(10, width - 4))
    return [
        (Span(f" {glyph} " if place == 0 else "   ", role), Span(row))
        for place, row in enumerate(rows)
    ]


def _answer_glyph(answer: Answer) -> tuple[str, str]:
    outcome, expected = answer.decision.outcome, answer.comparison.expected
    if outcome in VERDICTS:
        agrees = expected is None or expected == outcome
        return ("✓", "good") if agrees else ("✗", "bad")
    return _ANSWER_ROLES[outcome]


def evidence_lines(answer: Answer) -> list[str]:
    """What an answer rests on, beside its sentence."""
    words = []
    if answer.adjusted_p_value is not None:
        words.append(f"p {formatting.measure(answer.adjusted_p_value)} for all comparisons")
    if answer.improvement is not None:
        words.append(f"higher on a robot with probability {answer.improvement:.2f}")
    if answer.wins is not None:
        words.append(f"higher on {answer.wins[0]} of {answer.wins[1]} robots")
    if answer.first is not None and answer.second is not None:
        middle = [each.interquartile_mean.value for each in (answer.first, answer.second)]
        one, other = (value_words(answer.comparison.measure, value) for value in middle)
        words.append(f"interquartile means {one} and {other}")
    runs = " ".join(map(str, answer.runs[:6]))
    words += [f"runs {runs}{' …' if len(answer.runs) > 6 else ''}"] if answer.runs else []
    return words


def chart_spec(view: StudyView, measure: Measure) -> charts.ChartSpec:
    """A measure against the factor: means with intervals, and the seeds around them."""
    axis = axis_of(view.study)
    curves: list[charts.Curve] = []
    drawn: list[charts.Curve] = []
    letters = "abcdefghijklmnopqrstuvwxyz" if len(axis.groups) > 1 else ""
    for number, (_, labels) in enumerate(axis.groups):
        role = charts.CURVE_ROLES[number % len(charts.CURVE_ROLES)]
        known = [
            (axis.places[label], own) for label in labels if (own := view.summary(label, measure))
        ]
        known.sort(key=lambda each: each[0])
        if not known:
            continue
        for x, own in known:
            low, high = own.mean.low, own.mean.high
            if low is not None and high is not None and high > low:
                bar = Path((x, x), (low, high), (low, high), (low, high))
                curves.append(charts.Curve("", bar, "muted"))
            seeds = own.by_seed
            cloud = Path((x,) * len(seeds), seeds, seeds, seeds)
            curves.append(charts.Curve("", cloud, "muted", points=SEED_MARK))
        xs, ys = tuple(x for x, _ in known), tuple(own.mean.value for _, own in known)
        means = Path(xs, ys, ys, ys)
        if axis.numbers and len(known) > 1:
            curves.append(charts.Curve("", means, role))
        letter = letters[number % len(letters)] if letters else ""
        drawn.append(charts.Curve(letter, means, role, points=MEAN_MARK))
    return charts.ChartSpec(
        (*curves, *drawn),
        weight=0.0,
        log_x=axis.log,
        x_window=_window([place for place, _ in axis.ticks], axis.log),
        x_ticks=tuple((place, formatting.shorten(word, 14)) for place, word in axis.ticks),
    )


def _window(places: Sequence[float], log: bool) -> tuple[float, float]:
    """The limits of the x axis, with some room at both sides."""
    known = [math.log10(place) for place in places] if log else list(places)
    room = (max(known) - min(known)) * 0.08 or 0.5
    return min(known) - room, max(known) + room


def legend_words(study: StudyConfig) -> str:
    """What the letters of the chart mean; empty where there are none."""
    groups = axis_of(study).groups
    if len(groups) < 2:
        return ""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "  ".join(
        f"{letters[place % len(letters)]} {title}" for place, (title, _) in enumerate(groups)
    )


def plan_lines(kinds: Mapping[str, tuple[int, int]]) -> str:
    """How many runs of each kind would be made, and how many are there."""
    words = []
    for kind, (made, reused) in kinds.items():
        there = f" ({reused} there)" if reused else ""
        words.append(f"{counted(made, kind)}{there}")
    return " · ".join(words)
