"""The tab Curves: metrics left, the chart right, values below; marked runs and the pin overlaid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from hdtui.data.curves import X_AXES, CurveReader, RunCurve, RunCurves, XAxis
from hdtui.data.metric_names import is_bound, metric_label, short_label, value_with_interval
from hdtui.data.run_details import ReturnsByRobot, read_robot_returns
from hdtui.data.smoothing import WEIGHTS
from hdtui.screens.keys import next_of
from hdtui.screens.run import curve_rows
from hdtui.screens.run.tab import RunTab
from hdtui.screens.shell import CockpitScreen
from hdtui.terminal.meter import LiveDrawing
from hdtui.widgets.chart import Chart, ChartSpec
from hdtui.widgets.lines import Lines, Span, left_and_right
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.run_cells import number
from hdtui.widgets.table import Column, Table, TableRow

_ZOOM = Binding.Group("+ -", compact=True)
_PAN = Binding.Group("← →")
LOG_SCALES = ("", "log y", "log x", "log x and y")
METRIC_COLUMNS = (Column("metric", "", 24, grow=True, gap=0),)
SMALL_DEFAULTS = ("value_loss", "approximate_kl", "action_std", "loss", "held_out_sample_loss")


@dataclass(frozen=True)
class ShownCurves:
    """What the tab shows."""

    curves: RunCurves
    robots: ReturnsByRobot | None


FIRST_METRICS = ("return", "loss", "teacher_return")
"""What stands first for a teacher, a student and a collection: read before their list is known."""


class CurvesTab(RunTab):
    """Curves of one run and those it is compared with."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark_metric", tooltip="mark: several metrics"),
        Binding("enter", "screen.choose", tooltip="metric alone, or the marked again"),
        Binding("x", "x_axis", "axis", tooltip="x: steps, wall time, iteration"),
        Binding("g", "log_scale", "log", tooltip="log y, log x, both, off"),
        Binding("m", "smooth", "smooth", tooltip="smooth 0, 0.6, 0.9, 0.97"),
        Binding("o", "outliers", "outliers", tooltip="clip outliers, 1 to 99 %"),
        Binding("b", "seeds", "seeds", tooltip="marked seeds as mean and interval"),
        Binding("plus,equals_sign", "zoom(0.5)", "zoom", tooltip="zoom in", group=_ZOOM),
        Binding("minus", "zoom(2)", tooltip="out", group=_ZOOM),
        Binding("left", "pan(-0.25)", tooltip="pan", group=_PAN),
        Binding("right", "pan(0.25)"),
        Binding("0", "all", tooltip="all again"),
        Binding("f", "follow", tooltip="follow the newest points"),
    ]

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        super().__init__(shell, run_id)
        preferences = self.cockpit.preferences
        self.reader = CurveReader()
        self.answer: ShownCurves | None = None
        self.x_axis: XAxis = preferences.get("curves.x", "steps")
        self.weight: float = preferences.get("curves.smooth", 0.6)
        self.log_scale = preferences.get("curves.log", "")
        self.marked: list[str] = list(preferences.get("curves.metrics", []))
        self.clip = preferences.get("curves.clip", False)
        self.as_band = preferences.get("curves.band", False)
        self.window: tuple[float, float] | None = None
        self.following = True
        self.live_drawing = LiveDrawing(self, self._draw)
        self.metrics = Table(METRIC_COLUMNS, header=False, empty="reading", widget_id="metrics")
        self.chart = Chart(widget_id="main-chart")
        self.values = Lines()
        self.robots = Lines()
        self.small = [Chart() for _ in range(3)]
        self._drawn: list[str] = []
        self._told = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="curves"):
            with Vertical(id="curves-left"):
                yield Pane("Metrics", self.metrics, widget_id="metrics-pane")
                yield Pane("Robots", self.robots, facts="return", widget_id="few-robots-pane")
            yield Divider("┬")
            with Vertical(id="curves-right"):
                yield Pane("", self.chart, widget_id="chart-pane")
                with Horizontal(id="small-charts"):
                    for index, chart in enumerate(self.small):
                        yield Pane("", chart, widget_id=f"small-{index}")
        yield Pane("Values", self.values, widget_id="values-pane")

    @property
    def metric(self) -> str | None:
        """The metric under the cursor."""
        key = self.metrics.cursor_key
        return key if isinstance(key, str) else None

    @property
    def roomy(self) -> bool:
        """Whether small charts and robots have a place."""
        return self.app.size.width >= 120 and self.app.size.height >= 30

    def marked_metrics(self) -> list[str]:
        """The marked metrics that this run has, in the order in which they were marked."""
        names = [series.name for series in self.answer.curves.series] if self.answer else []
        return [name for name in self.marked if name in names]

    def shown_metrics(self) -> list[str]:
        """The metrics with a chart: the one under the cursor, and small the marked ones.

        Without a place for small charts several marked ones share that of the large one.
        """
        metric, marked = self.metric, self.marked_metrics()
        if metric is None or self.answer is None:
            return []
        if not self.roomy:
            rows = self.query_one("#curves-right").size.height
            return curve_rows.stacked_metrics(marked, metric, rows) if len(marked) > 1 else [metric]
        names = [series.name for series in self.answer.curves.series]
        small = marked or [name for name in SMALL_DEFAULTS if name in names]
        return [metric, *[name for name in small if name != metric][:3]]

    def read(self) -> None:
        pinned = self.cockpit.pinned_run
        run_ids = [self.run_id, *([] if pinned is None else [pinned])]
        run_ids += list(self.cockpit.marked_runs)[:6]
        wanted = FIRST_METRICS if self.metric is None else (self.metric,)
        metrics = list(dict.fromkeys([*wanted, *self.shown_metrics()]))
        reader, run_id, roomy = self.reader, self.run_id, self.roomy
        self.shell.ask(
            lambda database: ShownCurves(
                reader.read(database, run_ids, metrics),
                read_robot_returns(database, run_id) if roomy else None,
            ),
            self._show_curves,
        )

    def _show_curves(self, facts: ShownCurves) -> None:
        first = self.answer is None
        self.answer = facts
        values = {each.name: each.last_value for each in facts.curves.series}
        series = [name for name in values if not is_bound(name, values)]
        self.metrics.set_rows(
            series,
            lambda index: self._metric_row(series[index], values),
            empty=f"No metrics{'' if self.ended else ' yet'}.",
        )
        visible = f"{min(len(series), self.metrics.num_visible)} of {len(series)}"
        self.query_one("#metrics-pane", Pane).set_rule(facts=visible if series else "")
        if first and series:
            self.reread()
        if self.following:
            self._to_newest()
        if self.shown_metrics() == self._drawn:
            self.live_drawing.changed()
        else:
            self.live_drawing.at_once()

    def _metric_row(self, name: str, values: Mapping[str, float | None]) -> TableRow:
        """Name left, value right, in one cell: the name gives way in its middle."""
        room = max(8, self.metrics.size.width - 2)
        value = value_with_interval(name, values)
        label = short_label(name, max(4, room - len(value) - 1))
        cell = left_and_right((Span(label),), number(value), room)
        return TableRow(cells=(cell,), mark="*" if name in self.marked else " ")

    def _draw(self) -> None:
        """Draw the charts of what was read last."""
        metric, shown = self.metric, self.shown_metrics()
        if self.answer is None or metric is None:
            self.chart.show_sentence(self._empty_sentence())
            return
        self._drawn = shown
        self._lay_out(len(shown) - 1)
        self._draw_metric(self.chart, self.query_one("#chart-pane", Pane), shown[0])
        for index, chart in enumerate(self.small[: len(shown) - 1]):
            self._draw_metric(chart, self.query_one(f"#small-{index}", Pane), shown[index + 1])
        self._tell_left_out(shown)
        self._show_values(metric)
        if self.answer.robots is not None:
            self.robots.show(curve_rows.robot_lines(self.answer.robots, self.robots.size.width))

    def _lay_out(self, num_small: int) -> None:
        """Small charts stand side by side below the large one, or are as large as it is."""
        box = self.query_one("#small-charts")
        box.display = num_small > 0
        box.styles.layout = "horizontal" if self.roomy else "vertical"
        box.styles.height = 11 if self.roomy else f"{max(1, num_small)}fr"
        for index in range(len(self.small)):
            self.query_one(f"#small-{index}", Pane).display = index < num_small

    def _tell_left_out(self, shown: Sequence[str]) -> None:
        """Say which marked metrics have no chart, once for each choice of charts."""
        before, self._told = self._told, curve_rows.left_out_sentence(self.marked_metrics(), shown)
        if self._told not in ("", before):
            self.shell.say(self._told)

    def _show_values(self, metric: str) -> None:
        """Write the values of the metric under the cursor, also where others are drawn."""
        curves = self.answer.curves.curves.get(metric, ()) if self.answer else ()
        drawn = [curve for curve in curves if curve.points.last_step >= 0]
        if self.as_band and len(drawn) > 1:
            title, lines = curve_rows.group_value_lines(
                metric, curve_rows.seed_groups(drawn), self.x_axis
            )
        else:
            title, lines = curve_rows.value_lines(
                metric, curves, self.run_id, self.cockpit.pinned_run
            )
        whose = metric_label(metric) if len(self._drawn) > 1 and not self.roomy else ""
        self.query_one("#values-pane", Pane).set_rule(title, whose)
        self.values.show(lines)

    def _draw_metric(self, chart: Chart, pane: Pane, metric: str) -> None:
        curves = self.answer.curves.curves.get(metric, ()) if self.answer else ()
        pane.set_rule(metric_label(metric))
        drawn = [curve for curve in curves if curve.points.last_step >= 0]
        if not drawn:
            chart.show_sentence(self._empty_sentence())
            return
        spec = ChartSpec(
            curves=curve_rows.lettered(drawn, self.x_axis, means=self.as_band),
            weight=self.weight,
            log_x="x" in self.log_scale.split(),
            log_y="y" in self.log_scale.split(),
            clip_outliers=self.clip,
            x_end=self._planned_end(drawn),
            x_window=self.window,
            x_seconds=self.x_axis == "wall time",
        )
        looks = (self.x_axis, self.log_scale, self.clip, self.window, self.as_band)
        chart.show_chart(spec, (metric, *looks, len(drawn)))

    def _planned_end(self, curves: Sequence[RunCurve]) -> float | None:
        run = curves[0].run
        if self.x_axis != "steps" or run.id != self.run_id or run.total is None:
            return None
        return run.total if "steps" in (run.unit or "") else None

    def _empty_sentence(self) -> str:
        if self.answer is None or self.metric not in (None, *self.answer.curves.curves):
            return "reading"
        return curve_rows.no_points_sentence(self.run_id, self.run)

    def caption(self) -> str:
        return curve_rows.curve_facts(
            curve_rows.x_text(self.x_axis, self.run),
            self.log_scale,
            self.weight,
            zoomed=self.window is not None,
            means=self.as_band,
            clip=self.clip,
            live=self.following or not self.window,
        )

    def on_resize(self) -> None:
        self.call_after_refresh(self.reread)  # more or fewer charts fit

    def footer(self) -> str:
        return "x g m b o plus p"

    def take_focus(self) -> None:
        self.metrics.focus()

    def go_out(self) -> bool:
        if self.window is None:
            return False
        self.action_all()
        return True

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if self.answer is not None:
            self.live_drawing.at_once()
            self.reread()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Enter: this metric alone, or the marked ones again."""
        message.stop()
        metric = self.metric
        if metric is not None:
            self.marked = [] if self.marked == [metric] else [metric]
            self._keep_marks()

    def action_mark_metric(self) -> None:
        metric = self.metric
        if metric is not None:
            if metric in self.marked:
                self.marked.remove(metric)
            else:
                self.marked.append(metric)
            self._keep_marks()

    def _keep_marks(self) -> None:
        self.cockpit.preferences.set("curves.metrics", list(self.marked))
        self.metrics.redraw()
        self.reread()

    def _changed(self, key: str, value: object, answer: str) -> None:
        """Keep a look, draw with it, and say so: a smooth curve may look the same."""
        self.cockpit.preferences.set(key, value)
        self.shell.say(answer)
        self.live_drawing.at_once()
        self.reread()

    def action_x_axis(self) -> None:
        self.x_axis = next_of(X_AXES, self.x_axis)
        self.window = None
        self._changed("curves.x", self.x_axis, f"x: {curve_rows.x_text(self.x_axis, self.run)}")

    def action_log_scale(self) -> None:
        self.log_scale = next_of(LOG_SCALES, self.log_scale)
        self.window = None
        self._changed("curves.log", self.log_scale, f"g: {self.log_scale or 'linear axes'}")

    def action_smooth(self) -> None:
        self.weight = next_of(WEIGHTS, self.weight)
        self._changed("curves.smooth", self.weight, f"m: smooth {self.weight:g}")

    def action_outliers(self) -> None:
        self.clip = not self.clip
        shown = "1 to 99 % of the values" if self.clip else "all values"
        self._changed("curves.clip", self.clip, f"o: {shown}")

    def action_seeds(self) -> None:
        self.as_band = not self.as_band
        shown = "mean of seeds, with interval" if self.as_band else "one curve a run"
        self._changed("curves.band", self.as_band, f"b: {shown}")

    def action_follow(self) -> None:
        """Keep the zoomed span at the newest points; without a zoom everything is followed."""
        extent = self._extent()
        self.following = not self.following or self.window is None
        if self.window is not None and self.following and extent is not None:
            self._to_newest()
        self.live_drawing.at_once()
        self.reread()

    def _to_newest(self) -> None:
        """Shift the zoomed span so that it ends at the newest point."""
        if self.window is None or self.answer is None or self.metric is None:
            return
        curves = self.answer.curves.curves.get(self.metric, ())
        ends = [curve.path(self.x_axis).end for curve in curves if curve.points.last_step >= 0]
        if ends:
            span = self.window[1] - self.window[0]
            end = max(*ends, span)
            self.window = (end - span, end)

    def action_all(self) -> None:
        self.window = None
        self.live_drawing.at_once()
        self.reread()

    def action_zoom(self, factor: float) -> None:
        """Half or double the visible span around its middle."""
        extent = self._extent()
        if extent is None:
            if "x" in self.log_scale.split():
                self.shell.say("+ -: zoom needs a linear x axis, g changes it")
            return
        self.window = curve_rows.zoomed(self.window, extent, factor)
        self.following = self.window is None
        self.live_drawing.at_once()
        self.reread()

    def action_pan(self, share: float) -> None:
        extent = self._extent()
        if extent is None or self.window is None:
            return
        low, high = self.window
        shift = max(extent[0] - low, min(extent[1] - high, (high - low) * share))
        self.window = (low + shift, high + shift)
        self.following = False
        self.live_drawing.at_once()

    def _extent(self) -> tuple[float, float] | None:
        if self.answer is None or self.metric is None or "x" in self.log_scale.split():
            return None
        curves = self.answer.curves.curves.get(self.metric, ())
        paths = [curve.path(self.x_axis) for curve in curves if curve.points.last_step >= 0]
        if not paths:
            return None
        end = max(path.end for path in paths)
        return 0.0, max(
            end, self._planned_end([c for c in curves if c.points.last_step >= 0]) or 0.0
        )
