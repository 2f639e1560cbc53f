"""Help over any screen: the keys of the screen left, those of everywhere right."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll

from hdtui.screens.dialogs import title_text
from hdtui.screens.keys import help_rows
from hdtui.screens.leaving import Dialog
from hdtui.widgets.chrome import Paragraph
from hdtui.widgets.lines import BLANK, Line, Lines, Span, fit, wrapped

LEFT_WIDTH = 40
KEY_WIDTH = 9


class HelpScreen(Dialog[None]):
    """The keys of a screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,enter", "leave", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(
        self,
        screen_word: str,
        here: Iterable[BindingType],
        everywhere: Iterable[BindingType],
        notes: Sequence[str],
    ) -> None:
        super().__init__()
        self.screen_word = screen_word
        self.everywhere = help_rows(everywhere)
        self.here = [row for row in help_rows(here) if row not in self.everywhere]
        self.notes = tuple(notes)

    def compose(self) -> ComposeResult:
        with Vertical(classes="help-box") as box:
            box.border_title = title_text(f"Help · {self.screen_word}")
            with VerticalScroll():
                yield Lines(self._columns())
                for note in self.notes:
                    yield Paragraph(note)
                yield Paragraph(
                    "\nSmall letters only change what you see; C e n open a form first.\n"
                    "R X A D act on runs: X and D ask, and name the run."
                )
        yield Lines([(Span(" esc", "accent"), Span(" close  ", "muted"), Span("↓ ↑", "accent"))])

    def _columns(self) -> list[Line]:
        left = _rows(self.here, LEFT_WIDTH - KEY_WIDTH - 3)
        right = _rows(self.everywhere, 30)
        lines: list[Line] = [
            (*fit((Span(" On this screen", "bold"),), LEFT_WIDTH), Span("Everywhere", "bold"))
        ]
        blank = ("", "")
        for row in range(max(len(left), len(right))):
            key, words = left[row] if row < len(left) else blank
            other_key, other_words = right[row] if row < len(right) else blank
            lines.append(
                (
                    *fit((Span(f" {key:<{KEY_WIDTH}}", "accent"), Span(words)), LEFT_WIDTH),
                    Span(f"{other_key:<{KEY_WIDTH}}", "accent"),
                    Span(other_words),
                )
            )
        return [*lines, BLANK]

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)


def _rows(keys: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Keys and words, long words continued in rows without a key."""
    return [
        (key if place == 0 else "", row)
        for key, words in keys
        for place, row in enumerate(wrapped(words, width))
    ]
