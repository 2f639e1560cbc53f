"""Lines of coloured text that send only the cells that changed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from hdtui.widgets.ascii import ascii_line
from hdtui.widgets.roles import app_style


class Span(NamedTuple):
    """A piece of a line: its text and the role that colours it."""

    text: str
    role: str = "text"


Line = tuple[Span, ...]
BLANK: Line = ()


def line(*parts: Span | str) -> Line:
    """A line of spans; plain strings get the role ``text``."""
    return tuple(part if isinstance(part, Span) else Span(part) for part in parts if part)


def muted(text: str) -> Span:
    """A span that steps back: units, rules, old data."""
    return Span(text, "muted")


def line_width(spans: Line) -> int:
    """Cells that a line takes."""
    return sum(cell_len(span.text) for span in spans)


ELLIPSIS = "…"
_EMPTY = " ─━-"
"""What may be cut off without a word: space, and the strokes of a rule."""


def fit(spans: Line, width: int, end: str = "") -> Line:
    """The line padded with spaces to exactly ``width`` cells, or cut, with ``end`` as its last."""
    spare = width - line_width(spans)
    if spare >= 0:
        return (*spans, Span(" " * spare)) if spare else tuple(spans)
    kept = _first_cells(spans, width)
    if not end or _words(spans) == _words(kept):
        return kept
    kept = _first_cells(spans, width - len(end))
    return (*kept, Span(end[: max(0, width)], kept[-1].role if kept else spans[0].role))


def _first_cells(spans: Line, width: int) -> Line:
    room = max(0, width)
    kept: list[Span] = []
    for span in spans:
        length = cell_len(span.text)
        if length > room:
            kept.append(Span(set_cell_size(span.text, room), span.role))
            break
        kept.append(span)
        room -= length
    return tuple(kept)


def _words(spans: Line) -> str:
    return "".join(span.text for span in spans).rstrip(_EMPTY)


def left_and_right(left: Line, right: Line, width: int) -> Line:
    """``left`` at the left edge and ``right`` at the right edge, left cut where both do not fit."""
    room = max(0, width - line_width(right))
    return fit((*fit(left, room, ELLIPSIS), *right), width)


def restyled(spans: Line, role: str) -> Line:
    """The same words, all in one role."""
    return tuple(Span(span.text, role) for span in spans)


def emboldened(spans: Line) -> Line:
    """The same words and colours, bold: the row under the cursor."""
    return tuple(Span(span.text, f"{span.role} bold") for span in spans)


def changed_cells(old: Line, new: Line) -> tuple[int, int] | None:
    """First and one past the last cell in which two lines of equal width differ."""
    if old == new:
        return None
    before, after = _cells(old), _cells(new)
    length = max(len(before), len(after))
    before += [(" ", "text")] * (length - len(before))
    after += [(" ", "text")] * (length - len(after))
    different = [index for index in range(length) if before[index] != after[index]]
    if not different:
        return None
    end = different[-1] + 1
    while end < length and not after[end][0]:  # the right half of a wide letter goes with the left
        end += 1
    return different[0], end


def _cells(spans: Line) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    for text, role in spans:
        for letter in text:
            cells.append((letter, "text" if letter == " " and "reverse" not in role else role))
            cells.extend([("", role)] * (cell_len(letter) - 1))
    return cells


class Lines(Widget):
    """Draws the lines it is given, one per row."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(
        self,
        lines: Iterable[Line] = (),
        *,
        widget_id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=widget_id, classes=classes)
        self.lines: list[Line] = list(lines)
        self.stale = False
        self._drawn_size = Size()

    def show(self, lines: Sequence[Line]) -> None:
        """Draw ``lines`` from now on; only the cells that differ are sent."""
        old, new = self.lines, list(lines)
        self.lines = new
        if len(old) != len(new) and self.styles.is_auto_height:
            self.refresh(layout=True)
            return
        drawn_size, self._drawn_size = self._drawn_size, self.size
        if drawn_size != self.size:
            self.refresh()  # what was drawn at another size, or not at all, is no picture to keep
        else:
            refresh_changes(self, old, new)

    def set_stale(self, stale: bool) -> None:
        """Draw everything muted: the data is old."""
        if stale != self.stale:
            self.stale = stale
            self.refresh()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(1, len(self.lines))

    def render_line(self, y: int) -> Strip:
        spans = self.lines[y] if y < len(self.lines) else BLANK
        return strip_of(self, restyled(spans, "muted") if self.stale else spans, self.size.width)


def strip_of(widget: Widget, spans: Line, width: int) -> Strip:
    """The strip that draws a line in the application's theme, drawing mode and width."""
    app, end = widget.app, ELLIPSIS
    if getattr(app, "ascii_only", False):
        spans, end = ascii_line(spans), "..."
    segments = [
        Segment(span.text, app_style(app, span.role))
        for span in fit(spans, width, end)
        if span.text
    ]
    return Strip(segments, width)


def refresh_changes(widget: Widget, old: Sequence[Line], new: Sequence[Line]) -> None:
    """Mark as dirty what differs between two pictures of a widget, row by row."""
    regions = []
    width = widget.size.width
    for row in range(min(max(len(old), len(new)), widget.size.height)):
        before = old[row] if row < len(old) else BLANK
        after = new[row] if row < len(new) else BLANK
        if before == after:
            continue
        cells = changed_cells(fit(before, width, ELLIPSIS), fit(after, width, ELLIPSIS))
        if cells is not None:
            regions.append(Region(cells[0], row, cells[1] - cells[0], 1))
    if regions:
        widget.refresh(*regions)


def wrapped(text: str, width: int) -> list[str]:
    """Words of ``text`` in rows of at most ``width`` cells; a line feed starts a new row."""
    rows: list[str] = []
    for paragraph in text.split("\n"):
        row = ""
        for word in paragraph.split(" "):
            if row and len(row) + 1 + len(word) > max(8, width):
                rows.append(row)
                row = word
            else:
                row = f"{row} {word}" if row else word
        rows.append(row)
    return rows
