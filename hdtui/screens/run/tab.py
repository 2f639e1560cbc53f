"""What the tabs of a run have in common, and those that narrow or search a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from hdtui.widgets.filter_row import FilterRow

if TYPE_CHECKING:
    from db.records import Run
    from hdtui.data.run_states import RunView
    from hdtui.screens.shell import CockpitScreen
    from hdtui.widgets.table import Table


class RunTab(Vertical):
    """A tab: it asks the database through its screen and shows the answer."""

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        super().__init__()
        self.shell = shell
        self.cockpit = shell.cockpit
        self.run_id = run_id
        self.view: RunView | None = None

    @property
    def run(self) -> Run | None:
        """The run, once it is read."""
        return self.view.run if self.view is not None else None

    @property
    def ended(self) -> bool:
        """The run is known to have no process, and none to come by itself."""
        return self.run is not None and self.run.state.ended

    def read(self) -> None:
        """Ask for what the tab shows with its present settings."""

    def reread(self) -> None:
        """Ask again, and draw keys and caption, because the user changed a setting."""
        self.shell.show_keys()
        if self.display:
            self.read()

    def caption(self) -> str:
        """Words for the right end of the line of tabs."""
        return ""

    def footer(self) -> str:
        """Names of the tab's keys for the last row now."""
        return ""

    def take_focus(self) -> None:
        """Give the focus to what moves."""

    def go_out(self) -> bool:
        """Esc: close the innermost thing; False where there is none."""
        return False


class FilteredTab(RunTab):
    """A tab of one table, with a field below it for the words to find there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "find", "find", tooltip="find")]

    def __init__(self, shell: CockpitScreen, run_id: int, table: Table, hint: str) -> None:
        super().__init__(shell, run_id)
        self.table = table
        self.filter_row = FilterRow(hint)

    def show_again(self) -> None:
        """Draw what was read last, for other words."""

    def take_focus(self) -> None:
        self.table.focus()

    def go_out(self) -> bool:
        if not self.filter_row.text:
            return False
        self.filter_row.set_text("")
        self.show_again()
        return True

    def action_find(self) -> None:
        self.filter_row.edit()

    def on_filter_row_changed(self, message: FilterRow.Changed) -> None:
        message.stop()
        if message.final:
            self.table.focus()
        self.show_again()
