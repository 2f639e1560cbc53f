"""What every screen has: row 1, the answer row, the key row, reading in threads, failures."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input
from textual.worker import Worker, get_current_worker

from engine.errors import HdtuiError
from hdtui.data.cockpit import Cockpit, now
from hdtui.data.store import NoWorkspaceError
from hdtui.formatting import duration
from hdtui.messages import Answer, Counts, WorldChanged
from hdtui.screens.keys import footer_keys
from hdtui.screens.leaving import LeavesOnce
from hdtui.widgets.chrome import READING, AnswerRow, KeyRow, TabRow
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.stage_strip import StageStrip
from hdtui.widgets.table import Table

if TYPE_CHECKING:
    from textual.app import App, ComposeResult
    from textual.events import DescendantFocus
    from textual.events import Key as KeyPressed
    from textual.screen import Screen
    from textual.widget import Widget

    from db.session import Database

Answered = TypeVar("Answered")
Result = TypeVar("Result")
Refused = Callable[[HdtuiError], bool]
MINIMUM = (60, 18)
CLAIM_STANDS_S = 5.0
LOOK_EVERY_S = 2.0
"""How often a screen looks whether it is time to read again."""


def _answer_alone(_: HdtuiError) -> bool:
    return False


class TooSmall(Lines):
    """The one sentence of a terminal that is too small."""

    def on_resize(self) -> None:
        width, height = self.app.size
        self.show(
            [
                (Span(f"hdtui needs {MINIMUM[0]}x{MINIMUM[1]},"),),
                (Span(f"this is {width}x{height}. Runs go on."),),
            ]
        )


class CockpitScreen(LeavesOnce[None]):
    """A screen of the cockpit. Subclasses compose a body, name keys, read and show."""

    TAB: ClassVar[int] = 0
    TITLE_WORD: ClassVar[str] = ""
    READ_EVERY_S: ClassVar[float] = 2.0
    FOOTER: ClassVar[str] = ""
    """Keys for the last row by name, most important first; what their bindings call them."""
    HELP_NOTES: ClassVar[tuple[str, ...]] = ()

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", tooltip="next pane, shift+tab back"),
        Binding("enter", "choose", "open", tooltip="open, go in"),
        Binding("escape", "out", "back", tooltip="close, clear, go out"),
        Binding("question_mark", "help", tooltip="this help"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__()
        self.cockpit = cockpit
        self.tab_row = TabRow(self.TAB)
        self.answer_row = AnswerRow()
        self.key_row = KeyRow()
        self.stale = False
        self._answered = False
        self._said: Answer | None = None
        self._had_focus: Widget | None = None
        self._said_at = 0.0
        self._read_at = 0.0
        self._asked: dict[Callable[..., object], Worker[None]] = {}

    def compose(self) -> ComposeResult:
        with Vertical(id="shell"):
            yield self.tab_row
            with Vertical(id="body"):
                yield from self.compose_body()
            yield self.answer_row
            yield self.key_row
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        """The widgets between row 1 and the answer row."""
        yield from ()

    def footer(self) -> str:
        """Names of the keys for the last row now."""
        return self.FOOTER

    def key_text(self, binding: Binding) -> str:
        """The word of a key in the last row now."""
        return binding.description

    def read(self) -> None:
        """Ask for what the screen shows; called on show and every few seconds."""

    def set_stale(self, stale: bool) -> None:
        """Draw the content muted while the database is lost."""
        for widget in self.query("Table, Lines"):
            setter = getattr(widget, "set_stale", None)
            if setter is not None and widget not in (self.tab_row, self.answer_row, self.key_row):
                setter(stale)

    def on_mount(self) -> None:
        # A stopped timer keeps its screen in memory until it would have ticked.
        self.set_interval(min(self.READ_EVERY_S, LOOK_EVERY_S), self._tick)
        self.screen_layout_refresh_signal.subscribe(self, self._laid_out)
        self.show_keys()
        self.read()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 120 and self.size.height >= 30, "roomy")
        self.show_keys()

    def _laid_out(self, _: Screen[Any]) -> None:
        self.call_later(self.keep_focus)

    def keep_focus(self) -> None:
        """What is not shown has no focus; what is shown again gets back the one it had."""
        if not (self.is_active and self.app.app_focus):
            return
        seen = [widget for widget in self.focus_chain if widget.region.area]
        if self.focused not in seen:
            had = self._had_focus
            self.set_focus(had if had in seen else next(iter(seen), None))

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        seen = event.widget in self.focus_chain
        if seen or isinstance(event.widget, Input):  # a field that a key has just opened
            self._had_focus = event.widget
        self.show_keys()
        if not seen:
            self.call_later(self.keep_focus)

    def on_screen_resume(self) -> None:
        for widget in self.query("Lines, Table"):
            widget.refresh()  # the drawing may have changed while another screen was shown
        self.show_keys()
        self.show_counts()
        self.call_later(self.keep_focus)
        if self.is_mounted:
            self.read()

    def on_screen_suspend(self) -> None:
        """What was answered here is over on the next screen; a dialog leaves it where it is."""
        if isinstance(self.app.screen, CockpitScreen):
            self.say("")

    def show_keys(self) -> None:
        """Draw the key row for what can act now; while a field is edited it stays as it is."""
        if not isinstance(self.focused, Input):
            names = self.footer().split()
            self.key_row.set_keys(footer_keys(self.active_bindings, names, self.key_text))

    def show_counts(self) -> None:
        """Draw the counts of row 1 as the application last read them."""
        counts = self.cockpit.counts or Counts(notice=READING)
        self.tab_row.set_counts(counts, f"{self.cockpit.host}|{now():%H:%M}")

    def say(self, text: str, role: str = "text") -> None:
        """Answer the last key in the row above the keys."""
        self.give(Answer(text, role))

    def give(self, answer: Answer) -> None:
        """Show an answer in the row above the keys, and keep it among the messages."""
        self.answer_row.say(answer.text, answer.role)
        self._said, self._said_at = answer, time.monotonic()
        if answer.text:
            self.cockpit.messages.append(answer.text)

    def _check_answer(self) -> None:
        """Take back an answer about a run that moved on, once there was time to read it."""
        said = self._said
        if said is None or said.run_id is None or said.state is None:
            return
        if time.monotonic() - self._said_at >= CLAIM_STANDS_S:
            from hdtui.data.run_details import is_in_state

            run_id, state = said.run_id, said.state
            self.ask(lambda database: (said, is_in_state(database, run_id, state)), self._take_back)

    def _take_back(self, answer: tuple[Answer, bool]) -> None:
        said, holds = answer
        if said is self._said and not holds:
            self.say("")

    def _tick(self) -> None:
        shown = self.app.screen is self and self.app.app_focus
        if shown:
            self._check_answer()
        if shown and not self._waits and self._is_due():
            self.read()

    def _is_due(self) -> bool:
        """Whether to read by itself now: slower, or never, where the user asked for that."""
        factor: float = self.cockpit.preferences.get("refresh", 1.0)
        due = factor > 0 and time.monotonic() - self._read_at >= 0.9 * factor * self.READ_EVERY_S
        if due:
            self._read_at = time.monotonic()
        return due

    def on_world_changed(self, message: WorldChanged) -> None:
        self.show_counts()
        if not self._waits and self.cockpit.preferences.get("refresh", 1.0) == 1.0:
            self.read()

    def ask(
        self,
        question: Callable[[Database], Answered],
        then: Callable[[Answered], object],
        empty: Answered | None = None,
    ) -> None:
        """Ask the database in a thread; ``then`` shows the answer, in the event loop.

        A newer question with the same method ``then`` replaces an older one, whose answer is
        dropped. ``empty`` answers for a workspace in which nothing was ever run. Reading again by
        itself waits for the answer: else a slow database would never be heard.
        """
        self.look(partial(self.cockpit.store.ask, question), then, empty)

    def look(
        self,
        read: Callable[[], Answered],
        then: Callable[[Answered], object],
        empty: Answered | None = None,
    ) -> None:
        """As ``ask``, of what is not in the database."""
        if then in self._asked:
            self._asked[then].cancel()
        self._asked[then] = self.run_worker(
            lambda: self._read(read, then, empty), group="look", thread=True
        )

    @property
    def filled(self) -> bool:
        """A first answer came, or nothing was asked: keys meet what the user expects them to."""
        return self._answered or not self._asked

    @property
    def _waits(self) -> bool:
        """An answer is still to come."""
        return any(not worker.is_finished for worker in self._asked.values())

    def _read(
        self,
        read: Callable[[], Answered],
        then: Callable[[Answered], object],
        empty: Answered | None,
    ) -> None:
        worker = get_current_worker()
        try:
            answer = read()
        except NoWorkspaceError:
            if empty is None:
                return
            answer = empty
        except Exception as error:  # noqa: BLE001 -- a wrong answer must not end the cockpit
            expected = isinstance(error, HdtuiError)
            notes = self.cockpit.mistakes
            sentence = str(error) if expected else notes.note(f"reading {self.TITLE_WORD}", error)
            if not worker.is_cancelled:
                self.call_later(self.show_failure, sentence)
            return
        # What is on its way is shown: on a slow machine a next question may be asked by then, and
        # the answer to that one would be as late.
        if not worker.is_cancelled:
            self.call_later(self._take, then, answer)

    def _take(self, then: Callable[[Answered], object], answer: Answered) -> None:
        if self.stale and not self.cockpit.store.health.lost:  # not all is read in the database
            self.stale = False
            self.set_stale(False)
            self.answer_row.say("The database answers again.")
        then(answer)
        self.show_keys()
        self._answered = True

    def show_failure(self, sentence: str) -> None:
        """Say why what the screen shows could not be read."""
        self._answered = True
        health = self.cockpit.store.health
        if not health.lost:
            self.say(sentence, "warn")
            return
        self.stale = True
        self.set_stale(True)
        wait = duration(round(health.next_try_in_s))
        self.answer_row.say(f"{sentence} Runs go on. Next try in {wait}.", "bad")

    def command(self, act: Callable[[Database], Answer], refused: Refused = _answer_alone) -> None:
        """Change the world in a thread; what it returns answers the key.

        ``refused`` is given the error of an act that cannot be, in the event loop; it says True
        where it has asked the user about it, and the error is no answer.
        """
        self.work(partial(self.cockpit.store.act, act), refused)

    def work(self, act: Callable[[], Answer], refused: Refused = _answer_alone) -> None:
        """As ``command``, of what opens the database itself or needs none."""
        app = self.app  # a screen that was left meanwhile no longer knows it
        self.run_worker(lambda: self._act(app, act, refused), group="command", thread=True)

    def _act(self, app: App[Any], act: Callable[[], Answer], refused: Refused) -> None:
        try:
            with self.cockpit.threads.acting():
                answer = act()
        except HdtuiError as error:
            app.call_later(self._refuse, error, refused)
            return
        except Exception as error:  # noqa: BLE001 -- a failed act must not end the cockpit
            answer = Answer(self.cockpit.mistakes.note("acting", error), "bad")
        app.call_later(self.hear, answer)

    def _refuse(self, error: HdtuiError, refused: Refused) -> None:
        asks = self.is_active and refused(error)  # who has left wants nothing any more
        self.hear(Answer("" if asks else str(error), "warn"))

    def hear(self, answer: Answer) -> None:
        """Say an answer that comes from a thread here, or where the user has gone meanwhile."""
        if self.is_attached and self.is_current:
            self.post_message(answer)
            self.read()
        else:
            self.app.post_message(answer)

    def may_act(self) -> bool:
        """False, with an answer, where the cockpit only reads."""
        if self.cockpit.readonly:
            self.say("read-only")
            return False
        return True

    def on_key(self, event: KeyPressed) -> None:
        """Answer a letter that means nothing here."""
        unbound = self.active_bindings.keys().isdisjoint(event.aliases)
        if unbound and event.is_printable and event.character:
            self.say(f"{event.character}: no key of this screen, ? shows them")

    def on_answer(self, message: Answer) -> None:
        message.stop()  # the application has it said where the user is
        self.give(message)

    def open_dialog(
        self, dialog: Screen[Result], then: Callable[[Result | None], None] | None = None
    ) -> None:
        """Open a dialog, unless over another screen: it would take keys meant for that one."""
        if self.is_active:
            self.app.push_screen(dialog, then)

    def on_key_row_pressed(self, message: KeyRow.Pressed) -> None:
        self.app.simulate_key(message.key)

    def on_tab_row_chosen(self, message: TabRow.Chosen) -> None:
        self.app.simulate_key(str(message.index + 1))

    def action_out(self) -> None:
        """Go one layer out; a top screen stays."""

    def action_choose(self) -> None:
        """Go into what the cursor of the focused list is on."""
        if isinstance(self.focused, Table | StageStrip):
            self.focused.action_choose()

    def action_help(self) -> None:
        from hdtui.screens.help import HelpScreen

        everywhere = [*self.app.BINDINGS, *CockpitScreen.BINDINGS, *Table.BINDINGS]
        here = [key.binding for key in self.active_bindings.values() if key.node is not self.app]
        self.app.push_screen(HelpScreen(self.TITLE_WORD, here, everywhere, self.HELP_NOTES))
