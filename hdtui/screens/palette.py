"""The palette: every run by id, name or tag, every screen, new runs, themes and other actions."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from db.records import Robot, Run
from engine.config.presets import PRESETS
from engine.errors import HdtuiError
from hdtui import messages
from hdtui.data.cockpit import Cockpit
from hdtui.data.disk_use import weighed
from hdtui.data.doctor import checked
from hdtui.data.run_views import read_names
from hdtui.exports.formats import DataTable
from hdtui.exports.tables import write_shown
from hdtui.formatting import printable, size
from hdtui.screens.dialogs import ConfirmScreen
from hdtui.screens.keys import label
from hdtui.screens.leaving import Dialog
from hdtui.screens.runs.actions import RunAction, RunActions
from hdtui.terminal.meter import meter_of
from hdtui.widgets.lines import Span
from hdtui.widgets.roles import PALETTES
from hdtui.widgets.table import Column, Table, TableRow

REFRESH = {"as usual": 1.0, "every 5s": 2.5, "by hand, 1 to 7": 0.0}
DRAWINGS = ("braille", "blocks", "ascii")
MODES = ("home", "runs", "robots", "watch", "compare", "efficiency", "studies")


class Entry(NamedTuple):
    """A line of the palette."""

    words: str
    about: str
    act: Callable[[], Any]


class PaletteScreen(Dialog[None]):
    """Type to narrow, enter acts."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "act", show=False)]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__()
        self.cockpit = cockpit
        self.entries: list[Entry] = []
        self.shown: list[Entry] = []
        columns = (Column("words", "", 40, grow=True, gap=1), Column("about", "", 24, gap=0))
        self.table = Table(columns, header=False, empty="Nothing is called that.")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = "Find a run, a robot, an action"
            yield Input(classes="field", placeholder="type to narrow; enter acts, esc closes")
            yield self.table

    def on_mount(self) -> None:
        self.entries = [*self._offers(), *self._actions(), *self._keys()]
        self._narrow("")
        self.set_focus(self.query_one(Input))
        self.run_worker(self._read, thread=True, group="palette")

    def _read(self) -> None:
        try:
            found = self.cockpit.store.ask(read_names)
        except HdtuiError:
            return
        self.call_later(self._add_names, *found)

    def _add_names(
        self, runs: Sequence[Run], robots: Sequence[Robot], studies: Sequence[str]
    ) -> None:
        for name in studies:
            page = partial(self._post, messages.OpenStudy(name))
            self.entries.append(Entry(f"study {printable(name)}", "cells and answer", page))
        for run in runs:
            words = f"{run.id} {run.kind} {printable(run.name)}"
            about = " ".join([str(run.state), *run.tags])
            self.entries.append(Entry(words, about, partial(self._post, messages.OpenRun(run.id))))
        for robot in robots:
            page = partial(self._post, messages.OpenRobot(robot.digest, robot.name))
            self.entries.append(
                Entry(f"robot {robot.name}", f"{robot.num_limbs_without_head} limbs", page)
            )
        self._narrow(self.query_one(Input).value)

    def _post(self, message: Message) -> None:
        self.app.post_message(message)

    @property
    def _beneath(self) -> Any:
        """The screen that the palette lies over."""
        stack = self.app.screen_stack
        return stack[stack.index(self) - 1] if self in stack else self.app.screen

    def _offers(self) -> list[Entry]:
        """What can be done to the run under the cursor of the screen beneath."""
        actions = self._run_actions
        if actions is None:
            return []
        act = partial(self._act_on, actions, actions.current(), actions.chosen())
        return [Entry(offer.text, offer.key, partial(act, offer)) for offer in actions.offers()]

    @property
    def _run_actions(self) -> RunActions | None:
        actions = getattr(self._beneath, "actions", None)
        return actions if isinstance(actions, RunActions) else None

    def _act_on(
        self, actions: RunActions, run_id: int | None, chosen: Sequence[int], offer: RunAction
    ) -> None:
        """Act on the run that the line names: the list below may have moved since."""
        if (actions.current(), actions.chosen()) == (run_id, chosen):
            actions.act(offer.name)
        else:
            actions.screen.say(f"{offer.text}: the list has moved, so nothing was done")

    def _keys(self) -> list[Entry]:
        """The keys of the screen beneath that mean something there now, but for those of runs."""
        entries = []
        for name, key in self._beneath.active_bindings.items():
            binding = key.binding
            written = label(binding)
            named = written in ("space", "*", "/") or (len(written) == 1 and written.isalpha())
            offered = self._run_actions is not None and binding.action.startswith("run(")
            text = binding.tooltip or binding.description
            if named and text and not offered and key.node is not self.app:
                press = partial(self.app.simulate_key, name)
                entries.append(Entry(text, written, press))
        return entries

    def _doctor(self) -> None:
        """Look at the machine in a thread; what is not good stands in a dialog."""
        self._find_out("Doctor", partial(checked, self.cockpit.home))

    def _disk_use(self) -> None:
        """Weigh the workspace in a thread; what takes space stands in a dialog."""
        self._find_out("Disk", partial(self.cockpit.store.ask, weighed))

    def _find_out(self, title: str, read: Callable[[], tuple[str, tuple[str, ...]]]) -> None:
        """Look in a thread; one sentence answers the key, the others stand in a dialog."""
        app = self.app

        def look() -> messages.Answer:
            summary, sentences = read()
            app.call_later(app.push_screen, ConfirmScreen(title, sentences, (), "close"))
            return messages.Answer(summary)

        self._beneath.work(look)

    def _actions(self) -> list[Entry]:
        app: Any = self.app
        entries = [
            Entry(
                f"go to {mode.title()}",
                str(index + 1),
                partial(self._post, messages.OpenMode(mode)),
            )
            for index, mode in enumerate(MODES)
        ]
        entries += [
            Entry(f"new: pipeline {name}", "starts at once", partial(self._pipeline, name))
            for name in PRESETS
        ]
        entries.append(Entry("new run", "n", partial(self._post, messages.OpenForm())))
        entries += [Entry(f"theme: {name}", "", partial(self._theme, name)) for name in PALETTES]
        entries += [
            Entry(f"drawing: {name}", "", partial(self._drawing, name)) for name in DRAWINGS
        ]
        entries += [
            Entry("export this table as CSV", "into the workspace", partial(self._export, "csv")),
            Entry("export this table as Markdown", "", partial(self._export, "markdown")),
            Entry("export this table as LaTeX", "", partial(self._export, "latex")),
            *(
                Entry(f"refresh {words}", "", partial(self._refresh_every, words, factor))
                for words, factor in REFRESH.items()
            ),
            Entry("doctor", "checks this machine", self._doctor),
            Entry("disk use", "weighs runs and files", self._disk_use),
            Entry("bytes to this terminal", "last 5 s", self._bytes),
            Entry("messages so far", "", self._messages),
            Entry("redraw", "ctrl+l", app.action_redraw),
            Entry("leave; runs go on", "q", app.action_leave),
        ]
        return entries

    def _pipeline(self, name: str) -> None:
        screen: Any = self.app.screen
        if self.cockpit.readonly:
            screen.say("read-only")
            return
        from hdtui.actions.queueing import start_preset

        screen.command(partial(start_preset, name=name))

    def _theme(self, name: str) -> None:
        self.app.theme = name
        self.cockpit.preferences.set("theme", name)
        self._answer(f"theme {name}")

    def _drawing(self, name: str) -> None:
        app: Any = self.app
        app.ascii_only = app.ascii_terminal or name == "ascii"
        self.cockpit.preferences.set("drawing", name)
        app.action_redraw()
        kept = ", but ASCII here: this terminal is no UTF-8" if app.ascii_terminal else ""
        self._answer(f"drawing {name}{kept}")

    def _export(self, form: str) -> None:
        screen: Any = self.app.screen
        tables = [table for table in screen.query(Table) if table.is_on_screen and table.keys]
        if not tables:
            self._answer("There is no table on this screen to export.")
            return
        table = next((each for each in tables if each.has_focus), tables[0])
        if self.cockpit.readonly:
            screen.say("read-only")
            return
        headings, rows = table.texts()
        name = screen.TITLE_WORD.lower().replace(" ", "-")
        shown = DataTable(tuple(headings), tuple(map(tuple, rows)))
        screen.work(lambda: messages.Answer(write_shown(self.cockpit, name, form, shown)))

    def _refresh_every(self, words: str, factor: float) -> None:
        self.cockpit.preferences.set("refresh", factor)
        self._answer(f"refresh {words}")

    def _bytes(self) -> None:
        meter = meter_of(self.app)
        rate = size(meter.bytes_per_s())
        self._answer(f"{rate}/s over the last 5 s, {size(meter.total_bytes)} so far")

    def _messages(self) -> None:
        self._answer(" · ".join(self.cockpit.messages[-4:]) or "no messages yet")

    def _answer(self, text: str) -> None:
        self.app.screen.post_message(messages.Answer(text))
        self.app.screen.post_message(messages.WorldChanged())

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        words = text.casefold().split()
        found = [
            entry
            for entry in self.entries
            if all(word in f"{entry.words} {entry.about}".casefold() for word in words)
        ]
        self.shown = sorted(found, key=lambda entry: not entry.words.startswith(text.strip()))
        self.table.cursor = 0
        shown = self.shown
        self.table.set_rows(range(len(shown)), lambda index: _row(shown[index]))

    def on_key(self, event: Key) -> None:
        moves = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}
        if event.key in moves:
            self.table.action_move(moves[event.key])
            event.stop()
            event.prevent_default()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_act()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        self.action_act()

    def action_act(self) -> None:
        if self.shown:
            entry = self.shown[self.table.cursor]
            self.dismiss()
            self.app.call_later(entry.act)


def _row(entry: Entry) -> TableRow:
    return TableRow(cells=((Span(entry.words),), (Span(entry.about, "muted"),)))
