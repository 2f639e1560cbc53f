"""A robot set taken out of the library, the same from a command and from the cockpit."""

from db.queries import removal
from db.queries.removal import RemovedSet
from db.queries.robots import get_set
from db.queries.runs import list_runs
from db.records import RunState
from db.session import Database
from engine.text import counted
from engine.workers import robot_library
from engine.workers.observed import observed
from engine.workers.workspace import Workspace


def removal_warning(database: Database, name: str) -> list[str]:
    """What removing a set would take away, before it is done.

    Raises:
        UnknownRobotSetError: There is no such set.
        RunError: A run that waits or works reads or fills it.
    """
    found = get_set(database, name)
    outlook = removal.outlook(database, name, _dead(database))
    return [
        f"Remove the set {name} of {counted(found.size, 'robot')}?",
        f"{_words(outlook)}.",
    ]


def remove(database: Database, name: str) -> RemovedSet:
    """Remove a set, with the robots that nothing else holds.

    Raises:
        UnknownRobotSetError: There is no such set.
        RunError: A run that waits or works reads or fills it.
    """
    return robot_library.remove_set(database, Workspace(database.home), name, _dead(database))


def removed_text(removed: RemovedSet) -> str:
    """What became of a set and its robots, in one sentence."""
    return f"set {removed.name} is removed; {_words(removed)}"


def _words(removed: RemovedSet) -> str:
    if removed.kept_for:
        runs = " ".join(map(str, removed.kept_for))
        verb = "keeps" if len(removed.kept_for) == 1 else "keep"
        many = "run" if len(removed.kept_for) == 1 else "runs"
        return f"{many} {runs} {verb} the robots that they read"
    if not removed.robots:
        return "its robots stay in the library, as other sets or their mutants need them"
    name = removed.robots[0].name
    if len(removed.robots) == 1:
        return f"1 robot that nothing else holds, {name}, goes with it"
    return f"{len(removed.robots)} robots that nothing else holds, such as {name}, go with it"


def _dead(database: Database) -> list[int]:
    """Runs whose rows say that they work, and whose processes are gone."""
    active = list_runs(database, states=[state for state in RunState if state.active])
    return [run.id for run in observed(database, active) if run.state.ended]
