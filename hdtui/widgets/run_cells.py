"""Cells of runs: glyphs, progress, results, as every list of runs shows them."""

from datetime import datetime

from db.records import Run
from hdtui.data.run_states import RunView, elapsed_s, left_s
from hdtui.formatting import (
    UNKNOWN,
    duration,
    episode_return,
    measure,
    percent,
    printable,
    rate,
    ratio,
    steps,
)
from hdtui.widgets.bars import progress_line
from hdtui.widgets.lines import Line, Span

RETURNS = ("return", "sampled_return")
COUNTED = {"robots": "robot", "mutants": "mutant", "samples": "sample", "policies": "policy"}
"""Results that count something, and its name where there is one."""


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


def done_text(run: Run) -> str:
    """``1.0M of 2.0M``, or what is known of it."""
    if run.done is None:
        return UNKNOWN
    return f"{steps(run.done)} of {steps(run.total)}" if run.total else steps(run.done)


def rate_text(run: Run) -> str:
    """Units a second while the run works."""
    return rate(run.rate) if run.state.active else UNKNOWN


def left_text(run: Run) -> str:
    """Time left while the run works."""
    return duration(left_s(run))


def took_text(run: Run, now: datetime) -> str:
    """How long the run works or worked."""
    return duration(elapsed_s(run, now))


def headline_text(run: Run) -> str:
    """The headline: its number as what it is, or the words for it where there is none."""
    if run.result is not None:
        return result_number(run.result_kind, run.result)
    return printable(run.result_text) if run.result_text else UNKNOWN


def result_number(kind: str | None, value: float) -> str:
    """A result as what it is: 1 395, 0.93, 0.013, 12 robots."""
    if kind in RETURNS:
        return episode_return(value)
    if kind == "ratio":
        return ratio(value)
    if kind in COUNTED:
        return f"{steps(value)} {COUNTED[kind] if value == 1 else kind}"
    return measure(value)


def number(value: str) -> Line:
    """A cell with a number; unknown steps back."""
    return (Span(value, "muted" if value == UNKNOWN else "text"),)
