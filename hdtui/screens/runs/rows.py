"""How the list of runs writes its columns, its groups and what stands behind a run."""

from collections.abc import Sequence
from datetime import datetime

from engine.text import counted
from hdtui import formatting
from hdtui.data import cockpit as cockpit_data
from hdtui.data import run_list, run_states
from hdtui.data.run_views import reads
from hdtui.widgets import run_cells
from hdtui.widgets import table as tables
from hdtui.widgets.lines import Line, Span, line_width, wrapped

DEFAULT_COLUMNS = ("kind", "name", "result", "state", "took")
FILTER_NOTES = (
    "Filter\n"
    "kind:teacher state:running return>1000 took<10m steps>1M started>2026-11-20\n"
    'ppo.learning_rate>=1e-4 tag:paper "free text"   - before a term: not, | : or\n'
    "return ratio unseen: as evaluations found, on one set of robots, task and episodes:\n"
    "that of the pinned run, else of most runs; training: a teacher's while it learned\n"
    "archived:yes shows the archived runs; A on one brings it back",
)


class RowWriter:
    """Writes rows of the list for the columns that are shown."""

    def __init__(self, cockpit: cockpit_data.Cockpit) -> None:
        self.cockpit = cockpit
        self.facts: run_list.RunList | None = None

    def columns(self, names: Sequence[str], sort_key: str, descending: bool) -> list[tables.Column]:
        """Glyph and number, then the columns; the sorted one carries its arrow and never leaves."""
        arrow = " ↓" if descending else " ↑"
        crowded = len(names) > len(DEFAULT_COLUMNS)
        columns = [
            tables.Column("glyph", "", 1, gap=1),
            tables.Column("id", f"id{arrow}" if sort_key == "id" else "id", 4, gap=1),
        ]
        for place, name in enumerate(names):
            known = run_list.column_of(name)
            width, leaves = known.width, known.leaves_first
            leaves = 3 + place if leaves is None else leaves
            leaves = 2 * len(names) if crowded and name == "took" else leaves
            sorts = name == sort_key
            title = f"{formatting.shorten(name, 14)}{arrow}" if sorts else name
            width = max(width, min(16, len(title)))
            growing, leaves = name == "name", 0 if sorts else leaves
            columns.append(
                tables.Column(name, title[:width], width, known.right, growing, 2, leaves)
            )
        return columns

    def row(self, each: run_states.RunView, names: Sequence[str]) -> tables.TableRow:
        """A run."""
        key = each.run.id
        cells = [run_cells.glyph_cell(each), run_cells.number(str(key))]
        cells += [self._cell(each, name) for name in names]
        mark = "P" if key == self.cockpit.pinned_run else " "
        return tables.TableRow(tuple(cells), mark="*" if key in self.cockpit.marked_runs else mark)

    def group_row(
        self, group: run_list.RunGroup, names: Sequence[str], *, folded: bool
    ) -> tables.TableRow:
        """The title of a group, how many runs it has, and the mean of what they reached."""
        sign = "+" if folded else "-"
        words = f" · {counted(len(group.views), 'run')}{_reached_text(group)}"
        title: Line = (
            Span(f"{sign} {formatting.printable(group.title)}", "bold"),
            Span(words, "muted"),
        )
        empty = tuple(() for _ in range(len(names) + 2))
        marked = all(each.run.id in self.cockpit.marked_runs for each in group.views)
        return tables.TableRow(cells=empty, instead=title, mark="*" if marked else " ")

    def _cell(self, each: run_states.RunView, name: str) -> Line:
        run = each.run
        if name == "name":
            return (Span(formatting.printable(run.name)),)
        if name == "state":
            return (Span(each.shown, each.role if each.shown != "finished" else "text"),)
        if name == "result":
            return run_cells.number(formatting.shorten(run_cells.headline_text(run), 14))
        value = run_list.field_value(self.facts, each, name) if self.facts else None
        if value is None:
            return run_cells.number(formatting.UNKNOWN)
        if isinstance(value, datetime):
            return run_cells.number(formatting.moment(value, cockpit_data.now()))
        return run_cells.number(run_list.column_of(name).text(value))


def _reached_text(group: run_list.RunGroup) -> str:
    over, run = group.over_runs, group.views[0].run
    if over is None or over.count < 2 or run.result_kind in run_cells.COUNTED:
        return ""
    if run.result_kind in run_cells.RETURNS:
        return f" · mean {formatting.episode_return(over.mean, over.half_width)}"
    mean, half = (
        run_cells.result_number(run.result_kind, each or 0.0)
        for each in (over.mean, over.half_width)
    )
    return f" · mean {mean} ± {half}"


def group_lines(group: run_list.RunGroup, width: int) -> tuple[str, str, list[Line]]:
    """Title, facts and lines about the group under the cursor: its runs and what they reached."""
    ids = " ".join(str(each.run.id) for each in group.views)
    rows = wrapped(f"runs {ids}", max(20, width - 5))[:2]
    over = group.over_runs
    facts = f"95 % t interval over {over.count} runs" if over and over.count > 1 else ""
    lines: list[Line] = [(Span(f" {row}"),) for row in rows]
    lines.append((Span(" space marks them all, enter folds", "muted"),))
    return formatting.printable(group.title), facts, lines


def preview_lines(
    each: run_states.RunView | None, facts: run_list.RunList | None, width: int
) -> tuple[str, str, list[Line]]:
    """Title, facts and up to three lines about the run under the cursor: state and relatives."""
    if each is None or facts is None:
        return "", "", []
    run = each.run
    title = f"{run.id} {run.kind} {formatting.printable(run.name)}"
    rows = wrapped(formatting.printable(each.sentence), max(20, width - 5))
    state: list[Line] = [(Span(f" {each.glyph} ", each.role), Span(rows[0]))]
    state += [(Span(f"   {row}"),) for row in rows[1:2]]
    relatives = _relatives(each, facts)
    notes = []
    if run.tags:
        notes.append(f"tags {' '.join(formatting.printable(tag) for tag in run.tags)}")
    if run.note:
        notes.append(f"note {formatting.printable(run.note)}")
    if run.result_text:
        notes.append(formatting.printable(run.result_text))
    words = " · ".join(notes)
    room = width - line_width(relatives) - 4
    lines: list[Line] = [*state, (*relatives, Span("   " + words, "muted"))]
    if len(words) > room and len(state) == 1:
        lines = [*state, relatives, (Span(f" {formatting.shorten(words, width - 2)}", "muted"),)]
    return (
        title,
        formatting.date_and_time(run.started_at or run.created_at, cockpit_data.now()),
        lines,
    )


def _relatives(each: run_states.RunView, facts: run_list.RunList) -> Line:
    """``unimal8 → 184 teacher → [187] → 188 189``: what it reads and who reads it."""
    run = each.run
    spans: list[Span] = [Span(" ")]
    kinds = {other.run.id: str(other.run.kind) for other in facts.views}
    sets = " ".join(formatting.printable(name) for name in run.robot_sets)
    if sets:
        spans += [Span(sets), Span(" → ", "muted")]
    if run.inputs:
        spans.append(Span(" ".join(f"{i} {kinds.get(i, '')}".strip() for i in run.inputs)))
        spans.append(Span(" → ", "muted"))
    spans.append(Span(f"[{run.id}]", "accent"))
    children = [other.run.id for other in facts.views if run.id in other.run.inputs]
    if children:
        spans += [Span(" → ", "muted"), Span(" ".join(str(child) for child in sorted(children)))]
    return tuple(spans)


def side_lines(each: run_states.RunView | None, facts: run_list.RunList, width: int) -> list[Line]:
    """A column about a run: its state, result, notes, relatives and main settings."""
    if each is None:
        return []
    run, at, room = each.run, cockpit_data.now(), max(16, width - 4)
    rows = wrapped(formatting.printable(each.sentence), room)
    lines: list[Line] = [(Span(f" {each.glyph} ", each.role), Span(rows[0]))]
    lines += [(Span(f"   {row}"),) for row in rows[1:]]
    for title, words in (
        ("result", run.result_text or ""),
        ("tags", " ".join(run.tags)),
        ("note", run.note or ""),
        ("robots", " ".join(run.robot_sets)),
        ("began", formatting.date_and_time(run.started_at, at)),
        ("where", f"{run.host}, {run.device}, attempt {run.attempt}"),
        ("seed", str(run.seed)),
    ):
        for place, row in enumerate(
            wrapped(formatting.printable(words), room - 7) if words else []
        ):
            lines.append((Span(f" {title if not place else '':<8}", "muted"), Span(row)))
    lines.append(())
    if run.waits_for != run.inputs:
        lines += [(Span(" reads   ", "muted"), Span(row)) for row in wrapped(reads(run), room - 7)]
    above = [other for other in facts.views if other.run.id in run.inputs]
    below = [other for other in facts.views if run.id in other.run.inputs]
    lines += _relative_lines("from", above)
    return lines + _relative_lines("to", below)


def _relative_lines(title: str, others: Sequence[run_states.RunView]) -> list[Line]:
    lines: list[Line] = []
    for place, other in enumerate(sorted(others, key=_number)[:6]):
        name = f"{other.run.id} {other.run.kind} {run_cells.headline_text(other.run)}"
        words = title if place == 0 else ""
        lines.append(
            (Span(f" {words:<8}", "muted"), Span(f"{other.glyph} ", other.role), Span(name))
        )
    return lines


def _number(each: run_states.RunView) -> int:
    return each.run.id
