"""The first start: an empty workspace, and one key to the first curve."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from hdtui import messages
from hdtui.data.cockpit import Cockpit
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets import table as tables
from hdtui.widgets.chrome import Paragraph
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.pane import Pane

if TYPE_CHECKING:
    from db.session import Database
    from hdtui.data.cockpit import Cockpit

CHOICES = (
    ("quick", "start the quick pipeline", "8 new robots, 4 to 9 min, a curve in 10s"),
    ("smoke", "start the smoke pipeline", "every stage once, under 60s, learns nothing"),
    ("new", "new run", "choose stage, preset, robots and settings"),
    ("import", "import robots", "a folder with xml/ and metadata/"),
    ("demo", "look at a demo", "made-up runs, nothing is trained or kept"),
    ("doctor", "check this machine", "what hdtui doctor says"),
)
COMMANDS = {
    "quick": "hdtui pipeline --preset quick --detach",
    "smoke": "hdtui pipeline --preset smoke --detach",
    "new": "hdtui teach --preset quick --detach",
    "import": "hdtui robots import DIR",
    "demo": "hdtui --demo",
    "doctor": "hdtui doctor",
}
ABOUT = {
    "quick": "teacher → mutation → collection → student → evaluation → deployment\n"
    "1.5M steps on 2 cores, 0.5 GiB on disk. A closed terminal does not stop it.",
    "smoke": "teacher → mutation → collection → student → evaluation → deployment\n"
    "Every stage really runs, for seconds: it shows the way, it learns nothing.",
    "new": "A form with every setting of a stage, its preset and what is valid.",
    "import": "Robots of the UNIMAL family as MuJoCo files; nothing is trained yet.",
    "demo": "Full screens at once: real robots, made-up runs and walks, all named demo.\n"
    "It only reads; q comes back here.",
    "doctor": "Looks at Python, libraries, cores, GPU, disk and the workspace.",
}


class WelcomeScreen(CockpitScreen):
    """Stands over Home while the workspace has no run."""

    TAB = 0
    TITLE_WORD = "First start"
    FOOTER = "enter j y q"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "start", tooltip="do what the cursor's row says"),
        Binding("y", "copy", "copy command", tooltip="copy the command that does the same"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        columns = (
            tables.Column("what", "", 30, gap=0),
            tables.Column("about", "", 20, grow=True, gap=0),
        )
        self.choices = tables.Table(columns, header=False, widget_id="choices")
        self.about = Paragraph(ABOUT["quick"])
        self.same_as = Paragraph(COMMANDS["quick"])
        self.machine = Lines()
        self.last_answer = messages.Answer("")

    def compose_body(self) -> ComposeResult:
        welcome = f"Welcome. This workspace is empty: {self.cockpit.home}"
        yield Pane(welcome, self.choices, widget_id="choices-pane")
        yield Pane("What the quick pipeline does", self.about, widget_id="about-pane")
        yield Pane("Same as", self.same_as, widget_id="same-pane")
        yield self.machine

    def on_mount(self) -> None:
        intro = Paragraph(
            "\nTrain one teacher for many robots, distil it into a student that writes a tiny "
            "network for each robot, and watch both walk. Nothing leaves this machine.\n"
        )
        self.query_one("#choices-pane", Pane).mount(intro, before=self.choices)
        self.choices.set_rows([choice[0] for choice in CHOICES], _choice_row)
        self.choices.focus()
        self.look(self._machine_sentence, self._show_machine)

    def _machine_sentence(self) -> str:
        from hdtui.data import welcome as machine

        return machine.machine_sentence(self.cockpit.home)

    def _show_machine(self, sentence: str) -> None:
        self.machine.show([(Span(f" {sentence}", "muted"),)])

    def key_text(self, binding: Binding) -> str:
        return "leave" if binding.key == "q" else binding.description

    def on_table_moved(self, message: tables.Table.Moved) -> None:
        choice = str(message.key)
        title = f"What {CHOICES[self.choices.cursor][1].removeprefix('start ')} does"
        self.query_one("#about-pane", Pane).set_rule(title)
        self.about.set_text(ABOUT[choice])
        self.same_as.set_text(COMMANDS[choice])

    def on_table_chosen(self, message: tables.Table.Chosen) -> None:
        choice = str(message.key)
        if choice == "new":
            self.app.post_message(messages.OpenForm())
        elif choice == "import":
            self._ask_folder()
        elif choice == "demo":
            self._look_at_demo()
        elif choice == "doctor":
            self.work(
                lambda: messages.Answer(f"{self._machine_sentence()}. hdtui doctor says more.")
            )
        elif self.may_act():
            from hdtui.actions.queueing import start_preset

            self.say(f"starting the {choice} pipeline")
            app = self.app

            def start(database: Database) -> messages.Answer:
                answer = start_preset(database, choice)
                app.call_later(self._started)
                return answer

            self.command(start)

    def _look_at_demo(self) -> None:
        """The demo is a cockpit of its own: this one waits below it."""
        from hdtui.data import welcome as machine

        try:
            with self.app.suspend():
                machine.run_demo()
        except SuspendNotSupported:
            self.say("The demo wants a terminal to itself: hdtui --demo")
        self.app.refresh(repaint=True, layout=True)

    def _ask_folder(self) -> None:
        from hdtui.screens.dialogs import FieldsScreen

        def act(values: tuple[str, ...] | None) -> None:
            if values is not None and self.may_act():
                from hdtui.actions.robots import import_robots

                self.say(f"importing robots from {values[0]}")
                self.work(partial(import_robots, self.cockpit.store, values[0], values[1]))

        fields = (("folder with xml/ and metadata/", ""), ("name of the set", "imported"))
        self.app.push_screen(FieldsScreen("Import robots", fields), act)

    def _started(self) -> None:
        """Home shows the runs, and says what became of the key."""
        app = self.app
        self.dismiss()
        app.screen.post_message(messages.WorldChanged())

    def on_answer(self, message: messages.Answer) -> None:
        self.last_answer = message

    def on_world_changed(self, message: messages.WorldChanged) -> None:
        """Runs appeared, whoever started them: Home has something to show, and says the answer."""
        counts = self.cockpit.counts
        if counts is not None and counts.total and self.is_current:
            message.prevent_default()
            app, answer = self.app, self.last_answer
            self.dismiss()
            app.post_message(messages.Answer(answer.text, answer.role))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(COMMANDS[str(self.choices.cursor_key)])
        self.say("copied")


def _choice_row(index: int) -> tables.TableRow:
    _, what, about = CHOICES[index]
    return tables.TableRow(cells=((Span(what),), (Span(about, "muted"),)))
