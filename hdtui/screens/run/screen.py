"""Run: one run's curves, robots, configuration, log, files and lineage."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher

from db.records import Run, RunState
from hdtui import formatting
from hdtui.data.cockpit import Cockpit, now
from hdtui.data.run_details import default_tab
from hdtui.data.run_states import RunView, left_s
from hdtui.data.run_views import read_run
from hdtui.screens.run.config import ConfigTab
from hdtui.screens.run.curves import CurvesTab
from hdtui.screens.run.files import FilesTab
from hdtui.screens.run.lineage import LineageTab
from hdtui.screens.run.log import LogTab
from hdtui.screens.run.robots import RobotsTab
from hdtui.screens.run.tab import RunTab
from hdtui.screens.runs.actions import MARK, RUN_KEYS, RunActions
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.pane import Rule
from hdtui.widgets.run_cells import done_text
from hdtui.widgets.tab_line import TabLine

TABS = ("Curves", "Robots", "Config", "Log", "Files", "Lineage")
WIDE = 110
"""Columns from which the title has room for the whole sentence of a state."""


class RunScreen(CockpitScreen):
    """Everything about one run, in six tabs."""

    TAB = 1
    TITLE_WORD = "Run"
    READ_EVERY_S = 2.0
    HELP_NOTES = ("IQM: interquartile mean, of the middle half of the returns.",)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "tab(1)", "tab", tooltip="next"),
        Binding("left_square_bracket", "tab(-1)", tooltip="previous tab"),
        MARK,
        *RUN_KEYS,
    ]

    def __init__(self, cockpit: Cockpit, run_id: int, tab: str | None = None) -> None:
        super().__init__(cockpit)
        self.run_id = run_id
        self.view: RunView | None = None
        self.stood = ""
        self.title_rule = Rule(f"{run_id}", "reading")
        self.chosen = tab is not None
        self.tab_line = TabLine(TABS, TABS.index(tab or TABS[0]))
        self.tabs: tuple[RunTab, ...] = (
            CurvesTab(self, run_id),
            RobotsTab(self, run_id),
            ConfigTab(self, run_id),
            LogTab(self, run_id),
            FilesTab(self, run_id),
            LineageTab(self, run_id),
        )
        self.actions = RunActions(self, self.current_run, self.run_under_cursor, self._read_tab)
        self.action_run = self.actions.act

    @property
    def tab(self) -> RunTab:
        """The tab that is shown."""
        return self.tabs[self.tab_line.current]

    def compose_body(self) -> ComposeResult:
        yield self.title_rule
        yield self.tab_line
        with ContentSwitcher(initial=f"tab-{self.tab_line.current}", id="tabs"):
            for index, tab in enumerate(self.tabs):
                tab.id = f"tab-{index}"
                yield tab

    def on_mount(self) -> None:
        self.show_tab(self.tab_line.current)

    def footer(self) -> str:
        state = self.view.run.state if self.view else None
        acting = ""
        if state is not None and state is not RunState.FINISHED:
            acting = "X" if state.active else "R"
        return f"{self.tab.footer()} {acting} right_square_bracket"

    def read(self) -> None:
        run_id = self.run_id
        self.ask(lambda database: read_run(database, run_id, now()), self.show_run)
        if not self.chosen:
            self.ask(partial(default_tab, run_id=run_id), self._show_default_tab)
        self.tab.read()

    def show_run(self, view: RunView) -> None:
        """Show the run's title and what its state means."""
        known, self.view = self.view, view
        self._show_title(view)
        self._show_standing(view, news=known is not None and known.shown != view.shown)
        for tab in self.tabs:
            tab.view = view

    def _read_tab(self) -> None:
        self.tab.read()

    def _show_default_tab(self, name: str) -> None:
        if not self.chosen:
            self.chosen = True
            if name != TABS[self.tab_line.current]:
                self.show_tab(TABS.index(name))

    def show_keys(self) -> None:
        super().show_keys()
        self.tab_line.set_facts(self.tab.caption())

    def _show_title(self, view: RunView) -> None:
        run = view.run
        wide = self.size.width >= WIDE
        sentence = view.sentence if wide else view.sentence.split(", ")[0]
        if view.shown not in sentence:
            sentence = f"{view.shown}: {sentence}"
        name = f"{run.id} {run.kind} {formatting.printable(run.name)}"
        left = left_s(run)
        words = [done_text(run)] if wide and run.done is not None else []
        if run.progress is not None:
            words.append(formatting.percent(run.progress))
        if wide and run.rate and run.state.active:
            words.append(formatting.rate(run.rate))
        if left is not None:
            words.append(f"{formatting.duration(left)} left")
        self.title_rule.set(
            f"{name} · {view.glyph} {formatting.printable(sentence)}", " · ".join(words)
        )

    def _show_standing(self, view: RunView, news: bool = False) -> None:
        """Keep the state's sentence above the keys; only news takes the place of a key's answer."""
        cut = self.size.width < WIDE and view.shown not in {"running", "finished"}
        sentence = formatting.printable(view.sentence) if cut else ""
        if (news and sentence) or self.answer_row.said in {"", self.stood}:
            self.answer_row.say(sentence, view.role)
            self.stood = sentence

    def current_run(self) -> int | None:
        return self.run_id

    def run_under_cursor(self) -> Run | None:
        return self.view.run if self.view else None

    def action_tab(self, tabs: int) -> None:
        self.choose_tab((self.tab_line.current + tabs) % len(TABS))

    def choose_tab(self, index: int) -> None:
        """Show the tab that was asked for; what was said of the one before is over."""
        self.chosen = True
        self.say("")
        if self.view is not None:
            self._show_standing(self.view)
        self.show_tab(index)

    def show_tab(self, index: int) -> None:
        """Show a tab and give it the focus."""
        self.tab_line.set_current(index)
        self.query_one(ContentSwitcher).current = f"tab-{index}"
        self.tab.take_focus()
        self.show_keys()
        self.tab.read()

    def on_tab_line_chosen(self, message: TabLine.Chosen) -> None:
        self.choose_tab(message.index)

    def action_out(self) -> None:
        if not self.tab.go_out():
            self.dismiss()
