"""Efficiency: what one action costs per policy, what it earns, and the claims of the paper."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.worker import get_current_worker

from engine.errors import HdtuiError
from hdtui.actions.counting import count, count_by_limbs
from hdtui.data import efficiency
from hdtui.data.claims import Verdict
from hdtui.data.cockpit import Cockpit, now
from hdtui.formatting import duration
from hdtui.messages import Answer, OpenMode, OpenRun
from hdtui.screens.efficiency import claim_rows
from hdtui.screens.efficiency import rows as cost_rows
from hdtui.screens.keys import BRACKETS, next_of
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.chart import Chart, ChartSpec
from hdtui.widgets.lines import Line, Lines, muted
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Table

_VIEWS = ("bars", "pareto", "limbs", "table")
_ROWS_FOR_ALL = 40
"""A terminal with fewer rows has no place for costs, a chart and the claims at once."""
_ROOM_FOR_WORDS, _ROOM_FOR_LIMBS = 78, 100
_CONVENTION = " policy alone; one multiply-add counts once; latency: batch 1, one thread, numpy"


class EfficiencyScreen(CockpitScreen):
    """Costs, returns and claims; the counting is done by a child process."""

    TAB = 5
    TITLE_WORD = "Efficiency"
    READ_EVERY_S = 5.0
    FOOTER = "v L right_square_bracket enter y"
    HELP_NOTES = (
        "Ratios are to the base MLP of HyperDistill. The policy alone is counted: no critic,\n"
        "no hypernetwork; 12 limb slots on both sides; one multiply-add counts once.\n"
        "Returns are of the evaluation in the title, which judged n robots, those a policy was\n"
        "trained on and those it never met apart; a row of another\n"
        "evaluation says of which: in 13 n 28.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v", "view", "bars pareto limbs table", tooltip="bars, Pareto, by limbs, table alone"
        ),
        Binding("left_square_bracket", "task(-1)", tooltip="flat, variable", group=BRACKETS),
        Binding("right_square_bracket", "task(1)", "task", tooltip="obstacles", group=BRACKETS),
        Binding(
            "L", "latency", "measure latency", tooltip="measure latency, about 20s on one core"
        ),
        Binding("enter", "choose", "sources", tooltip="the runs behind a figure"),
        Binding("y", "copy", "copy", tooltip="copy both tables as Markdown"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.facts: efficiency.EfficiencyFigures | None = None
        self.task_name = efficiency.TASKS[0]
        self.view = _VIEWS[0]
        self.counting = ""
        self.asked: set[tuple[str, frozenset[str]]] = set()
        self.costs = Table(cost_rows.COST_COLUMNS, widget_id="costs")
        self.chart = Chart()
        self.legend = Lines()
        self.bars = Lines()
        self.convention = Lines([(muted(_CONVENTION),)])
        self.claims = Table(claim_rows.CLAIM_COLUMNS, widget_id="claims")

    def compose_body(self) -> ComposeResult:
        yield Pane("Cost of one action", self.costs, widget_id="costs-pane")
        yield Pane("", self.bars, widget_id="bars-pane")
        yield Pane("", Vertical(self.chart, self.legend), widget_id="chart-pane")
        yield self.convention
        yield Pane("Claims of the paper", self.claims, widget_id="claims-pane")

    def on_mount(self) -> None:
        self.convention.styles.height = 1
        self.costs.focus()

    def read(self) -> None:
        counted = dict(self.cockpit.counted)
        self.ask(
            lambda database: efficiency.read_efficiency(database, counted),
            self._take_costs,
            empty=efficiency.efficiency_of_nothing(counted),
        )

    def _take_costs(self, facts: efficiency.EfficiencyFigures) -> None:
        self.facts = facts
        self._count_what_is_missing(facts)
        self.show_costs()

    def on_resize(self) -> None:
        self.show_costs()

    def show_costs(self) -> None:
        """Draw what was read last for the chosen task and view."""
        facts = self.facts
        if facts is None:
            return
        lines = cost_rows.cost_lines(facts, self.task_name)
        rows = {line.key: line for line in lines}
        keys = list(rows)
        task_name = self.task_name
        self.costs.set_rows(
            keys,
            lambda index: cost_rows.cost_row(rows[keys[index]], facts, task_name),
            columns=cost_rows.cost_columns(lines),
            empty="No policy is counted and no run evaluated yet.",
        )
        tasks = " ".join(
            f"[{task}]" if task == self.task_name else task for task in efficiency.TASKS
        )
        self.query_one("#costs-pane", Pane).set_rule(self._title(facts, lines), tasks)
        self._show_view(facts)
        self._show_claims(facts)

    def _title(
        self, facts: efficiency.EfficiencyFigures, lines: Sequence[cost_rows.CostLine]
    ) -> str:
        """For how many limbs was counted, and in which evaluation most returns were measured."""
        shared, width = facts.shared(self.task_name), self.size.width
        words = ["Cost of one action" if width >= _ROOM_FOR_WORDS else "Cost"]
        if lines and lines[0].cost and (shared is None or width >= _ROOM_FOR_LIMBS):
            words.append(f"{lines[0].cost.limbs} limb slots")
        words += [f"evaluation {shared.measured_in}"] if shared else []
        return " · ".join(words)

    def _show_view(self, facts: efficiency.EfficiencyFigures) -> None:
        bars, chart = self.query_one("#bars-pane", Pane), self.query_one("#chart-pane", Pane)
        charted = self.view in ("pareto", "limbs")
        bars.display, chart.display = self.view == "bars", charted
        chart.styles.height = "2fr"
        self._give_way(charted and self.size.height < _ROWS_FOR_ALL)
        lines = cost_rows.cost_lines(facts, self.task_name)
        if self.view == "bars":
            rows = 6 if self.size.height >= 30 else 4
            bars.styles.height = rows + 1
            bars.set_rule("MACs, log scale from 100k")
            waiting = (muted(f" {self.counting or 'No policy is counted yet.'}"),)
            self.bars.show(cost_rows.bar_lines(lines, self.size.width, rows) or [waiting])
        elif self.view == "limbs":
            spec, legend = cost_rows.limbs_chart(facts.by_limbs)
            chart.set_rule("MACs by limb slots, the head's too")
            self._show_chart(spec, legend, self.counting or "Not counted by limbs yet.")
        elif self.view == "pareto":
            spec, legend = cost_rows.pareto_chart(lines)
            chart.set_rule("return on trained robots against MACs, log scale")
            sentence = (
                self.counting
                or "No run is evaluated on this task yet: e evaluates one on Robots (3)."
            )
            self._show_chart(spec, legend, sentence)

    def _give_way(self, hidden: bool) -> None:
        """Leave the rows of the claims to a chart where there are few."""
        if hidden and self.claims.has_focus:
            self.costs.focus()
        self.query_one("#claims-pane", Pane).display = not hidden

    def _show_chart(self, spec: ChartSpec, legend: Sequence[Line], sentence: str) -> None:
        rows = max(2, self.size.height // 6)
        self.legend.show(cost_rows.legend_lines(legend, self.size.width - 2, rows))
        self.legend.display = bool(legend)
        if spec.curves:
            self.chart.show_chart(spec, (self.view, self.task_name, len(spec.curves)))
        else:
            self.chart.show_sentence(sentence)

    def _show_claims(self, facts: efficiency.EfficiencyFigures) -> None:
        claims = facts.claims
        self.claims.set_rows(
            [claim.name for claim in claims], lambda index: claim_rows.claim_row(claims[index])
        )
        pane = self.query_one("#claims-pane", Pane)
        pane.styles.height = len(claims) + 2
        good = sum(claim.verdict is Verdict.REPRODUCED for claim in claims)
        unmeasured = sum(claim.verdict is Verdict.NOT_MEASURED for claim in claims)
        words = f"{good} of {len(claims)} reproduced"
        if unmeasured and self.size.width >= _ROOM_FOR_WORDS:
            words += f", {unmeasured} not measured yet"
        pane.set_rule("Claims of the paper", words)

    def _count_what_is_missing(self, facts: efficiency.EfficiencyFigures) -> None:
        wanted = {
            task: (task, frozenset(efficiency.own_networks(facts.reached, task)))
            for task in efficiency.TASKS
        }
        missing = [
            task
            for task in efficiency.uncounted(facts, efficiency.TASKS)
            if wanted[task] not in self.asked
        ]
        if not missing or self.counting:
            return
        # Once: what a child cannot count, it cannot count again.
        self.asked.update(wanted[task] for task in missing)
        self._in_child(
            f"A child process counts the networks on {' '.join(missing)}, about 15s.",
            [partial(count, self.cockpit, facts, task) for task in missing],
        )

    def _in_child(self, sentence: str, acts: Sequence[Any]) -> None:
        """Run counting functions one after the other in a thread, each ending in a read.

        Leaving the cockpit cancels the worker: it waits for no child then.
        """
        self.counting = sentence
        self.run_worker(lambda: self._run(acts), group="count", exclusive=True, thread=True)

    def _run(self, acts: Sequence[Any]) -> None:
        started = now()
        sentence = ""
        worker = get_current_worker()
        for act in acts:
            try:
                sentence = act(given_up=lambda: worker.is_cancelled)
            except HdtuiError as error:
                if worker.is_cancelled:
                    return
                self.counting = str(error)
                self.post_message(Answer(str(error), "warn"))
                return
        took = duration((now() - started).total_seconds())
        self.counting = ""
        self.post_message(Answer(f"{sentence}, took {took}"))
        self.call_later(self.read)

    def action_view(self) -> None:
        self.view = next_of(_VIEWS, self.view)
        facts = self.facts
        if self.view == "limbs" and facts is not None and not facts.by_limbs and not self.counting:
            self._in_child(
                "A child process counts the networks for 2 to 24 limb slots, about 10s.",
                [partial(count_by_limbs, self.cockpit)],
            )
        self.show_costs()

    def action_task(self, step: int) -> None:
        self.task_name = next_of(efficiency.TASKS, self.task_name, step)
        self.show_costs()

    def action_latency(self) -> None:
        if self.counting or self.facts is None:
            self.say(f"L: {self.counting or 'reading'}")
        elif self.may_act():
            self.say("measuring latency: batch 1, one thread, interleaved, about 20s")
            sentence = "A child process measures latency, about 20s."
            act = partial(count, self.cockpit, self.facts, self.task_name, latency=True)
            self._in_child(sentence, [act])

    def on_table_moved(self, message: Table.Moved) -> None:
        """The claim under the cursor says why it could not be judged."""
        facts = self.facts
        if message.table is self.claims and self.claims.has_focus and facts is not None:
            why = {claim.name: claim.reason for claim in facts.claims}
            self.say(why.get(str(self.claims.cursor_key), ""))

    def on_table_chosen(self, message: Table.Chosen) -> None:
        if self.facts is None:
            return
        if message.table is self.costs:
            self._open_runs((message.key,) if isinstance(message.key, int) else ())
            return
        claim = next((c for c in self.facts.claims if c.name == message.key), None)
        if claim is not None and claim.reason:
            self.say(claim.reason)
        else:
            self._open_runs(claim.runs if claim else ())

    def _open_runs(self, runs: Sequence[int]) -> None:
        """One run opens; several are marked and shown in the list."""
        if not runs:
            self.say("no run stands behind this figure: it is counted from the networks")
        elif len(runs) == 1:
            self.app.post_message(OpenRun(runs[0]))
        else:
            self.cockpit.marked_runs.update(dict.fromkeys(runs))
            self.app.post_message(OpenMode("runs"))

    def action_copy(self) -> None:
        if self.facts is not None:
            self.app.copy_to_clipboard(cost_rows.markdown(self.facts, self.task_name))
            self.say("copied costs and claims as Markdown")
