"""The rows that every screen has: tabs and counts, the answer to the last key, the keys."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.events import Click
from textual.message import Message

from hdtui.formatting import shorten
from hdtui.messages import Counts
from hdtui.widgets.lines import Line, Lines, Span, left_and_right, line_width, wrapped

SHORTEST_WORD = 16
SPACED_TABS_WIDTH, NARROW_FACTS = 92, 13
TABS = ("Home", "Runs", "Robots", "Watch", "Compare", "Efficiency", "Studies")
_NAMED_CELLS = sum(len(name) + 3 for name in TABS) + 2
"""The tabs with their names and numbers, a space between each, the current one in brackets."""


READING = "reading"
"""Stands in the place of what was never read yet."""


class Key(NamedTuple):
    """A key of the last row: what to press, what it does, and the key name that a click sends."""

    label: str
    words: str
    press: str = ""


class TabRow(Lines):
    """Row 1: the seven screens, the current one in brackets, and how many runs do what."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    DEFAULT_CSS = "TabRow { dock: top; height: 1; }"

    def __init__(self, current: int) -> None:
        super().__init__()
        self.current = current
        self.counts = Counts(notice=READING)
        self.extra = ""

    def set_counts(self, counts: Counts, extra: str = "") -> None:
        """Show how many runs are active, waiting and in need of eyes."""
        self.counts = counts
        self.extra = extra
        self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw the row for the width of the terminal."""
        self.show([left_and_right(self._tabs(), self._facts(), self.size.width)])

    def _tabs(self) -> Line:
        return (Span("hdtui ", "text bold") if self._spaced else Span(""), *self._labels())

    @property
    def _named(self) -> bool:
        """All names fit, beside what is to be told: the current one is never cut."""
        told = max(NARROW_FACTS, line_width(self._facts()))
        return self.size.width - told >= _NAMED_CELLS

    @property
    def _spaced(self) -> bool:
        """There is room for the program's name, and for two spaces between tabs."""
        return self.size.width >= SPACED_TABS_WIDTH or not self._named

    def _labels(self) -> list[Span]:
        """Number and name; where there is no room, the number alone for the others."""
        roomy, before = self._named, " " if self._spaced else ""
        spans = []
        for index, name in enumerate(TABS):
            current = index == self.current
            label = f"{index + 1} {name}" if roomy or current else str(index + 1)
            if current:
                after = "" if self._spaced else " "
                spans.append(Span(f"[{label}]{after}", "accent bold"))
            else:
                spans.append(Span(f"{before}{label} "))
        return spans

    def _facts(self) -> Line:
        counts = self.counts
        if counts.notice:
            return (Span(f" {counts.notice} ", "muted" if counts.notice == READING else "warn"),)
        if not counts.total:
            return (Span("no runs yet ", "muted"),)
        shown = [
            (counts.active, "►", "accent"),
            (counts.queued, "∙", "muted"),
            (counts.failed, "✗", "bad"),
            (counts.lost, "†", "bad bold"),
        ]
        spans = [Span(f" {counts.warning} ", "warn")] if counts.warning else []
        spans += [Span(f"{glyph}{number} ", role) for number, glyph, role in shown if number]
        if self.size.width >= 110 and self.extra:
            host, _, clock = self.extra.partition("|")
            return (Span(f"{host}  ", "muted"), *spans, Span(f" {clock} ", "muted"))
        return tuple(spans)

    def on_click(self, event: Click) -> None:
        column = len("hdtui ") if self._spaced else 0
        for index, label in enumerate(self._labels()):
            column += len(label.text)
            if event.x < column:
                self.post_message(self.Chosen(index))
                return


class AnswerRow(Lines):
    """Row 23: the answer to the last key; it stays until the next one."""

    DEFAULT_CSS = "AnswerRow { height: 1; }"
    said = ""
    """What the row shows, uncut."""

    def say(self, text: str, role: str = "text") -> None:
        """Show an answer; an empty one clears the row, a long path in it loses its middle."""
        self.said = text
        text = fitting_sentence(text, max(20, self.size.width - 2))
        self.show([(Span(f" {text}", role),) if text else ()])


class KeyRow(Lines):
    """Row 24: the keys that can act now, help last."""

    class Pressed(Message):
        """A key of the row was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    DEFAULT_CSS = "KeyRow { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.keys: tuple[Key, ...] = ()

    def set_keys(self, keys: Sequence[Key]) -> None:
        """The keys to show, most important first; those that do not fit are left out."""
        if tuple(keys) != self.keys:
            self.keys = tuple(keys)
            self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw as many keys as fit."""
        width = self.size.width
        spans: list[Span] = []
        for key in self._fitting(width):
            spans += [
                Span(" ", "muted"),
                Span(key.label, "accent"),
                Span(f" {key.words} ", "muted"),
            ]
        help_words: Line = (Span("?", "accent"), Span(" help ", "muted"))
        self.show([left_and_right(tuple(spans), help_words, width)])

    def _fitting(self, width: int) -> list[Key]:
        room = width - len("? help  ")
        fitting = []
        for key in self.keys:
            room -= len(key.label) + len(key.words) + 3
            if room < 0:
                break
            fitting.append(key)
        return fitting

    def on_click(self, event: Click) -> None:
        column = 0
        for key in self._fitting(self.size.width):
            column += len(key.label) + len(key.words) + 3
            if event.x < column:
                self.post_message(self.Pressed(key.press or key.label))
                return
        if event.x >= self.size.width - len("? help "):
            self.post_message(self.Pressed("question_mark"))


def fitting_sentence(text: str, width: int) -> str:
    """The sentence with its longest words (paths, mostly) shortened until it fits."""
    words = text.split(" ")
    while len(text) > width:
        longest = max(range(len(words)), key=lambda index: len(words[index]))
        length = len(words[longest])
        if length <= SHORTEST_WORD:
            return text
        words[longest] = shorten(words[longest], max(SHORTEST_WORD, length - len(text) + width))
        text = " ".join(words)
    return text


class Paragraph(Lines):
    """Sentences wrapped to the width, with one column of margin."""

    DEFAULT_CSS = "Paragraph { height: auto; width: 1fr; }"

    def __init__(self, text: str = "", role: str = "text", *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self.text = text
        self.role = role

    def set_text(self, text: str, role: str = "text") -> None:
        """Show other sentences."""
        self.text, self.role = text, role
        self.on_resize()

    def on_resize(self) -> None:
        self.show(
            [(Span(f" {row}", self.role),) for row in wrapped(self.text, self.size.width - 2)]
        )
