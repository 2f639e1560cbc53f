"""Robots: sets, the list with returns of teacher and student, a picture, marks, new robots."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from hdtui.actions.robot_removal import removal_warning, remove, removed_text
from hdtui.data import robots as library
from hdtui.formatting import printable
from hdtui.messages import Answer, OpenMode, OpenRobot
from hdtui.screens.dialogs import ConfirmScreen
from hdtui.screens.keys import BRACKETS, next_of
from hdtui.screens.list_screen import LIST_KEYS, ListScreen
from hdtui.screens.menu import MenuScreen
from hdtui.screens.robots import rows
from hdtui.screens.robots.actions import ROBOT_KEYS, NamedRobot, RobotActions
from hdtui.screens.robots.new import NewRobots
from hdtui.widgets.lines import Lines, muted
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.robot_canvas import RobotCanvas
from hdtui.widgets.table import Table, fitting_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from db.session import Database
    from hdtui.data.cockpit import Cockpit, Marks

_WIDE = 110


class RobotsScreen(ListScreen):
    """The library: which robots there are and what was reached on them."""

    TAB = 2
    TITLE_WORD = "Robots"
    HELP_NOTES = rows.FILTER_NOTES
    KEPT_AS = "robots"
    HINT = "filter: limbs>=6 teacher>500 student/teacher>=0.9"
    NOT_SORTED = ("set",)
    FIRST_SORT = "teacher"
    FIRST_COLUMNS = rows.DEFAULT_COLUMNS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", tooltip="mark and step down"),
        Binding("asterisk,ctrl+a", "mark_all", tooltip="mark all that pass, or none"),
        Binding("enter", "choose", "open", tooltip="limbs, joints, parents"),
        *ROBOT_KEYS,
        *LIST_KEYS,
        Binding("left_square_bracket", "set(-1)", tooltip="previous", group=BRACKETS),
        Binding("right_square_bracket", "set(1)", "set", tooltip="next set", group=BRACKETS),
        Binding("p", "policies", tooltip="choose whose returns are shown"),
        Binding("n", "new_robots", "new", tooltip="generate, import, mutate, select"),
        Binding("D", "remove_set", tooltip="remove the shown set"),
        Binding("c", "compare", tooltip="compare the marked runs"),
        Binding("tab", "other_page", tooltip="list or picture, where one fits"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.facts: library.RobotList | None = None
        self.shown: list[library.ScoredRobot] = []
        self.detail: library.RobotDetail | None = None
        self.set_name: str | None = self.kept("set", "") or None
        self.chosen_column = ""
        self.table = Table((), widget_id="robots")
        self.below = Lines([(), ()])
        self.canvas = RobotCanvas()
        self.about = Lines()
        self.marked = Lines([()])
        self.actions = RobotActions(
            self, self.canvas, self.current_robot, self._first_policies, self._marked_robots
        )
        self.action_robot = self.actions.act

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="robots-body"):
            body = Horizontal(
                Vertical(self.table, self.below, id="robots-left"),
                Divider("│"),
                Vertical(self.canvas, self.about, id="robots-right"),
            )
            content = Vertical(self.filter_row, body)
            yield Pane("Robots", content, facts="reading", widget_id="robots-pane")
        yield Pane("Marked 0", self.marked, widget_id="marked-pane")

    def on_mount(self) -> None:
        self.use_kept_filter()
        self.actions.show_look()
        self.table.focus()

    def footer(self) -> str:
        if self.size.width < _WIDE:
            return "space e w s r d n"
        return "space e w s v r d n right_square_bracket"

    def read(self) -> None:
        set_name, pinned = self.set_name, self.cockpit.pinned_run
        chosen = list(self.kept("policies", []))
        self.ask(
            lambda database: library.read_robots(database, set_name, pinned, chosen),
            self._take_robots,
            empty=library.RobotList((), (), None, None, None, "flat", ""),
        )

    def _take_robots(self, facts: library.RobotList) -> None:
        self.facts = facts
        self.show_list()

    def fields(self) -> Sequence[str]:
        return library.FIELDS

    def marks(self) -> Marks[str]:
        return self.cockpit.marked_robots

    def descends_first(self, key: str) -> bool:
        values = (library.field_value(entry, key) for entry in self.shown)
        return any(isinstance(value, int | float) for value in values)

    def show_list(self) -> None:
        """Filter, sort and draw what was read last."""
        facts = self.facts
        if facts is None:
            return
        self.shown = library.sorted_entries(
            library.passing(facts, self.filter), self.sort_key, self.descending
        )
        names, width = self._column_names(), self.table.size.width - 2
        policies, kept = (facts.teacher_id, facts.student_id), (self.sort_key, self.chosen_column)
        columns = rows.robot_columns(names, policies, kept, width)
        name_cells = fitting_columns(columns, width)[0][2]
        marks, shown = self.cockpit.marked_robots, self.shown
        self.table.set_rows(
            [entry.robot.id for entry in shown],
            lambda index: rows.robot_row(
                shown[index], names, name_cells, shown[index].robot.digest in marks
            ),
            columns=columns,
            empty=self._empty_sentence(facts),
        )
        self._show_words(facts)
        self._read_detail()

    def on_resize(self) -> None:
        self.show_list()
        self._show_detail()
        self.show_keys()

    def _show_words(self, facts: library.RobotList) -> None:
        total, hidden = len(facts.entries), len(facts.entries) - len(self.shown)
        marked = len(self.cockpit.marked_robots)
        count = f"{len(self.shown)} of {total}" if hidden else str(total)
        words = ["Robots", printable(facts.set_name or "all"), count]
        words += [f"{marked} marked"] if marked else []
        policies = " and ".join(str(i) for i in (facts.teacher_id, facts.student_id) if i)
        sort = f"{self.sort_key} {self.arrow}" + (
            "" if facts.task == "flat" else f" · {facts.task}"
        )
        pane = self.query_one("#robots-pane", Pane)
        pane.set_rule(" · ".join(words), f"{sort} · returns of {policies}" if policies else sort)
        below = [f"{hidden} more do not pass the filter"] if hidden else []
        below += [facts.filling] if facts.filling else []
        below += [f"returns of {facts.measured}"] if facts.measured else []
        self.below.show([(muted(f"  {words}"),) for words in [*below, "", ""][:2]])
        self._show_marked()

    def _empty_sentence(self, facts: library.RobotList) -> str:
        if not facts.entries:
            return "No robots yet. n generates them or imports a folder."
        return f"No robot passes {self.filter.text}. Esc clears the filter."

    def _show_marked(self) -> None:
        marked = self._marked_names()
        self.query_one("#marked-pane", Pane).set_rule(f"Marked {len(marked)}")
        self.marked.show([rows.marked_line(marked, self.size.width - 16)])

    def _marked_names(self) -> list[str]:
        entries = self.facts.entries if self.facts else ()
        names = {entry.robot.digest: printable(entry.robot.name) for entry in entries}
        return [names.get(digest, digest[:7]) for digest in self.cockpit.marked_robots]

    def _read_detail(self) -> None:
        current, home = self.current_robot(), self.cockpit.home
        if current is None:
            self.detail = None
            self._show_detail()
            return
        digest, name = current
        self.ask(
            lambda database: library.read_robot(database, home, digest, name), self._take_detail
        )

    def _take_detail(self, detail: library.RobotDetail) -> None:
        self.detail = detail
        self._show_detail()

    def _show_detail(self) -> None:
        detail = self.detail
        if detail is None:
            self.canvas.set_poses(None)
            self.about.show([])
            return
        if self.canvas.poses is None or (
            self.canvas.poses.header.robot_digest != detail.robot.digest
        ):
            self.canvas.set_poses(detail.poses, detail.problem)
        entry = next((e for e in self.shown if e.robot.id == detail.robot.id), None)
        width = self.about.size.width
        wide = self.size.width >= _WIDE
        lines = rows.long_lines(detail, width) if wide else [(), *rows.short_lines(detail, entry)]
        self.about.show([rows.ending_well(line, width) for line in lines])

    def current_robot(self) -> NamedRobot | None:
        """Digest and name of the robot under the cursor."""
        entry = next((e for e in self.shown if e.robot.id == self.table.cursor_key), None)
        return (entry.robot.digest, entry.robot.name) if entry else None

    def _marked_robots(self) -> list[NamedRobot]:
        marked = list(self.cockpit.marked_robots)
        return list(zip(marked, self._marked_names(), strict=True)) if self.facts else []

    def _first_policies(self) -> Sequence[int]:
        facts = self.facts
        return [i for i in (facts.student_id, facts.teacher_id) if i] if facts else []

    def action_mark(self) -> None:
        current, marks = self.current_robot(), self.cockpit.marked_robots
        if current is None:
            return
        marks.toggle(current[0])
        self.table.action_move(1)
        self.show_list()
        self.say(
            f"{len(marks)} marked: e evaluates a policy on them" if marks else "none is marked"
        )

    def action_mark_all(self) -> None:
        self.cockpit.marked_robots.toggle(*(entry.robot.digest for entry in self.shown))
        self.show_list()

    def action_columns(self) -> None:
        shown = self._shown_columns()
        told = dict.fromkeys(self.columns, "no room") | dict.fromkeys(shown, "shown")
        choices = [(name, told.get(name, "")) for name in rows.COLUMN_CHOICES]
        self.app.push_screen(MenuScreen("Columns: choose to show or hide", choices), self._column)

    def _column(self, name: str | None) -> None:
        """Hide a column that is seen; show any other, in the place of what matters less."""
        if name is None:
            return
        before = self._shown_columns()
        hide = name in before and name in self.columns
        chosen = {*self.columns} - {name} if hide else {*self.columns, name}
        self.chosen_column = "" if hide else name
        self.show_columns([column for column in rows.COLUMN_CHOICES if column in chosen])
        after = self._shown_columns()
        self.say(rows.column_answer(name, before, after))

    def _column_names(self) -> list[str]:
        """The chosen columns, and while it sorts the list, the one that is not among them."""
        return [name for name in rows.COLUMN_CHOICES if name in (self.sort_key, *self.columns)]

    def _shown_columns(self) -> list[str]:
        fitted = fitting_columns(self.table.columns, self.table.size.width - 2)
        return [column.key for _, column, _ in fitted[1:]]

    def action_set(self, step: int) -> None:
        names: list[str | None] = (
            [None, *(each.name for each in self.facts.sets)] if self.facts else []
        )
        if names:
            self.set_name = next_of(names, self.set_name, step)
            self.keep("set", self.set_name or "")
            self.read()

    def action_policies(self) -> None:
        """Choose the teacher or the student whose returns the columns show."""
        facts = self.facts
        if facts is None or not facts.evaluated:
            self.say("p: no policy is evaluated yet; e evaluates one")
            return
        shown = (facts.teacher_id, facts.student_id)
        ids = {f"{run.id} {run.kind} {run.name}": run.id for run in facts.evaluated}
        choices = [(text, "shown" if ids[text] in shown else "") for text in ids]

        def show(text: str | None) -> None:
            if text is not None:
                self._show_policy(ids[text])

        self.app.push_screen(MenuScreen("Show the returns of", choices), show)

    def _show_policy(self, run_id: int) -> None:
        chosen = list(self.kept("policies", []))
        kept = [run_id, *(each for each in chosen if each != run_id)]
        self.keep("policies", kept[:8])
        self.read()

    def action_compare(self) -> None:
        """Robots are compared by their columns; curves belong to runs."""
        if self.cockpit.marked_runs:
            self.app.post_message(OpenMode("compare"))
        else:
            self.say("c compares runs: mark them on Runs (2) with space")

    def action_new_robots(self) -> None:
        digests = [digest for digest, _ in self.actions.chosen()]
        NewRobots(self, self.set_name or "", digests).choose()

    def action_remove_set(self) -> None:
        """Say what removing the shown set would take away, then ask."""
        name = self.set_name
        if self.facts is None or name is None or self.facts.set_name != name:
            self.say("D removes the set that is shown; [ and ] choose one")
        elif self.may_act():
            self.ask(lambda database: (name, removal_warning(database, name)), self._ask_removal)

    def _ask_removal(self, warning: tuple[str, Sequence[str]]) -> None:
        name, sentences = warning

        def remove_it(database: Database) -> Answer:
            removed = remove(database, name)
            self.cockpit.marked_robots.drop(robot.digest for robot in removed.robots)
            return Answer(removed_text(removed))

        def act(key: str | None) -> None:
            if key == "y":
                self.command(remove_it)

        choices = [("y", "remove it")]
        self.open_dialog(ConfirmScreen("Remove a set", sentences, choices, "keep it"), act)

    def action_other_page(self) -> None:
        """Where only one pane fits, show the other one."""
        self.toggle_class("-second")

    def on_table_moved(self, message: Table.Moved) -> None:
        self._read_detail()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        current = self.current_robot()
        if current is not None:
            self.app.post_message(OpenRobot(*current))
