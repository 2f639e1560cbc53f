"""Columns and rows of the tab Robots: of a run that learns, and of an evaluation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from db.records import RunKind
from engine.evaluation.robot_groups import Group
from engine.statistics import mean
from hdtui import formatting
from hdtui.data.run_details import ReturnsByRobot, RobotResult
from hdtui.widgets import lines
from hdtui.widgets.bars import block_bar, sparkline
from hdtui.widgets.run_cells import number
from hdtui.widgets.table import Column, TableRow

BAR_WIDTH = 22
NAME_COLUMN = Column("robot", "robot", 27, grow=True, middle=True)
GROUP_COLUMN = Column("group", "", 7, gap=1)
GROUP_WORDS: Mapping[Group | None, str] = {
    "train": "trained",
    "unseen": "unseen",
    "robots": "other",
    None: "",
}
LEARNING_COLUMNS = (
    NAME_COLUMN,
    Column("return", "return", 7, right=True),
    Column("bar", "", BAR_WIDTH, gap=1, leaves_first=2),
    Column("falls", "falls", 5, right=True, leaves_first=1),
    Column("length", "length", 6, right=True, leaves_first=4),
    Column("speed", "m/s", 5, right=True, leaves_first=5),
    Column("curve", "curve", 10, gap=0, leaves_first=3),
)


def columns_of(facts: ReturnsByRobot, sort_key: str) -> list[Column]:
    """The columns; what the rows are sorted by stays."""
    if facts.policies:
        return _evaluated_columns(facts)
    last = max((robot.last_step or 0 for robot in facts.robots), default=0)
    curve = replace(LEARNING_COLUMNS[-1], title=f"0 to {formatting.steps(last)}" if last else "")
    return [
        replace(each, leaves_first=0) if each.key == sort_key else each
        for each in (*LEARNING_COLUMNS[:-1], curve)
    ]


def _evaluated_columns(facts: ReturnsByRobot) -> list[Column]:
    """Return, number of episodes and falls for each policy, the last policies leaving first."""
    columns = [NAME_COLUMN, *([GROUP_COLUMN] if len(facts.groups) > 1 else [])]
    for place, policy in enumerate(facts.policies):
        cells = [_policy_cells(robot, policy)[0] for robot in facts.robots]
        width = max(len(policy), 9, *map(lines.line_width, cells))
        columns += [
            Column(policy, policy, width, right=True, gap=1, leaves_first=place),
            Column(f"{policy} n", "n", 3, right=True, gap=1, leaves_first=100 + place),
            Column(f"{policy} falls", "falls", 5, right=True, gap=2, leaves_first=50 + place),
        ]
    return columns


def robot_row(robot: RobotResult, facts: ReturnsByRobot, marked: bool) -> TableRow:
    """A robot's numbers in the order of the columns."""
    name: lines.Line = (lines.Span(robot.name),)
    cells: list[lines.Line] = [name]
    if facts.policies and len(facts.groups) > 1:
        cells.append((lines.Span(GROUP_WORDS[robot.group], "muted"),))
    if facts.policies:
        for policy in facts.policies:
            cells += _policy_cells(robot, policy)
    else:
        cells += _learning_cells(robot, facts.robots)
    return TableRow(tuple(cells), mark="*" if marked else " ")


def _policy_cells(robot: RobotResult, policy: str) -> list[lines.Line]:
    found = robot.by_policy.get(policy)
    if found is None:
        return [number(formatting.UNKNOWN)] * 3
    mean = formatting.episode_return(found.mean, found.half_width)
    return [number(mean), number(str(found.episodes)), number(formatting.ratio(found.falls))]


def _learning_cells(robot: RobotResult, robots: Sequence[RobotResult]) -> list[lines.Line]:
    value = _height(robot)
    top = max(map(_height, robots), default=0.0)
    bar = block_bar(max(0.0, value) / top, BAR_WIDTH) if top > 0 else ""
    curve = [each.value for each in robot.points.every_point()] if robot.points else []
    return [
        number(formatting.episode_return(robot.episode_return)),
        (lines.Span(bar, "accent"),),
        number(formatting.ratio(robot.falls)),
        number(formatting.episode_return(robot.length)),
        number(formatting.measure(robot.speed)),
        (lines.Span(sparkline(curve, 10), "muted"),),
    ]


def _height(robot: RobotResult) -> float:
    """What the bar of a robot stands for: none where its return is unknown or not finite."""
    value = robot.episode_return
    return value if value is not None and math.isfinite(value) else 0.0


def means_text(facts: ReturnsByRobot) -> str:
    """Means over robots: of the run, or of an evaluation's policies on each group of robots."""
    if not facts.robots:
        return ""
    if not facts.policies:
        return f"mean over robots {formatting.episode_return(facts.mean)}"
    if len(facts.groups) < 2:
        return f"means {_policy_means(facts, facts.robots)}"
    of_groups = [
        (group, [robot for robot in facts.robots if robot.group == group]) for group in facts.groups
    ]
    return " · ".join(
        f"{GROUP_WORDS[group]} {_policy_means(facts, own)}" for group, own in of_groups
    )


def _policy_means(facts: ReturnsByRobot, robots: Sequence[RobotResult]) -> str:
    words = []
    for policy in facts.policies:
        means = [each.by_policy[policy].mean for each in robots if policy in each.by_policy]
        words.append(f"{policy} {formatting.episode_return(mean(means) if means else None)}")
    return " ".join(words)


def no_robots_sentence(facts: ReturnsByRobot, ended: bool) -> str:
    """Why there is no return by robot, and where there is."""
    if facts.kind is RunKind.STUDENT:
        where = " ".join(map(str, facts.judged_in)) or "e asks for one"
        return f"A student measures no return by robot; its evaluations do: {where}."
    if ended:
        return "This run reported no returns by robot."
    if facts.kind is RunKind.EVALUATION:
        return "No robot is evaluated yet; returns by robot come with the first episodes."
    return "No robot reported yet; returns by robot come with the first iteration."
