"""A line of tabs, the current one in brackets, facts at its right end."""

from collections.abc import Sequence

from textual.events import Click
from textual.message import Message

from hdtui.widgets.lines import Lines, Span, left_and_right, line_width

SEPARATOR = " · "


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
        """Draw the line for its width; where not all tabs fit, the current one stays in sight."""
        spans = [Span(" ")] if self._first == 0 else [Span("…", "muted")]
        for index, name in self._shown():
            if index == self.current:
                spans.append(Span(f"[{name}]", "accent bold"))
            else:
                spans.append(Span(f" {name} "))
        if self._shown()[-1:] != [(len(self.tabs) - 1, self.tabs[-1])]:
            spans.append(Span("…", "muted"))
        room = self.size.width - line_width(tuple(spans))
        self.show([left_and_right(tuple(spans), self._facts(room), self.size.width)])

    def _facts(self, room: int) -> tuple[Span, ...]:
        """The words, as many as there is room for; the last ones give way first."""
        words = self.words.split(SEPARATOR)
        while words and len(SEPARATOR.join(words)) + 3 > room:
            words.pop()
        return (Span(f"{SEPARATOR.join(words)}  ", "muted"),) if words else ()

    @property
    def _first(self) -> int:
        """The first tab that is shown."""
        first = 0
        while first < self.current and self._width(first, self.current) > self.size.width - 2:
            first += 1
        return first

    def _width(self, first: int, last: int) -> int:
        return sum(len(name) + 2 for name in self.tabs[first : last + 1])

    def _shown(self) -> list[tuple[int, str]]:
        """Numbers and names of the tabs that fit."""
        first = self._first
        return [
            (index, name)
            for index, name in enumerate(self.tabs)
            if index >= first and self._width(first, index) <= self.size.width - 2
        ]

    def on_resize(self) -> None:
        self.redraw()

    def on_click(self, event: Click) -> None:
        right = 1
        for index, name in self._shown():
            right += len(name) + 2
            if event.x < right:
                self.post_message(self.Chosen(index))
                return
