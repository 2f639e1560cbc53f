"""Efficiency shows returns that can be compared: of one evaluation, as far as there is one."""

from pathlib import Path

import pytest
from cockpit_story import change, new_run
from database_rows import record_episodes

from db.queries.evaluations import set_policies
from db.queries.robots import add_robots, create_set
from db.queries.runs import archive, queue_run
from db.records import NewRobot, RunKind
from db.session import Database
from engine.events import Episode
from hdtui.data.efficiency import EvaluatedRobots, chosen_bases, read_efficiency
from hdtui.data.robots import read_robots
from hdtui.data.run_details import read_robot_returns
from hdtui.screens.run.robot_rows import GROUP_WORDS, columns_of, means_text

MANY = frozenset({"a", "b", "c"})


def basis(evaluation: int, robots: frozenset[str] = MANY) -> EvaluatedRobots:
    return EvaluatedRobots("flat", evaluation, robots)


def returns(value: float, robots: int) -> dict[str, float]:
    return dict.fromkeys("abcdefg"[:robots], value)


def test_returns_are_of_the_newest_evaluation_that_judged_most() -> None:
    found = {
        basis(12, MANY | {"d", "e"}): {1: returns(5.0, 5)},
        basis(13): {1: returns(1.0, 3), 10: returns(2.0, 3)},
        basis(15): {1: returns(1.0, 3), 14: returns(2.0, 3)},
    }
    assert chosen_bases(found, {12, 13, 15}) == {1: basis(15), 14: basis(15), 10: basis(13)}
    assert chosen_bases(found, {12, 13}) == {1: basis(13), 10: basis(13), 14: basis(15)}


def test_an_episode_to_watch_is_no_measurement_where_there_is_another() -> None:
    one = basis(16, frozenset("a"))
    found = {
        basis(15): {1: returns(1.0, 3), 14: returns(2.0, 3)},
        one: dict.fromkeys((1, 14, 20), returns(9.0, 1)),
    }
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
            Episode(policy, digest * 64, "flat", 1, 0, 900.0, 100, False, 1.0, 1.0, 1.0)
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
    assert all(each.unseen is None for each in facts.reached)
    shared = facts.shared("flat")
    assert shared is not None
    assert shared.measured_in == f"{second + 2} n 2"


TRAINED, UNSEEN = ("a" * 64, "b" * 64), ("c" * 64, "d" * 64)


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Database, int, int]:
    """A teacher and a student, of two robots each, evaluated on those and on two others."""
    database = Database.open(tmp_path)
    for name, digests in (("unimal8", TRAINED), ("others", UNSEEN)):
        new = [
            NewRobot(digest, digest[:3], "unimal", 5, 8, 20.0, 0.5, f"robots/{digest}.xml")
            for digest in digests
        ]
        create_set(database, name, [(each.id, "training") for each in add_robots(database, new)])
    teacher = queue_run(database, new_run(RunKind.TEACHER, "t", None)).id
    student = queue_run(database, new_run(RunKind.STUDENT, "s", None, teacher)).id
    return database, teacher, student


def evaluate(
    database: Database,
    returns: dict[int, tuple[float, ...]],
    config: dict[str, object] | None = None,
    episodes: int = 2,
) -> int:
    """A finished evaluation: by policy run its mean on each of the four robots."""
    number = queue_run(database, new_run(RunKind.EVALUATION, "e", None)).id
    change(database, number, state="finished", config={"seed": 1, **(config or {})})
    with database.write() as session:
        set_policies(session, number, {f"policy {run_id}": run_id for run_id in returns})
    written = [
        Episode(f"policy {run_id}", digest, "flat", 7, episode, mean + 2 * episode - 1,
                   9, False, 1.0, 1.0, 1.0)
        for run_id, means in returns.items()
        for digest, mean in zip((*TRAINED, *UNSEEN), means, strict=True)
        for episode in range(episodes)
    ]  # fmt: skip
    record_episodes(database, number, written)
    return number


def test_trained_and_unseen_robots_are_never_pooled(judged: tuple[Database, int, int]) -> None:
    database, teacher, student = judged
    number = evaluate(
        database, {teacher: (1000.0, 1100.0, 10.0, 20.0), student: (900.0, 800.0, 30.0, 40.0)}
    )
    reached = {each.run.id: each for each in read_efficiency(database).reached}
    for run_id, trained, unseen in ((teacher, 1050.0, 15.0), (student, 850.0, 35.0)):
        over, apart = reached[run_id].over_robots, reached[run_id].unseen
        assert over is not None
        assert apart is not None
        assert (over.mean, apart.mean) == (trained, unseen)
        assert (over.count, apart.count) == (2, 2)
        assert reached[run_id].measured_in == f"{number} n 4"
    facts = read_robot_returns(database, number)
    assert facts.groups == ("train", "unseen")
    assert facts.judged == f"policy {student}"
    assert means_text(facts) == (
        f"trained policy {teacher} 1 050 policy {student} 850 · "
        f"unseen policy {teacher} 15 policy {student} 35"
    )
    words = [GROUP_WORDS[robot.group] for robot in facts.robots]
    assert sorted(words) == ["trained", "trained", "unseen", "unseen"]
    assert columns_of(facts, "return")[1].key == "group"


def test_a_robots_ratio_is_of_one_evaluation_and_of_a_teacher_that_walks(
    judged: tuple[Database, int, int],
) -> None:
    database, teacher, student = judged
    evaluate(database, {teacher: (1000.0, 1000.0, 1000.0, 1000.0)}, episodes=4)
    alone = evaluate(database, {student: (900.0, 900.0, 900.0, 900.0)}, episodes=4)
    assert {entry.ratio for entry in read_robots(database, None, None).entries} == {None}
    archive(database, alone, archived=True)
    both = {teacher: (2000.0, 2.1, -4.0, 50.0), student: (1000.0, -8.0, -20.0, 100.0)}
    for _ in range(2):
        evaluate(database, both, episodes=8)
    facts = read_robots(database, None, None)
    ratios = {entry.robot.digest: entry.ratio for entry in facts.entries}
    assert [ratios[digest] for digest in (*TRAINED, *UNSEEN)] == [
        pytest.approx(1006 / 2006), None, None, pytest.approx(106 / 56)
    ]  # fmt: skip
    assert facts.measured == "8 episodes"


def test_columns_of_robots_hold_returns_measured_alike(judged: tuple[Database, int, int]) -> None:
    database, teacher, student = judged
    evaluate(database, {teacher: (100.0,) * 4, student: (100.0,) * 4}, episodes=2)
    evaluate(database, {teacher: (900.0,) * 4}, {"deterministic": False}, episodes=16)
    facts = read_robots(database, None, None)
    assert {entry.teacher.mean for entry in facts.entries if entry.teacher} == {100.0}
    assert {entry.teacher.episodes for entry in facts.entries if entry.teacher} == {2}
