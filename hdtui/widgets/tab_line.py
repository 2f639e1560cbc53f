"""A line of tabs, the current one in brackets, facts at its right end."""

from collections.abc import Sequence

from textual.events import Click
from textual.message import Message

from hdtui.widgets.lines import Lines, Span, left_and_right, line_width


class TabLine(Lines):
    """`` [Curves]  Robots  Config``."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; }"

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, tabs: Sequence[str], current: int = 0) -> None:
        super().__init__()
        self.tabs = tuple(tabs)
        self.current = current
        self.words = ""

    def set_current(self, index: int) -> None:
        """Put the brackets around another tab."""
        self.current = index
        self.redraw()

    def set_facts(self, words: str) -> None:
        """Words at the right end."""
        self.words = words
        self.redraw()

    def redraw(self) -> None:
        """Draw the line for its width."""
        spans = [Span(" ")]
        for index, name in enumerate(self.tabs):
            if index == self.current:
                spans.append(Span(f"[{name}]", "accent bold"))
            else:
                spans.append(Span(f" {name} "))
        room = self.size.width - line_width(tuple(spans))
        facts = (Span(f"{self.words}  ", "muted"),) if len(self.words) + 3 <= room else ()
        self.show([left_and_right(tuple(spans), facts, self.size.width)])

    def on_resize(self) -> None:
        self.redraw()

    def on_click(self, event: Click) -> None:
        right = 1
        for index, name in enumerate(self.tabs):
            right += len(name) + 2
            if event.x < right:
                self.post_message(self.Chosen(index))
                return
