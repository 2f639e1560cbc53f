"""One study: its cells, what they measured against the factor, and what that says."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from db.records import RunState
from engine.config.study import Measure
from hdtui import formatting
from hdtui.data.cockpit import Cockpit
from hdtui.data.run_states import GLYPHS
from hdtui.data.study_views import StudyView, axis_of, run_of, short_labels
from hdtui.messages import OpenRun
from hdtui.screens.keys import BRACKETS
from hdtui.screens.shell import CockpitScreen
from hdtui.screens.studies import rows
from hdtui.screens.studies.actions import STUDY_KEYS, StudyActions
from hdtui.widgets.chart import Chart
from hdtui.widgets.lines import Line, Lines, Span, muted, wrapped
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Table

_VIEWS = ("chart and answer", "chart", "answer")
_LEAST_CHART_ROWS = 7
_SEEDS = Binding.Group("← →")


class StudyScreen(CockpitScreen):
    """The matrix of a study, its chart and its answer so far."""

    TAB = 6
    TITLE_WORD = "Study"
    READ_EVERY_S = 2.0
    HELP_NOTES = (
        "A cell is a setting with a seed: its value, else its state and how much of its runs is\n"
        "done. Chart: ▪ the mean, a line its interval over seeds and robots, ◦ the seeds.\n"
        "An answer is a verdict (✓ as expected, ✗ not) or says why there is none (∙ ≠).",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "choose", "run", tooltip="open the run of the cell: at work, or its value"
        ),
        Binding("left", "seed(-1)", tooltip="previous", group=_SEEDS),
        Binding("right", "seed(1)", "seed", tooltip="next seed", group=_SEEDS),
        Binding("left_square_bracket", "measure(-1)", tooltip="previous", group=BRACKETS),
        Binding(
            "right_square_bracket", "measure(1)", "measure", tooltip="next measure", group=BRACKETS
        ),
        Binding("v", "view", "view", tooltip="chart and answer, chart, answer alone"),
        *STUDY_KEYS,
    ]

    def __init__(self, cockpit: Cockpit, name: str) -> None:
        super().__init__(cockpit)
        self.name_of_study = name
        self.view: StudyView | None = None
        self.seed_place = 0
        self.measure_place = 0
        self.shape = _VIEWS[0]
        self.told = False
        self.table = Table((), widget_id="cells", empty="reading")
        self.chart = Chart(empty="reading")
        self.answer = Lines()
        self.actions = StudyActions(self, lambda: self.view)

    def compose_body(self) -> ComposeResult:
        name = formatting.printable(self.name_of_study)
        yield Pane(name, self.table, facts="reading", widget_id="cells-pane")
        yield Pane("", self.chart, widget_id="study-chart-pane")
        yield Pane("Answer", self.answer, widget_id="answer-pane")

    def on_mount(self) -> None:
        self.set_focus(self.table)

    def footer(self) -> str:
        if self.view is None:
            return ""
        states = self.view.states
        halted = any(state.ended and state is not RunState.FINISHED for state in states)
        open_runs = any(not state.ended for state in states)
        acting = "R" if halted or self.view.plan.missing else "X" if open_runs else ""
        return f"enter right right_square_bracket v {acting} W y E"

    def read(self) -> None:
        reader, name = self.cockpit.studies_reader, self.name_of_study
        self.ask(partial(reader.read, name=name), self._take_study)

    def _take_study(self, view: StudyView) -> None:
        self.view = view
        self.actions.count([view])
        self.show_study()

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is told of a combination: what is compared comes first."""
        if self.view is None:
            return ()
        study = self.view.study
        compared = [comparison.measure for comparison in study.comparisons()]
        return tuple(dict.fromkeys([*compared, *study.measured()]))

    @property
    def measure(self) -> Measure:
        """The measure that is shown."""
        return self.measures[self.measure_place % len(self.measures)]

    @property
    def seed(self) -> int | None:
        """The seed of the column under the cursor."""
        if self.view is None:
            return None
        seeds = self.view.study.seeds
        self.seed_place = max(0, min(self.seed_place, len(seeds) - 1))
        return seeds[self.seed_place]

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_study)

    def show_study(self) -> None:
        """Draw what was read last."""
        view = self.view
        if view is None:
            return
        self._show_cells(view)
        self._lay_out(view)
        self._show_chart(view)
        self._show_answer(view)
        self.show_keys()

    def _show_cells(self, view: StudyView) -> None:
        measure, at = self.measure, self.seed
        names = short_labels(view.study)[1]
        labels = list(names)
        columns, seeds = rows.matrix_columns(view, measure, self.size.width, self.seed_place)
        self.table.set_rows(
            labels,
            lambda index: rows.matrix_row(
                view,
                labels[index],
                names[labels[index]],
                measure,
                seeds,
                at if labels[index] == self.table.cursor_key else None,
            ),
            columns=columns,
        )
        glyph = GLYPHS[view.state][0]
        name = formatting.printable(view.study.name)
        done = f"{glyph} {formatting.percent(view.progress)}"
        many = len(view.study.seeds)
        part = f" of {many} seeds" if len(seeds) < many else ""
        facts = f"{measure.label}{part and f' · s{seeds[0]} to s{seeds[-1]}{part}'}"
        preset = view.study.preset
        self.query_one("#cells-pane", Pane).set_rule(f"{name} · {preset} · {done}", facts)

    def _lay_out(self, view: StudyView) -> None:
        """The matrix as high as it is, half of the screen at most; the rest is chart and answer."""
        cells = self.query_one("#cells-pane", Pane)
        chart = self.query_one("#study-chart-pane", Pane)
        answer = self.query_one("#answer-pane", Pane)
        rest = self.size.height - 3
        high = min(len(axis_of(view.study).places) + 2, max(4, rest // 2))
        cells.styles.height = high
        rest -= high
        lines = len(self._answer_lines(view, 10**6)) + 1
        both = self.shape == "chart and answer"
        room = max(3, rest - _LEAST_CHART_ROWS) if both else rest
        alone = both and rest < _LEAST_CHART_ROWS + 3
        chart.display = self.shape != "answer" and not alone
        answer.display = self.shape != "chart"
        if self.shape == "answer" or alone:
            answer.styles.height = "1fr"
        else:
            answer.styles.height = min(lines, room)
        self._answer_room = rest - 1 if self.shape == "answer" or alone else min(lines, room) - 1

    def _show_chart(self, view: StudyView) -> None:
        measure, axis = self.measure, axis_of(view.study)
        pane = self.query_one("#study-chart-pane", Pane)
        against = f" against {axis.factor}" if axis.factor else ""
        scale = ", log scale" if axis.log else ""
        facts = rows.legend_words(view.study)
        confidence = f"{view.study.rule.confidence:.0%}".replace("%", " %")
        title = f"{measure.label}{against}{scale}"
        facts = facts or f"mean, {confidence} interval, seeds"
        fits = len(title) + len(facts) + 8 <= self.size.width
        pane.set_rule(title, facts if fits or len(axis.groups) > 1 else "")
        if any(view.summary(label, measure) for label in axis.places):
            spec = rows.chart_spec(view, measure)
            self.chart.show_chart(spec, (measure.label, axis.ticks, spec.curves))
            return
        sized = view.counts and bool(view.uncounted)
        nothing = "A child process counts the networks." if sized else "No cell has it yet."
        self.chart.show_sentence(nothing)

    def _answer_lines(self, view: StudyView, most: int) -> list[Line]:
        width = self.size.width
        if self.shape != "answer":
            return rows.answer_lines(view, width, most, "v shows the rest")
        question = formatting.printable(view.study.question)
        lines: list[Line] = [
            (Span(f" {row}", "text bold"),) for row in wrapped(question, width - 2)
        ]
        for answer in view.verdict.answers:
            lines += rows.sentence_lines(answer, width)
            words = " · ".join(rows.evidence_lines(answer))
            lines += [(muted(f"   {row}"),) for row in wrapped(words, width - 4) if words]
        if view.said:
            lines += rows.answer_lines(view, width, most, "")
        return lines[:most]

    def _show_answer(self, view: StudyView) -> None:
        pane = self.query_one("#answer-pane", Pane)
        ended = view.progress >= 1.0
        title = "Answer" if ended else "Answer so far"
        pane.set_rule(title, rows.states_words(view))
        self.answer.show(self._answer_lines(view, max(1, self._answer_room)))

    def on_table_moved(self, message: Table.Moved) -> None:
        if self.told:  # an answer that led here stays
            self._tell_cell()
        self.told = True

    def on_table_chosen(self, message: Table.Chosen) -> None:
        view, seed = self.view, self.seed
        if view is None or seed is None or not isinstance(message.key, str):
            return
        result = view.result(message.key, seed)
        run = run_of(result)
        if run is None:
            self.say(rows.cell_words(result))
        else:
            self.app.post_message(OpenRun(run.id))

    def _tell_cell(self) -> None:
        """Say what stands behind the cell under the cursor, and draw the cursor there."""
        view, seed = self.view, self.seed
        label = self.table.cursor_key
        if view is not None and seed is not None and isinstance(label, str):
            self.say(rows.cell_words(view.result(label, seed)))
            self.table.redraw()

    def action_seed(self, step: int) -> None:
        if self.view is not None:
            self.seed_place += step
            self._show_cells(self.view)
            self._tell_cell()

    def action_measure(self, step: int) -> None:
        if self.view is not None:
            self.measure_place = (self.measure_place + step) % len(self.measures)
            self.show_study()

    def action_view(self) -> None:
        self.shape = _VIEWS[(_VIEWS.index(self.shape) + 1) % len(_VIEWS)]
        self.show_study()
        self.say(f"v: {self.shape}")

    def action_study(self, name: str) -> None:
        self.actions.act(name)

    def action_out(self) -> None:
        self.dismiss()
