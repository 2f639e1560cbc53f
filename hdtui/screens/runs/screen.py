"""Runs: all of them, past and present; filter, sort, group, mark, and what stands behind one."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from db.records import Run
from engine.text import counted
from hdtui.data import run_list
from hdtui.data.cockpit import Cockpit, Marks, now
from hdtui.data.columns import RUNS_ON_SCREEN
from hdtui.data.curves import CurveReader, RunCurves
from hdtui.data.metric_names import metric_label
from hdtui.messages import Answer
from hdtui.screens.compare.screen import CompareScreen
from hdtui.screens.keys import next_of
from hdtui.screens.list_screen import LIST_KEYS, ListScreen
from hdtui.screens.menu import MenuScreen
from hdtui.screens.runs import rows
from hdtui.screens.runs.actions import RUN_KEYS, RunActions
from hdtui.widgets.chart import Chart, headline_chart
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.table import Table, TableRow

if TYPE_CHECKING:
    from hdtui.data.run_states import RunView

GROUPINGS = ("", "pipeline", "config", "kind", "study")


class RunsScreen(ListScreen):
    """The list of runs."""

    TAB = 1
    TITLE_WORD = "Runs"
    HELP_NOTES = rows.FILTER_NOTES
    KEPT_AS = "runs"
    HINT = "filter: kind:teacher state:running return>1000"
    VOCABULARY = run_list.VALUES
    FIRST_SORT = "id"
    FIRST_COLUMNS = rows.DEFAULT_COLUMNS

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", tooltip="mark; on a group: its runs"),
        Binding("asterisk,ctrl+a", "mark_all", tooltip="mark all that pass, or none"),
        Binding("enter", "choose", "open", tooltip="open the run; fold the group"),
        *LIST_KEYS,
        Binding("b", "group", "group", tooltip="group by pipeline, config..."),
        *RUN_KEYS,
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.facts: run_list.RunList | None = None
        self.shown: list[RunView] = []
        self.grouping = self.kept("group", "")
        self.groups: dict[str, run_list.RunGroup] = {}
        self.folded: set[str] = set()
        self.writer = rows.RowWriter(cockpit)
        self.table = Table(self.writer.columns(self.columns, "", True), widget_id="runs")
        self.summary = Lines([()])
        self.preview = Lines()
        self.side = Lines()
        self.chart = Chart(empty="No points.")
        self.curve_reader = CurveReader()
        self.actions = RunActions(
            self, self.current_run, self.run_under_cursor, self.show_list, self._shown_marks
        )
        self.action_run = self.actions.act

    def compose_body(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="runs-left"):
                list_body = Vertical(self.filter_row, self.table, self.summary)
                yield Pane("Runs", list_body, facts="reading", widget_id="runs-pane")
                yield Pane("", self.preview, widget_id="preview-pane")
            yield Divider("┬")
            with Vertical(id="side"):
                yield Pane("", self.side, widget_id="side-pane")
                yield Pane("", self.chart, widget_id="side-chart-pane")

    def on_mount(self) -> None:
        self.filter_row.set_text(self.kept("filter", ""))
        self.set_focus(self.table)

    def footer(self) -> str:
        if self.size.width < 110:
            return "space c s b R X C slash"
        return "space c s b v R X C t A D slash"

    def read(self) -> None:
        archived = "archived" in self.filter.fields
        reader, pinned = self.cockpit.runs_reader, self.cockpit.pinned_run
        self.ask(
            lambda database: reader.read(database, now(), archived, pinned),
            self._take_runs,
            empty=run_list.RunList((), {}, now()),
        )

    def _take_runs(self, facts: run_list.RunList) -> None:
        first, self.facts = self.facts is None, facts
        if first and self.filter_row.text:
            self.use_kept_filter()
        self.show_list()

    def marks(self) -> Marks[int]:
        return self.cockpit.marked_runs

    def descends_first(self, key: str) -> bool:
        return run_list.descends_first(self.shown, key)

    def show_filtered(self) -> None:
        self.read()  # archived runs may have been asked for
        self.show_list()

    def show_list(self) -> None:
        """Filter, sort, group and draw what was read last."""
        facts = self.facts
        if facts is None:
            return
        self.shown = run_list.sorted_runs(
            facts, run_list.passing(facts, self.filter), self.sort_key, self.descending
        )
        keys = self._rows(facts)
        names, groups = self._column_names(), self.groups
        by_id = {each.run.id: each for each in self.shown}
        self.writer.facts = facts

        def row_of(index: int) -> TableRow:
            key = keys[index]
            if isinstance(key, int):
                return self.writer.row(by_id[key], names)
            group = groups[str(key)]
            return self.writer.group_row(group, names, folded=group.key in self.folded)

        self.table.set_rows(
            keys,
            row_of,
            columns=self.writer.columns(names, self.sort_key, self.descending),
            empty=self._empty_sentence(facts),
        )
        self._show_words(facts)
        self._show_preview()

    def _column_names(self) -> tuple[str, ...]:
        """The chosen columns, and while it sorts the list, the one that is not among them."""
        if self.sort_key in ("id", *self.columns):
            return self.columns
        return (*self.columns, self.sort_key)

    def _rows(self, facts: run_list.RunList) -> list[Hashable]:
        """Run ids, with a title before every group; those of folded groups are left out."""
        self.groups = {}
        if not self.grouping:
            return [each.run.id for each in self.shown]
        keys: list[Hashable] = []
        for group in run_list.grouped_runs(facts, self.shown, self.grouping):
            self.groups[group.key] = group
            keys.append(group.key)
            if group.key not in self.folded:
                keys += [each.run.id for each in group.views]
        return keys

    def _show_words(self, facts: run_list.RunList) -> None:
        total = len(facts.views)
        count = f"{len(self.shown)} of {total}" if self.filter.text else str(total)
        grouped = f"grouped by {self.grouping}" if self.grouping else "not grouped"
        pane = self.query_one("#runs-pane", Pane)
        pane.set_rule(f"Runs · {count}", f"{self.sort_key} {self.arrow} · {grouped}")
        marked, unseen = len(self.cockpit.marked_runs), len(self._hidden_marks())
        words = [f"{marked} marked" + (f", {unseen} hidden" if unseen else "")] if marked else []
        if self.cockpit.pinned_run is not None:
            words.append(f"{self.cockpit.pinned_run} pinned")
        hidden = total - len(self.shown)
        if hidden:
            words.append(f"{counted(hidden, 'run does not pass', 'runs do not pass')} the filter")
        names = self._column_names()
        words += [f"{name}: {basis.words}" for name, basis in facts.bases.items() if name in names]
        self.summary.show([(Span(f"    {' · '.join(words)}", "muted"),)])

    def _empty_sentence(self, facts: run_list.RunList) -> str:
        if not facts.views:
            return "No runs yet. n opens a form."
        best = run_list.best_sentence(facts, 0)
        return f"No run passes {self.filter.text}; {best}. Esc clears the filter."

    def _show_preview(self) -> None:
        run_id = self.current_run()
        each = next((item for item in self.shown if item.run.id == run_id), None)
        group = self.groups.get(str(self.table.cursor_key))
        if group is not None:
            title, facts, lines = rows.group_lines(group, self.size.width)
        else:
            title, facts, lines = rows.preview_lines(each, self.facts, self.size.width)
        self.query_one("#preview-pane", Pane).set_rule(title, facts)
        self.preview.show(lines)
        if self.has_class("roomy") and self.facts is not None:
            self.query_one("#side-pane", Pane).set_rule(title)
            self.side.show(rows.side_lines(each, self.facts, self.side.size.width))
            reader = self.curve_reader
            if each is not None:
                run_ids = [each.run.id]
                self.ask(
                    lambda database: reader.read_headline(database, run_ids), self._show_side_chart
                )

    def _show_side_chart(self, facts: RunCurves) -> None:
        pane = self.query_one("#side-chart-pane", Pane)
        for metric, curves in facts.curves.items():
            pane.set_rule(metric_label(metric))
            self.chart.show_chart(headline_chart(curves), (metric, self.current_run()))
            return
        pane.set_rule("curve")
        self.chart.show_sentence("No points yet.")

    def current_run(self) -> int | None:
        key = self.table.cursor_key
        return key if isinstance(key, int) else None

    def run_under_cursor(self) -> Run | None:
        run_id = self.current_run()
        return next((each.run for each in self.shown if each.run.id == run_id), None)

    def _shown_marks(self) -> list[int]:
        """Marked runs that pass the filter, in the order of their marks."""
        shown = {each.run.id for each in self.shown}
        return [run_id for run_id in self.cockpit.marked_runs if run_id in shown]

    def _hidden_marks(self) -> list[int]:
        shown = {*self._shown_marks()}
        return [run_id for run_id in self.cockpit.marked_runs if run_id not in shown]

    def on_screen_suspend(self) -> None:
        """Compare takes marks that the filter hides too; it says so, whichever key leads there."""
        hidden, marked = len(self._hidden_marks()), len(self.cockpit.marked_runs)
        if isinstance(self.app.screen, CompareScreen):
            verb = "is" if hidden == 1 else "are"
            words = f"{hidden} of the {marked} marked runs {verb} hidden by the filter of Runs"
            self.app.screen.post_message(Answer(words if hidden else ""))

    def action_mark(self) -> None:
        """Mark the run, or all runs of the group, and step down."""
        key = self.table.cursor_key
        if isinstance(key, int):
            self._mark([key])
            self.table.action_move(1)
        elif key in self.groups:
            self._mark([each.run.id for each in self.groups[str(key)].views])
            self.table.action_move(1)
        self._say_marks()

    def action_mark_all(self) -> None:
        self._mark([each.run.id for each in self.shown])
        self._say_marks()

    def _say_marks(self) -> None:
        marked, hidden = len(self.cockpit.marked_runs), len(self._hidden_marks())
        told = f" ({hidden} hidden by the filter)" if hidden else ""
        self.say(f"{marked} marked{told}: c compares them" if marked else "nothing is marked")

    def _mark(self, ids: Sequence[int]) -> None:
        self.cockpit.marked_runs.toggle(*ids)
        self.show_list()

    def fields(self) -> Sequence[str]:
        return self.facts.fields if self.facts else tuple(RUNS_ON_SCREEN)

    def action_group(self) -> None:
        self.grouping = next_of(GROUPINGS, self.grouping)
        self.keep("group", self.grouping)
        self.show_list()

    def action_columns(self) -> None:
        choices = [(name, "shown" if name in self.columns else "") for name in self.fields()]
        self.app.push_screen(MenuScreen("Columns: choose to show or hide", choices), self._column)

    def _column(self, name: str | None) -> None:
        if name in self.columns:
            self.show_columns([column for column in self.columns if column != name])
        elif name is not None:
            self.show_columns([*self.columns, name])

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_preview()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Enter: open the run, or fold and unfold the group."""
        if message.key in self.groups:
            self.folded ^= {str(message.key)}
            self.show_list()
        else:
            self.actions.open(self.current_run())
