"""Home: the pipeline, what works now, where time goes, the machine, the latest events."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal

from db.records import Run
from hdtui.actions import slots as slot_actions
from hdtui.data import curves as curve_data
from hdtui.data import home, machine
from hdtui.data.cockpit import Cockpit, now
from hdtui.data.forecast import roughly
from hdtui.data.metric_names import metric_label
from hdtui.data.run_states import RunView
from hdtui.formatting import UNKNOWN, duration, percent, printable
from hdtui.messages import OpenForm
from hdtui.screens.dialogs import FieldsScreen
from hdtui.screens.home import rows
from hdtui.screens.keys import BRACKETS
from hdtui.screens.runs.actions import MARK, RUN_KEYS, RunActions
from hdtui.screens.shell import CockpitScreen
from hdtui.terminal.meter import LiveDrawing
from hdtui.widgets import chart as charts
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.stage_strip import StageStrip
from hdtui.widgets.table import Table

LOAD_EVERY_S = 5.0
WIDE = 110


class HomeScreen(CockpitScreen):
    """The first of the seven screens."""

    TAB = 0
    TITLE_WORD = "Home"
    READ_EVERY_S = 2.0

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", tooltip="open the run of the cursor's row"),
        Binding("right_square_bracket", "older(1)", "pipeline", tooltip="older", group=BRACKETS),
        Binding("left_square_bracket", "older(-1)", tooltip="newer pipeline", group=BRACKETS),
        Binding("n", "new_run", "new", tooltip="new run"),
        MARK,
        *RUN_KEYS,
        Binding("a", "slots", tooltip="how many runs work at once"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.facts: home.HomeSnapshot | None = None
        self.older = 0
        self._machine_reader = machine.MachineReader(cockpit.home)
        self.strip = StageStrip(widget_id="strip")
        self.active = Table(
            rows.ACTIVE_COLUMNS,
            empty="reading",
            widget_id="active",
        )
        self.events = Table(rows.EVENT_COLUMNS, header=False, empty="reading", widget_id="events")
        self.split_body = Lines()
        self.machine_body = Lines()
        self.results_body = Lines()
        self.chart = charts.Chart(empty="No points yet.")
        self.curve_reader = curve_data.CurveReader()
        self._lent_focus: Table | StageStrip | None = None
        self.curves: curve_data.RunCurves | None = None
        self.live_chart = LiveDrawing(self, self._draw_chart)
        self.actions = RunActions(self, self.current_run, self.run_under_cursor, self.read)
        self.action_run = self.actions.act

    def compose_body(self) -> ComposeResult:
        yield Pane("Pipeline", self.strip, facts="reading", widget_id="pipeline-pane")
        yield Pane("Active", self.active, widget_id="active-pane")
        with Horizontal(id="middle"):
            yield Pane("Return", self.chart, widget_id="home-chart-pane")
            yield Divider("┬", widget_id="between-columns")
            with Container(id="home-facts"):
                yield Pane("Time", self.split_body, widget_id="split-pane")
                yield Divider("┬", widget_id="between-facts")
                yield Pane(
                    f"Machine {self.cockpit.host}", self.machine_body, widget_id="machine-pane"
                )
                yield Pane("Latest results", self.results_body, widget_id="results-pane")
        yield Pane("Events", self.events, widget_id="events-pane")

    def on_mount(self) -> None:
        self.set_focus(self.active)
        self.set_interval(LOAD_EVERY_S, self._read_machine)
        self._read_machine()
        self.set_timer(1.0, self._read_machine)  # the first look knows no CPU yet

    def on_screen_resume(self) -> None:
        self.live_chart.forgive()

    def footer(self) -> str:
        pipelines = "right_square_bracket " if self.size.width >= WIDE else ""
        return f"enter n R X w {pipelines}ctrl+p q"

    def key_text(self, binding: Binding) -> str:
        return "leave" if binding.key == "q" and self.size.width < WIDE else binding.description

    def read(self) -> None:
        older = self.older
        self.ask(
            lambda database: home.read_home(database, now(), older),
            self._show_home,
            empty=rows.NOTHING_YET,
        )
        run_id = self._split_run()
        if run_id is not None:
            self.ask(partial(home.read_time_split, run_id=run_id), self._show_split)
            self._read_chart(run_id)

    def _read_chart(self, run_id: int) -> None:
        """Where there is room: the headline curve of the cursor's run and of the pinned one."""
        if not self.has_class("roomy"):
            return
        reader, pinned = self.curve_reader, self.cockpit.pinned_run
        run_ids = [run_id] if pinned is None else [run_id, pinned]
        self.ask(lambda database: reader.read_headline(database, run_ids), self._take_curves)

    def _take_curves(self, curves: curve_data.RunCurves) -> None:
        self.curves = curves
        self.live_chart.changed()

    def _draw_chart(self) -> None:
        """Draw the curves that were read last."""
        pane = self.query_one("#home-chart-pane", Pane)
        for metric, curves in self.curves.curves.items() if self.curves else ():
            drawn = [curve for curve in curves if curve.points.last_step >= 0]
            letters = ", ".join(
                f"{curve.run.id} ({letter})" for letter, curve in zip("ab", drawn, strict=False)
            )
            pane.set_rule(f"{metric_label(metric)} of {letters}".capitalize(), "smooth 0.6")
            self.chart.show_chart(charts.headline_chart(drawn), (metric, letters))
            return
        self.chart.show_sentence("No points yet.")

    def _split_run(self) -> int | None:
        """The active run whose time is shown: the cursor's, else the first."""
        if self.facts is None:
            return None
        active = [each.run.id for each in self.facts.active]
        key = self.active.cursor_key
        return key if key in active else active[0] if active else None

    def _read_machine(self) -> None:
        if self.app.screen is self:
            self.look(self._machine_reader.read, self._show_machine)

    def _show_machine(self, load: machine.MachineLoad) -> None:
        self.machine_body.show(rows.machine_lines(load, self.machine_body.size.width))

    def _show_home(self, facts: home.HomeSnapshot) -> None:
        first = self.facts is None
        self.facts = facts
        self._show_pipeline(facts)
        self._show_active(facts)
        events = facts.events
        self.events.set_rows(
            [event.id for event in events],
            lambda index: rows.event_row(events[index], facts.states, now()),
            empty="No events yet.",
        )
        alerts = f"{facts.num_alerts} alert{'s' if facts.num_alerts != 1 else ''}"
        self.query_one("#events-pane", Pane).set_rule(facts=alerts if facts.num_alerts else "")
        self.results_body.show(rows.result_lines(facts, self.results_body.size.width))
        self._focus_on_rows()
        if first and self._split_run() is not None:
            self.read()

    def _focus_on_rows(self) -> None:
        """Where nothing is active, keys work on the latest events, else on the pipeline's stages.

        The focus goes back to what is active once something is, unless the cursor was moved.
        """
        active, lent = self.active, self._lent_focus
        if active.keys:
            if lent is not None and lent.has_focus and lent.cursor == 0:
                self.set_focus(active)
            self._lent_focus = None
        elif active.has_focus:
            if self.events.keys and self.events.region.area:
                self._lent_focus = self.events
            elif self.facts is not None and self.facts.stages:
                self._lent_focus = self.strip
            self.set_focus(self._lent_focus or active)

    def _show_pipeline(self, facts: home.HomeSnapshot) -> None:
        pane = self.query_one("#pipeline-pane", Pane)
        pipeline = facts.pipeline
        if pipeline is None:
            pane.set_rule("Pipeline", "")
            self.strip.show_columns([[(Span("No pipeline yet. n opens its form.", "muted"),)]])
            return
        told = facts.forecast
        progress = percent(told.progress) if told is not None else UNKNOWN
        if told is not None and told.left_s is not None:
            source = f", {told.source}" if self.size.width >= 110 else ""
            progress += f" · about {duration(roughly(told.left_s))} left{source}"
        words = [f"Pipeline {pipeline.id}", pipeline.preset, pipeline.robot_set]
        title = " · ".join(printable(word) for word in words if word)
        pane.set_rule(
            f"{title} · seed {pipeline.seed}",
            progress,
        )
        roomy = self.size.height >= 30
        self.strip.show_columns(rows.stage_columns(facts, now(), roomy))

    def _show_active(self, facts: home.HomeSnapshot) -> None:
        waiting = list(facts.queued[: 1 if self.size.height < 30 else 4])
        known = {each.run.id for each in facts.active}
        halted = [each for each in facts.halted if each.run.id not in known]
        shown = sorted([*facts.active, *halted], key=_number) + waiting
        self.active.set_rows(
            [each.run.id for each in shown],
            lambda index: rows.active_row(shown[index], self.cockpit, now()),
            empty="Nothing runs. n opens a form; Runs (2) has all that ran.",
        )
        following = f" · next {facts.queued[0].run.id}" if facts.queued else ""
        slots = f"slots {facts.slots_in_use} of {facts.slots}" if facts.slots else ""
        slots += ", a changes" if slots and self.size.width >= 110 else ""
        pane = self.query_one("#active-pane", Pane)
        pane.set_rule(f"Active {len(facts.active)}{following}", slots)
        room = max(3, self.size.height - (17 if self.size.height < 30 else 28))
        # Without a run its place says so, below an empty row.
        pane.styles.height = 2 + max(1 if shown else 2, min(len(shown), room))

    def _show_split(self, split: home.TimeSplit) -> None:
        pane = self.query_one("#split-pane", Pane)
        if not split.shares:
            pane.set_rule("Time")
            words = f" {split.run_id} has not reported a split."
            self.split_body.show([(Span(words, "muted"),)])
            return
        pane.set_rule(f"Time in {split.run_id}, last minute")
        self.split_body.show(rows.split_lines(split, self.split_body.size.width))

    def action_new_run(self) -> None:
        """Open the form; where there is no pipeline, on the one that starts a pipeline."""
        none = self.facts is not None and self.facts.pipeline is None
        self.app.post_message(OpenForm("pipeline" if none else "teacher"))

    def action_slots(self) -> None:
        """Ask how many runs are to work at once."""
        if not self.may_act():
            return
        slots = self.facts.slots if self.facts is not None else None

        def act(values: tuple[str, ...] | None) -> None:
            if values is not None:
                self.command(partial(slot_actions.change_slots, text=values[0]))

        fields = (("so many runs work at once, as `hdtui slots N`", str(slots or "")),)
        check = FieldsScreen("Slots", fields, lambda values: slot_actions.slots_problem(values[0]))
        self.app.push_screen(check, act)

    def action_older(self, pipelines: int) -> None:
        """Look at an older or newer pipeline."""
        if self.facts is None:
            return
        if pipelines > 0 and self.facts.previous is None:
            self.say("This is the oldest pipeline.")
            return
        self.older = max(0, self.older + pipelines)
        self.read()

    def current_run(self) -> int | None:
        """The run that actions mean: the cursor's in the focused pane."""
        if self.events.has_focus and self.facts is not None:
            for event in self.facts.events:
                if event.id == self.events.cursor_key:
                    return event.run_id
        if self.strip.has_focus and self.facts is not None and self.facts.stages:
            return self.facts.stages[self.strip.cursor].runs[0].run.id
        key = self.active.cursor_key
        return key if isinstance(key, int) else None

    def run_under_cursor(self) -> Run | None:
        """The current run where it is one of those that Home read: all but those of old events."""
        facts, run_id = self.facts, self.current_run()
        if facts is None:
            return None
        stages = [each for stage in facts.stages for each in stage.runs]
        known = [*facts.active, *facts.queued, *facts.halted, *stages]
        return next((each.run for each in known if each.run.id == run_id), None)

    def on_table_chosen(self, message: Table.Chosen) -> None:
        self.actions.open(self.current_run())

    def on_stage_strip_chosen(self, message: StageStrip.Chosen) -> None:
        if self.facts is not None and self.facts.stages:
            self.actions.open(self.facts.stages[message.index].runs[0].run.id)

    def on_table_moved(self, message: Table.Moved) -> None:
        self.show_keys()


def _number(each: RunView) -> int:
    return each.run.id
