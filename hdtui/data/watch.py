"""Recorded episodes: which exist, side by side on the same robot, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from db.queries.evaluations import mean_returns
from db.queries.lineage import artifacts_of_kind, robot_names
from db.queries.runs import list_runs
from db.records import Artifact, Run
from engine.errors import DatasetError
from engine.files import check_file, file_sha256, parse_json
from engine.morphology.poses import (
    ARTIFACT_KIND,
    Poses,
    load_poses,
    parse_recording_name,
)
from hdtui.data.robots import AtWork, evaluations_at_work

if TYPE_CHECKING:
    from db.session import Database

RECENT_EVALUATIONS = 60
_SEED_TRIES = 3
"""Files of an evaluation that are opened to learn its seed; a missing one does not hide it."""
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
    seed: int | None = None
    """Where the episode starts and what ground it walks on; None where no header says so."""


@dataclass(frozen=True)
class RecordedEpisodes:
    """All episodes that the latest evaluations recorded, newest run first."""

    episodes: tuple[Recording, ...]
    runs: tuple[Run, ...]
    working: tuple[AtWork, ...] = ()
    """Evaluations that record: each robot's episodes come as soon as that robot is done."""
    returns: Mapping[str, float] = field(default_factory=dict)
    """By robot, the best policy's mean return in the newest evaluation."""

    def first_robot(self) -> str | None:
        """The robot that the newest evaluation saw walk best, else the first by name."""
        newest = self.episodes[0].run_id if self.episodes else None
        seen = [each.robot_digest for each in self.episodes if each.run_id == newest]
        known = [digest for digest in seen if digest in self.returns]
        return (
            max(known, key=lambda d: self.returns[d]) if known else next(iter(self.robots()), None)
        )

    def robots(self) -> list[str]:
        """Digests of robots with an episode, by name."""
        names = {episode.robot_digest: episode.robot_name for episode in self.episodes}
        return sorted(names, key=lambda digest: (names[digest], digest))

    def of_run(self, run_id: int) -> RecordedEpisodes:
        """Only the episodes that this run recorded, or that evaluations of it did."""
        related = {run.id for run in self.runs if run.id == run_id or run_id in run.inputs}
        episodes = (episode for episode in self.episodes if episode.run_id in related)
        working = (one for one in self.working if run_id in (one.run.id, *one.run.inputs))
        return replace(self, episodes=tuple(episodes), working=tuple(working))

    def recorder_of(self, digest: str | None) -> int | None:
        """An evaluation that records this robot now, or any where none is meant."""
        found = (one.run.id for one in self.working if digest is None or digest in one.robots)
        return next(found, None)

    def pairs(self, digest: str) -> list[tuple[Recording, ...]]:
        """Per task, episode and seed of a robot, one or two recordings: teacher first.

        Within a task those with two sides come first, then the newest.
        """
        by_episode: dict[tuple[str, int, int | str], list[Recording]] = {}
        for recording in self.episodes:
            if recording.robot_digest == digest:
                # Without a known seed only recordings of the same evaluation belong together.
                seed = f"run {recording.run_id}" if recording.seed is None else recording.seed
                key = (recording.task, recording.episode, seed)
                by_episode.setdefault(key, []).append(recording)
        return sorted((_side_by_side(each) for each in by_episode.values()), key=_place)


def _side_by_side(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """A pair of the newest evaluation that has two sides, else of several, the newest each.

    ``recordings`` are of one robot, task, episode and seed, those of the newest run first.
    """
    by_run: dict[int, dict[str, Recording]] = {}
    newest: dict[str, Recording] = {}
    for recording in recordings:
        by_run.setdefault(recording.run_id, {}).setdefault(recording.policy, recording)
        newest.setdefault(recording.policy, recording)
    own = next((each for each in by_run.values() if len(each) > 1), newest)
    return _two_sides(own.values())


def _two_sides(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    """The first teacher and the first student; where one of them lacks, the two that rank first."""
    ordered = sorted(recordings, key=_side)
    other = (each for each in ordered[1:] if _rank(each) != _rank(ordered[0]))
    return (ordered[0], *[next(other, each) for each in ordered[1:2]])


def _place(pair: Sequence[Recording]) -> tuple[str, bool, int, int]:
    newest = max(recording.run_id for recording in pair)
    return pair[0].task, len(pair) < 2, -newest, pair[0].episode


def _side(recording: Recording) -> tuple[int, int, str]:
    return _rank(recording), -recording.run_id, recording.policy.lower()


def _rank(recording: Recording) -> int:
    words = recording.policy.lower()
    return 0 if "teacher" in words else 1 if "student" in words else 2


def list_recordings(database: Database, home: Path) -> RecordedEpisodes:
    """The recorded episodes of the latest evaluation runs."""
    artifacts = artifacts_of_kind(database, ARTIFACT_KIND, RECENT_EVALUATIONS)
    at_work = evaluations_at_work(database)
    working = tuple(each for each in at_work if each.run.config.get("record_poses"))
    if not artifacts:
        return RecordedEpisodes((), (), working)
    runs = {
        run.id: run for run in list_runs(database, ids={artifact.run_id for artifact in artifacts})
    }
    digests = {parse_recording_name(artifact.name)[1] for artifact in artifacts}
    names = robot_names(database, digests)
    seeds = _seeds(artifacts, home)
    found = [
        _recording(artifact, home, names, seeds.get(artifact.run_id)) for artifact in artifacts
    ]
    return RecordedEpisodes(
        tuple(found), tuple(runs.values()), working, _best_returns(database, found[0].run_id)
    )


def _best_returns(database: Database, run_id: int) -> dict[str, float]:
    by_policy = mean_returns(database, [run_id]).get(run_id, {})
    return {
        digest: max(own[digest] for own in by_policy.values() if digest in own)
        for digest in {digest for own in by_policy.values() for digest in own}
    }


def _seeds(artifacts: Sequence[Artifact], home: Path) -> dict[int, int]:
    """The seed of each evaluation, which is that of all its episodes, from the first header."""
    files: dict[int, list[Artifact]] = {}
    for artifact in artifacts:
        files.setdefault(artifact.run_id, []).append(artifact)
    seeds: dict[int, int] = {}
    for run_id, own in files.items():
        tried = (_seed_in(home / each.path, each.sha256) for each in own[:_SEED_TRIES])
        seed = next((each for each in tried if each is not None), None)
        if seed is not None:
            seeds[run_id] = seed
    return seeds


@lru_cache(maxsize=4 * RECENT_EVALUATIONS)
def _seed_in(path: Path, sha256: str) -> int | None:
    """The seed in a recording's header, read once per content; None where it cannot be read."""
    try:
        check_file(path)
        with safe_open(path, framework="numpy") as file:
            return int(parse_json((file.metadata() or {})["header"])["seed"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def _recording(
    artifact: Artifact, home: Path, names: dict[str, str], seed: int | None
) -> Recording:
    policy, digest, task, episode = parse_recording_name(artifact.name)
    path = home / artifact.path
    name = names.get(digest, digest[:7])
    return Recording(
        artifact.run_id, policy, digest, name, task, episode, path, artifact.sha256, seed
    )


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
        digest = file_sha256(recording.path)
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
