"""A screen of one long list: filtered, sorted, with chosen columns and marks; all is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding

from hdtui.data.run_filters import NO_WORDS, EditedFilter, Filter
from hdtui.screens.menu import MenuScreen
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.filter_row import FilterRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hdtui.data.cockpit import Cockpit
    from hdtui.data.run_filters import Vocabulary
    from hdtui.widgets.table import Table

_SORT = Binding.Group("s / S")
LIST_KEYS = (
    Binding("slash", "filter", "filter"),
    Binding("s", "sort", "sort", key_display="s", tooltip="sort by", group=_SORT),
    Binding("S", "reverse", tooltip="reverse", group=_SORT),
    Binding("v", "columns", "columns", tooltip="choose columns"),
)
"""For the bindings of such a screen."""


class ListScreen(CockpitScreen):
    """Subclasses have a ``table``, say what can be sorted by, and draw what was read."""

    KEPT_AS: ClassVar[str]
    """What its preferences are called: ``runs.sort``."""
    HINT: ClassVar[str]
    VOCABULARY: ClassVar[Vocabulary] = NO_WORDS
    NOT_SORTED: ClassVar[Sequence[str]] = ()
    FIRST_SORT: ClassVar[str]
    FIRST_COLUMNS: ClassVar[Sequence[str]]
    table: Table

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.edited = EditedFilter(self.fields, self.VOCABULARY)
        self.filter_row = FilterRow(self.HINT, self.edited.problem)
        self.sort_key = self.kept("sort", self.FIRST_SORT)
        self.descending = self.kept("descending", True)
        self.columns = tuple(self.kept("columns", list(self.FIRST_COLUMNS)))

    def fields(self) -> Sequence[str]:
        """What can be filtered and sorted by."""
        raise NotImplementedError

    def marks(self) -> Any:
        """What is marked in the list."""
        raise NotImplementedError

    def descends_first(self, key: str) -> bool:
        """Whether sorting by this begins with the highest."""
        raise NotImplementedError

    def show_list(self) -> None:
        """Filter, sort and draw what was read last."""
        raise NotImplementedError

    def show_filtered(self) -> None:
        """As ``show_list``, after another filter."""
        self.show_list()

    def kept(self, name: str, default: Any) -> Any:
        """How the list was left."""
        return self.cockpit.preferences.get(f"{self.KEPT_AS}.{name}", default)

    def keep(self, name: str, value: Any) -> None:
        """Leave the list so."""
        self.cockpit.preferences.set(f"{self.KEPT_AS}.{name}", value)

    @property
    def filter(self) -> Filter:
        """The filter that is in effect."""
        return self.edited.current

    def use_kept_filter(self) -> None:
        """Filter as the list was left."""
        self.say(*self.edited.answer(self.kept("filter", ""), final=True))
        self.filter_row.set_text(self.filter.text)

    def action_filter(self) -> None:
        self.filter_row.edit()

    def on_filter_row_changed(self, message: FilterRow.Changed) -> None:
        self.say(*self.edited.answer(message.text, final=message.final))
        if message.final:
            self.set_focus(self.table)
            self.keep("filter", self.filter.text)
            self.filter_row.set_text(self.filter.text)
        self.show_filtered()

    def action_sort(self) -> None:
        choices = [(name, "") for name in self.fields() if name not in self.NOT_SORTED]
        self.app.push_screen(MenuScreen("Sort by", choices, self.sort_key), self._sort_by)

    def _sort_by(self, key: str | None) -> None:
        if key is not None:
            self.sort_key, self.descending = key, self.descends_first(key)
            self._keep_sort()

    def action_reverse(self) -> None:
        self.descending = not self.descending
        self._keep_sort()

    def _keep_sort(self) -> None:
        self.keep("sort", self.sort_key)
        self.keep("descending", self.descending)
        self.table.to_top()
        self.show_list()

    def on_table_heading(self, message: Table.Heading) -> None:
        if message.column == self.sort_key:
            self.action_reverse()
        elif message.column:
            self._sort_by("id" if message.column == "glyph" else message.column)

    @property
    def arrow(self) -> str:
        """Which way the list is sorted."""
        return "↓" if self.descending else "↑"

    def show_columns(self, names: Sequence[str]) -> None:
        """Show these columns from now on."""
        self.columns = tuple(names)
        self.keep("columns", list(names))
        self.show_list()

    def action_out(self) -> None:
        """Clear the filter, then the marks."""
        if self.filter.text:
            self.filter_row.set_text("")
            self.on_filter_row_changed(FilterRow.Changed("", final=True))
        elif self.marks():
            self.marks().clear()
            self.show_list()
