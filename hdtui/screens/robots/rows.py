"""How the list of robots writes its columns, and what it says about one robot."""

from collections.abc import Sequence
from dataclasses import replace

from db.records import Robot, Run
from engine.morphology.geometry import limb_mass_kg
from engine.morphology.tree import Morphology
from engine.text import counted
from hdtui import formatting
from hdtui.data.columns import ROBOTS_ON_SCREEN
from hdtui.data.robots import RobotDetail, Score, ScoredRobot, field_value
from hdtui.widgets.lines import Line, Span, fit, line_width, muted
from hdtui.widgets.pane import rule_line
from hdtui.widgets.table import Column, TableRow

DEFAULT_COLUMNS = (
    *("limbs", "joints", "mass", "head"),
    *("teacher", "student", "student/teacher"),
)
COLUMN_CHOICES = (*DEFAULT_COLUMNS, "falls", "digest", "parent", "op", "seed")
FILTER_NOTES = (
    "Filter\n"
    "limbs>=6 joints<12 mass<30 teacher>500 student/teacher>=0.9\n"
    'op:grow_limb "12-30"   - before a term: not, | : or',
)
_NAME_CELLS = 27
_LEAST_NAME_CELLS = 12
_IMPORTANT = ("teacher", "student", "limbs")
_FEW_RUNS = 2


def robot_columns(
    names: Sequence[str], policies: tuple[int | None, int | None], kept: Sequence[str], width: int
) -> list[Column]:
    """The name, then the chosen columns; returns say of which ``policies`` they are.

    Those of ``kept`` stay in a table of ``width`` cells, then those that matter most.
    """
    whose = dict(zip(("teacher", "student"), policies, strict=True))
    columns = [_robot_column(name, whose.get(name)) for name in names]
    by_name = {column.key: column for column in columns}
    room, staying = width - _LEAST_NAME_CELLS, set()
    for name in dict.fromkeys((*kept, *_IMPORTANT)):
        cells = by_name[name].width + 1 if name in by_name else 0
        if 0 < cells <= room:
            room -= cells
            staying.add(name)
    return [
        Column("name", "name", _NAME_CELLS, grow=True, gap=1),
        *(replace(one, leaves_first=0) if one.key in staying else one for one in columns),
    ]


def _robot_column(name: str, policy_id: int | None) -> Column:
    known = ROBOTS_ON_SCREEN[name]
    title = "ratio" if name == "student/teacher" else name
    title = title if policy_id is None else f"{name} {policy_id}"
    width, leaves = max(known.width, len(title)), known.leaves_first or 0
    return Column(name, title, width, known.right, gap=1, leaves_first=leaves)


def column_answer(name: str, before: Sequence[str], after: Sequence[str]) -> str:
    """What became of a column that was chosen, and what has no room beside it."""
    if name not in after:
        return f"v: {name} is hidden" if name in before else f"v: {name} has no room here"
    gone = [each for each in before if each not in after]
    if name in before:
        return f"v: {name} stays while it sorts the list"
    return f"v: {name} is shown" + (f" in the place of {' '.join(gone)}" if gone else "")


def marked_line(names: Sequence[str], room: int) -> Line:
    """The names of marked robots in ``room`` cells, and how many more there are."""
    if not names:
        return (muted(" Nothing is marked. space marks a robot, e evaluates the marked."),)
    words = ""
    for place, name in enumerate(names):
        if len(words) + len(name) + 2 > room:
            words += f"  and {len(names) - place} more"
            break
        words += f"  {name}"
    return (Span(words[1:]),)


def robot_row(entry: ScoredRobot, names: Sequence[str], name_cells: int, marked: bool) -> TableRow:
    """A robot of the list."""
    name = (Span(formatting.shorten(formatting.printable(entry.robot.name), name_cells)),)
    cells = [name, *((Span(cell_text(entry, column)),) for column in names)]
    return TableRow(tuple(cells), mark="*" if marked else " ")


def cell_text(entry: ScoredRobot, column: str) -> str:
    """What stands in a column."""
    return ROBOTS_ON_SCREEN[column].text(field_value(entry, column))


def body_text(robot: Robot) -> str:
    """Limbs, joints and mass in one phrase."""
    return (
        f"{robot.num_limbs_without_head} limbs, {robot.num_joints} joints, {robot.mass_kg:.1f} kg"
    )


def short_lines(detail: RobotDetail, entry: ScoredRobot | None) -> list[Line]:
    """Five lines for a narrow pane: body, kin, and the scores of the two columns."""
    robot = detail.robot
    parent = (
        f"parent {formatting.shorten(_parent_name(detail), 19)}"
        if robot.parent_digest
        else "no parent"
    )
    ids = " ".join(map(str, detail.trained_by))
    by = ids if len(detail.trained_by) <= _FEW_RUNS else f"{len(detail.trained_by)} runs"
    trained = f", trained on by {by}" if by else ""
    lines: list[Line] = [
        (Span(f" {body_text(robot)}"),),
        (Span(f" head {robot.head_height_m:.2f} m, digest {robot.digest[:7]}"),),
        (Span(f" {parent}{trained}"),),
    ]
    if detail.problem:
        lines.append((Span(f" {formatting.printable(detail.problem)}", "bad"),))
    for label, found in (("teacher", _teacher(entry)), ("student", _student(entry))):
        lines.append(_score_line(label, found))
    return lines


def ending_well(spans: Line, width: int) -> Line:
    """The line, its cut end replaced by an ellipsis where it is longer than ``width`` cells."""
    if line_width(spans) <= width or width < 1:
        return spans
    kept = fit(spans, width - 1)
    return (*kept, Span("…", kept[-1].role if kept else "text"))


def _teacher(entry: ScoredRobot | None) -> Score | None:
    return entry.teacher if entry else None


def _student(entry: ScoredRobot | None) -> Score | None:
    return entry.student if entry else None


def _score_line(label: str, found: Score | None) -> Line:
    if found is None:
        return (Span(f" {label:<8} "), muted(formatting.UNKNOWN))
    words = formatting.episode_return(found.mean, found.half_width)
    return (Span(f" {label:<8} {words:<12}"), muted(f"n {found.episodes}"))


def _parent_name(detail: RobotDetail) -> str:
    parent = detail.ancestors[0].name if detail.ancestors else detail.robot.parent_digest or ""
    return formatting.printable(parent) if detail.ancestors else parent[:7]


def long_lines(detail: RobotDetail, width: int) -> list[Line]:
    """Facts, limbs and returns under their own rules, for a pane with room."""
    robot = detail.robot
    sets = " ".join(formatting.printable(each.name) for each in detail.sets) or "none"
    kin = f"parent {_parent_name(detail)}" if robot.parent_digest else "parent none"
    mutants = f" · {counted(len(detail.children), 'mutant')}" if detail.children else ""
    trained = " ".join(map(str, detail.trained_by)) or "none"
    lines: list[Line] = [
        rule_line(
            formatting.shorten(formatting.printable(robot.name), width - 5),
            "",
            width,
            focused=False,
        ),
        (Span(f" {body_text(robot)}, {robot.head_height_m:.2f} m"),),
        (Span(f" digest {robot.digest[:7]} · set {sets}"),),
        (Span(f" {kin}{mutants}"),),
        (Span(f" trained on by {trained}"),),
    ]
    if detail.problem:
        lines.append((Span(f" {formatting.printable(detail.problem)}", "bad"),))
    if detail.body is not None:
        lines.append(rule_line("Limb   length  mass joint gear", "", width, focused=False))
        lines += limb_lines(detail.body, detail.poses.pair.tolist() if detail.poses else [])
    counts = {found.episodes for _, found in detail.scores}
    episodes = f", {counts.pop()} episodes" if len(counts) == 1 else ""
    lines.append(rule_line(f"Returns on this robot{episodes}", "", width, focused=False))
    lines += score_lines(detail) or [(muted(" No evaluation of this robot yet. e evaluates it."),)]
    return lines


def limb_lines(body: Morphology, pairs: Sequence[int]) -> list[Line]:
    """One line per limb, mirrored ones on one: number, letter, length, mass, joints, gear."""
    by_pair: dict[int, list[int]] = {}
    for row in range(1, body.num_limbs):
        by_pair.setdefault(pairs[row], []).append(row)
    lines: list[Line] = []
    for pair, rows in by_pair.items():
        limb = body.limbs[rows[0]]
        identifiers = " ".join(str(body.limbs[row].identifier) for row in rows)
        end = limb.end_m or limb.start_m
        squared = sum((b - a) ** 2 for a, b in zip(limb.start_m, end, strict=True))
        axes = " ".join("xy"[slot] for slot, joint in enumerate(limb.joints) if joint)
        gears = " ".join(f"{joint.gear:.0f}" for joint in limb.joints if joint)
        letter = chr(ord("a") + (pair - 1) % 26)
        words = f" {identifiers:<6}{letter} {squared**0.5:5.2f}{limb_mass_kg(limb):6.1f}"
        mirrored = muted("pair" if len(rows) > 1 else "")
        lines.append((Span(f"{words}  {axes:<4} {gears:<8}"), mirrored))
    return lines


def score_lines(detail: RobotDetail) -> list[Line]:
    """What each policy reached here, the best first."""
    return [
        (
            Span(f" {_policy_text(run, found):<12}"),
            Span(f"{formatting.episode_return(found.mean, found.half_width):>13}"),
            muted(f"   falls {found.falls:.2f}"),
        )
        for run, found in detail.scores
    ]


def _policy_text(run: Run | None, found: Score) -> str:
    return f"{run.id} {run.kind}" if run else formatting.printable(found.policy)
