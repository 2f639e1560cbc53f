"""A robot set in parts by seed, so that policies are judged on robots they never met.

Robots of equal bodies stay together: one on either side would be known under another name.
"""

from collections.abc import Sequence

from db.queries.robots import create_set, list_robots
from db.records import Robot, RobotSet
from db.session import Database
from engine.errors import UsageError
from engine.random import generator
from engine.text import counted
from engine.workers.robot_library import TRAINING, UNSEEN, check_set_name, resolve_set
from engine.workers.workspace import Workspace

Members = list[tuple[Robot, str | None]]
"""Robots of a set in its order, with their roles in it."""


def split_set(
    database: Database,
    workspace: Workspace,
    name: str,
    *,
    fraction: float,
    seed: int,
    into: str,
    rest: str,
) -> tuple[RobotSet, RobotSet]:
    """A share of a set's bodies as a set to train on, all others as one that nobody trains on.

    Raises:
        UsageError: One side would be empty, or a name is taken or cannot be one.
    """
    for each in (into, rest):
        check_set_name(each)
    if into == rest:
        raise UsageError(f"--into and --rest are both {into}; expected two names")
    resolve_set(database, workspace, name)
    robots = list_robots(database, name)
    bodies = shuffled_bodies(robots, seed)
    num_bodies = counted(len(bodies), "body", "bodies")
    count = round(fraction * len(bodies))
    if not 0 < count < len(bodies):
        raise UsageError(
            f"{fraction:g} of the {num_bodies} of {name} leaves one side empty;"
            " expected a fraction with robots on both"
        )
    kept = set(bodies[:count])
    return (
        _made(database, into, side(robots, kept, TRAINING)),
        _made(database, rest, side(robots, set(bodies) - kept, UNSEEN)),
    )


def fold_sides(robots: Sequence[Robot], folds: int, fold: int) -> tuple[Members, Members]:
    """Robots to train on and those of part ``fold``, which are held out, of ``folds`` parts.

    Raises:
        UsageError: There are fewer bodies than parts.
    """
    bodies = shuffled_bodies(robots, 0)
    if len(bodies) < folds:
        found = counted(len(bodies), "body", "bodies")
        raise UsageError(f"{found} cannot be held out in {folds} parts; take fewer folds")
    held_out = set(bodies[fold::folds])
    kept = set(bodies) - held_out
    return side(robots, kept, TRAINING), side(robots, held_out, UNSEEN)


def shuffled_bodies(robots: Sequence[Robot], seed: int) -> list[str]:
    """The digests of robots, each once, in an order that the seed draws."""
    bodies = sorted({robot.digest for robot in robots})
    order = generator(seed, "robot split").permutation(len(bodies))
    return [bodies[place] for place in order]


def side(robots: Sequence[Robot], bodies: set[str], role: str) -> Members:
    """The robots with these bodies, in the order of their set."""
    return [(robot, role) for robot in robots if robot.digest in bodies]


def _made(database: Database, name: str, members: Members) -> RobotSet:
    return create_set(database, name, [(robot.id, role) for robot, role in members])
