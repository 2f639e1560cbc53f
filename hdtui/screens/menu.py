"""A menu that narrows as one types: sort by, columns, and other choices from a list."""

import shlex
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Input

from hdtui.formatting import words_of
from hdtui.screens.dialogs import title_text
from hdtui.screens.leaving import Dialog
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.table import Column, Table, TableRow


class MenuScreen(Dialog[str | None]):
    """The result is the chosen word, None when the user went out.

    With ``typed`` a word that is not offered may be typed. With ``many``, ``current`` and the
    result are words of a command line, and space takes one more of them or lets one go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", show=False),
        Binding("space", "tick", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[tuple[str, str]],
        current: str | None = None,
        *,
        typed: bool = False,
        many: bool = False,
    ) -> None:
        super().__init__()
        self.typed = typed
        self.many = many
        self.ticked = words_of(current or "") if many else []
        self.changed = False
        self.narrowed = ""
        self.title_words = title
        self.choices = tuple(choices)
        self.current = current
        self.shown = list(self.choices)
        columns = (Column("word", "", 30, gap=1), Column("about", "", 12, grow=True, gap=0))
        nothing = "Nothing is called that" if choices else "Nothing is there yet"
        empty = f"{nothing}{'; enter takes what is typed.' if typed else '.'}"
        self.table = Table(columns, header=False, empty=empty)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = title_text(self.title_words)
            yield Input(classes="field", placeholder="type to narrow")
            yield self.table
            ticks = " space one more ·" if self.many else ""
            yield Lines([(Span(f"{ticks} enter choose · ↓ ↑ move · esc leave it", "muted"),)])

    def on_mount(self) -> None:
        self._show()
        if self.current is not None:
            self.table.move_to(self.current)
        self.set_focus(self.query_one(Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        self.narrowed = text
        wanted = text.strip().casefold()
        starting = [choice for choice in self.choices if choice[0].casefold().startswith(wanted)]
        inside = [
            choice
            for choice in self.choices
            if wanted in " ".join(choice).casefold() and choice not in starting
        ]
        self.shown = sorted(starting, key=lambda choice: choice[0].casefold() != wanted) + inside
        self._show()
        if self.shown:  # the best match, not the word that the cursor stood on
            self.table.move_to(self.shown[0][0])

    def _show(self) -> None:
        shown = self.shown

        def row_of(index: int) -> TableRow:
            word, about = shown[index]
            mark = "*" if word in (self.ticked if self.many else [self.current]) else " "
            return TableRow(cells=((Span(word),), (Span(about, "muted"),)), mark=mark)

        self.table.set_rows([word for word, _ in shown], row_of)

    def on_key(self, event: Key) -> None:
        moves = {"down": 1, "up": -1}
        if event.key in moves:
            self.table.action_move(moves[event.key])
            event.stop()
            event.prevent_default()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_choose()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        self.action_choose()

    def action_tick(self) -> None:
        """Take the word under the cursor as one more, or let it go; else type a blank."""
        if not self.many:
            self.query_one(Input).insert_text_at_cursor(" ")
            return
        if self.query_one(Input).value != self.narrowed:  # keys were faster than the list
            self._narrow(self.query_one(Input).value)
        for word in self._under_cursor():
            self.changed = True
            self.ticked = [other for other in self.ticked if other != word] + (
                [] if word in self.ticked else [word]
            )
        self._show()
        self.query_one(Input).value = ""

    def _under_cursor(self) -> list[str]:
        """The word under the cursor; where none is offered, those that were typed."""
        if self.shown:
            return [str(self.table.cursor_key)]
        return words_of(self.query_one(Input).value) if self.typed else []

    def action_choose(self) -> None:
        words = self._under_cursor()
        text = self.query_one(Input).value.strip()
        if self.changed:
            # What stands under the cursor by itself was not chosen; what was typed is.
            more = [word for word in words if text and word not in self.ticked]
            self.dismiss(shlex.join([*self.ticked, *more]))
        elif words:
            self.dismiss(shlex.join(words) if self.typed else words[0])
