"""Robots that were set apart to judge policies are not learnt from without a word."""

from collections.abc import Collection, Sequence

from db.queries.robots import get_set, list_robots, list_sets
from db.queries.runs import list_runs
from db.records import Run, RunKind
from db.session import Database
from engine.errors import RoleNotAllowedError
from engine.workers.robot_library import TRAINING, UNSEEN, learning_robots

NO_ROLE = "none"
ALLOWED_ROLES = (UNSEEN, NO_ROLE)
"""Roles of sets that nobody learns from unless they are allowed by name; none is no role."""


def check_roles(database: Database, sets: Sequence[str], allowed: Collection[str]) -> None:
    """See that robots which somebody is to learn from are for training, or allowed by their role.

    Raises:
        RoleNotAllowedError: A set has none for training and its role is not allowed.
    """
    for name in sets:
        roles = get_set(database, name).roles
        role = UNSEEN if UNSEEN in roles else NO_ROLE
        if TRAINING not in roles and role not in allowed:
            raise RoleNotAllowedError(_refusal(database, name, role), role)


def _refusal(database: Database, name: str, role: str) -> str:
    maker = _maker(database, name)
    if role == UNSEEN:
        by = (
            f"run {maker.id} {maker.kind} {maker.name} set them apart"
            if maker
            else ("they were set apart when the set was made")
        )
        what = f"the robots of {name} have the role {role}: {by} to judge policies on, never to"
        what += " learn from"
    else:
        by = f"; run {maker.id} {maker.kind} {maker.name} judges policies on them" if maker else ""
        what = f"the robots of {name} have no role, they were only marked{by}"
    return f"{what}; choose a set with the role training, or allow it with --allow-role {role}"


def _maker(database: Database, name: str) -> Run | None:
    """The run that made a set; else the first evaluation on it."""
    runs = list_runs(database, archived=True, newest_first=False)
    made = (run for run in runs if name in run.extra.values())
    judged = (run for run in runs if run.kind is RunKind.EVALUATION and name in run.robot_sets)
    return next(made, None) or next(judged, None)


def overlaps(database: Database, sets: Sequence[str]) -> dict[str, str]:
    """For each of these sets with robots that evaluations took for unseen, the sentence of that."""
    unseen = _robots_of_evaluations(database)
    found = {}
    for name in sets if unseen else ():
        taken = [
            (robot.name, *unseen[robot.digest])
            for robot in learning_robots(database, [name])
            if robot.digest in unseen
        ]
        if taken:
            robot, run, unseen_set = taken[0]
            one = f"{robot} of {name} is"
            many = f"{len(taken)} robots of {name} ({robot} first) are"
            found[name] = (
                f"{one if len(taken) == 1 else many} also in {unseen_set}, which evaluation {run}"
                " judged as unseen: returns on them say nothing any more about robots that no"
                " policy has seen"
            )
    return found


def _robots_of_evaluations(database: Database) -> dict[str, tuple[int, str]]:
    """Digests of the robots that evaluations took for unseen: the first such run, and the set."""
    known = {one.name for one in list_sets(database, removed=True) if UNSEEN in one.roles}
    found: dict[str, tuple[int, str]] = {}
    seen: set[str] = set()
    for run in list_runs(database, archived=True, newest_first=False):
        names = [name for name in run.robot_sets if name in known and name not in seen]
        if run.kind is RunKind.EVALUATION and names:
            seen.update(names)
            for name in names:
                for robot in list_robots(database, name, role=UNSEEN):
                    found.setdefault(robot.digest, (run.id, name))
    return found
