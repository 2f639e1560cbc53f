"""New study: a form with what it would run, what is there already, and how long it takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.config.presets import PRESETS
from engine.config.study import StudyConfig, built_in_studies, load_study
from hdtui.actions import studies
from hdtui.actions.studies import Planned, StudyRequest
from hdtui.data.form_choices import FormChoices, read_known
from hdtui.data.studies import estimate_words
from hdtui.formatting import printable, shorten, size
from hdtui.messages import Answer, OpenStudy
from hdtui.screens.menu import MenuScreen
from hdtui.screens.new_run.rows import SettingField, command_rows, cut_line
from hdtui.screens.shell import CockpitScreen
from hdtui.screens.studies import rows
from hdtui.widgets import table as tables
from hdtui.widgets.chrome import Paragraph
from hdtui.widgets.lines import Line, Lines, Span, muted, wrapped
from hdtui.widgets.pane import Divider, Pane

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from db.session import Database
    from hdtui.data.cockpit import Cockpit
    from hdtui.widgets.filter_row import FilterRow

PLAN_AFTER_S = 0.3
"""A plan is made when nothing was changed for so long: typing need not wait for it."""
KEYS = tuple(each.name for each in fields(StudyRequest))
HELP = {
    "study": "What is asked: a study that comes with hdtui, or a FILE.toml that declares one.",
    "name": "What it is called here. One of the same name goes on: what it has is not repeated.",
    "preset": "The pipeline that its settings change: smoke takes seconds and says nothing, quick "
    "minutes a run, laptop an hour or two, paper days.",
    "seeds": "How many seeds each setting is run with. Below three there is no verdict.",
    "robots": "Robot set to train on; else as declared, or new robots by seed.",
    "unseen": "Robot set that nobody trains on, to judge policies; with robots alone.",
    "settings": "Settings of the base pipeline, KEY=VALUE, parted by spaces, as --set takes them: "
    "student.epochs=40",
    "fresh": "Compute anew what finished runs have already, and begin a study of this name anew.",
}
COLUMNS = (
    tables.Column("key", "setting", 10, gap=1),
    tables.Column("value", "value", 20, grow=True, gap=0),
)


class NewStudyScreen(CockpitScreen):
    """The form; ``R`` queues what the plan lacks."""

    TAB = 6
    TITLE_WORD = "New study"
    READ_EVERY_S = 60.0
    FOOTER = "enter u y R"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "edit", tooltip="edit, or choose"),
        Binding("u", "undo", "undo", tooltip="take the change of a row back"),
        Binding("y", "copy", "copy command", tooltip="copy the command"),
        Binding("R", "start", "start", tooltip="queue the runs of the plan that are missing"),
        Binding("escape", "out", tooltip="leave the field as it was, the form"),
        Binding("n", "nothing"),
    ]

    def __init__(
        self, cockpit: Cockpit, study: str = "", begun: Callable[[str], object] = str
    ) -> None:
        super().__init__(cockpit)
        self.begun = begun
        """Is told the name of the study once its runs are queued."""
        self.wanted = StudyRequest(study=study)
        self.planned: Planned | None = None
        self.known = FormChoices((), ())
        self.editing = ""
        self.changes = 0
        self.table = tables.Table(COLUMNS, widget_id="study-settings")
        self.field = SettingField("enter edits")
        self.about = Lines(widget_id="about")
        self.plan = Lines([()])
        self.command_words = Paragraph("")

    def compose_body(self) -> ComposeResult:
        with Horizontal():
            yield Pane("New study", self.table, widget_id="new-study-pane")
            yield Divider("┬")
            yield self.about
        yield self.field
        yield Pane("Plan", self.plan, widget_id="plan-pane")
        yield Pane("Same as", self.command_words, widget_id="command-pane")

    def on_mount(self) -> None:
        self._close_field()
        self.set_focus(self.table)
        self.show_form()
        self._name_freely()
        self._plan_now()
        if not self.wanted.study:
            self._choose_study()

    def read(self) -> None:
        self.ask(read_known, self._take_known)

    def _take_known(self, known: FormChoices) -> None:
        self.known = known

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_form)

    def show_form(self) -> None:
        """Draw the rows, the help of the cursor's row, the plan and the command."""
        wanted = self.wanted
        self.table.set_rows(KEYS, lambda index: self._row(KEYS[index]))
        title = printable(wanted.study) or "choose one"
        self.query_one("#new-study-pane", Pane).set_rule(f"New study · {title}")
        self.command_words.set_text(command_rows(wanted.command(), self.size.width))
        self._show_plan()
        self._show_about()

    def _text(self, key: str) -> str:
        value = getattr(self.wanted, key)
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    def _row(self, key: str) -> tables.TableRow:
        text = self._text(key)
        shown = Span(printable(text)) if text else muted(self._as_declared(key))
        return tables.TableRow(((Span(key),), (shown,)))

    def _as_declared(self, key: str) -> str:
        """What an empty row means."""
        study = self._declared()
        if study is None:
            return "choose one" if key == "study" else "·"
        made = "new ones, by seed"
        values = {
            "name": study.name,
            "preset": study.preset,
            "seeds": str(len(study.seeds)),
            "robots": study.robots.training or made,
            "unseen": study.robots.unseen or ("parts of robots" if study.robots.folds else made),
            "settings": "as declared",
        }
        return values.get(key, "·")

    def _declared(self) -> StudyConfig | None:
        """The study that the plan is for; of one that cannot be planned, as it comes."""
        if self.planned is not None and self.planned.study is not None:
            return self.planned.study
        name = self.wanted.study
        return load_study(name) if name in built_in_studies() else None

    def _show_about(self) -> None:
        key = str(self.table.cursor_key or KEYS[0])
        width = max(10, self.about.size.width - 2)
        lines: list[Line] = [(Span(f" {key}", "bold"),), ()]
        lines += [(Span(f" {row}"),) for row in wrapped(HELP[key], width)]
        study = self._declared()
        if key == "study" and study is not None:
            lines += [
                (),
                *((Span(f" {row}"),) for row in wrapped(printable(study.question), width)),
            ]
        self.about.show([cut_line(line, max(1, self.about.size.width)) for line in lines])

    def _show_plan(self) -> None:
        found, width = self.planned, self.size.width
        pane = self.query_one("#plan-pane", Pane)
        if found is None:
            pane.set_rule("Plan", "" if not self.wanted.study else "counting")
            self.plan.show([(muted(" What it would run stands here."),)])
            return
        if found.problem or found.plan is None or found.study is None:
            pane.set_rule("Plan", "cannot be begun")
            rows_of = wrapped(printable(f"✗ {found.problem}"), max(10, width - 2))
            self.plan.show([(Span(f" {row}", "bad"),) for row in rows_of[:3]])
            return
        pane.set_rule("Plan", f"{found.made} runs to be made, {found.reused} reused")
        made = Counter(str(node.kind) for node in found.plan.missing)
        there = Counter(str(run.kind) for run in found.plan.runs.values())
        kinds = {kind: (made[kind], there[kind]) for kind in dict.fromkeys([*made, *there])}
        settings = len(found.study.combinations())
        cells = f"{settings} settings x {len(found.study.seeds)} seeds: {rows.plan_lines(kinds)}"
        free = self.known.free_bytes
        room = "" if free is None else f"; {size(free)} free"
        words = estimate_words(found.estimate) if found.made else "nothing is to be made"
        if not found.study.trained:
            words = "no runs: a child process counts and times its networks"
        if found.study.ranges:
            words = f"up to {found.study.search.trials} trials, each from what those before were"
        inside = max(10, width - 2)
        lines = [*wrapped(cells, inside)[:2], *wrapped(f"{words}{room}", inside)[:2]]
        self.plan.show([cut_line((Span(f" {row}"),), max(1, width)) for row in lines])

    def _change(self, **changed: object) -> None:
        """Take a change, and plan once nobody changes anything for a moment."""
        self.wanted = replace(self.wanted, **changed)  # type: ignore[arg-type]
        self.show_form()
        self.changes += 1
        self.set_timer(PLAN_AFTER_S, partial(self._plan_after, self.changes))

    def _plan_after(self, change: int) -> None:
        if change == self.changes:
            self._plan_now()

    def _plan_now(self) -> None:
        wanted, store = self.wanted, self.cockpit.store
        if wanted.study:
            self.look(lambda: (wanted, studies.planned(store, wanted)), self._take_plan)

    def _take_plan(self, found: tuple[StudyRequest, Planned]) -> None:
        wanted, planned = found
        if wanted == self.wanted:
            self.planned = planned
            self.show_form()

    def _name_freely(self) -> None:
        """Another name where a study of this one was begun: it would go on instead."""
        study = self.wanted.study
        if study in built_in_studies() and not self.wanted.name:
            name = partial(studies.free_study_name, name=study)
            self.ask(lambda database: (study, name(database)), self._take_name)

    def _take_name(self, found: tuple[str, str]) -> None:
        study, name = found
        if study == self.wanted.study and name != study and not self.wanted.name:
            self._change(name=name)
            self.say(f"{study} was begun here; this one is called {name}")

    def on_table_moved(self, message: tables.Table.Moved) -> None:
        self._show_about()

    def on_table_chosen(self, message: tables.Table.Chosen) -> None:
        key = str(message.key)
        if key == "study":
            self._choose_study()
        elif key == "preset":
            menu = MenuScreen("Preset", [(name, "") for name in PRESETS], self._shown("preset"))
            self.app.push_screen(menu, partial(self._choose, key))
        elif key in ("robots", "unseen"):
            self._choose_set(key)
        elif key == "fresh":
            self._change(fresh=not self.wanted.fresh)
        else:
            self.editing = key
            self.field.edit_setting(
                key, self._text(key) or ("" if key == "settings" else self._shown(key))
            )

    def _shown(self, key: str) -> str:
        return self._text(key) or self._as_declared(key)

    def _choose_study(self) -> None:
        choices = [(name, load_study(name).question) for name in built_in_studies()]
        menu = MenuScreen("Study, or a FILE.toml", choices, self.wanted.study, typed=True)
        self.app.push_screen(menu, self._take_study)

    def _take_study(self, word: str | None) -> None:
        if word:
            self.planned = None
            self._change(study=word, name="")
            self._name_freely()

    def _choose_set(self, key: str) -> None:
        known = self.known
        names = [name for name in known.sets if key == "unseen" or name in known.training_sets]
        choices = [(name, known.about_sets.get(name, "")) for name in names]
        menu = MenuScreen(f"{key}, a robot set", choices, self._text(key), typed=True)
        self.app.push_screen(menu, partial(self._choose, key))

    def _choose(self, key: str, word: str | None) -> None:
        if word is not None:
            self._change(**{key: word})

    def on_filter_row_changed(self, message: FilterRow.Changed) -> None:
        """Text of the field, which is the value of a row."""
        if self.editing:
            self._change(**{self.editing: message.text})
        if message.final:
            self.editing = ""
            self._close_field()
            self.set_focus(self.table)

    def _close_field(self) -> None:
        self.field.show_search("")
        self.field.set_prompt(" ")

    def action_undo(self) -> None:
        """Take the change of the cursor's row back."""
        key = str(self.table.cursor_key)
        if key == "study":
            self.say("u: enter chooses another study")
            return
        self._change(**{key: False if key == "fresh" else ""})
        self.say(f"u: {key} is as declared")

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.wanted.command())
        self.say("command copied")

    def action_nothing(self) -> None:
        """The form is open already."""

    def action_start(self) -> None:
        wanted, found = self.wanted, self.planned
        if not wanted.study:
            self.say("R: choose a study first", "warn")
        elif found is not None and found.problem:
            self.say(f"✗ {shorten(printable(found.problem), 200)}", "bad")
        elif self.may_act():
            self.say("queueing its runs")
            app = self.app

            def start(database: Database) -> Answer:
                name, answer = studies.begin(database, wanted)
                app.call_later(self._started, name)
                return answer

            self.command(start)

    def _started(self, name: str) -> None:
        """Go to the study, unless the user has left the form already."""
        if self.is_active:
            app = self.app
            self.dismiss()
            self.begun(name)
            app.post_message(OpenStudy(name))

    def action_out(self) -> None:
        self.dismiss()
