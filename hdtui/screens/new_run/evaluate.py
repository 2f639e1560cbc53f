"""The evaluate dialog: which policies, on how many episodes of which task; R starts it."""

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from hdtui.actions import evaluate as evaluations
from hdtui.formatting import printable, shorten
from hdtui.screens.keys import next_of
from hdtui.screens.leaving import Dialog
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.lines import Lines, Span, muted
from hdtui.widgets.table import Column, Table, TableRow

_EPISODES = (1, 4, 16, 64)
_SETTINGS = ("task", "episodes", "seed")


def ask_evaluation(screen: CockpitScreen, choices: evaluations.Choices) -> None:
    """Ask what to evaluate, and queue it."""
    if not choices.robots:
        screen.say("e: no robots; mark some on Robots (3) with space", "warn")
        return

    def start(wanted: evaluations.EvaluationRequest | None) -> None:
        if wanted is not None and screen.may_act():
            screen.command(partial(evaluations.queue_evaluation, wanted=wanted))

    screen.open_dialog(EvaluateScreen(choices), start)


class EvaluateScreen(Dialog[evaluations.EvaluationRequest | None]):
    """Space or Enter changes the row under the cursor; the result is None when left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "change(1)", show=False),
        Binding("right,plus", "change(1)", show=False),
        Binding("left,minus", "change(-1)", show=False),
        Binding("y", "copy", show=False),
        Binding("R", "start", show=False),
    ]

    def __init__(self, choices: evaluations.Choices) -> None:
        super().__init__()
        self.wanted = choices.start
        self.choices = choices
        self.policies: tuple[int | str, ...] = (
            *(run.id for run in choices.policies),
            *evaluations.NAMED_POLICIES,
        )
        columns = (Column("what", "", 10, gap=1), Column("value", "", 20, grow=True, gap=0))
        self.table = Table(columns, header=False)
        self.words = Lines()
        self.answer = Lines([()])

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = "Evaluate"
            yield self.table
            yield self.words
            yield self.answer

    def on_mount(self) -> None:
        self.table.styles.height = len(self.policies) + 4
        self._show()
        self.table.focus()

    def _show(self) -> None:
        keys: list[Hashable] = [*self.policies, *_SETTINGS, "robots"]
        self.table.set_rows(keys, lambda index: self._row(keys[index], first=index == 0))
        words = [
            (Span(f" {evaluations.estimate_text(self.wanted, self.choices)}"),),
            (muted(f" {shorten(evaluations.command_text(self.wanted), 56)}"),),
            (),
            (
                *(Span(" R", "accent bold"), Span(" start   ")),
                *(Span("space ← →", "accent bold"), Span(" change   ")),
                *(Span("y", "accent bold"), Span(" copy command   ")),
                *(Span("esc", "accent bold"), Span(" close")),
            ),
        ]
        self.words.show(words)

    def _row(self, key: Hashable, first: bool) -> TableRow:
        if key in self.policies:
            runs = {run.id: run for run in self.choices.policies}
            box = "[*]" if key in self.wanted.policies else "[ ]"
            label = "policies" if first else ""
            words = f"{box} {key}"
            if isinstance(key, int):
                run = runs[key]
                words = f"{box} {evaluations.policy_text(run)} {shorten(printable(run.name), 30)}"
            return TableRow(((Span(label),), (Span(words),)))
        values = {
            "task": self.wanted.task,
            "episodes": f"{self.wanted.episodes} a robot",
            "seed": str(self.wanted.seed),
            "robots": f"{len(self.wanted.robots)}: {shorten(' '.join(self.wanted.robots), 40)}",
        }
        selectable = key != "robots"
        return TableRow(((Span(str(key)),), (Span(values[str(key)]),)), selectable=selectable)

    def action_change(self, step: int) -> None:
        key, wanted = self.table.cursor_key, self.wanted
        if key in self.policies and isinstance(key, int | str):
            kept = tuple(policy for policy in wanted.policies if policy != key)
            policies = kept if key in wanted.policies else (*wanted.policies, key)
            self.wanted = replace(wanted, policies=policies)
        elif key == "task":
            self.wanted = replace(wanted, task=next_of(evaluations.TASKS, wanted.task, step))
        elif key == "episodes":
            self.wanted = replace(wanted, episodes=next_of(_EPISODES, wanted.episodes, step))
        elif key == "seed":
            self.wanted = replace(wanted, seed=max(0, wanted.seed + step))
        self._answer("")
        self._show()

    def action_copy(self) -> None:
        missing = evaluations.missing_text(self.wanted)
        if missing:
            self._answer(f"y: nothing is copied, {missing}", "warn")
            return
        self.app.copy_to_clipboard(evaluations.command_text(self.wanted))
        self._answer("command copied")

    def action_start(self) -> None:
        missing = evaluations.missing_text(self.wanted)
        if missing:
            self._answer(f"R: nothing to start, {missing}", "warn")
            return
        self.dismiss(self.wanted)

    def _answer(self, sentence: str, role: str = "text") -> None:
        """Answer the last key below the choices."""
        self.answer.show([(Span(f" {sentence}", role),)])
