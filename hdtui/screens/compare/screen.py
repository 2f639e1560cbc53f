"""Compare: marked runs as groups over seeds, with intervals and Welch's difference."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.statistics import Difference, Interval
from engine.text import counted
from hdtui import formatting
from hdtui.data import compare_curves
from hdtui.data.cockpit import Cockpit
from hdtui.data.curves import X_AXES, CurveReader, XAxis, breaks_text
from hdtui.data.metric_names import metric_label, metric_value
from hdtui.data.smoothing import WEIGHTS
from hdtui.exports.formats import DataTable, as_markdown
from hdtui.screens.keys import BRACKETS, next_of
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets import chart as charts
from hdtui.widgets import table as tables
from hdtui.widgets.lines import Line, Lines, Span, left_and_right, line_width, muted
from hdtui.widgets.pane import Pane

_NOTHING = "Nothing is marked. Mark runs with space on Runs (2), then c."
_MOST_ROWS = 8


class CompareScreen(CockpitScreen):
    """The marked runs side by side."""

    TAB = 4
    TITLE_WORD = "Compare"
    HELP_NOTES = (
        "A group's line is the mean over its runs, its dots the 95 % t interval.\n"
        "Differences are Welch's, where all compared runs still have points.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "group", "group by", tooltip="group by config, study, kind, or not"),
        Binding("enter", "choose", "seeds", tooltip="the seeds of the groups, and back"),
        Binding("left_square_bracket", "metric(-1)", tooltip="previous", group=BRACKETS),
        Binding(
            "right_square_bracket", "metric(1)", "metric", tooltip="next metric", group=BRACKETS
        ),
        Binding("x", "axis", "axis", tooltip="steps, wall time, iteration"),
        Binding("g", "log", "log", tooltip="log y, x, both, off"),
        Binding("m", "smooth", "smooth", tooltip="smoothing 0, 0.6, 0.9, 0.97"),
        Binding("o", "outliers", tooltip="clip outliers, 1 to 99 %"),
        Binding("p", "pin", "pin", tooltip="differences to this group"),
        Binding("y", "copy", "copy table", tooltip="copy the table as Markdown"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        preferences = cockpit.preferences
        self.facts: compare_curves.ComparedRuns | None = None
        self.groups: list[compare_curves.CurveGroup] = []
        self.rows: list[compare_curves.GroupRow] = []
        self.half: float | None = None
        self.end = 0.0
        self.by = preferences.get("compare.group", compare_curves.GROUPINGS[0])
        self.x_axis: XAxis = X_AXES[0]
        self.logs = (False, False)
        self.weight = WEIGHTS[1]
        self.clip = False
        self.metric = ""
        self.baseline = 0
        self.reader = CurveReader()
        self.chart = charts.Chart(empty=_NOTHING)
        self.table = tables.Table(self._columns(), widget_id="groups")
        self.words = Lines([()])

    def compose_body(self) -> ComposeResult:
        yield Pane("Compare", self.chart, widget_id="chart-pane")
        yield Pane("Groups", self.table, widget_id="groups-pane")
        yield self.words

    def on_mount(self) -> None:
        self.words.styles.height = 1
        self.table.focus()

    def footer(self) -> str:
        return "b x g m p right_square_bracket enter y" if self.groups else "2"

    def key_text(self, binding: Binding) -> str:
        return "mark runs" if binding.key == "2" else binding.description

    def read(self) -> None:
        run_ids, metric, reader = list(self.cockpit.marked_runs), self.metric, self.reader
        self.ask(
            lambda database: compare_curves.read_comparison(database, reader, run_ids, metric),
            self._take_runs,
            empty=compare_curves.ComparedRuns((), (), "", ()),
        )

    def _take_runs(self, facts: compare_curves.ComparedRuns) -> None:
        self.facts = facts
        self.metric = facts.metric
        self.show_groups()

    def show_groups(self) -> None:
        """Group and draw what was read last."""
        facts = self.facts
        if facts is None:
            return
        self.groups = compare_curves.grouped(facts, self.by)
        pinned = self.cockpit.pinned_run
        places = [place for place, group in enumerate(self.groups) if group.curves]
        places.sort(key=lambda place: not _holds(self.groups[place], pinned))
        self.baseline = places[0] if places else 0
        found = compare_curves.table(self.groups, self.x_axis, self.baseline)
        self.half, self.end, self.rows = found.half, found.end, found.rows
        self._show_chart(facts)
        self._show_table()
        self._show_words()
        self.show_keys()

    def _show_chart(self, facts: compare_curves.ComparedRuns) -> None:
        pane = self.query_one("#chart-pane", Pane)
        drawable = [group for group in self.groups if group.curves]
        if not drawable:
            pane.set_rule("Compare", "")
            named = " ".join(str(run.id) for run in facts.runs)
            self.chart.show_sentence(f"{named} reported no curves yet." if named else _NOTHING)
            return
        curves = [
            charts.Curve(
                group.letter,
                group.path(self.x_axis),
                charts.CURVE_ROLES[place % len(charts.CURVE_ROLES)],
                band=len(group.curves) > 1,
            )
            for place, group in enumerate(self.groups)
            if group.curves
        ]
        log_x, log_y = self.logs
        spec = charts.ChartSpec(
            tuple(curves),
            weight=self.weight,
            log_x=log_x,
            log_y=log_y,
            clip_outliers=self.clip,
            x_seconds=self.x_axis == "wall time",
        )
        identity = (self.metric, self.by, self.x_axis, self.logs, self.clip, facts.runs)
        self.chart.show_chart(spec, identity)
        pane.set_rule(self._title(), self._chart_facts())

    def _title(self) -> str:
        many = len(self.groups)
        seeds = {len(group.runs) for group in self.groups}
        each = f" of {seeds.pop()} seeds" if len(seeds) == 1 else ""
        noun = "run" if self.by == "run" else "group"
        words = f"{many} {noun}{'s' if many != 1 else ''}"
        return f"{metric_label(self.metric)}, {words}{each if self.by != 'run' else ''}"

    def _chart_facts(self) -> str:
        words = [] if self.by == "run" else ["mean and 95 % interval"]
        words += [f"smooth {self.weight:g}"] if self.weight else []
        words += ["log " + " ".join(a for a, on in zip("xy", self.logs, strict=True) if on)]
        words = [word for word in words if word != "log "]
        words += ["outliers clipped"] if self.clip else []
        return " · ".join([*words, self.x_axis])

    def _columns(self, drawn: Sequence[tables.TableRow] = ()) -> list[tables.Column]:
        half, end, difference = "halfway", "at the end", "difference"
        if self.half is not None:
            half = f"at {self._x_text(self.half)}"
        if self.end:
            end = f"at {self._x_text(self.end)}"
        if self.groups:
            difference = f"difference to {self.groups[self.baseline].letter}"
        columns = [
            tables.Column("letter", "", 1, gap=1),
            tables.Column("group", "run" if self.by == "run" else "group", 16, grow=True, gap=1),
            tables.Column("seeds", "seeds", 5, True, leaves_first=3),
            tables.Column("half", half, 13, True, leaves_first=2),
            tables.Column("end", end, 13, True),
            tables.Column("difference", difference, 19, True, gap=0, leaves_first=1),
        ]
        for place in (3, 4, 5):  # as wide as their widest number
            widest = max((line_width(row.cells[place]) for row in drawn), default=0)
            columns[place] = replace(columns[place], width=max(columns[place].width, widest))
        return columns

    def _x_text(self, x: float) -> str:
        return formatting.duration(x) if self.x_axis == "wall time" else formatting.steps(x)

    def _show_table(self) -> None:
        rows, drawn = self.rows, self._drawn_rows()
        self.table.set_rows(
            [row.group.title for row in rows],
            lambda index: drawn[index],
            columns=self._columns(drawn),
            empty=_NOTHING if not self.groups else "",
        )
        self.table.styles.height = min(_MOST_ROWS, max(1, len(rows))) + 1
        pane = self.query_one("#groups-pane", Pane)
        pane.styles.height = min(_MOST_ROWS, max(1, len(rows))) + 2
        titles = {
            "config": "Groups, configs equal but for the seed",
            "study": "Groups by study",
            "kind": "Groups by kind",
            "run": "Runs, not grouped",
        }
        pane.set_rule(titles.get(self.by, "Groups"))

    def _drawn_rows(self) -> list[tables.TableRow]:
        """The rows of the table, in the order of their groups."""
        return [self._row(place, row) for place, row in enumerate(self.rows)]

    def _row(self, place: int, row: compare_curves.GroupRow) -> tables.TableRow:
        role = charts.CURVE_ROLES[place % len(charts.CURVE_ROLES)]
        cells = (
            (Span(row.group.letter, f"{role} bold"),),
            (Span(formatting.printable(row.group.title)),),
            (Span(str(len(row.group.runs))),),
            (Span(self._interval_text(row.half_way)),),
            (Span(self._interval_text(row.at_end)),),
            (Span("baseline" if place == self.baseline else self._difference(row.difference)),),
        )
        return tables.TableRow(cells, mark="P" if place == self.baseline else " ")

    def _interval_text(self, found: Interval | None) -> str:
        if found is None:
            return formatting.UNKNOWN
        mean = metric_value(self.metric, found.mean)
        if found.half_width is None:
            return mean
        return f"{mean} ± {metric_value(self.metric, found.half_width)}"

    def _difference(self, found: Difference | None) -> str:
        if found is None:
            return formatting.UNKNOWN
        mean = metric_value(self.metric, found.mean)
        if found.low is None or found.high is None:
            return f"{mean} (one seed)"
        low, high = (metric_value(self.metric, value) for value in (found.low, found.high))
        return f"{mean} [{low}, {high}]"

    def _show_words(self) -> None:
        ids = " · ".join(" ".join(str(run.id) for run in group.runs) for group in self.groups)
        drawn = [group for group in self.groups if group.curves]
        broken = [
            f"{curve.run.id}: {breaks_text(curve.points)}"
            for group in drawn
            for curve in group.curves
            if curve.points.extremes
        ]
        counts = " and ".join(str(len(group.curves)) for group in drawn[:4])
        words = f"t interval; difference by Welch, n {counts}" if drawn else ""
        left: Line = (Span(f"   {ids}"), Span("".join(f"   {each}" for each in broken), "bad"))
        right = (muted(f"    {words} "),)
        self.words.show([left_and_right(left, right, self.words.size.width)])

    def action_group(self) -> None:
        self._group_by(next_of(compare_curves.GROUPINGS, self.by))

    def _group_by(self, by: str) -> None:
        self.by = by
        self.cockpit.preferences.set("compare.group", by)
        self.show_groups()

    def on_table_chosen(self, message: tables.Table.Chosen) -> None:
        self._group_by("config" if self.by == "run" else "run")

    def action_axis(self) -> None:
        self.x_axis = next_of(X_AXES, self.x_axis)
        self.show_groups()

    def action_log(self) -> None:
        orders = [(False, False), (False, True), (True, False), (True, True)]
        self.logs = next_of(orders, self.logs)
        self.show_groups()

    def action_smooth(self) -> None:
        self.weight = next_of(WEIGHTS, self.weight)
        self.show_groups()

    def action_outliers(self) -> None:
        self.clip = not self.clip
        self.show_groups()

    def action_pin(self) -> None:
        """Differences are to the cursor's group from now on."""
        if not self.groups:
            return
        group = self.groups[min(self.table.cursor, len(self.groups) - 1)]
        self.cockpit.pin(group.runs[0].id)
        self.say(f"differences are to {group.letter} {formatting.printable(group.title)}")
        self.show_groups()

    def action_metric(self, step: int) -> None:
        metrics = self.facts.metrics if self.facts else ()
        if metrics:
            self.metric = next_of(metrics, self.metric, step)
            self.read()

    def action_copy(self) -> None:
        cells = [row.cells for row in self._drawn_rows()]
        rows = (tuple("".join(span.text for span in cell) for cell in row) for row in cells)
        headings = tuple(column.title for column in self._columns())
        self.app.copy_to_clipboard(as_markdown(DataTable(headings, tuple(rows))))
        self.say(f"copied {counted(len(self.rows), 'row')} as Markdown")


def _holds(group: compare_curves.CurveGroup, run_id: int | None) -> bool:
    return any(run.id == run_id for run in group.runs)
