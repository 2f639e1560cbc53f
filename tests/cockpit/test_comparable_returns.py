"""Efficiency shows returns that can be compared: of one evaluation, as far as there is one."""

from pathlib import Path

from cockpit_story import new_run

from db.queries.evaluations import record_episodes, set_policies
from db.queries.runs import queue_run
from db.records import NewEpisode, RunKind
from db.session import Database
from hdtui.services.efficiency import Basis, chosen_bases, read_efficiency

MANY = frozenset({"a", "b", "c"})


def basis(evaluation: int, robots: frozenset[str] = MANY) -> Basis:
    return Basis("flat", evaluation, robots)


def test_returns_are_of_the_newest_evaluation_that_judged_most() -> None:
    found = {
        basis(12, MANY | {"d", "e"}): {1: [5.0] * 5},
        basis(13): {1: [1.0] * 3, 10: [2.0] * 3},
        basis(15): {1: [1.0] * 3, 14: [2.0] * 3},
    }
    assert chosen_bases(found, {12, 13, 15}) == {1: basis(15), 14: basis(15), 10: basis(13)}
    assert chosen_bases(found, {12, 13}) == {1: basis(13), 10: basis(13), 14: basis(15)}


def test_an_episode_to_watch_is_no_measurement_where_there_is_another() -> None:
    one = basis(16, frozenset("a"))
    found = {basis(15): {1: [1.0] * 3, 14: [2.0] * 3}, one: {1: [9.0], 14: [9.0], 20: [9.0]}}
    assert chosen_bases(found, {15, 16}) == {1: basis(15), 14: basis(15), 20: one}


def test_a_return_of_another_evaluation_says_of_which(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    kinds = (RunKind.TEACHER, RunKind.STUDENT, RunKind.STUDENT)
    teacher, first, second = (queue_run(database, new_run(k, "r", None)).id for k in kinds)
    for student in (first, second):
        evaluation = queue_run(database, new_run(RunKind.EVALUATION, "e", None)).id
        judged = {"teacher": teacher, "student": student}
        with database.write() as session:
            set_policies(session, evaluation, judged)
        episodes = [
            NewEpisode(policy, digest * 64, "flat", 1, 0, 900.0, 100, False, 1.0, 1.0, 1.0)
            for policy in judged
            for digest in "ab"
        ]
        record_episodes(database, evaluation, episodes)
    facts = read_efficiency(database)
    names = {each.run.id: each.name for each in facts.reached}
    assert names == {
        teacher: f"teacher {teacher}",
        second: f"base mlp of {second}",
        first: f"student {first} in {second + 1} n 2",
    }
    shared = facts.shared("flat")
    assert shared is not None
    assert shared.measured_in == f"{second + 2} n 2"
