"""The tab Robots: returns by robot as sorted bars, and below them as curves."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from hdtui.data import run_details
from hdtui.data.smoothing import Break, Path
from hdtui.formatting import shorten
from hdtui.screens.keys import next_of
from hdtui.screens.run import robot_rows
from hdtui.screens.run.tab import RunTab
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets import chart as charts
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Table

SORTS = ("return", "falls", "length", "speed", "robot")
EVALUATED_SORTS = ("return", "falls", "robot")
LETTERS = "abcdef"
_SORT = Binding.Group("s / S")


class RobotsTab(RunTab):
    """A row for every robot of the run; curves of the marked ones, else of the cursor's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark_robot", "mark", tooltip="mark the robot"),
        Binding("enter", "screen.choose", "larger curve", tooltip="larger curve, and back"),
        Binding(
            "s", "sort", "sort", key_display="s", tooltip="sort by the next column", group=_SORT
        ),
        Binding("S", "reverse", tooltip="reverse", group=_SORT),
        Binding("y", "copy_digest", "copy", tooltip="copy the digest"),
    ]

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        super().__init__(shell, run_id)
        self.answer: run_details.ReturnsByRobot | None = None
        self.sort_key = SORTS[0]
        self.descending = True
        self.table = Table(robot_rows.LEARNING_COLUMNS, empty="reading")
        self.chart = charts.Chart()

    def compose(self) -> ComposeResult:
        yield Pane("Return by robot", self.table, facts="return ↓", widget_id="run-robots-pane")
        yield Pane("", self.chart, widget_id="robot-curves-pane")

    def read(self) -> None:
        self.shell.ask(
            partial(run_details.read_robot_returns, run_id=self.run_id), self.show_robots
        )

    def show_robots(self, facts: run_details.ReturnsByRobot) -> None:
        """Show the rows in their order, and the curves below."""
        self.answer = facts
        robots = self._sorted(facts)
        pane = self.query_one("#run-robots-pane", Pane)
        arrow = "↓" if self.descending else "↑"
        title = f"Return by robot · {len(robots)}" if robots else None
        words = [f"{facts.judged} {self.sort_key} {arrow}".strip(), robot_rows.means_text(facts)]
        pane.set_rule(title, " · ".join(word for word in words if word))
        marks = self.cockpit.marked_robots
        self.table.set_rows(
            [robot.digest for robot in robots],
            lambda index: robot_rows.robot_row(robots[index], facts, robots[index].digest in marks),
            columns=robot_rows.columns_of(facts, self.sort_key),
            empty=robot_rows.no_robots_sentence(facts, self.ended),
        )
        self._show_chart()

    def _sorted(self, facts: run_details.ReturnsByRobot) -> list[run_details.RobotResult]:
        """By the chosen column; unknown values last either way."""

        def value(robot: run_details.RobotResult) -> float | str | None:
            if self.sort_key == "robot":
                return robot.name
            values = {"falls": robot.falls, "length": robot.length, "speed": robot.speed}
            return values.get(self.sort_key, robot.episode_return)

        known = [robot for robot in facts.robots if value(robot) is not None]
        unknown = [robot for robot in facts.robots if value(robot) is None]
        ordered = sorted(known, key=value, reverse=self.descending) + unknown  # type: ignore[arg-type]
        # Trained and unseen robots do not stand among each other.
        return sorted(
            ordered, key=lambda robot: facts.groups.index(robot.group) if robot.group else 0
        )

    def _show_chart(self) -> None:
        """Curves of the marked robots of this run, else of the one under the cursor."""
        pane = self.query_one("#robot-curves-pane", Pane)
        pane.display = self._has_curves
        drawn = self._drawn()
        if not drawn:
            pane.set_rule("return", "")
            yet = "" if self.ended else " yet"
            self.chart.show_sentence(f"No points of this robot{yet}.")
            return
        legend = "  ".join(
            f"{letter} {shorten(robot.name, 22)}"
            for letter, robot in zip(LETTERS, drawn, strict=False)
        )
        title = "return by robot, marked" if len(drawn) > 1 else f"return of {drawn[0].name}"
        pane.set_rule(title, legend if len(drawn) > 1 else "space marks, e evaluates")
        letters = LETTERS if len(drawn) > 1 else ("",)
        curves = [
            charts.Curve(letter, path, charts.CURVE_ROLES[place % len(charts.CURVE_ROLES)])
            for place, (letter, path) in enumerate(zip(letters, map(_path, drawn), strict=False))
        ]
        self.chart.show_chart(
            charts.ChartSpec(tuple(curves)), tuple(robot.digest for robot in drawn)
        )

    @property
    def _has_curves(self) -> bool:
        """Robots of a run that learns have curves; those of an evaluation have not."""
        return self.answer is not None and bool(self.answer.robots) and not self.answer.policies

    def _drawn(self) -> list[run_details.RobotResult]:
        if self.answer is None:
            return []
        with_points = [robot for robot in self.answer.robots if robot.points is not None]
        marked = [robot for robot in with_points if robot.digest in self.cockpit.marked_robots]
        here = [robot for robot in with_points if robot.digest == self.table.cursor_key]
        return (marked or here)[: len(LETTERS)]

    def footer(self) -> str:
        if self.answer is not None and not self.answer.robots:
            return "w e"
        return f"space {'enter ' if self._has_curves else ''}s w e y"

    def take_focus(self) -> None:
        self.table.focus()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self._show_chart()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Enter: the curves get most of the place, and back."""
        message.stop()
        if self._has_curves:
            self.toggle_class("-curves")

    def _show_again(self) -> None:
        if self.answer is not None:
            self.show_robots(self.answer)

    def action_mark_robot(self) -> None:
        digest = self.table.cursor_key
        if isinstance(digest, str):
            self.cockpit.marked_robots.toggle(digest)
            self.table.action_move(1)
            self._show_again()

    def action_sort(self) -> None:
        evaluated = self.answer is not None and bool(self.answer.policies)
        sorts = EVALUATED_SORTS if evaluated else SORTS
        self.sort_key = next_of(sorts, self.sort_key)
        self.descending = self.sort_key != "robot"
        self._show_again()

    def action_reverse(self) -> None:
        self.descending = not self.descending
        self._show_again()

    def action_copy_digest(self) -> None:
        digest = self.table.cursor_key
        if isinstance(digest, str):
            self.app.copy_to_clipboard(digest)
            self.shell.say("copied the digest of the robot")


def _path(robot: run_details.RobotResult) -> Path:
    points = robot.points
    if points is None:
        return Path((), (), (), ())
    breaks = tuple(Break(float(each.step), each.value) for each in points.extremes)
    return Path(tuple(map(float, points.step)), points.value, points.low, points.high, breaks)
