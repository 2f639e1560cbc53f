"""Dialogs: a box over the screen that names the run; Enter changes nothing by itself."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Input

from engine.errors import RoleNotAllowedError
from hdtui.formatting import printable
from hdtui.screens.leaving import Dialog
from hdtui.widgets.lines import Line, Lines, Span, wrapped

WIDTH = 62


def sentences_lines(sentences: Sequence[str]) -> list[Line]:
    """Sentences wrapped for the inside of a dialog."""
    return [(Span(f" {row}"),) for sentence in sentences for row in wrapped(sentence, WIDTH - 6)]


def title_text(words: str) -> Text:
    """The title of a box; a name in it is no markup, which could also be wrong markup."""
    return Text(printable(words))


class ConfirmScreen(Dialog[str]):
    """Asks before something changes; the result is the key pressed, none for no."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "leave", show=False)]

    def __init__(
        self, title: str, sentences: Sequence[str], choices: Sequence[tuple[str, str]], no: str
    ) -> None:
        super().__init__()
        self.title_words = title
        self.sentences = tuple(sentences)
        self.choices = tuple(choices)
        self.no = no

    def compose(self) -> ComposeResult:
        body = sentences_lines(self.sentences)
        spans: list[Span] = [Span(" ")]
        for key, words in self.choices:
            spans += [Span(key, "accent bold"), Span(f" {words}        ")]
        spans += [Span("n or esc", "accent bold"), Span(f" {self.no}")]
        with Vertical(classes="dialog") as box:
            box.border_title = title_text(self.title_words)
            yield Lines([*body, (), tuple(spans)])

    def on_key(self, event: Key) -> None:
        if event.character in [choice for choice, _ in self.choices]:
            event.stop()
            self.dismiss(event.character)


def role_question(error: RoleNotAllowedError) -> ConfirmScreen:
    """Asks whether to learn from robots that are not for training; ``y`` is the word."""
    why = f"{str(error).partition('; choose')[0]}."
    choices = [("y", "learn from them all the same")]
    return ConfirmScreen("Not for training", [why], choices, "leave them")


class TypeToConfirmScreen(Dialog[bool]):
    """Deletes only when the asked word was typed."""

    def __init__(self, title: str, sentences: Sequence[str], word: str, what: str) -> None:
        super().__init__()
        self.title_words = title
        self.sentences = tuple(sentences)
        self.word = word
        self.what = what
        self.hint = Lines()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = title_text(self.title_words)
            asked = f" Type {self.word}, {self.what}, then enter; esc leaves it."
            yield Lines([*sentences_lines(self.sentences), (), (Span(asked),)])
            yield Input(classes="field")
            yield self.hint

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self.word:
            self.dismiss(True)
        else:
            found = event.value.strip() or "nothing"
            self.hint.show([(Span(f" found {found}, needs {self.word}", "bad"),)])


class FieldsScreen(Dialog[tuple[str, ...] | None]):
    """One or more lines of text to edit: tags and note, a name, a path."""

    def __init__(
        self,
        title: str,
        fields: Sequence[tuple[str, str]],
        check: Callable[[Sequence[str]], str] | None = None,
    ) -> None:
        super().__init__()
        self.title_words = title
        self.fields = tuple(fields)
        self.check = check
        self.hint = Lines([(Span(" enter next and done · esc leave as it is", "muted"),)])

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = title_text(self.title_words)
            for label, value in self.fields:
                yield Lines([(Span(f" {label}", "muted"),)])
                yield Input(value, classes="field")
            yield self.hint

    def on_mount(self) -> None:
        self.set_focus(self.query(Input).first())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        place = inputs.index(event.input)
        if place + 1 < len(inputs):
            inputs[place + 1].focus()
            return
        values = tuple(each.value.strip() for each in inputs)
        problem = self.check(values) if self.check else ""
        if problem:
            self.hint.show([(Span(f" {problem}", "bad"),)])
        else:
            self.dismiss(values)
