"""New run: a form from the schema of the stage; what differs, what is wrong, the command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.config.presets import PRESETS
from engine.errors import HdtuiError, RoleNotAllowedError
from engine.text import counted
from hdtui.actions.queueing import queue_form
from hdtui.actions.run_form import STAGE_NAMES, TOP_FIELDS, RunForm, read_clone
from hdtui.data.form_choices import FormChoices, read_known
from hdtui.data.run_list import first_queued
from hdtui.data.settings import FormRow, choices_of, fields_of
from hdtui.messages import Answer, WorldChanged
from hdtui.screens.dialogs import role_question
from hdtui.screens.keys import BRACKETS
from hdtui.screens.menu import MenuScreen
from hdtui.screens.new_run import rows as form_rows
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.chrome import Paragraph
from hdtui.widgets.lines import Lines
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.tab_line import TabLine
from hdtui.widgets.table import Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from db.session import Database
    from hdtui.data.cockpit import Cockpit
    from hdtui.widgets.filter_row import FilterRow

LISTS_OF_RUNS = "#runs, #active"
PICKED = ("from", "robots")
"""Rows whose words are chosen from what the workspace has."""


class LaunchScreen(CockpitScreen):
    """The form; ``R`` queues the run once everything is valid."""

    TAB = 1
    TITLE_WORD = "New run"
    READ_EVERY_S = 60.0
    FOOTER = "enter u slash right_square_bracket y R"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "edit", tooltip="edit; open or close a section"),
        Binding("u", "undo", "undo", tooltip="take the change of a row back"),
        Binding("slash", "find", "find", tooltip="find a setting"),
        Binding("left_square_bracket", "stage(-1)", tooltip="previous", group=BRACKETS),
        Binding("right_square_bracket", "stage(1)", "stage", tooltip="next stage", group=BRACKETS),
        Binding("y", "copy", "copy command", tooltip="copy the command"),
        Binding("R", "start", "start", tooltip="start the run"),
        Binding("escape", "out", tooltip="leave the field as it was, the form"),
        Binding("n", "nothing"),
    ]

    def __init__(
        self,
        cockpit: Cockpit,
        kind: str = "teacher",
        clone: int | None = None,
    ) -> None:
        super().__init__(cockpit)
        self.forms = {kind: RunForm(stage=kind)}
        self.stage = kind
        self.known = FormChoices((), ())
        self.clone_id = clone
        self.opened: set[str] = {"ppo"}
        self.editing: str | None = None
        self.wanted = ""
        self.stages = TabLine(STAGE_NAMES, STAGE_NAMES.index(kind))
        self.table = Table(
            form_rows.COLUMNS, empty="No setting is called that.", widget_id="settings"
        )
        self.field = form_rows.SettingField("enter edits, / finds a setting")
        self.about = Lines(widget_id="about")
        self.estimate = Lines([()])
        self.command_text = Paragraph("")

    @property
    def form(self) -> RunForm:
        """The form of the stage that is shown; the others keep what was typed into them."""
        return self.forms[self.stage]

    def compose_body(self) -> ComposeResult:
        yield Pane("New run", self.stages, widget_id="launch-pane")
        with Horizontal():
            yield self.table
            yield Divider("│")
            yield self.about
        yield self.field
        yield Pane("Estimate", self.estimate, widget_id="estimate-pane")
        yield Pane("Same as", self.command_text, widget_id="command-pane")

    def on_mount(self) -> None:
        self.set_focus(self.table)
        self.show_form()

    def read(self) -> None:
        self.ask(read_known, self._take_known)
        if self.clone_id is not None:
            self.ask(partial(read_clone, run_id=self.clone_id), self._take_clone)

    def _take_known(self, known: FormChoices) -> None:
        self.known = known
        self.form.take_defaults(known)
        self.show_form()

    def _take_clone(self, form: RunForm) -> None:
        """Start from a run's settings, robots and inputs."""
        self.clone_id = None
        self.stage = form.stage
        self.forms[self.stage] = form
        form.take_defaults(self.known)
        self.stages.set_current(STAGE_NAMES.index(self.stage))
        self.show_form()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_form)

    def show_form(self) -> None:
        """Draw the rows, the help of the cursor's row, the estimate and the command."""
        form = self.form
        problems = form.problems(self.known)
        rows = self._rows()
        self.table.set_rows(
            [row.key for row in rows],
            lambda index: form_rows.setting_row(
                rows[index], form, problems, self.opened, self.table.size.width
            ),
            columns=form_rows.columns_of(form),
        )
        words = f"{counted(len(form.raw), 'change')} to {form.base_label}"
        self.query_one("#launch-pane", Pane).set_rule(f"New run · {form.stage}", words)
        width = self.size.width
        self.estimate.show(form_rows.estimate_lines(self.known, form, width))
        self.command_text.set_text(form_rows.command_rows(form.command(), width))
        self._show_about(problems)

    def _rows(self) -> list[FormRow]:
        """Name, preset, what it reads, robots; then the settings that match the search."""
        form = self.form
        if not self.wanted:
            top = [FormRow(key, 0, False, form.top(key)) for key in form.top_keys]
            return [*top, *form.rows(self.opened)]
        sections = _everything(form)
        wanted = self.wanted.casefold()
        return [
            row for row in form.rows(sections) if not row.section and wanted in row.key.casefold()
        ]

    def _show_about(self, problems: dict[str, str]) -> None:
        key = str(self.table.cursor_key or "")
        self.about.show(
            form_rows.about_lines(self.form, key, problems, self.known, self.about.size.width)
        )

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_about(self.form.problems(self.known))

    def on_table_chosen(self, message: Table.Chosen) -> None:
        key = str(message.key)
        if key == "preset":
            choices = [(name, "") for name in PRESETS]
            self.app.push_screen(MenuScreen("Preset", choices, self.form.preset), self._preset)
            return
        if key in PICKED:
            self._pick(key)
            return
        if key in TOP_FIELDS:
            self._edit(key, self.form.top(key))
            return
        row = next(row for row in self._rows() if row.key == key)
        if row.section:
            self.opened ^= {key}
            self.show_form()
            return
        choices_here = choices_of(fields_of(type(self.form.base()), key))
        if choices_here:
            self.app.push_screen(
                MenuScreen(key, [(word, "") for word in choices_here], str(row.value)),
                lambda word: self._choose(key, word),
            )
            return
        self._edit(key, str(row.value))

    def _pick(self, key: str) -> None:
        """Choose robots or runs from what there is; words that are not offered may be typed."""
        form = self.form

        def take(words: str | None) -> None:
            if words is not None:
                form.set_top(key, words)
                self.show_form()

        menu = MenuScreen(
            f"{key} of the {form.stage}",
            form.offers(key, self.known),
            form.top(key),
            typed=True,
            many=form.takes_many(key),
        )
        self.app.push_screen(menu, take)

    def _edit(self, key: str, value: str) -> None:
        self.editing = key
        self.field.edit_setting(key, value)

    def _choose(self, key: str, word: str | None) -> None:
        if word is not None:
            self.form.set_value(key, word)
            self.show_form()

    def _preset(self, name: str | None) -> None:
        if name is not None:
            self.say(self.form.take_preset(name))
            self.show_form()

    def on_filter_row_changed(self, message: FilterRow.Changed) -> None:
        """Text of the field: a value while a setting is edited, else a search."""
        if self.editing is None:
            self.wanted = message.text
        elif self.editing in TOP_FIELDS:
            self.form.set_top(self.editing, message.text)
        else:
            self.form.set_value(self.editing, message.text)
        if message.final:
            self.editing = None
            self.field.show_search(self.wanted)
            self.set_focus(self.table)
        self.show_form()

    def on_tab_line_chosen(self, message: TabLine.Chosen) -> None:
        self._go_to_stage(message.index)

    def action_stage(self, stages: int) -> None:
        self._go_to_stage((self.stages.current + stages) % len(STAGE_NAMES))

    def _go_to_stage(self, index: int) -> None:
        preset = self.form.preset
        self.stage = STAGE_NAMES[index]
        self.stages.set_current(index)
        self.forms.setdefault(self.stage, RunForm(stage=self.stage, preset=preset))
        self.form.take_defaults(self.known)
        self.show_form()

    def action_find(self) -> None:
        self.editing = None
        self.field.search(self.wanted)

    def action_undo(self) -> None:
        """Take the change of the cursor's row back."""
        key = str(self.table.cursor_key)
        if self.form.undo(key):
            self.say(f"u: {key} is as it was")
        elif key in TOP_FIELDS:
            self.say(f"u: {key} was not changed")
        else:
            self.say(f"u: {key} is as in {self.form.base_label}")
        self.show_form()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.form.command())
        self.say("command copied")

    def action_nothing(self) -> None:
        """The form is open already."""

    def action_start(self) -> None:
        problems = self.form.problems(self.known)
        if problems:
            self._show_problem(problems)
            return
        if self.may_act():
            self.say("starting")
            app, form = self.app, self.form

            def start(database: Database) -> Answer:
                answer = queue_form(database, form)
                app.call_later(self._started, first_queued(database))
                return answer

            self.command(start, refused=self._ask_about_role)

    def _show_problem(self, problems: dict[str, str]) -> None:
        """Go to the first row that is not valid, and say what is wrong with it."""
        key, sentence = next(iter(problems.items()))
        number = len(problems)
        settings = counted(number, "setting is", "settings are")
        self.say(f"✗ {settings} not valid: {sentence}", "bad")
        if key not in self.table.keys:
            self.wanted = ""
            self.field.set_text("")
            parts = key.split(".")
            self.opened |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
            self.show_form()
        self.table.move_to(key)

    def _ask_about_role(self, error: HdtuiError) -> bool:
        """Ask whether to learn from robots that are not for training."""
        if not isinstance(error, RoleNotAllowedError):
            return False

        def act(key: str | None) -> None:
            if key == "y":
                self.form.allowed_roles |= {error.role}
                self.show_form()
                self.action_start()

        self.app.push_screen(role_question(error), act)
        return True

    def _started(self, run_id: int | None) -> None:
        """Go back to where the form was opened; a user who left it already stays where they are."""
        app = self.app
        leaves = self.is_active
        self.dismiss()
        app.screen.post_message(WorldChanged())
        for table in app.screen.query(LISTS_OF_RUNS).results(Table) if leaves else ():
            form_rows.put_cursor(table, run_id)

    def action_out(self) -> None:
        if self.wanted:
            self.wanted = ""
            self.field.set_text("")
            self.show_form()
        else:
            self.dismiss()


def _everything(form: RunForm) -> set[str]:
    """Every section of the form."""
    found: set[str] = set()
    while True:
        sections = {row.key for row in form.rows(found) if row.section}
        if sections == found:
            return found
        found = sections
