"""A list with columns, a cursor and marks that sends only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from hdtui.formatting import shorten
from hdtui.widgets.lines import (
    BLANK,
    ELLIPSIS,
    Line,
    Span,
    emboldened,
    fit,
    left_and_right,
    line_width,
    refresh_changes,
    restyled,
    strip_of,
    wrapped,
)

if TYPE_CHECKING:
    from textual.events import Blur, Click, Focus, MouseScrollDown, MouseScrollUp
    from textual.strip import Strip


@dataclass(frozen=True)
class Column:
    """A column of a table. Without ``grow`` it is ``width`` cells wide and ``gap`` more.

    Where the table is too narrow, columns with the highest ``leaves_first`` go first; 0 stays.
    What grows shrinks last. A cell that does not fit ends in ``…``, or has it in the ``middle``;
    a number at the right becomes ``…``, for its first digits would be another number.
    """

    key: str
    title: str
    width: int
    right: bool = False
    grow: bool = False
    gap: int = 2
    leaves_first: int = 0
    middle: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row: one line per column, or ``instead`` from ``instead_from`` on (a sentence)."""

    cells: tuple[Line, ...]
    mark: str = " "
    instead: Line = BLANK
    instead_from: int = 0
    selectable: bool = True


LEAST_CELLS = 8
RowSource = Callable[[int], TableRow]


def fitting_columns(columns: Sequence[Column], width: int) -> list[tuple[int, Column, int]]:
    """Index, column and width of the columns that fit into ``width`` cells."""
    kept = list(enumerate(columns))
    while len(kept) > 1 and _needed(kept) > width:
        leaver = max(kept, key=lambda item: (item[1].leaves_first, item[0]))
        if leaver[1].leaves_first == 0:
            break
        kept.remove(leaver)
    spare = width - _needed(kept)
    growing = next((index for index, column in kept if column.grow), None)
    return [
        (
            index,
            column,
            max(min(column.width, LEAST_CELLS), column.width + spare)
            if index == growing
            else column.width,
        )
        for index, column in kept
    ]


def _needed(columns: Sequence[tuple[int, Column]]) -> int:
    if not columns:
        return 0
    return sum(column.width + column.gap for _, column in columns) - columns[-1][1].gap


def cell_line(content: Line, column: Column, width: int) -> Line:
    """A cell's content cut or padded to its column, to the right where the column says so."""
    if line_width(content) > width:
        content = _cut(content, column, width)
    if column.right:
        pad = width - line_width(content)
        content = (Span(" " * pad), *content) if pad > 0 else content
    return fit(content, width, ELLIPSIS)


def _cut(content: Line, column: Column, width: int) -> Line:
    text = "".join(span.text for span in content)
    if column.middle:
        return (Span(shorten(text, width), content[0].role),)
    if column.right and any(letter.isdigit() for letter in text):
        return (Span(ELLIPSIS, "muted"),)
    return content


_MOVES = Binding.Group("j k")


class Table(Widget, can_focus=True):
    """Rows by key; the cursor stays with its row when rows move."""

    DEFAULT_CSS = "Table { height: 1fr; width: 1fr; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "j,down", "move(1)", "choose", tooltip="move in lists; PgUp PgDn Home End", group=_MOVES
        ),
        Binding("up,k", "move(-1)"),
        Binding("pagedown", "page(1)"),
        Binding("pageup", "page(-1)", "older"),
        Binding("home", "jump(0)"),
        Binding("end", "jump(-1)"),
    ]

    class Moved(Message):
        """The cursor is on another row, or on None where there is none."""

        def __init__(self, table: Table, key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> Table:
            return self.table

    class Chosen(Message):
        """Enter, or a click on the cursor's row."""

        def __init__(self, table: Table, key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> Table:
            return self.table

    class Heading(Message):
        """A heading was clicked."""

        def __init__(self, table: Table, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> Table:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        header: bool = True,
        empty: str = "",
        widget_id: str | None = None,
    ) -> None:
        super().__init__(id=widget_id)
        self.columns = tuple(columns)
        self.header = header
        self.empty = empty
        self.keys: list[Hashable] = []
        self.cursor = 0
        self.top_row = 0
        self.stale = False
        self.focused = False
        self._at_top = True
        self._num_new = 0
        self._row_of: RowSource = _no_rows
        self._drawn: list[Line] = []
        self._drawn_size = Size()

    @property
    def cursor_key(self) -> Hashable:
        """The key of the cursor's row, None in an empty table."""
        return self.keys[self.cursor] if 0 <= self.cursor < len(self.keys) else None

    @property
    def num_visible(self) -> int:
        """How many rows fit below the heading."""
        return max(1, self.size.height - int(self.header))

    def set_rows(
        self,
        keys: Sequence[Hashable],
        row_of: RowSource,
        *,
        columns: Sequence[Column] | None = None,
        empty: str | None = None,
    ) -> None:
        """Show rows; ``row_of`` draws the row at an index and is asked for visible rows only.

        It is asked again at any later moment, by a resize or a key: it draws from what was read
        together with ``keys``, never from what the screen holds by then. For the same reason
        ``columns`` and the sentence for ``empty`` lists come with the rows, all at once.

        A cursor that was put on the first row goes back there when new rows above would push it
        out of sight, or at once where the focus is elsewhere.
        """
        self.columns = self.columns if columns is None else tuple(columns)
        self.empty = self.empty if empty is None else empty
        old_key, old_keys = self.cursor_key, self.keys
        self.keys = list(keys)
        self._row_of = row_of
        if old_key in self.keys:
            self.cursor = self.keys.index(old_key)
        if self._at_top and (not self.focused or self.cursor >= self.num_visible):
            self.cursor = self.top_row = 0
        self._count_new(old_key, old_keys)
        self.cursor = max(0, min(self.cursor, len(self.keys) - 1))
        if self.cursor_key != old_key:
            self.post_message(self.Moved(self, self.cursor_key))
        self.redraw()

    def _count_new(self, old_key: Hashable, old_keys: Sequence[Hashable]) -> None:
        """Count the rows that came above a cursor that stays below the first ones."""
        above = self.keys[: self.cursor]
        if not above or old_key not in self.keys:
            self._num_new = 0
        elif above[0] not in old_keys:
            self._num_new += len(set(above).difference(old_keys))

    def texts(self) -> tuple[list[str], list[list[str]]]:
        """Headings and the words of every row, for a file."""
        rows = [self._row_of(index) for index in range(len(self.keys))]
        headings = [column.title.strip(" ↓↑") or column.key for column in self.columns]
        return headings, [[_words(cell) for cell in row.cells] for row in rows if row.cells]

    def set_stale(self, stale: bool) -> None:
        """Draw everything muted: the data is old."""
        if stale != self.stale:
            self.stale = stale
            self.redraw()

    def move_to(self, key: Hashable) -> bool:
        """Put the cursor on the row with this key; False where there is none."""
        if key not in self.keys:
            return False
        self._go(self.keys.index(key))
        return True

    def to_top(self) -> None:
        """Forget the row of the cursor: the next rows are shown from the first one on."""
        self.keys, self.cursor = [], 0
        self._at_top, self._num_new = True, 0

    def redraw(self) -> None:
        """Compose the visible rows and send the cells that differ from the last picture."""
        old, self._drawn = self._drawn, self._compose_lines()
        drawn_size, self._drawn_size = self._drawn_size, self.size
        if drawn_size != self.size:
            self.refresh()
        else:
            refresh_changes(self, old, self._drawn)

    def render_line(self, y: int) -> Strip:
        spans = self._drawn[y] if y < len(self._drawn) else BLANK
        return strip_of(self, spans, self.size.width)

    def _compose_lines(self) -> list[Line]:
        self._scroll_to_cursor()
        width = self.size.width
        fitted = fitting_columns(self.columns, width - 2)
        lines = [self._heading(fitted)] if self.header else []
        if not self.keys:
            return [*lines, *_sentence_rows(self.empty, width)]
        last = min(len(self.keys), self.top_row + self.num_visible)
        rows = [self._row_line(i, fitted, width) for i in range(self.top_row, last)]
        if self.top_row == 0:
            self._num_new = 0
        elif self._num_new and not self.header:
            told: Line = (Span(f"  {self._num_new} newer above ", "muted"),)
            rows[0] = left_and_right(rows[0], told, width)
        return [*lines, *rows]

    def _heading(self, fitted: Sequence[tuple[int, Column, int]]) -> Line:
        spans: list[Span] = [Span("  ")]
        for _, column, width in fitted:
            spans += cell_line((Span(column.title, "muted"),), column, width)
            spans.append(Span(" " * column.gap))
        return tuple(spans)

    def _row_line(self, index: int, fitted: Sequence[tuple[int, Column, int]], width: int) -> Line:
        row = self._row_of(index)
        spans: list[Span] = []
        for place, column, cell_width in fitted:
            if row.instead and place >= row.instead_from:
                spans += row.instead
                break
            spans += cell_line(row.cells[place], column, cell_width)
            spans.append(Span(" " * column.gap))
        body = fit(tuple(spans), max(0, width - 2), ELLIPSIS)
        at_cursor = index == self.cursor
        if at_cursor:
            body = emboldened(body)
        if self.stale:
            body = restyled(body, "muted")
        cursor = " " if not at_cursor else "▌" if self.focused else "▏"
        return (Span(cursor, "accent bold"), Span(row.mark, "accent bold"), *body)

    def _scroll_to_cursor(self) -> None:
        visible = self.num_visible
        self.top_row = max(0, min(self.top_row, len(self.keys) - visible))
        if self.cursor < self.top_row:
            self.top_row = self.cursor
        elif self.cursor >= self.top_row + visible:
            self.top_row = self.cursor - visible + 1

    def _go(self, index: int) -> None:
        if not self.keys:
            return
        target = max(0, min(index, len(self.keys) - 1))
        step = 1 if target >= self.cursor else -1
        while not self._row_of(target).selectable and 0 <= target + step < len(self.keys):
            target += step
        if target == self.cursor or not self._row_of(target).selectable:
            return
        self.cursor = target
        self._at_top = target == 0
        self.redraw()
        self.post_message(self.Moved(self, self.cursor_key))

    def action_move(self, rows: int) -> None:
        self._go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * self.num_visible)

    def action_jump(self, where: int) -> None:
        self._go(0 if where == 0 else len(self.keys) - 1)

    def action_choose(self) -> None:
        if self.cursor_key is not None:
            self.post_message(self.Chosen(self, self.cursor_key))

    def on_resize(self) -> None:
        self.redraw()

    def on_focus(self, event: Focus) -> None:
        self.focused = True
        self.redraw()

    def on_blur(self, event: Blur) -> None:
        self.focused = False
        self.redraw()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._go(self.cursor + 3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._go(self.cursor - 3)

    def on_click(self, event: Click) -> None:
        if self.header and event.y == 0:
            self._click_heading(event.x)
            return
        index = self.top_row + event.y - int(self.header)
        if index >= len(self.keys):
            return
        if index == self.cursor:
            self.action_choose()
        else:
            self._go(index)

    def _click_heading(self, x: int) -> None:
        left = 2
        for _, column, width in fitting_columns(self.columns, self.size.width - 2):
            left += width + column.gap
            if x < left:
                self.post_message(self.Heading(self, column.key))
                return


def _no_rows(index: int) -> TableRow:
    raise IndexError(index)


def _sentence_rows(sentence: str, width: int) -> list[Line]:
    if not sentence:
        return []
    return [BLANK, *[(Span(f"  {row}", "muted"),) for row in wrapped(sentence, width - 4)]]


def _words(cell: Line) -> str:
    return "".join(span.text for span in cell).strip()
