"""The library's rows: robots by digest, sets with order and roles."""

import pytest

from db.queries import removal, robots
from db.queries.runs import get_run, queue_run
from db.records import NewRobot, NewRun, RunKind
from db.session import Database
from engine.errors import RobotError, RunError, UnknownRobotSetError, UsageError


def new(letter: str, name: str | None = None) -> NewRobot:
    return NewRobot(
        digest=letter * 64,
        name=name or f"robot-{letter}",
        family="unimal",
        num_limbs=5,
        num_joints=7,
        mass_kg=12.5,
        head_height_m=0.65,
        path=f"robots/{letter * 64}.xml",
        parent_digest="f" * 64,
        operations=("grow_limb",),
        seed=3,
    )


def test_a_body_may_have_several_names_but_each_once(database: Database) -> None:
    first = robots.add_robots(database, [new("a"), new("b")])
    again = robots.add_robots(database, [new("b"), new("b", "twin"), new("c")])
    assert [robot.name for robot in again] == ["robot-b", "twin", "robot-c"]
    assert again[0] == first[1]
    assert len(robots.list_robots(database)) == 4
    assert robots.get_robot(database, "robot-a") == first[0]
    assert robots.get_robot(database, "b" * 7).digest == first[1].digest
    assert first[0].operations == ("grow_limb",)


def test_unknown_robots_and_sets_are_one_sentence(database: Database) -> None:
    with pytest.raises(RobotError, match='no robot "%"'):
        robots.get_robot(database, "%")
    with pytest.raises(UnknownRobotSetError, match='no robot set "nobody"'):
        robots.list_robots(database, "nobody")


def test_a_set_keeps_order_and_roles(database: Database) -> None:
    a, b, c = (robot.id for robot in robots.add_robots(database, [new(x) for x in "abc"]))
    members = [(c, "training"), (a, "unseen"), (b, "training")]
    made = robots.create_set(database, "mixed", members)
    assert (made.size, made.role) == (3, None)
    assert [r.digest[0] for r in robots.list_robots(database, "mixed")] == ["c", "a", "b"]
    assert [r.digest[0] for r in robots.list_robots(database, "mixed", role="training")] == list(
        "cb"
    )
    assert [r.digest[0] for r in robots.list_robots(database, "mixed", limit=1, offset=1)] == ["a"]
    assert robots.create_set(database, "pure", members[:1]).role == "training"
    assert [s.name for s in robots.list_sets(database)] == ["mixed", "pure"]
    assert [s.name for s in robots.robot_sets_of(database, "a" * 64)] == ["mixed"]


def test_a_set_is_replaced_only_by_the_run_that_made_it(database: Database) -> None:
    a, b = (robot.id for robot in robots.add_robots(database, [new("a"), new("b")]))
    made = robots.create_set(database, "s", [(a, None)])
    assert robots.create_set(database, "s", [(a, None)]) == made
    with pytest.raises(UsageError, match="with other robots exists"):
        robots.create_set(database, "s", [(b, None)])
    mine = robots.create_set(database, "t", [(a, None)], run_id=7)
    for other in (None, 8):
        with pytest.raises(UsageError, match="with other robots exists"):
            robots.create_set(database, "t", [(b, None)], run_id=other)
    assert robots.create_set(database, "t", [(a, None)], run_id=8) == mine
    assert robots.create_set(database, "t", [(b, None)], run_id=7).digest != mine.digest
    assert [r.digest[0] for r in robots.list_robots(database, "t")] == ["b"]
    with pytest.raises(RobotError, match="not in the library"):
        robots.create_set(database, "u", [(99, None)])


def test_a_set_is_removed_or_kept_for_runs_and_an_outlook_changes_nothing(
    database: Database,
) -> None:
    rows = robots.add_robots(database, [new(letter) for letter in ("a", "b", "c")])
    for name, chosen in (("first", rows[:2]), ("second", rows[1:])):
        robots.create_set(database, name, [(row.id, None) for row in chosen])
    expected = removal.outlook(database, "first")
    assert [row.name for row in expected.robots] == ["robot-a"]
    assert [one.name for one in robots.list_sets(database)] == ["first", "second"]
    assert removal.remove_set(database, "first") == expected
    run = queue_run(database, NewRun(RunKind.TEACHER, "t", {}, 1, robot_sets=("second",)))
    with pytest.raises(RunError, match="in use by run"):
        removal.remove_set(database, "second")
    assert removal.remove_set(database, "second", dead=[run.id]).kept_for == (run.id,)
    assert robots.list_sets(database) == []
    assert robots.list_robots(database) == []
    (kept,) = robots.list_sets(database, removed=True)
    assert get_run(database, run.id).robot_sets == (kept.name,)
    assert [row.name for row in robots.list_robots(database, kept.name)] == ["robot-b", "robot-c"]
    assert removal.forget_unread_sets(database) == ()
