"""How far a film is, as a line to click and to drag on."""

from textual.events import Click, MouseMove
from textual.message import Message

from hdtui.widgets.bars import progress_line
from hdtui.widgets.lines import Lines, Span


class Timeline(Lines):
    """How far the film is; a click or a drag goes there."""

    DEFAULT_CSS = "Timeline { height: 1; }"

    class Sought(Message):
        """A place of the timeline was clicked."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

    def show_place(self, share: float, step: int) -> None:
        """Draw the line for ``share`` of the film."""
        width = max(0, self.size.width - 15)
        step_words = f"step {step}".rjust(11)
        self.show([(Span(f" {progress_line(share, width)}", "accent"), Span(step_words, "muted"))])

    def on_click(self, event: Click) -> None:
        self._seek(event.x)

    def on_mouse_move(self, event: MouseMove) -> None:
        if event.button:
            self._seek(event.x)

    def _seek(self, column: int) -> None:
        width = max(1, self.size.width - 15)
        self.post_message(self.Sought(min(max(0.0, (column - 1) / width), 1.0)))
