"""Summaries of episodes, against numbers by hand."""

from dataclasses import replace

import pytest
from database_rows import record_episodes

from db.queries.evaluations import list_episodes, set_policies, summaries
from db.records import Run
from db.session import Database
from engine.events import Episode

EPISODE = Episode(
    policy="student",
    robot_digest="a" * 64,
    task="flat",
    seed=1,
    episode=0,
    episode_return=10.0,
    length=100,
    terminated=True,
    distance_m=1.0,
    mean_speed_m_s=0.5,
    energy_j=3.0,
)


def test_a_summary_is_mean_spread_and_share_of_falls(database: Database, run: Run) -> None:
    episodes = [
        EPISODE,
        replace(EPISODE, episode=1, episode_return=14.0, length=300, terminated=False),
        replace(EPISODE, robot_digest="b" * 64),
        replace(EPISODE, policy="random", episode_return=-1.0),
    ]
    record_episodes(database, run.id, episodes)
    with database.write() as session:
        set_policies(session, run.id, {"student": run.id, "random": None})
    found = summaries(database, run.id)
    keys = [(s.policy, s.robot_digest[0], s.episodes, s.policy_run_id) for s in found]
    assert keys == [
        ("random", "a", 1, None),
        ("student", "a", 2, run.id),
        ("student", "b", 1, run.id),
    ]
    student = found[1]
    assert (student.mean_return, student.falls, student.mean_length) == (12.0, 0.5, 200.0)
    assert student.std_return == pytest.approx(8**0.5)
    assert [s.policy for s in summaries(database, robot_digests=["b" * 64])] == ["student"]


def test_an_episode_that_is_known_stays_as_it_is(database: Database, run: Run) -> None:
    record_episodes(database, run.id, [EPISODE])
    record_episodes(database, run.id, [replace(EPISODE, episode_return=99.0)])
    assert [s.mean_return for s in summaries(database, run.id)] == [10.0]


def test_episodes_come_back_as_they_were_by_evaluation_or_by_policy(
    database: Database, run: Run
) -> None:
    other = replace(EPISODE, policy="random", episode=1)
    record_episodes(database, run.id, [other, EPISODE])
    with database.write() as session:
        set_policies(session, run.id, {"student": run.id, "random": None})
    found = list_episodes(database)
    assert [(each.policy, each.policy_run_id, each.run_id) for each in found] == [
        ("random", None, run.id),
        ("student", run.id, run.id),
    ]
    assert {name: getattr(found[1], name) for name in vars(EPISODE)} == vars(EPISODE)
    assert list_episodes(database, run_ids=[run.id]) == found
    assert list_episodes(database, policy_run_ids=[run.id]) == found[1:]
    assert list_episodes(database, run_ids=[]) == []
