"""Evaluated episodes, and what they say about a policy on a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, Select, cast, delete, func, select

from db.models import EpisodeRow, EvaluatedPolicyRow, RunRow
from db.queries.run_records import MANY
from db.queries.upsert import upsert
from db.records import EpisodeSummary, EvaluatedEpisode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.orm import Session

    from db.session import Database
    from engine.events import Episode

Stamp = tuple[int, int, tuple[tuple[str, int | None], ...]]
Kept = dict[int, tuple[Stamp, tuple[EpisodeSummary, ...]]]


def summaries(
    database: Database, run_id: int | None = None, robot_digests: Collection[str] | None = None
) -> list[EpisodeSummary]:
    """One record per run, policy, robot and task; ``falls`` is the share that terminated.

    The spread is that of the sample (n - 1), 0 for a single episode. Whole evaluations are summed
    up once: an attempt only adds episodes, so its number and theirs say whether a sum still holds.
    """
    with database.read() as session:
        if robot_digests is not None:
            query = _summed_up().where(EpisodeRow.robot_digest.in_(robot_digests))
            if run_id is not None:
                query = query.where(EpisodeRow.run_id == run_id)
            return [_summary(*row) for row in session.execute(query)]
        kept: Kept = database.memory.setdefault("summaries", {})
        stamps = _stamps(session, run_id)
        known = {key: kept[key] for key in stamps if key in kept}
        known = {key: value for key, value in known.items() if value[0] == stamps[key]}
        for key in stamps.keys() - known.keys():
            rows = session.execute(_summed_up().where(EpisodeRow.run_id == key))
            known[key] = stamps[key], tuple(_summary(*row) for row in rows)
        kept.update(known)
    return [summary for key in sorted(known) for summary in known[key][1]]


def _stamps(session: Session, run_id: int | None) -> dict[int, Stamp]:
    """Per run that has episodes: its attempt, how many there are, whose policies they judge."""
    counted = select(EpisodeRow.run_id, func.count()).group_by(EpisodeRow.run_id)
    if run_id is not None:
        counted = counted.where(EpisodeRow.run_id == run_id)
    counts: dict[int, int] = dict(session.execute(counted).all())
    named = select(RunRow.id, RunRow.attempt).where(RunRow.id.in_(counts))
    attempts: dict[int, int] = dict(session.execute(named).all())
    policy = EvaluatedPolicyRow
    labels = select(policy.run_id, policy.policy, policy.policy_run_id)
    labels = labels.where(policy.run_id.in_(counts)).order_by(policy.run_id, policy.policy)
    policies: dict[int, tuple[tuple[str, int | None], ...]] = dict.fromkeys(counts, ())
    for key, label, made_by in session.execute(labels):
        policies[key] = (*policies[key], (label, made_by))
    return {key: (attempts[key], count, policies[key]) for key, count in counts.items()}


def _summed_up() -> Select[*tuple[Any, ...]]:
    episode = EpisodeRow
    keys = (episode.run_id, episode.policy, episode.robot_digest, episode.task)
    # Centred on the group's own mean would need a second pass; returns are far from overflow.
    squares = func.sum(episode.episode_return * episode.episode_return)
    return (
        select(
            *keys,
            func.max(EvaluatedPolicyRow.policy_run_id),
            func.count(),
            func.avg(episode.episode_return),
            squares,
            func.avg(cast(episode.terminated, Integer)),
            func.avg(episode.length),
            func.avg(episode.mean_speed_m_s),
        )
        .outerjoin(
            EvaluatedPolicyRow,
            (EvaluatedPolicyRow.run_id == episode.run_id)
            & (EvaluatedPolicyRow.policy == episode.policy),
        )
        .group_by(*keys)
        .order_by(*keys)
    )


def _summary(
    run_id: int,
    policy: str,
    robot_digest: str,
    task: str,
    policy_run_id: int | None,
    *numbers: float,
) -> EpisodeSummary:
    episodes, mean, squares, falls, length, speed = numbers
    variance = max(0.0, squares - episodes * mean**2) / (episodes - 1) if episodes > 1 else 0.0
    return EpisodeSummary(
        run_id=run_id,
        policy=policy,
        policy_run_id=policy_run_id,
        robot_digest=robot_digest,
        task=task,
        episodes=int(episodes),
        mean_return=float(mean),
        std_return=variance**0.5,
        falls=float(falls),
        mean_length=float(length),
        mean_speed_m_s=float(speed),
    )


def mean_returns(
    database: Database, run_ids: Collection[int]
) -> dict[int, dict[int, dict[str, float]]]:
    """Mean returns that evaluations found: by evaluation, run that made the policy, robot."""
    episode, policy = EpisodeRow, EvaluatedPolicyRow
    keys = (episode.run_id, policy.policy_run_id, episode.robot_digest)
    joined = (policy.run_id == episode.run_id) & (policy.policy == episode.policy)
    query = select(*keys, func.avg(episode.episode_return)).join(policy, joined).group_by(*keys)
    query = query.where(policy.policy_run_id.is_not(None))
    if len(run_ids) <= MANY:
        query = query.where(episode.run_id.in_(run_ids))
    found: dict[int, dict[int, dict[str, float]]] = {}
    with database.read() as session:
        for run_id, made_by, digest, mean in session.execute(query):
            if run_id in run_ids and made_by is not None:
                found.setdefault(run_id, {}).setdefault(made_by, {})[digest] = float(mean)
    return found


def list_episodes(
    database: Database,
    *,
    run_ids: Collection[int] | None = None,
    policy_run_ids: Collection[int] | None = None,
) -> list[EvaluatedEpisode]:
    """Episodes of these evaluations, or of the policies that these runs made; all by default."""
    episode, policy = EpisodeRow, EvaluatedPolicyRow
    columns = (
        episode.run_id,
        episode.policy,
        policy.policy_run_id,
        episode.robot_digest,
        episode.task,
        episode.seed,
        episode.episode,
        episode.episode_return,
        episode.length,
        episode.terminated,
        episode.distance_m,
        episode.mean_speed_m_s,
        episode.energy_j,
    )
    joined = (policy.run_id == episode.run_id) & (policy.policy == episode.policy)
    query = select(*columns).outerjoin(policy, joined).order_by(*columns[:2], *columns[3:7])
    if run_ids is not None:
        query = query.where(episode.run_id.in_(run_ids))
    if policy_run_ids is not None:
        query = query.where(policy.policy_run_id.in_(policy_run_ids))
    with database.read() as session:
        return [EvaluatedEpisode(**row) for row in session.execute(query).mappings()]


def insert_episodes(session: Session, run_id: int, episodes: Iterable[Episode]) -> None:
    """Write episodes down inside a transaction."""
    rows = [{"run_id": run_id, **vars(episode)} for episode in episodes]
    if rows:
        statement, _ = upsert(session, EpisodeRow)
        session.execute(statement.on_conflict_do_nothing(), rows)


def set_policies(session: Session, run_id: int, policies: Mapping[str, int | None]) -> None:
    """Say which run made the policy behind each label; None for a random one."""
    session.execute(delete(EvaluatedPolicyRow).where(EvaluatedPolicyRow.run_id == run_id))
    session.add_all(
        EvaluatedPolicyRow(run_id=run_id, policy=policy, policy_run_id=policy_run)
        for policy, policy_run in policies.items()
    )
