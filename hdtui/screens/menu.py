"""A menu that narrows as one types: sort by, columns, and other choices from a list."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input

from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.table import Column, Table, TableRow


class MenuScreen(ModalScreen[str | None]):
    """The result is the chosen word, None when the user went out."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(
        self, title: str, choices: Sequence[tuple[str, str]], current: str | None = None
    ) -> None:
        super().__init__()
        self.title_words = title
        self.choices = tuple(choices)
        self.current = current
        self.shown = list(self.choices)
        columns = (Column("word", "", 30, gap=1), Column("about", "", 12, grow=True, gap=0))
        self.table = Table(columns, header=False, empty="Nothing is called that.")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = self.title_words
            yield Input(classes="field", placeholder="type to narrow")
            yield self.table
            yield Lines([(Span(" enter choose · ↓ ↑ move · esc leave it", "muted"),)])

    def on_mount(self) -> None:
        self._show()
        if self.current is not None:
            self.table.move_to(self.current)
        self.set_focus(self.query_one(Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        wanted = event.value.strip().casefold()
        starting = [choice for choice in self.choices if choice[0].casefold().startswith(wanted)]
        inside = [
            choice
            for choice in self.choices
            if wanted in " ".join(choice).casefold() and choice not in starting
        ]
        self.shown = starting + inside
        self.table.cursor = 0
        self._show()

    def _show(self) -> None:
        shown = self.shown

        def row_of(index: int) -> TableRow:
            word, about = shown[index]
            mark = "*" if word == self.current else " "
            return TableRow(cells=((Span(word),), (Span(about, "muted"),)), mark=mark)

        self.table.set_rows([word for word, _ in shown], row_of)

    def on_key(self, event: Key) -> None:
        moves = {"down": 1, "up": -1}
        if event.key in moves:
            self.table.action_move(moves[event.key])
            event.stop()
            event.prevent_default()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._choose()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        self._choose()

    def _choose(self) -> None:
        key = self.table.cursor_key
        if key is not None:
            self.dismiss(str(key))

    def action_leave(self) -> None:
        self.dismiss(None)
