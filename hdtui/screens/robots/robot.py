"""A robot's page: its picture, limbs and joints, parents and operations, all returns."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.morphology.geometry import limb_mass_kg
from engine.morphology.tree import Joint, Limb, Morphology
from engine.text import counted
from hdtui import formatting
from hdtui.data.cockpit import Cockpit
from hdtui.data.robots import RobotDetail, read_robot
from hdtui.messages import OpenRobot, OpenRun
from hdtui.screens.robots.actions import ROBOT_KEYS, NamedRobot, RobotActions
from hdtui.screens.robots.rows import body_text
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets import table as tables
from hdtui.widgets.lines import Line, Lines, Span, line_width, muted
from hdtui.widgets.pane import Divider, Pane
from hdtui.widgets.robot_canvas import RobotCanvas

_LIMB_COLUMNS = (
    tables.Column("limb", "limb", 4, gap=1),
    tables.Column("parent", "on", 4, True, gap=1, leaves_first=1),
    tables.Column("length", "m", 4, True, gap=1, leaves_first=3),
    tables.Column("mass", "kg", 4, True, gap=2, leaves_first=2),
    tables.Column("joints", "joints: axis, range, gear", 25, grow=True, gap=0),
)
_SCORE_COLUMNS = (
    tables.Column("policy", "policy", 16, grow=True, gap=1),
    tables.Column("task", "task", 9, gap=1, leaves_first=4),
    tables.Column("return", "return", 12, True, gap=1),
    tables.Column("episodes", "n", 4, True, gap=1, leaves_first=3),
    tables.Column("falls", "falls", 6, True, gap=1, leaves_first=1),
    tables.Column("evaluation", "in", 4, True, gap=0, leaves_first=2),
)


class RobotScreen(CockpitScreen):
    """Everything about one robot."""

    TAB = 2
    TITLE_WORD = "Robot"
    BINDINGS: ClassVar[list[BindingType]] = [
        *ROBOT_KEYS,
        Binding("p", "parent", "parent", tooltip="go to its parent"),
        Binding("enter", "choose", tooltip="the run behind a return; in: its evaluation"),
        Binding("escape", "out", "back", tooltip="back to the list"),
    ]

    def __init__(self, cockpit: Cockpit, digest: str, robot_name: str | None = None) -> None:
        super().__init__(cockpit)
        self.digest = digest
        self.robot_name = robot_name
        self.detail: RobotDetail | None = None
        self.canvas = RobotCanvas()
        self.limbs = tables.Table(_LIMB_COLUMNS, widget_id="limbs")
        self.scores = tables.Table(
            _SCORE_COLUMNS,
            empty="No evaluation of this robot yet. e evaluates it.",
            widget_id="scores",
        )
        self.family = Lines()
        self.actions = RobotActions(self, self.canvas, self.current_robot, self._first_policies)
        self.action_robot = self.actions.act

    def compose_body(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="robot-left"):
                yield Pane("Robot", Vertical(self.canvas, self.family), widget_id="robot-pane")
            yield Divider("┬")
            with Vertical(id="robot-right"):
                yield Pane("Limbs", self.limbs, widget_id="limbs-pane")
                yield Pane("Returns on this robot", self.scores, widget_id="scores-pane")

    def on_mount(self) -> None:
        self.actions.show_look()
        self.limbs.focus()

    def footer(self) -> str:
        parent = "p" if self.detail and self.detail.ancestors else ""
        return f"e w r d {parent} y escape"

    def read(self) -> None:
        digest, name, home = self.digest, self.robot_name, self.cockpit.home
        self.ask(lambda database: read_robot(database, home, digest, name), self._show)

    def _show(self, facts: RobotDetail) -> None:
        first = self.detail is None or self.detail.robot.digest != facts.robot.digest
        self.detail = facts
        robot = facts.robot
        pane = self.query_one("#robot-pane", Pane)
        pane.set_rule(formatting.printable(robot.name), robot.digest[:7])
        if first:
            self.canvas.set_poses(facts.poses, facts.problem)
        self.family.show(family_lines(facts))
        if facts.body is not None and first:
            self._show_limbs(facts.body)
        self._show_scores(facts)

    def _show_limbs(self, body: Morphology) -> None:
        rows = limb_rows(body)
        joints = max(line_width(row.cells[-1]) for row in rows)
        last = replace(_LIMB_COLUMNS[-1], width=max(_LIMB_COLUMNS[-1].width, joints))
        self.limbs.set_rows(
            list(range(len(rows))),
            lambda index: rows[index],
            columns=(*_LIMB_COLUMNS[:-1], last),
        )
        count = f"{body.num_limbs_without_head} limbs, {body.num_joints} joints"
        self.query_one("#limbs-pane", Pane).set_rule("Limbs", count)

    def _show_scores(self, detail: RobotDetail) -> None:
        scores = detail.scores

        def row_of(index: int) -> tables.TableRow:
            run, found = scores[index]
            policy = (
                f"{run.id} {run.kind} {formatting.printable(run.name)}" if run else found.policy
            )
            words = (
                policy,
                found.task,
                formatting.episode_return(found.mean, found.half_width),
                str(found.episodes),
                formatting.percent(found.falls),
                str(found.evaluation_id),
            )
            return tables.TableRow(tuple((Span(each),) for each in words))

        keys = [(found.policy, found.policy_run_id, found.task) for _, found in scores]
        self.scores.set_rows(keys, row_of)

    def current_robot(self) -> NamedRobot | None:
        """Digest and name of the robot, once it is read."""
        return (self.digest, self.detail.robot.name) if self.detail else None

    def _first_policies(self) -> Sequence[int]:
        return [run.id for run, _ in self.detail.scores if run][:2] if self.detail else []

    def on_table_chosen(self, message: tables.Table.Chosen) -> None:
        if message.table is not self.scores or self.detail is None:
            return
        run = self.detail.scores[self.scores.cursor][0]
        if run is not None:
            self.app.post_message(OpenRun(run.id))

    def action_parent(self) -> None:
        if self.detail is None or not self.detail.ancestors:
            self.say("p: this robot has no parent in the library")
            return
        parent = self.detail.ancestors[0]
        self.app.post_message(OpenRobot(parent.digest, parent.name))

    def action_out(self) -> None:
        self.dismiss()


def family_lines(detail: RobotDetail) -> list[Line]:
    """Body in words, sets, the chain of parents with what changed, children."""
    robot = detail.robot
    sets = " ".join(formatting.printable(each.name) for each in detail.sets) or "none"
    lines: list[Line] = [
        (Span(f" {body_text(robot)}"),),
        (Span(f" head {robot.head_height_m:.2f} m · sets {sets}"),),
    ]
    if detail.trained_by:
        lines.append((Span(f" trained on by {' '.join(map(str, detail.trained_by))}"),))
    younger = robot
    for ancestor in detail.ancestors:
        operations = formatting.printable(" ".join(younger.operations)) or "copied"
        lines.append((muted(f" from {formatting.printable(ancestor.name)}: "), Span(operations)))
        younger = ancestor
    if not detail.ancestors:
        unknown = robot.parent_digest[:7] if robot.parent_digest else ""
        words = f" parent {unknown} is not in the library" if unknown else " no parent"
        lines.append((muted(words),))
    if detail.children:
        lines.append((Span(f" {counted(len(detail.children), 'mutant')} in the library"),))
    return lines


def limb_rows(body: Morphology) -> list[tables.TableRow]:
    """One row a limb, head first: length, mass, and its hinges."""
    rows = []
    for name, limb in zip(body.limb_names, body.limbs, strict=True):
        parent = body.limb_names[limb.parent] if limb.parent >= 0 else "·"
        words = (
            _short(name),
            _short(parent),
            f"{_length_m(limb):.2f}" if limb.end_m else "·",
            f"{limb_mass_kg(limb):.1f}",
            "  ".join(_joint_text(slot, joint) for slot, joint in enumerate(limb.joints) if joint),
        )
        rows.append(tables.TableRow(tuple((Span(each),) for each in words)))
    return rows


def _short(name: str) -> str:
    return name.removeprefix("limb/").replace("torso/0", "head")


def _length_m(limb: Limb) -> float:
    end = limb.end_m or limb.start_m
    return float(sum((b - a) ** 2 for a, b in zip(limb.start_m, end, strict=True)) ** 0.5)


def _joint_text(slot: int, joint: Joint) -> str:
    low, high = joint.range_deg
    return f"{'xy'[slot]} {low:.0f}..{high:.0f} {joint.gear:.0f}"
