"""Cells of runs: glyphs, progress, results, as every list of runs shows them."""

import re
from datetime import datetime

from db.records import Run, RunKind
from hdtui.formatting import (
    UNKNOWN,
    duration,
    episode_return,
    grouped,
    measure,
    percent,
    printable,
    rate,
    steps,
)
from hdtui.services.states import RunView, elapsed_s, left_s
from hdtui.widgets.bars import progress_line
from hdtui.widgets.lines import Line, Span

RETURN_KINDS = (RunKind.TEACHER, RunKind.EVALUATION)
COUNTING_KINDS = (
    RunKind.GENERATION,
    RunKind.MUTATION,
    RunKind.COLLECTION,
    RunKind.DEPLOYMENT,
)
_CLAUSE = re.compile(r" of | and |, |: ")


def glyph_cell(view: RunView) -> Line:
    """The state in one cell."""
    return (Span(view.glyph, view.role),)


def progress_cell(run: Run, width: int) -> Line:
    """``━━━─── 50 %`` in ``width`` cells."""
    if run.progress is None:
        return (Span(UNKNOWN, "muted"),)
    words = percent(run.progress).rjust(5)
    bar = progress_line(run.progress, width - len(words))
    heavy = bar.rstrip("─")
    return (Span(heavy, "accent"), Span(bar[len(heavy) :], "muted"), Span(words))


def done_words(run: Run) -> str:
    """``1.0M of 2.0M``, or what is known of it."""
    if run.done is None:
        return UNKNOWN
    return f"{steps(run.done)} of {steps(run.total)}" if run.total else steps(run.done)


def rate_words(run: Run) -> str:
    """Units a second while the run works."""
    return rate(run.rate) if run.state.active else UNKNOWN


def left_words(run: Run) -> str:
    """Time left while the run works."""
    return duration(left_s(run))


def took_words(run: Run, now: datetime) -> str:
    """How long the run works or worked."""
    return duration(elapsed_s(run, now))


def result_words(run: Run) -> str:
    """The headline: a return as a whole number, another number as it is, or the words for it."""
    if run.result_text and run.kind in COUNTING_KINDS:
        return printable(_CLAUSE.split(run.result_text)[0])
    if run.result is not None:
        if run.kind is RunKind.EVALUATION and " keeps " in (run.result_text or ""):
            return f"{run.result:.2f}"
        if run.kind in RETURN_KINDS:
            return episode_return(run.result)
        if run.result == round(run.result):
            return grouped(run.result)
        return measure(run.result)
    return printable(run.result_text) if run.result_text else UNKNOWN


def number(value: str) -> Line:
    """A cell with a number; unknown steps back."""
    return (Span(value, "muted" if value == UNKNOWN else "text"),)
