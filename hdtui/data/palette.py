"""What the palette finds besides actions: runs and robots."""

from db.queries.robots import list_robots
from db.queries.runs import list_runs
from db.records import Robot, Run
from db.session import Database


def read_names(database: Database) -> tuple[list[Run], list[Robot]]:
    """Every run, newest first, and every robot by name."""
    return list_runs(database), list_robots(database)
