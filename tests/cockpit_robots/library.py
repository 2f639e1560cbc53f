"""Robots, films and a small workspace for the tests of Robots, Watch, Compare and Efficiency."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from database_rows import record_episodes

from db.models import ArtifactRow, RunRow
from db.queries import evaluations, runs
from db.records import NewRun, RunKind
from db.session import Database
from engine.events import Episode
from engine.morphology.poses import Poses, encode_poses, recording_name, rest_poses
from engine.morphology.tree import Morphology
from engine.workers.robot_library import make_set
from engine.workers.workspace import Workspace

TIMESTEP_S = 0.02


def walking(
    morphology: Morphology,
    steps: int = 200,
    speed_m_s: float = 2.0,
    heights: Sequence[float] = (),
    policy: str = "teacher",
    terminated: bool = False,
) -> Poses:
    """A film of limbs that swing about their own middles while the robot glides along x."""
    rest = rest_poses(morphology)
    time_s = np.arange(steps) * TIMESTEP_S
    angle = 0.4 * np.sin(9 * time_s[:, None] + np.arange(len(rest.limb))) * (rest.half_length > 0)
    sine, cosine = np.sin(angle), np.cos(angle)
    x, y, z = np.moveaxis(np.repeat(rest.axis, steps, axis=0), 2, 0)
    axis = np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=2)
    position = np.repeat(rest.position, steps, axis=0)
    position[..., 0] += (speed_m_s * time_s)[:, None]
    header = replace(
        rest.header,
        policy=policy,
        seed=7,
        control_timestep_s=TIMESTEP_S,
        fall_height_m=0.38,
        terminated=terminated,
        heights_start_m=-10.0,
        heights_spacing_m=0.1,
    )
    return replace(
        rest,
        header=header,
        position=position.astype(np.float32),
        axis=axis.astype(np.float32),
        reward=np.full(steps, speed_m_s, dtype=np.float32),
        heights=np.asarray(heights, dtype=np.float32),
    )


def add_robots(database: Database, morphologies: Sequence[Morphology], set_name: str) -> None:
    """Put robots into the library and into a set."""
    members = [(morphology, "training") for morphology in morphologies]
    make_set(database, Workspace(database.home), set_name, members)


def add_run(
    database: Database,
    kind: RunKind,
    name: str,
    *,
    state: str = "finished",
    inputs: tuple[int, ...] = (),
    config: dict[str, object] | None = None,
    seed: int = 1,
    sets: tuple[str, ...] = (),
) -> int:
    """A run in the state it would have after a while."""
    new = NewRun(kind, name, config or {}, seed, inputs=inputs, robot_sets=sets)
    run = runs.queue_run(database, new)
    with database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state, row.attempt = state, 1
        row.started_at = row.ended_at = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    return run.id


def add_episodes(
    database: Database,
    run_id: int,
    policies: dict[str, int | None],
    returns: dict[tuple[str, str], Sequence[float]],
    task: str = "flat",
) -> None:
    """Evaluated episodes by (policy, robot digest), and which runs made the policies."""
    rows = [
        Episode(policy, digest, task, 7, number, value, 1000, False, value / 50, 2.0, 10.0)
        for (policy, digest), values in returns.items()
        for number, value in enumerate(values)
    ]
    record_episodes(database, run_id, rows)
    with database.write() as session:
        evaluations.set_policies(session, run_id, policies)


def add_film(database: Database, run_id: int, poses: Poses, policy_run_id: int) -> Path:
    """A poses file among the artifacts of a run."""
    header = replace(poses.header, policy_run_id=policy_run_id)
    name = recording_name(header.policy, header.robot_digest, header.task, header.episode)
    path = database.home / "runs" / str(run_id) / f"poses-{header.policy}-{header.episode}"
    path = path.with_name(f"{path.name}-{header.robot_digest[:7]}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_poses(replace(poses, header=header)))
    data = path.read_bytes()
    with database.write() as session:
        session.add(
            ArtifactRow(
                run_id=run_id,
                attempt=1,
                kind="poses",
                name=name,
                path=str(path.relative_to(database.home)),
                sha256=hashlib.sha256(data).hexdigest(),
                size_bytes=len(data),
                created_at=datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
            )
        )
    return path
