"""Robots of the library with what teachers and students reached on them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from db.queries import lineage
from db.queries.evaluations import summaries
from db.queries.robots import get_robot, list_robots, list_sets, robot_sets_of
from db.queries.runs import list_runs
from db.records import EpisodeSummary, Robot, RobotSet, Run, RunKind, RunState
from db.session import Database
from engine.errors import HdtuiError
from engine.evaluation.statistics import RobotReturn, kept_ratio
from engine.morphology.poses import Poses, rest_poses
from engine.morphology.tree import Morphology
from engine.statistics import half_width
from engine.text import counted
from engine.workers.lineage import trainers
from engine.workers.observed import observed
from engine.workers.robot_library import load
from engine.workers.workspace import Workspace
from hdtui.data.columns import ROBOTS_ON_SCREEN, sorted_by
from hdtui.data.measured import task_of
from hdtui.data.run_filters import Filter, Value
from hdtui.data.run_states import left_s, shown_state
from hdtui.formatting import duration

FIELDS = (*ROBOTS_ON_SCREEN, "set")
_WORKING = (RunState.STARTING, RunState.RUNNING)


@dataclass(frozen=True)
class Score:
    """What a policy reached on a robot: mean return, half its interval, share of falls.

    It is that of one evaluation, the run ``evaluation_id``: figures are not mixed over runs.
    """

    policy_run_id: int | None
    policy: str
    task: str
    mean: float
    half_width: float | None
    episodes: int
    falls: float
    evaluation_id: int
    deviation: float = 0.0


@dataclass(frozen=True)
class ScoredRobot:
    """A robot of the list with the scores of the chosen teacher and student."""

    robot: Robot
    teacher: Score | None
    student: Score | None

    @property
    def ratio(self) -> float | None:
        """The student's return as a share of the teacher's, both of one evaluation.

        None where the teacher earns about nothing here.
        """
        teacher, student = self.teacher, self.student
        if teacher is None or student is None or teacher.evaluation_id != student.evaluation_id:
            return None
        return kept_ratio({"": _robot_return(student)}, {"": _robot_return(teacher)})


def _robot_return(score: Score) -> RobotReturn:
    return RobotReturn(score.mean, score.deviation, score.episodes)


@dataclass(frozen=True)
class AtWork:
    """An evaluation that reports as usual, with the digests of the robots that it judges on."""

    run: Run
    robots: frozenset[str]


@dataclass(frozen=True)
class RobotList:
    """A set of robots, the policies its columns are about, and who is filling them."""

    entries: tuple[ScoredRobot, ...]
    sets: tuple[RobotSet, ...]
    set_name: str | None
    teacher_id: int | None
    student_id: int | None
    task: str
    filling: str
    evaluated: tuple[Run, ...] = ()
    """Teachers and students whose returns can be shown, newest first."""
    measured: str = ""
    """How the returns in the columns were measured, all alike."""


def read_robots(
    database: Database, set_name: str | None, pinned: int | None, chosen: Sequence[int] = ()
) -> RobotList:
    """The robots of a set (or all) with the returns of one teacher and one student."""
    sets = list_sets(database)
    if set_name not in [each.name for each in sets]:
        set_name = None
    found = summaries(database)
    policies = _policies(database, found)
    kinds = {run.id: run.kind for run in policies}
    wanted = [*chosen, *([pinned] if pinned is not None else [])]
    teacher_id, student_id = choose_policies(found, kinds, wanted)
    task = _main_task(found, (teacher_id, student_id))
    shown = {teacher_id, student_id} - {None}
    own = [each for each in found if each.policy_run_id in shown and each.task == task]
    own, measured = _measured_alike(database, own)
    scores = _firmest_scores(own) | _scores_together(own, teacher_id, student_id)
    entries = [
        ScoredRobot(
            robot,
            scores.get((teacher_id, robot.digest, task)) if teacher_id else None,
            scores.get((student_id, robot.digest, task)) if student_id else None,
        )
        for robot in list_robots(database, set_name)
    ]
    return RobotList(
        tuple(entries),
        tuple(sets),
        set_name,
        teacher_id,
        student_id,
        task,
        filling_sentence(evaluations_at_work(database), entries, task, shown),
        tuple(policies),
        measured,
    )


def _measured_alike(
    database: Database, found: Sequence[EpisodeSummary]
) -> tuple[list[EpisodeSummary], str]:
    """Scores under the one condition that most were measured under, and that condition in words.

    Mean and sampled actions, or 8 and 16 episodes, do not stand in one column.
    """
    numbers = {each.run_id for each in found}
    runs = {run.id: run for run in list_runs(database, ids=numbers, archived=True)}
    conditions: dict[tuple[str, bool, int], list[EpisodeSummary]] = {}
    for each in found:
        config = runs[each.run_id].config
        actions = bool(config.get("deterministic", True))
        conditions.setdefault((task_of(config), actions, each.episodes), []).append(each)
    if not conditions:
        return [], ""

    def most(condition: tuple[str, bool, int]) -> tuple[int, int]:
        own = conditions[condition]
        scored = {(each.policy_run_id, each.robot_digest) for each in own}
        return len(scored), max(each.run_id for each in own)

    best = max(conditions, key=most)
    _, mean_actions, episodes = best
    words = counted(episodes, "episode")
    return conditions[best], words if mean_actions else f"{words}, sampled actions"


def _policies(database: Database, found: Sequence[EpisodeSummary]) -> list[Run]:
    ids = {each.policy_run_id for each in found if each.policy_run_id is not None}
    return list_runs(database, ids=ids) if ids else []


def choose_policies(
    found: Sequence[EpisodeSummary], kinds: Mapping[int, RunKind], wanted: Sequence[int]
) -> tuple[int | None, int | None]:
    """Teacher and student for the columns: the first wanted one, else the latest evaluated.

    A teacher evaluated together with the student is preferred to a later one.
    """
    policies = {each.policy_run_id for each in found if each.policy_run_id is not None}
    students = {key for key in policies if kinds.get(key) is RunKind.STUDENT}
    teachers = {key for key in policies if kinds.get(key) is RunKind.TEACHER}
    latest = max(students, default=None)
    student = next((i for i in wanted if i in students), latest)
    together = {each.run_id for each in found if each.policy_run_id == student}
    beside = {
        each.policy_run_id
        for each in found
        if each.policy_run_id in teachers and each.run_id in together
    }
    choice = beside or teachers
    beside_latest = max(choice, default=None)
    return next((i for i in wanted if i in teachers), beside_latest), student


def _main_task(found: Sequence[EpisodeSummary], policies: Sequence[int | None]) -> str:
    """The task on which these policies were evaluated on most robots."""
    counts = Counter(each.task for each in found if each.policy_run_id in policies)
    return counts.most_common(1)[0][0] if counts else "flat"


def _firmest_scores(
    found: Sequence[EpisodeSummary],
) -> dict[tuple[int | None, str, str], Score]:
    """By policy run, robot and task, the evaluation with most episodes; the latest of equals."""
    ordered = sorted(found, key=lambda each: (each.episodes, each.run_id))
    return {(each.policy_run_id, each.robot_digest, each.task): score(each) for each in ordered}


def _scores_together(
    found: Sequence[EpisodeSummary], teacher_id: int | None, student_id: int | None
) -> dict[tuple[int | None, str, str], Score]:
    """Scores of both on robots that one evaluation judged both on: only those make a ratio."""
    by_evaluation: dict[tuple[int, str], dict[int | None, EpisodeSummary]] = {}
    for each in found:
        by_evaluation.setdefault((each.run_id, each.robot_digest), {})[each.policy_run_id] = each
    both = [own for own in by_evaluation.values() if own.keys() >= {teacher_id, student_id}]
    return _firmest_scores([each for own in both for each in own.values()])


def score(summary: EpisodeSummary) -> Score:
    """A summary with the interval of its mean."""
    return Score(
        summary.policy_run_id,
        summary.policy,
        summary.task,
        summary.mean_return,
        half_width(summary.std_return, summary.episodes),
        summary.episodes,
        summary.falls,
        summary.run_id,
        summary.std_return,
    )


def evaluations_at_work(database: Database) -> list[AtWork]:
    """Evaluations that work, newest first: neither dead nor stalled, whatever their rows say."""
    at = datetime.now(UTC)
    runs = [run for run in list_runs(database, states=_WORKING) if run.kind is RunKind.EVALUATION]
    working = [run for run in observed(database, runs) if shown_state(run, at) in _WORKING]
    return [
        AtWork(
            run,
            frozenset(
                each.digest for name in run.robot_sets for each in list_robots(database, name)
            ),
        )
        for run in working
    ]


def filling_sentence(
    working: Sequence[AtWork],
    entries: Sequence[ScoredRobot],
    task: str,
    policies: AbstractSet[int | None],
) -> str:
    """The sentence about evaluations of these policies on these robots; empty where none works."""
    digests = {entry.robot.digest for entry in entries}
    filling = [
        each.run
        for each in working
        if policies & {*each.run.inputs} and digests & each.robots and _task_of(each.run) == task
    ]
    if not filling:
        return ""
    run, others = filling[0], len(filling) - 1
    left = left_s(run)
    words = f", {duration(left)} left" if left is not None else ""
    more = f" and {others} more are" if others else " is"
    return f"{run.id} evaluation{more} filling these columns{words}"


def _task_of(run: Run) -> str:
    task = run.config.get("task")
    return str(task.get("name", "flat")) if isinstance(task, Mapping) else "flat"


def field_value(entry: ScoredRobot, name: str, set_name: str | None = None) -> Value:
    """The value of a column for filters and sorting; None where unknown."""
    if name == "set":
        return set_name
    column = ROBOTS_ON_SCREEN[name or "name"]
    value: Value = column.listed(entry) if column.listed else column.of(entry.robot)
    return value


def passing(facts: RobotList, wanted: Filter) -> list[ScoredRobot]:
    return [
        entry
        for entry in facts.entries
        if wanted.passes(partial(field_value, entry, set_name=facts.set_name))
    ]


def sorted_entries(entries: Sequence[ScoredRobot], key: str, descending: bool) -> list[ScoredRobot]:
    """Sorted by a column's number or text; unknown values come last either way."""

    def value(entry: ScoredRobot) -> Value:
        found = field_value(entry, key)
        return None if found in ("", ()) else found

    return sorted_by(entries, value, descending)


@dataclass(frozen=True)
class RobotDetail:
    """Everything about one robot; ``body`` is None where its file cannot be read, with a reason."""

    robot: Robot
    body: Morphology | None
    poses: Poses | None
    problem: str
    sets: tuple[RobotSet, ...]
    trained_by: tuple[int, ...]
    ancestors: tuple[Robot, ...]
    children: tuple[Robot, ...]
    scores: tuple[tuple[Run | None, Score], ...]


def read_robot(database: Database, home: Path, digest: str, name: str | None = None) -> RobotDetail:
    """A robot with its body, sets, kin, and all returns, best policies first.

    A body may have several names; ``name`` says which is meant, else it is the newest.

    Raises:
        RobotError: There is none with this digest.
    """
    named = (each for each in lineage.names(database, digest) if each.name == name)
    robot = next(named, None) or get_robot(database, digest)
    sets = robot_sets_of(database, digest)
    scores = _firmest_scores(summaries(database, robot_digests=[digest]))
    policies = {each.policy_run_id for each in scores.values() if each.policy_run_id is not None}
    runs = {run.id: run for run in list_runs(database, ids=policies)} if policies else {}
    listed = sorted(scores.values(), key=lambda each: -each.mean)
    body, problem = _body(home, robot)
    return RobotDetail(
        robot=robot,
        body=body,
        poses=rest_poses(body) if body else None,
        problem=problem,
        sets=tuple(sets),
        trained_by=tuple(trainers(database, digest, [each.name for each in sets])),
        ancestors=tuple(lineage.ancestors(database, robot)),
        children=tuple(lineage.children(database, digest)),
        scores=tuple((runs.get(each.policy_run_id or 0), each) for each in listed),
    )


def _body(home: Path, robot: Robot) -> tuple[Morphology | None, str]:
    try:
        return load(Workspace(home), robot), ""
    except HdtuiError as error:
        return None, str(error)
