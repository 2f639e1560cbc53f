"""The tab Config: the settings of a run against another's; what differs comes first."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.text import counted
from hdtui.data import run_details
from hdtui.exports.formats import as_toml
from hdtui.formatting import printable, setting
from hdtui.screens.run.tab import FilteredTab
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.lines import Span
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Column, Table, TableRow


class ConfigTab(FilteredTab):
    """Settings, with those of the pinned or marked run beside them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("C", "screen.run('clone')", "clone and edit", tooltip="clone and edit"),
        Binding("v", "show_all", "all or differing", tooltip="all settings, or those that differ"),
        Binding("y", "copy", "copy as TOML", tooltip="copy as TOML"),
    ]

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        table = Table(_columns("value", ""), empty="No setting is called that.")
        super().__init__(shell, run_id, table, "find a setting")
        self.answer: run_details.ComparedSettings | None = None
        self.only_different = False

    def compose(self) -> ComposeResult:
        yield Pane("Config", self.table, widget_id="config-pane")
        yield self.filter_row

    def read(self) -> None:
        # Against the pinned run, else the first marked one.
        candidates = [self.cockpit.pinned_run, *self.cockpit.marked_runs]
        other = next((i for i in candidates if i not in {None, self.run_id}), None)
        self.shell.ask(
            partial(run_details.read_config, run_id=self.run_id, other_id=other), self.show_settings
        )

    def show_settings(self, facts: run_details.ComparedSettings) -> None:
        """Show them, those that differ first."""
        self.answer = facts
        other = facts.other
        pane = self.query_one("#config-pane", Pane)
        num_settings = len(facts.settings)
        if other is None:
            pane.set_rule(
                "Config · pin or mark another run to compare", counted(num_settings, "setting")
            )
        else:
            pin = "P " if other.id == self.cockpit.pinned_run else ""
            equal = num_settings - facts.num_different
            pane.set_rule(
                f"Config against {pin}{other.id} {printable(other.name)}",
                f"{facts.num_different} differ, {equal} equal · "
                f"v {'all' if self.only_different else 'differing'}",
            )
        shown = self._shown(facts)
        self.table.set_rows(
            [each.key for each in shown],
            lambda index: _row(shown[index], other),
            columns=_columns(str(facts.run.id), str(other.id) if other else ""),
            empty=self._empty_sentence(facts),
        )

    def _shown(self, facts: run_details.ComparedSettings) -> list[run_details.ComparedSetting]:
        """Settings that differ first, all that match the search."""
        wanted = self.filter_row.text.casefold()
        found = [
            each
            for each in facts.settings
            if wanted in f"{each.key} {setting(each.value)}".casefold()
            and (each.differs or not self.only_different or facts.other is None)
        ]
        return sorted(found, key=lambda each: not each.differs)

    def _empty_sentence(self, facts: run_details.ComparedSettings) -> str:
        if self.filter_row.text:
            return "No setting is called that."
        other = facts.other.id if facts.other else ""
        return f"No setting differs from {other}. v shows all."

    def footer(self) -> str:
        return "C slash v y"

    def show_again(self) -> None:
        if self.answer is not None:
            self.show_settings(self.answer)

    def action_show_all(self) -> None:
        if self.answer is not None and self.answer.other is None:
            self.shell.say("v: no other run to differ from; p on one pins it")
            return
        self.only_different = not self.only_different
        self.show_again()

    def action_copy(self) -> None:
        """Copy the settings as TOML, in sections."""
        if self.answer is None:
            return
        self.app.copy_to_clipboard(as_toml(self.answer.run.config))
        self.shell.say("copied as TOML")


def _columns(own: str, other: str) -> tuple[Column, ...]:
    return (
        Column("mark", "", 1, gap=1),
        Column("key", "setting", 34, gap=1),
        Column("own", own, 18, grow=True, gap=1),
        Column("other", other, 18, gap=0, leaves_first=1),
    )


def _row(each: run_details.ComparedSetting, other: object) -> TableRow:
    role = "text" if each.differs or other is None else "muted"
    theirs = setting(each.other) if other is not None else ""
    return TableRow(
        cells=(
            (Span("≠" if each.differs else " ", "warn"),),
            (Span(each.key, role),),
            (Span(setting(each.value), role),),
            (Span(theirs, role),),
        )
    )
