"""The stages of a pipeline side by side, in columns as wide as their words."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message

from hdtui.widgets.lines import ELLIPSIS, Line, Lines, Span, fit, line_width

_STEPS = Binding.Group("← →")


class StageStrip(Lines, can_focus=True):
    """Columns of lines; the cursor chooses a column when the strip has the focus."""

    DEFAULT_CSS = "StageStrip { height: auto; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", tooltip="choose a stage of the pipeline", group=_STEPS),
        Binding("right,l", "step(1)"),
    ]

    class Chosen(Message):
        """A stage was opened."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self.columns: list[list[Line]] = []
        self.cursor = 0
        self.focused = False

    def show_columns(self, columns: Sequence[Sequence[Line]]) -> None:
        """Draw the columns; the first line of each is its title."""
        self.columns = [list(column) for column in columns]
        self.cursor = max(0, min(self.cursor, len(self.columns) - 1))
        self.redraw()

    def redraw(self) -> None:
        """Lay the columns out for the width."""
        if not self.columns:
            return
        widths = self._widths()
        height = max(len(column) for column in self.columns)
        rows: list[Line] = []
        for row in range(height):
            spans: list[Span] = []
            for index, (column, width) in enumerate(zip(self.columns, widths, strict=True)):
                at_cursor = row == 0 and index == self.cursor and self.focused
                spans.append(Span("▌" if at_cursor else " ", "accent bold"))
                cell = column[row] if row < len(column) else ()
                spans += fit(cell, width - 1, ELLIPSIS)
            rows.append(tuple(spans))
        self.show(rows)

    def _widths(self) -> list[int]:
        """As wide as the words need, the rest shared out; narrower from the right if it must."""
        needed = [max(line_width(cell) for cell in column) + 2 for column in self.columns]
        while sum(needed) > self.size.width and max(needed) > 4:
            needed[needed.index(max(needed))] -= 1
        spare = self.size.width - sum(needed)
        share, extra = divmod(max(0, spare), len(needed))
        return [width + share + (1 if index < extra else 0) for index, width in enumerate(needed)]

    def on_resize(self) -> None:
        self.redraw()

    def on_focus(self) -> None:
        self.focused = True
        self.redraw()

    def on_blur(self) -> None:
        self.focused = False
        self.redraw()

    def action_step(self, stages: int) -> None:
        self.cursor = max(0, min(self.cursor + stages, len(self.columns) - 1))
        self.redraw()

    def action_choose(self) -> None:
        if self.columns:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: Click) -> None:
        left = 0
        for index, width in enumerate(self._widths() if self.columns else []):
            left += width
            if event.x < left:
                self.cursor = index
                self.redraw()
                self.action_choose()
                return
