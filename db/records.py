"""Frozen facts that leave the database; rows never do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

CHECKPOINTS = "checkpoints"
"""In ``extra`` of a run: by input, the checkpoint it reads of a policy that had not finished.

An empty entry stands for the last one of an input that was stopping.
"""


class RunState(StrEnum):
    """Where a run is in its life; ``stalled`` is a view of running, not a state."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"
    INTERRUPTED = "interrupted"

    @property
    def active(self) -> bool:
        """A process exists or is being started."""
        return self in (RunState.STARTING, RunState.RUNNING, RunState.STOPPING)

    @property
    def ended(self) -> bool:
        """No process, and none will come unless somebody asks for it."""
        return self in (
            RunState.FINISHED,
            RunState.STOPPED,
            RunState.FAILED,
            RunState.LOST,
            RunState.INTERRUPTED,
        )


class RunKind(StrEnum):
    """What a run does: one stage of the pipeline."""

    GENERATION = "generation"
    TEACHER = "teacher"
    MUTATION = "mutation"
    COLLECTION = "collection"
    STUDENT = "student"
    EVALUATION = "evaluation"
    DEPLOYMENT = "deployment"

    @property
    def fills_sets(self) -> bool:
        """Whether its runs make robots: they are read by those, not as inputs."""
        return self in (RunKind.GENERATION, RunKind.MUTATION)


@dataclass(frozen=True)
class Run:
    """One execution of a job. Times are aware UTC datetimes; ``progress`` is 0 to 1 or None.

    ``blocked_by`` is the input whose failure stopped this run before it began. A queued run whose
    ``queued_boot_id`` is not the machine's waits for a word: the machine restarted. ``stale`` says
    that an input has worked again since this run read it. ``worked_s`` counts seconds of work that
    the curves stand for. ``result_kind`` says what ``result`` is: a ``return`` of mean actions or a
    ``sampled_return``, a ``loss``, a ``ratio`` of returns, or how many ``robots``, ``mutants``,
    ``samples`` or ``policies``.
    """

    id: int
    kind: RunKind
    name: str
    state: RunState
    pipeline: int | None
    group: str | None
    host: str
    device: str
    attempt: int
    pid: int | None
    pid_started_at: float | None
    boot_id: str | None
    seed: int
    config: Mapping[str, Any]
    inputs: tuple[int, ...]
    robot_sets: tuple[str, ...]
    folder: str
    versions: Mapping[str, str]
    reason: str | None
    exit_code: int | None
    progress: float | None
    done: float | None
    total: float | None
    unit: str | None
    rate: float | None
    result: float | None
    result_text: str | None
    report_gap_s: float | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reported_at: datetime | None
    checkpoint_step: int | None
    archived: bool = False
    note: str | None = None
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    blocked_by: int | None = None
    queued_boot_id: str | None = None
    stop_requested_at: datetime | None = None
    kill_requested_at: datetime | None = None
    stale: bool = False
    worked_s: float = 0.0
    pid_ticks: int | None = None
    result_kind: str | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from start to end, of the last attempt; None where it has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def waits_for(self) -> tuple[int, ...]:
        """The inputs that must finish first: those of which it reads no checkpoint."""
        read = self.extra.get(CHECKPOINTS, {})
        return tuple(number for number in self.inputs if str(number) not in read)

    @property
    def waits_for_end_of(self) -> tuple[int, ...]:
        """The inputs that were stopping when it was queued: it reads their last checkpoint."""
        read = self.extra.get(CHECKPOINTS, {})
        return tuple(number for number in self.inputs if read.get(str(number), "") is None)


@dataclass(frozen=True)
class Pipeline:
    """A group of runs started together."""

    id: int
    name: str
    preset: str
    robot_set: str
    seed: int
    created_at: datetime


@dataclass(frozen=True)
class StoredStudy:
    """A question that was asked in a workspace, and the runs that answer it.

    ``document`` is its declaration. ``runs`` are its runs by what they are to it, ``made`` those of
    them that were queued for it; the others were there.
    ``created_at`` is ISO 8601, ``version`` that of the program that began it.
    """

    name: str
    document: Mapping[str, Any]
    runs: Mapping[str, int]
    made: frozenset[int]
    version: str
    created_at: str


@dataclass(frozen=True)
class RunEvent:
    """Something worth telling: a change of state, a checkpoint, a warning."""

    id: int
    run_id: int | None
    at: datetime
    level: str
    kind: str
    text: str


@dataclass(frozen=True)
class Checkpoint:
    """A resumable snapshot of a run."""

    id: int
    run_id: int
    attempt: int
    step: int
    path: str
    sha256: str
    size_bytes: int
    created_at: datetime
    value: float | None


@dataclass(frozen=True)
class Artifact:
    """A result file of a run; ``path`` is relative to the workspace."""

    id: int
    run_id: int
    attempt: int
    kind: str
    name: str
    path: str
    sha256: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True)
class Series:
    """A named curve of a run, of one robot where ``robot_digest`` is given."""

    id: int
    run_id: int
    name: str
    robot_digest: str | None
    last_step: int | None
    last_value: float | None


@dataclass(frozen=True)
class Point:
    """A point of a curve; an extreme one is NaN, infinite, or beyond 1e300."""

    step: int
    iteration: int
    wall_s: float
    value: float


@dataclass(frozen=True)
class Points:
    """Part of a series, equal lengths, ascending steps; ``wall_s`` is seconds of work so far.

    ``low`` and ``high`` are equal to ``value`` unless the points were rolled up. ``extremes`` are
    its points that have no place among numbers, ascending, the newest ones where there are many.
    """

    series_id: int
    step: tuple[int, ...]
    iteration: tuple[int, ...]
    wall_s: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    extremes: tuple[Point, ...] = ()

    def every_point(self) -> list[Point]:
        """All points by their steps, the extreme ones in their places."""
        columns = (self.step, self.iteration, self.wall_s, self.value)
        plain = [Point(*row) for row in zip(*columns, strict=True)]
        return sorted([*plain, *self.extremes], key=lambda point: point.step)

    @property
    def last_step(self) -> int:
        """The step of the newest point, extreme or not; -1 where there is none."""
        return max([*self.step[-1:], *(each.step for each in self.extremes[-1:])], default=-1)


@dataclass(frozen=True)
class Robot:
    """A robot of the library; its XML lies in the workspace under its digest.

    ``num_limbs`` counts the head, as arrays over limbs do.
    """

    id: int
    digest: str
    name: str
    family: str
    num_limbs: int
    num_joints: int
    mass_kg: float
    head_height_m: float
    parent_digest: str | None
    operations: tuple[str, ...]
    seed: int | None
    path: str

    @property
    def num_limbs_without_head(self) -> int:
        """The limbs that a robot is said to have, on screens, in commands, files and reports."""
        return self.num_limbs - 1


@dataclass(frozen=True)
class RobotSet:
    """A named, ordered list of robots; ``role`` is training, unseen, or None where mixed.

    ``roles`` are all that its robots have in it; a robot that was only marked has none.
    """

    id: int
    name: str
    role: str | None
    size: int
    digest: str
    created_at: datetime
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class EpisodeSummary:
    """All evaluated episodes of one policy on one robot in one run."""

    run_id: int
    policy: str
    policy_run_id: int | None
    robot_digest: str
    task: str
    episodes: int
    mean_return: float
    std_return: float
    falls: float
    mean_length: float
    mean_speed_m_s: float


@dataclass(frozen=True)
class EvaluatedEpisode:
    """One episode of a policy on a robot; ``policy_run_id`` is the run that made the policy."""

    run_id: int
    policy: str
    policy_run_id: int | None
    robot_digest: str
    task: str
    seed: int
    episode: int
    episode_return: float
    length: int
    terminated: bool
    distance_m: float
    mean_speed_m_s: float
    energy_j: float


@dataclass(frozen=True)
class NewRun:
    """What it takes to queue a run: everything a worker needs, nothing derived."""

    kind: RunKind
    name: str
    config: Mapping[str, Any]
    seed: int
    inputs: tuple[int, ...] = ()
    robot_sets: tuple[str, ...] = ()
    pipeline: int | None = None
    group: str | None = None
    device: str = "auto"
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Supervisor:
    """The process that starts and watches the workers of one machine; ``beats`` counts its signs.

    ``installation`` names the machine over restarts, where anything does.
    """

    host: str
    pid: int
    pid_started_at: float
    boot_id: str
    slots: int
    started_at: datetime
    heartbeat_at: datetime
    beats: int = 0
    installation: str | None = None


@dataclass(frozen=True)
class NewRobot:
    """A robot to add to the library; its XML is already in place at ``path``."""

    digest: str
    name: str
    family: str
    num_limbs: int
    num_joints: int
    mass_kg: float
    head_height_m: float
    path: str
    parent_digest: str | None = None
    operations: tuple[str, ...] = ()
    seed: int | None = None
