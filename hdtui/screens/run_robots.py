"""The tab Robots: returns by robot as sorted bars, with their curves in a few cells."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from hdtui.formatting import episode_return, measure, shorten, steps
from hdtui.screens.run_tab import RunTab
from hdtui.services.run_details import RobotReturn, RobotsFacts, read_robot_returns
from hdtui.widgets.bars import block_bar, sparkline
from hdtui.widgets.lines import Span
from hdtui.widgets.rule import Pane
from hdtui.widgets.run_cells import number
from hdtui.widgets.shell_rows import Key
from hdtui.widgets.table import Column, Table, TableRow

if TYPE_CHECKING:
    from db.session import Database

BAR_WIDTH = 22


class RobotsTab(RunTab):
    """A row for every robot of the run."""

    def __init__(self, cockpit: Any, run_id: int) -> None:
        super().__init__(cockpit, run_id)
        self.columns = (
            Column("robot", "robot", 27, grow=True),
            Column("return", "return", 7, right=True),
            Column("bar", "", BAR_WIDTH, gap=1, leaves_first=2),
            Column("falls", "falls", 5, right=True, leaves_first=1),
            Column("curve", "curve", 10, gap=0, leaves_first=3),
        )
        self.table = Table(
            self.columns,
            empty="No robot reported yet; returns by robot come with the first iteration.",
        )

    def compose(self) -> ComposeResult:
        yield Pane("Return by robot", self.table, facts="return ↓", widget_id="run-robots-pane")

    def question(self) -> "Callable[[Database], Any]":
        return partial(read_robot_returns, run_id=self.run_id)

    def show_facts(self, facts: RobotsFacts) -> None:
        robots = facts.robots
        top = max((robot.episode_return or 0.0 for robot in robots), default=0.0)
        last = max((robot.last_step or 0 for robot in robots), default=0)
        pane = self.query_one("#run-robots-pane", Pane)
        pane.set_rule(f"Return by robot · {len(robots)}" if robots else None)
        self.columns = (*self.columns[:-1], Column("curve", f"0 to {steps(last)}", 10, gap=0))
        self.table.set_columns(self.columns)
        keys: list[str] = [robot.digest for robot in robots]
        if facts.mean is not None:
            keys.append("mean")
        mean = RobotReturn("mean", "mean over robots", facts.mean, None, (), None)
        self.table.set_rows(
            keys, lambda index: _row([*robots, mean][index], top, keys[index] != "mean")
        )

    def keys(self) -> Sequence[Key]:
        return (Key("w", "watch"), Key("e", "evaluate"), Key("y", "copy"))

    def take_focus(self) -> None:
        self.table.focus()


def _row(robot: RobotReturn, top: float, selectable: bool) -> TableRow:
    value = robot.episode_return or 0.0
    bar = block_bar(max(0.0, value) / top, BAR_WIDTH) if top > 0 else ""
    return TableRow(
        cells=(
            (Span(shorten(robot.name, 40), "text" if selectable else "bold"),),
            number(episode_return(robot.episode_return)),
            (Span(bar, "accent"),),
            number(measure(robot.falls)) if selectable else (),
            (Span(sparkline(robot.curve, 10), "muted"),),
        ),
        selectable=selectable,
    )
