"""How the launch form writes settings, their help, and the estimate."""

from collections.abc import Mapping

from hdtui.formatting import printable, setting, size
from hdtui.services.estimate import estimate
from hdtui.services.known_runs import Known
from hdtui.services.launch import LaunchForm
from hdtui.services.settings_schema import SettingRow, fields_of, limits_words
from hdtui.widgets.lines import BLANK, Line, Span, wrapped
from hdtui.widgets.table import Column, TableRow

COLUMNS = (
    Column("mark", "", 1, gap=1),
    Column("key", "setting", 26, gap=1),
    Column("value", "value", 14, grow=True, gap=1),
    Column("base", "preset", 8, gap=0),
)
TOP_HELP: Mapping[str, str] = {
    "name": "A name for the run; empty means preset, robots and seed.",
    "from": "Numbers of the runs it reads; for an evaluation also random or zero.",
    "robots": "A robot set; Robots (3) lists them. A pipeline can generate its own.",
    "into": "The robot set that is made; a generation also fills NAME-unseen, "
    "robots to be judged on and never trained on.",
    "preset": "smoke takes seconds, quick minutes, laptop an hour or two, paper days.",
}


def setting_row(
    row: SettingRow, form: LaunchForm, problems: Mapping[str, str], opened: set[str]
) -> TableRow:
    """A setting with its value and the preset's, or a section."""
    indent = "  " * row.depth
    if row.section:
        sign = "-" if row.key in opened else "+"
        count = f"{row.num_settings}"
        changed = f", {row.num_changed} changed" if row.num_changed else f" as in {form.base_label}"
        words = "" if row.key in opened else f"{count}{changed}"
        return TableRow(
            cells=(
                (Span(sign, "accent"),),
                (Span(f"{indent}{row.key.rsplit('.', 1)[-1]}", "text bold"),),
                (Span(words, "muted"),),
                (),
            ),
            instead=(Span(words, "muted"),) if words else BLANK,
            instead_from=2,
        )
    name = row.key if row.key in TOP_HELP else row.key.rsplit(".", 1)[-1]
    wrong = row.key in problems
    changed_here = row.key in form.raw
    value = printable(str(row.value)) or ("automatic" if row.key == "name" else "·")
    return TableRow(
        cells=(
            (Span("≠" if changed_here else " ", "warn"),),
            (Span(f"{indent}{name}"),),
            (Span(f"{value} ✗" if wrong else value, "bad" if wrong else "text"),),
            (Span("" if row.key in TOP_HELP else setting(row.base), "muted"),),
        )
    )


def about_lines(form: LaunchForm, key: str, problems: Mapping[str, str], width: int) -> list[Line]:
    """What the setting under the cursor means, may be, and what is wrong with it."""
    room = max(10, width - 2)
    lines: list[Line] = [(Span(f" {key}", "bold"),), BLANK]
    if key in TOP_HELP:
        lines += [(Span(f" {row}"),) for row in wrapped(TOP_HELP[key], room)]
    elif key:
        lines += _schema_lines(form, key, room)
    if key in problems:
        lines.append(BLANK)
        lines += [(Span(f" {row}", "bad"),) for row in wrapped(f"✗ {problems[key]}", room)]
    return lines


def _schema_lines(form: LaunchForm, key: str, room: int) -> list[Line]:
    base = form.base()
    try:
        info = fields_of(type(base), key)
    except KeyError:
        return []
    lines: list[Line] = [(Span(f" {row}"),) for row in wrapped(info.description or "", room)]
    row = next((row for row in form.rows(set()) if row.key == key), None)
    if row is not None and row.section:
        return lines
    lines += [(Span(f" {words}", "muted"),) for words in wrapped(limits_words(info), room)]
    return lines


def estimate_lines(known: Known, form: LaunchForm) -> list[Line]:
    """Time from past runs, or why there is none."""
    found = estimate(known, form)
    free = f", {size(known.free_bytes)} free" if known.free_bytes is not None else ""
    if found is None:
        words = "no like run yet tells how long it takes; it starts when a slot is free"
        return [(Span(f" {words}", "muted"),)]
    source = "pipeline" if form.stage == "pipeline" else "run"
    runs = f"from {found.num_runs} like {source}{'' if found.num_runs == 1 else 's'}"
    return [(Span(f" {found.words()}{free} · {runs}"),)]
