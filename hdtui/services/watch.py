"""Recorded episodes: which exist, side by side on the same robot, read and checked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from db.queries.kin import artifacts_of_kind, robot_names
from db.queries.runs import list_runs
from db.records import Artifact, Run, RunKind, RunState
from engine.errors import DatasetError
from engine.morphology.poses import (
    ARTIFACT_KIND,
    Poses,
    load_poses,
    parse_recording_name,
)

if TYPE_CHECKING:
    from db.session import Database

RECENT_EVALUATIONS = 60
_SPEED_WINDOW_S = 0.5


@dataclass(frozen=True)
class Recording:
    """An episode that can be played: whose, on which robot, and the file that holds it."""

    run_id: int
    policy: str
    robot_digest: str
    robot_name: str
    task: str
    episode: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class Recordings:
    """All episodes that the latest evaluations recorded, newest run first."""

    episodes: tuple[Recording, ...]
    runs: tuple[Run, ...]
    working: tuple[Run, ...] = ()
    """Evaluations at work: each robot's episodes come as soon as that robot is done."""

    def robots(self) -> list[str]:
        """Digests of robots with an episode, by name."""
        names = {episode.robot_digest: episode.robot_name for episode in self.episodes}
        return sorted(names, key=lambda digest: (names[digest], digest))

    def of_run(self, run_id: int) -> "Recordings":
        """Only the episodes that this run recorded, or that evaluations of it did."""
        related = {run.id for run in self.runs if run.id == run_id or run_id in run.inputs}
        episodes = (episode for episode in self.episodes if episode.run_id in related)
        return Recordings(tuple(episodes), self.runs, self.working)

    def pairs(self, digest: str) -> list[tuple[Recording, ...]]:
        """Per task and episode of a robot, one or two recordings: teacher first, then student.

        Where more runs recorded a policy the newest stands for it.
        """
        by_episode: dict[tuple[str, int], dict[str, Recording]] = {}
        for recording in self.episodes:
            if recording.robot_digest == digest:
                key = (recording.task, recording.episode)
                by_episode.setdefault(key, {}).setdefault(recording.policy, recording)
        return [
            tuple(sorted(by_episode[key].values(), key=_side)[:2]) for key in sorted(by_episode)
        ]


def _side(recording: Recording) -> tuple[int, int, str]:
    words = recording.policy.lower()
    rank = 0 if "teacher" in words else 1 if "student" in words else 2
    return rank, -recording.run_id, words


def list_recordings(database: "Database", home: Path) -> Recordings:
    """The recorded episodes of the latest evaluation runs."""
    artifacts = artifacts_of_kind(database, ARTIFACT_KIND, RECENT_EVALUATIONS)
    active = list_runs(database, states=[state for state in RunState if state.active])
    working = tuple(run for run in active if run.kind is RunKind.EVALUATION)
    if not artifacts:
        return Recordings((), (), working)
    runs = {
        run.id: run for run in list_runs(database, ids={artifact.run_id for artifact in artifacts})
    }
    digests = {parse_recording_name(artifact.name)[1] for artifact in artifacts}
    names = robot_names(database, digests)
    found = [_recording(runs[artifact.run_id], artifact, home, names) for artifact in artifacts]
    return Recordings(tuple(found), tuple(runs.values()), working)


def _recording(run: Run, artifact: Artifact, home: Path, names: dict[str, str]) -> Recording:
    policy, digest, task, episode = parse_recording_name(artifact.name)
    path = home / artifact.path
    name = names.get(digest, digest[:7])
    return Recording(run.id, policy, digest, name, task, episode, path, artifact.sha256)


@dataclass(frozen=True)
class Film:
    """An episode read from its file, and what a reader wants to know at each moment."""

    recording: Recording
    poses: Poses

    @cached_property
    def returns(self) -> npt.NDArray[np.float64]:
        """The return so far at each moment: (T,)."""
        return np.cumsum(self.poses.reward, dtype=np.float64)

    @cached_property
    def head(self) -> npt.NDArray[np.float64]:
        """Where the head is: (T, 3)."""
        return self.poses.position[:, int(np.argmin(self.poses.limb))].astype(np.float64)

    @cached_property
    def speeds_m_s(self) -> npt.NDArray[np.float64]:
        """Speed along x over the last half second: (T,)."""
        timestep_s = self.poses.header.control_timestep_s or 1.0
        window = min(max(1, round(_SPEED_WINDOW_S / timestep_s)), max(1, len(self.head) - 1))
        before = np.maximum(np.arange(len(self.head)) - window, 0)
        elapsed_s = np.maximum(np.arange(len(self.head)) - before, 1) * timestep_s
        speeds: npt.NDArray[np.float64] = (self.head[:, 0] - self.head[before, 0]) / elapsed_s
        return speeds

    @property
    def duration_s(self) -> float:
        """How long the episode lasts."""
        return self.poses.num_steps * self.poses.header.control_timestep_s

    def moment_at(self, time_s: float) -> int:
        """The moment that shows ``time_s``; the last one stays once the episode is over."""
        timestep_s = self.poses.header.control_timestep_s or 1.0
        return max(0, min(int(time_s / timestep_s + 1e-6), self.poses.num_steps - 1))

    def fell_before(self, time_s: float) -> bool:
        """Whether the robot lies on the ground at ``time_s``."""
        return self.poses.header.terminated and time_s >= self.duration_s


def load_film(recording: Recording) -> Film:
    """Read an episode; DatasetError where the file is missing, changed or damaged."""
    try:
        digest = hashlib.sha256(recording.path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(f"{recording.path}: {error.strerror}; not played.") from error
    if digest != recording.sha256:
        raise DatasetError(
            f"The file {recording.path.name} of {recording.run_id} does not match its SHA-256; "
            "not played."
        )
    return Film(recording, load_poses(recording.path))


def load_films(recordings: Sequence[Recording]) -> tuple[Film, ...]:
    """Read the episodes that stand side by side."""
    return tuple(load_film(recording) for recording in recordings)
