"""Help over any screen: the keys of the screen left, those of everywhere right."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen

from hdtui.widgets.lines import BLANK, Line, Lines, Span, fit
from hdtui.widgets.shell_rows import Paragraph

EVERYWHERE = (
    ("1 to 6", "Home Runs Robots Watch"),
    ("", "  Compare Efficiency"),
    ("tab", "next pane, shift+tab back"),
    ("j k ↓ ↑", "move; PgUp PgDn Home End"),
    ("enter", "open, go in"),
    ("esc", "close, clear, go out"),
    ("/", "filter or search"),
    ("[ ]", "previous and next tab"),
    ("n", "new run"),
    ("y", "copy (OSC 52)"),
    ("ctrl+p :", "find a run, robot, action"),
    ("ctrl+l", "redraw"),
    ("q", "leave; runs go on"),
)
LEFT_WIDTH = 37


class HelpScreen(ModalScreen[None]):
    """The keys of a screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "leave", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(
        self, screen_word: str, keys: Sequence[tuple[str, str]], notes: Sequence[str]
    ) -> None:
        super().__init__()
        self.screen_word = screen_word
        self.keys = tuple(keys)
        self.notes = tuple(notes)

    def compose(self) -> ComposeResult:
        with Vertical(classes="help-box") as box:
            box.border_title = f"Help · {self.screen_word}"
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
        lines: list[Line] = [
            (*fit((Span(" On this screen", "bold"),), LEFT_WIDTH), Span("Everywhere", "bold"))
        ]
        for row in range(max(len(self.keys), len(EVERYWHERE))):
            left = self.keys[row] if row < len(self.keys) else ("", "")
            right = EVERYWHERE[row] if row < len(EVERYWHERE) else ("", "")
            lines.append(
                (
                    *fit((Span(f" {left[0]:<8}", "accent"), Span(left[1])), LEFT_WIDTH),
                    Span(f"{right[0]:<9}", "accent"),
                    Span(right[1]),
                )
            )
        return [*lines, BLANK]

    def action_leave(self) -> None:
        self.dismiss()

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)
