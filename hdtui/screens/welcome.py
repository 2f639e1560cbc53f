"""The first start: an empty workspace, and one key to the first curve."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from hdtui.messages import Answer, Loaded, WorldChanged
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.chrome import Key, Paragraph
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Column, Table, TableRow

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


class FirstScreen(CockpitScreen):
    """Stands over Home while the workspace has no run."""

    TAB = 0
    TITLE_WORD = "First start"
    KEY_HELP: ClassVar[tuple[tuple[str, str], ...]] = (
        ("enter", "do what the cursor's row says"),
        ("j k", "choose"),
        ("y", "copy the command that does the same"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", show=False)]

    def __init__(self, cockpit: Any) -> None:
        super().__init__(cockpit)
        columns = (Column("what", "", 30, gap=0), Column("about", "", 20, grow=True, gap=0))
        self.choices = Table(columns, header=False, widget_id="choices")
        self.about = Paragraph(ABOUT["quick"])
        self.same_as = Paragraph(COMMANDS["quick"])
        self.machine = Lines()
        self.told = Answer("")

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
        self.run_worker(self._read_machine, thread=True, group="machine")

    def _read_machine(self) -> None:
        from hdtui.data.welcome import machine_sentence

        self.post_message(Loaded("machine", machine_sentence(self.cockpit)))

    def show_facts(self, topic: str, facts: Any) -> None:
        if topic == "machine":
            self.machine.show([(Span(f" {facts}", "muted"),)])

    def keys(self) -> Sequence[Key]:
        return (
            Key("enter", "start"),
            Key("j k", "choose", "down"),
            Key("y", "copy command"),
            Key("q", "leave"),
        )

    def on_table_moved(self, message: Table.Moved) -> None:
        choice = str(message.key)
        title = f"What {CHOICES[self.choices.cursor][1].removeprefix('start ')} does"
        self.query_one("#about-pane", Pane).set_rule(title)
        self.about.set_text(ABOUT[choice])
        self.same_as.set_text(COMMANDS[choice])

    def on_table_chosen(self, message: Table.Chosen) -> None:
        choice = str(message.key)
        if choice == "new":
            self.app.action_new_run()  # type: ignore[attr-defined]
        elif choice == "import":
            self._ask_folder()
        elif choice == "demo":
            self._look_at_demo()
        elif choice == "doctor":
            self._run(self._doctor)
        elif self.may_act():
            from hdtui.actions.runs import start_preset

            self.say(f"starting the {choice} pipeline")
            self._run(partial(start_preset, self.cockpit, choice), leave=True)

    def _look_at_demo(self) -> None:
        """The demo is a cockpit of its own: this one waits below it."""
        from hdtui.data.welcome import run_demo

        try:
            with self.app.suspend():
                run_demo()
        except SuspendNotSupported:
            self.say("The demo wants a terminal to itself: hdtui --demo")
        self.app.refresh(repaint=True, layout=True)

    def _doctor(self) -> str:
        from hdtui.data.welcome import machine_sentence

        return f"{machine_sentence(self.cockpit)}. hdtui doctor says more."

    def _ask_folder(self) -> None:
        from hdtui.screens.dialogs import FieldsScreen

        def act(values: tuple[str, ...] | None) -> None:
            if values is not None and self.may_act():
                from hdtui.actions.robots import import_robots

                self.say(f"importing robots from {values[0]}")
                self._run(partial(import_robots, self.cockpit, values[0], values[1]))

        fields = (("folder with xml/ and metadata/", ""), ("name of the set", "imported"))
        self.app.push_screen(FieldsScreen("Import robots", fields), act)

    def _run(self, act: Callable[[], str], leave: bool = False) -> None:
        """Act in a thread; a pipeline that started shows Home."""
        app = self.app

        def run_it() -> str:
            sentence = act()
            if leave:
                app.call_later(self._started, sentence)
            return sentence

        self.command(run_it)

    def _started(self, sentence: str) -> None:
        app: Any = self.app
        self.dismiss()
        app.screen.post_message(WorldChanged())
        app.tell(Answer(sentence))

    def on_answer(self, message: Answer) -> None:
        super().on_answer(message)
        self.told = message

    def on_world_changed(self, message: WorldChanged) -> None:
        """Runs appeared, whoever started them: Home has something to show, and says the answer."""
        counts = getattr(self.app, "counts", None)
        if counts is not None and counts.total and self.is_current:
            app, told = self.app, self.told
            self.dismiss()
            app.screen.post_message(Answer(told.text, told.role))
            return
        super().on_world_changed(message)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(COMMANDS[str(self.choices.cursor_key)])
        self.say("copied")


def _choice_row(index: int) -> TableRow:
    _, what, about = CHOICES[index]
    return TableRow(cells=((Span(what),), (Span(about, "muted"),)))
