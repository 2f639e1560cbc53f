"""The filter's row: shows the filter, becomes a text field on ``/``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from hdtui.widgets.lines import Lines, Span

if TYPE_CHECKING:
    from textual.widget import Widget

PROMPT = " / "


def _nothing_wrong(text: str) -> str:
    return ""


class FilterField(Input):
    """The text field; esc leaves it, enter too unless something is wrong with the text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    class Left(Message):
        """Esc was pressed in the field."""

    class Refused(Message):
        """Enter was pressed, and the text has a problem."""

    def __init__(self, problem: Callable[[str], str]) -> None:
        # Not on each focus: it also comes back from a terminal that was too small, in mid-word.
        super().__init__(select_on_focus=False)
        self.problem = problem
        self.can_focus = False  # Textual gives the focus of what it hides to any field beside it
        self._focus_before: Widget | None = None

    @property
    def closed(self) -> bool:
        """The field is not there, and can have no focus."""
        return not self.can_focus

    def open(self) -> None:
        """Take the focus, to give it back at the end."""
        if self.closed:
            self.can_focus = True
            self._focus_before = self.screen.focused
        self.screen.set_focus(self)

    def _close(self) -> None:
        self.can_focus = False
        if self.screen.focused is self:
            before, self._focus_before = self._focus_before, None
            usable = before is not None and before.is_attached and before.focusable
            self.screen.set_focus(before if usable else None)

    async def _on_key(self, event: Key) -> None:
        """Keys typed ahead of a closed field belong to what has the focus now."""
        if self.closed and self.screen.focused is not self:
            event.stop()
            event.prevent_default()
            self.app.post_message(Key(event.key, event.character))
        else:
            await super()._on_key(event)

    def on_blur(self) -> None:
        """Left by tab or a click; a terminal that loses its focus, or is too small, leaves none."""
        left = self.app.app_focus and self.is_on_screen and self.screen.focused is not None
        if left and not self.closed:
            self.action_leave()

    async def action_submit(self) -> None:
        if self.problem(self.value):
            self.post_message(self.Refused())
            return
        self._close()
        await super().action_submit()

    def action_leave(self) -> None:
        self._close()
        self.post_message(self.Left())


class FilterRow(Horizontal):
    """`` / kind:student`` with facts at its right; the field is there only while it is edited.

    A text with a ``problem`` stays in the open field on Enter; Esc brings back the one before.
    """

    DEFAULT_CSS = """
    FilterRow { height: 1; }
    FilterRow Lines { height: 1; }
    FilterRow #slash { width: 3; }
    FilterRow FilterField { display: none; width: 1fr; }
    FilterRow #words { width: 1fr; }
    FilterRow #facts { width: auto; min-width: 1; }
    FilterRow.-editing FilterField { display: block; }
    FilterRow.-editing #words { display: none; }
    """

    class Changed(Message):
        """The text changed; ``final`` when Enter left the field."""

        def __init__(self, text: str, final: bool) -> None:
            super().__init__()
            self.text = text
            self.final = final

    def __init__(
        self, hint: str = "filter", problem: Callable[[str], str] = _nothing_wrong
    ) -> None:
        super().__init__()
        self.hint = hint
        self.problem = problem
        self.text = ""
        self.text_before = ""
        self.slash = Lines([(Span(PROMPT, "accent"),)], widget_id="slash")
        self.words = Lines(widget_id="words")
        self.field = FilterField(problem)
        self.facts = Lines(widget_id="facts")

    def compose(self) -> ComposeResult:
        yield self.slash
        yield self.words
        yield self.field
        yield self.facts

    def on_mount(self) -> None:
        self._show_words()

    def set_text(self, text: str) -> None:
        """Show a filter without asking anybody."""
        self.text = text
        self._show_words()

    def set_prompt(self, words: str = PROMPT) -> None:
        """Words at the left end of the row, which say what its text is."""
        self.slash.styles.width = cell_len(words)
        self.slash.show([(Span(words, "accent"),)])

    def set_facts(self, facts: str, role: str = "muted") -> None:
        """Words at the right end of the row."""
        self.facts.styles.width = max(1, len(facts) + 1)
        self.facts.show([(Span(f"{facts} ", role),)])

    def edit(self) -> None:
        """Put the cursor into the field; what is typed takes the text's place."""
        self.text_before = self.text_before if self.editing else self.text
        self.field.value = self.text
        self.add_class("-editing")
        self.field.open()
        self.field.select_all()

    @property
    def editing(self) -> bool:
        """The field has the focus."""
        return self.has_class("-editing")

    def _show_words(self) -> None:
        words = Span(self.text) if self.text else Span(self.hint, "muted")
        self.words.show([(words,)])

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.editing:
            self.text = event.value
            self.post_message(self.Changed(self.text, final=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    def on_filter_field_refused(self, event: FilterField.Refused) -> None:
        event.stop()
        self.post_message(self.Changed(self.text, final=False))

    def on_filter_field_left(self, event: FilterField.Left) -> None:
        event.stop()
        if self.problem(self.text):
            self.text = self.text_before
        self._close()

    def _close(self) -> None:
        self.remove_class("-editing")
        self._show_words()
        self.post_message(self.Changed(self.text, final=True))
