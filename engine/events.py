"""What a run reports while it works; a recorder decides where the facts go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """How far a stage is: ``done`` of ``total`` in ``unit`` (``steps``, ``robots``...).

    ``rate`` is units per second of late, 0 where it is not known yet.
    """

    done: float
    total: float
    unit: str
    rate: float = 0.0


@dataclass(frozen=True)
class Metrics:
    """Named numbers at a step of the x axis: control steps, or gradient steps of a student.

    ``robots`` holds per-robot numbers under the robot's digest.
    """

    step: int
    iteration: int
    values: Mapping[str, float]
    robots: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """A line for the log, and for the screen when it is a warning or an error."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class CheckpointWritten:
    """A resumable snapshot is complete on disk (written, fsynced, renamed)."""

    step: int
    path: Path
    sha256: str
    value: float | None = None


@dataclass(frozen=True)
class ArtifactWritten:
    """A result file or folder is complete; ``sha256`` covers the file or a manifest."""

    kind: str
    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Episode:
    """One evaluated episode; ``energy_j`` is the actuators' absolute work."""

    policy: str
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
class EpisodesFinished:
    """Evaluated episodes, a batch at a time."""

    episodes: Sequence[Episode]


ResultKind = Literal[
    "return", "sampled_return", "loss", "ratio", "robots", "mutants", "samples", "policies"
]
"""What the number of a headline is: readers write and compare it by this, never by its words.

A ``return`` is that of mean actions, a ``sampled_return`` that of sampled ones, as in training.
"""


@dataclass(frozen=True)
class Result:
    """The headline of a run: one number (or None), the words for it, and what the number is."""

    value: float | None
    text: str
    kind: ResultKind | None = None


Event = Progress | Metrics | Note | CheckpointWritten | ArtifactWritten | EpisodesFinished | Result
Report = Callable[[Event], None]


@dataclass(frozen=True)
class StageContext:
    """What every stage gets besides its configuration and inputs.

    ``folder`` is the run's folder; ``attempt`` goes into names of files it writes; ``should_stop``
    turns True once a stop was asked for (save, then raise ``StopRequestedError``);
    ``resume_from`` is the checkpoint to continue from, or None.
    """

    folder: Path
    attempt: int
    report: Report
    should_stop: Callable[[], bool]
    resume_from: Path | None = None
