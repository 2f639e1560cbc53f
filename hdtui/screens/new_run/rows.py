"""How the launch form writes settings, their help, and the estimate."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial

from engine.text import counted
from hdtui.actions.run_form import RunForm
from hdtui.data.forecast import estimate
from hdtui.data.form_choices import FormChoices
from hdtui.data.settings import FormRow, fields_of, limits_text
from hdtui.formatting import printable, setting, shorten, size, words_of
from hdtui.widgets.filter_row import FilterField, FilterRow
from hdtui.widgets.lines import BLANK, Line, Span, fit, line_width, wrapped
from hdtui.widgets.table import Column, Table, TableRow, fitting_columns

COLUMNS = (
    Column("mark", "", 1, gap=1),
    Column("key", "setting", 26, gap=1),
    Column("value", "value", 14, grow=True, gap=1),
    Column("base", "preset", 8, gap=0),
)
CURSOR_CELLS = 2
COMMAND_ROWS = 2
PROMPT_CELLS = 24
LOOK_EVERY_S, LOOKS = 0.1, 40
FIELD_KEYS = "enter takes it, esc leaves it"
TOP_HELP: Mapping[str, str] = {
    "name": "A name for the run; empty means preset, what it reads, robots and seed.",
    "study": "What question the run is part of; study:NAME finds its runs, Compare groups by it.",
    "from": "Numbers of the runs it reads; for an evaluation also random, zero or policy files.",
    "robots": "A robot set; evaluations and deployments take single robots as well. A pipeline can "
    "generate its own.",
    "into": "The robot set that is made; a generation also fills NAME-unseen, "
    "robots to be judged on and never trained on.",
    "preset": "smoke takes seconds, quick minutes, laptop an hour or two, paper days.",
}


class SettingField(FilterRow):
    """The row in which a setting is edited: esc brings back the text that was there."""

    before: str | None = None

    def edit_setting(self, key: str, text: str) -> None:
        """Edit the text of a setting, which is named; what is typed takes its place."""
        self.before = text
        self.set_text(text)
        self.set_prompt(f" {shorten(key, PROMPT_CELLS)}: ")
        self.set_facts(FIELD_KEYS, "accent")
        self.edit()

    def search(self, text: str) -> None:
        """Edit the words that settings are searched by, which esc leaves as they are."""
        self.show_search(text)
        self.edit()

    def show_search(self, text: str) -> None:
        """Show the words that settings are searched by."""
        self.before = None
        self.set_prompt()
        self.set_facts("")
        self.set_text(text)

    def on_filter_field_left(self, event: FilterField.Left) -> None:
        """Textual calls this before the handler of the row, which closes the field."""
        if self.before is not None:
            self.text = self.before


def put_cursor(table: Table, key: Hashable) -> None:
    """Put the cursor on a row that is still to be read, unless somebody moves it before."""
    stood = table.cursor_key

    def look(more: int) -> None:
        if table.cursor_key == stood and not table.move_to(key) and more:
            table.set_timer(LOOK_EVERY_S, partial(look, more - 1))

    look(LOOKS)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters, its end left out."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"[:width]


def cut_line(line: Line, width: int) -> Line:
    """A line in at most ``width`` characters, its end left out."""
    if line_width(line) <= width:
        return line
    return (*fit(line, max(0, width - 1)), Span("…", line[-1].role))


def columns_of(form: RunForm) -> tuple[Column, ...]:
    """The columns, the last one called after the run that the form clones."""
    title = form.base_label if form.clone else "preset"
    return (*COLUMNS[:-1], replace(COLUMNS[-1], title=cut(title, COLUMNS[-1].width)))


def setting_row(
    row: FormRow, form: RunForm, problems: Mapping[str, str], opened: set[str], width: int
) -> TableRow:
    """A setting with its value and the preset's, or a section; in a table of ``width`` cells."""
    drawn = _setting_row(row, form, problems, opened)
    widths = [cells for _, _, cells in fitting_columns(COLUMNS, width - CURSOR_CELLS)]
    cells = tuple(cut_line(cell, room) for cell, room in zip(drawn.cells, widths, strict=True))
    after_key = sum(widths[2:]) + COLUMNS[2].gap
    return replace(drawn, cells=cells, instead=cut_line(drawn.instead, after_key))


def _setting_row(
    row: FormRow, form: RunForm, problems: Mapping[str, str], opened: set[str]
) -> TableRow:
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
    value = printable(str(row.value)) or _unset_text(row.key, form)
    shown: Line = (Span(f"{value} ✗" if wrong else value, "bad" if wrong else "text"),)
    upper = row.key in TOP_HELP
    return TableRow(
        cells=(
            (Span("≠" if changed_here else " ", "warn"),),
            (Span(f"{indent}{name}"),),
            shown,
            () if upper else (Span(setting(row.base), "muted"),),
        ),
        instead=shown if upper else BLANK,  # no base stands beside it: it has the room of both
        instead_from=2,
    )


def _unset_text(key: str, form: RunForm) -> str:
    """What stands where nothing was typed."""
    if key == "name":
        return form.automatic_name if form.clone else "automatic"
    return "none" if key == "study" else "·"


def _top_help(key: str, form: RunForm) -> str:
    if form.clone is None:
        return TOP_HELP[key]
    number = form.clone.id
    if key == "preset":
        return (
            f"The settings are those of run {number}; this is the preset that they differ least"
            " from, which the command starts from. To choose one is to take its settings instead."
        )
    if key == "name":
        return f"A name for the run; empty means that of run {number}, with what differs."
    return TOP_HELP[key]


def about_lines(
    form: RunForm, key: str, problems: Mapping[str, str], known: FormChoices, width: int
) -> list[Line]:
    """What the setting under the cursor means, may be, and what is wrong with it."""
    room = max(10, width - 2)
    lines: list[Line] = [(Span(f" {key}", "bold"),), BLANK]
    if key in TOP_HELP:
        lines += [(Span(f" {row}"),) for row in wrapped(_top_help(key, form), room)]
    elif key:
        lines += _schema_lines(form, key, room)
    if key in problems:
        lines.append(BLANK)
        lines += [(Span(f" {row}", "bad"),) for row in wrapped(f"✗ {problems[key]}", room)]
    for name in words_of(form.robots) if key == "robots" and form.kind.learns else ():
        words = f"⚠ {known.warnings[name]}" if name in known.warnings else ""
        lines += [BLANK, *((Span(f" {row}", "warn"),) for row in wrapped(words, room))]
    return [cut_line(line, max(1, width)) for line in lines]


def _schema_lines(form: RunForm, key: str, room: int) -> list[Line]:
    base = form.base()
    try:
        info = fields_of(type(base), key)
    except KeyError:
        return []
    lines: list[Line] = [(Span(f" {row}"),) for row in wrapped(info.description or "", room)]
    row = next((row for row in form.rows(set()) if row.key == key), None)
    if row is not None and row.section:
        return lines
    lines += [(Span(f" {words}", "muted"),) for words in wrapped(limits_text(info), room)]
    return lines


def command_rows(command: str, width: int) -> str:
    """The command in the rows that it has, the end of a longer one left out."""
    room = max(10, width - 2)
    rows = [cut(row, room) for row in wrapped(command, room)]
    if len(rows) > COMMAND_ROWS:
        last = f"{rows[COMMAND_ROWS - 1]} …"
        rows[COMMAND_ROWS - 1 :] = [cut(last, room)]
    return "\n".join(rows)


def estimate_lines(known: FormChoices, form: RunForm, width: int) -> list[Line]:
    """Time from past runs, or why there is none."""
    return [cut_line(line, max(1, width)) for line in _estimate_lines(known, form)]


def _estimate_lines(known: FormChoices, form: RunForm) -> list[Line]:
    found = estimate(known, form.stage, form.preset, form.length)
    free = f", {size(known.free_bytes)} free" if known.free_bytes is not None else ""
    if found is None:
        words = "no like run yet tells how long it takes; it starts when a slot is free"
        return [(Span(f" {words}", "muted"),)]
    source = "pipeline" if form.stage == "pipeline" else "run"
    runs = f"from {counted(found.num_runs, f'like {source}')}"
    return [(Span(f" {found.words()}{free} · {runs}"),)]
