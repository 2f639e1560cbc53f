"""One run in detail: per-robot returns, configuration and its difference, files, lineage."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from db.queries.artifacts import list_artifacts, list_checkpoints
from db.queries.evaluations import summaries
from db.queries.metrics import list_series, read_several
from db.queries.robots import list_robots
from db.queries.runs import dependants, get_run, list_runs
from db.records import Artifact, Checkpoint, EpisodeSummary, Points, Run, RunKind, RunState
from db.session import Database
from engine.evaluation.robot_groups import Group, robot_groups
from engine.files import file_sha256
from engine.statistics import half_width
from engine.workers.lineage import Ancestry
from hdtui.data.metric_names import policy_order
from hdtui.data.run_list import flat_config
from hdtui.data.run_states import RunView
from hdtui.data.run_views import views

RECORDING = "poses"
"""The kind of a recorded walk; its name is ``policy:digest of the robot:task:episode``."""
CURVELESS = (RunKind.GENERATION, RunKind.MUTATION, RunKind.DEPLOYMENT)
ROBOT_POINTS = 120
ROBOT_NAMES = ("falls", "episode_length", "speed")
RETURN_NAMES = ("return", "episode_return", "teacher_return")


@dataclass(frozen=True)
class PolicyReturn:
    """What an evaluated policy reached on a robot; ``half_width`` is of the 95 % interval."""

    mean: float
    half_width: float | None
    episodes: int
    falls: float


@dataclass(frozen=True)
class RobotResult:
    """A robot's latest numbers in a run, its curve in few points, and what an evaluation found."""

    digest: str
    name: str
    episode_return: float | None
    falls: float | None
    length: float | None
    speed: float | None
    points: Points | None
    last_step: int | None
    by_policy: Mapping[str, PolicyReturn] = field(default_factory=dict)
    group: Group | None = None
    """What the policies of an evaluation know of it; None where they are not asked."""


@dataclass(frozen=True)
class ReturnsByRobot:
    """Returns by robot, the best first; an evaluation's are those of the ``judged`` policy.

    ``judged_in`` are the evaluations of a run's policy.
    """

    robots: tuple[RobotResult, ...]
    mean: float | None
    policies: tuple[str, ...] = ()
    judged: str = ""
    kind: RunKind | None = None
    judged_in: tuple[int, ...] = ()

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that there are, trained robots first."""
        found = {robot.group for robot in self.robots}
        return tuple(group for group in get_args(Group) if group in found)


def is_in_state(database: Database, run_id: int, state: str) -> bool:
    """Whether a run still is what was said of it."""
    return any(str(run.state) == state for run in list_runs(database, ids=[run_id]))


def default_tab(database: Database, run_id: int) -> str:
    """The tab that says most of a run: its curves, where it has some or is going to."""
    run = get_run(database, run_id)
    if run.kind is RunKind.EVALUATION:
        return "Robots"
    if run.kind not in CURVELESS:
        own = [each for each in list_series(database, run_id) if each.robot_digest is None]
        if own or run.state is not RunState.FINISHED:
            return "Curves"
    if list_artifacts(database, run_id) or list_checkpoints(database, run_id):
        return "Files"
    return "Log" if run.kind in CURVELESS else "Curves"


def read_robot_returns(database: Database, run_id: int) -> ReturnsByRobot:
    """Latest return of every robot that reported one, or those of an evaluation's policies."""
    run = get_run(database, run_id)
    if run.kind is RunKind.EVALUATION:
        return _evaluated_robots(database, run_id)
    by_robot: dict[str, dict[str, Any]] = {}
    for series in list_series(database, run_id):
        if series.robot_digest is None:
            continue
        if series.name in RETURN_NAMES:
            by_robot.setdefault(series.robot_digest, {})["return"] = series
        elif series.name in ROBOT_NAMES:
            by_robot.setdefault(series.robot_digest, {})[series.name] = series.last_value
    names = _robot_names(database) if by_robot else {}
    robots = []
    numbers = [known["return"].id for known in by_robot.values() if "return" in known]
    curves = read_several(database, numbers, ROBOT_POINTS)
    for digest, known in by_robot.items():
        returns = known.get("return")
        points = curves.get(returns.id) if returns else None
        robots.append(
            RobotResult(
                digest,
                names.get(digest, digest[:12]),
                episode_return=returns.last_value if returns else None,
                falls=known.get("falls"),
                length=known.get("episode_length"),
                speed=known.get("speed"),
                points=points,
                last_step=returns.last_step if returns else None,
            )
        )
    judged_in = [] if robots else dependants(database, run_id)
    evaluations = [
        each.id for each in judged_in if each.kind is RunKind.EVALUATION and run_id in each.inputs
    ]
    return replace(_ordered(robots), kind=run.kind, judged_in=tuple(evaluations))


def _evaluated_robots(database: Database, run_id: int) -> ReturnsByRobot:
    """Returns of the policies of an evaluation; a robot's own numbers are the judged one's."""
    found = summaries(database, run_id)
    tasks = {each.task for each in found}
    by_robot: dict[str, dict[str, EpisodeSummary]] = {}
    for each in found:
        label = each.policy if len(tasks) == 1 else f"{each.policy} {each.task}"
        by_robot.setdefault(each.robot_digest, {})[label] = each
    labels = {label for known in by_robot.values() for label in known}
    policies = tuple(sorted(labels, key=policy_order))
    ancestry = Ancestry(database)
    made_by = {each.policy: ancestry.runs.get(each.policy_run_id or 0) for each in found}
    students = {label for label, run in made_by.items() if run and run.kind is RunKind.STUDENT}
    judged = next((each for each in policies if each in students), "".join(policies[:1]))
    knowledge = [ancestry.knowledge(run) for run in made_by.values() if run is not None]
    groups = {
        digest: group
        for group, digests in robot_groups(by_robot, knowledge).items()
        for digest in digests
    }
    names = _robot_names(database) if by_robot else {}
    robots = [
        replace(
            _evaluated(digest, names.get(digest, digest[:12]), known, known.get(judged)),
            group=groups[digest],
        )
        for digest, known in by_robot.items()
    ]
    facts = _ordered(robots)
    return replace(facts, policies=policies, judged=judged, kind=RunKind.EVALUATION)


def _evaluated(
    digest: str, name: str, known: Mapping[str, EpisodeSummary], own: EpisodeSummary | None
) -> RobotResult:
    return RobotResult(
        digest,
        name,
        episode_return=own.mean_return if own else None,
        falls=own.falls if own else None,
        length=own.mean_length if own else None,
        speed=own.mean_speed_m_s if own else None,
        points=None,
        last_step=None,
        by_policy={
            label: PolicyReturn(
                each.mean_return,
                half_width(each.std_return, each.episodes),
                each.episodes,
                each.falls,
            )
            for label, each in known.items()
        },
    )


def _ordered(robots: list[RobotResult]) -> ReturnsByRobot:
    robots.sort(key=lambda robot: (robot.episode_return is None, -(robot.episode_return or 0.0)))
    values = [robot.episode_return for robot in robots if robot.episode_return is not None]
    return ReturnsByRobot(tuple(robots), sum(values) / len(values) if values else None)


def _robot_names(database: Database) -> dict[str, str]:
    return {robot.digest: robot.name for robot in list_robots(database)}


@dataclass(frozen=True)
class ComparedSetting:
    """A setting of a run and of the one it is compared with."""

    key: str
    value: Any
    other: Any
    differs: bool


@dataclass(frozen=True)
class ComparedSettings:
    """The configuration of a run, against another's where there is one."""

    run: Run
    other: Run | None
    settings: tuple[ComparedSetting, ...]

    @property
    def num_different(self) -> int:
        return sum(setting.differs for setting in self.settings)


_MISSING = object()


def read_config(database: Database, run_id: int, other_id: int | None) -> ComparedSettings:
    """Settings of a run beside those of another one of any kind."""
    run = get_run(database, run_id)
    found = list_runs(database, ids=[other_id]) if other_id not in {None, run_id} else []
    other = found[0] if found else None
    own = {"seed": run.seed, **flat_config(run.config)}
    theirs = {"seed": other.seed, **flat_config(other.config)} if other else own
    keys = dict.fromkeys([*own, *theirs])
    settings = tuple(
        ComparedSetting(
            key,
            own.get(key),
            theirs.get(key),
            own.get(key, _MISSING) != theirs.get(key, _MISSING),
        )
        for key in keys
    )
    return ComparedSettings(run, other, settings)


@dataclass(frozen=True)
class RunFiles:
    """What a run left on disk; ``home`` is the workspace the paths are relative to."""

    home: Path
    checkpoints: tuple[Checkpoint, ...]
    artifacts: tuple[Artifact, ...]
    robot_names: Mapping[str, str] = field(default_factory=dict)


def read_files(database: Database, run_id: int) -> RunFiles:
    """Checkpoints, newest first, and artifacts; robots by digest where walks are recorded."""
    artifacts = tuple(list_artifacts(database, run_id))
    recorded = any(each.kind == RECORDING for each in artifacts)
    return RunFiles(
        database.home,
        tuple(list_checkpoints(database, run_id)),
        artifacts,
        _robot_names(database) if recorded else {},
    )


def check_file(path: Path, sha256: str) -> str:
    """Whether a file still is what was written: ``checked``, ``missing`` or ``does not match``."""
    if path.is_dir():
        return "a folder"
    try:
        found = file_sha256(path)
    except OSError:
        return "missing"
    return "checked" if found == sha256 else "does not match"


@dataclass(frozen=True)
class Relatives:
    """A run's relatives: everything it was made from and everything made from it."""

    run_id: int
    ancestors: tuple[RunView, ...]
    descendants: tuple[RunView, ...]
    by_id: Mapping[int, RunView]


def read_lineage(database: Database, run_id: int, now: datetime) -> Relatives:
    """The tree around a run."""
    run, *above = Ancestry(database).ancestors(get_run(database, run_id))
    below = dependants(database, run_id)
    by_id = {each.run.id: each for each in views(database, [*above, run, *below], now)}
    return Relatives(
        run_id,
        tuple(by_id[key] for key in sorted(each.id for each in above)),
        tuple(by_id[each.id] for each in below),
        by_id,
    )
