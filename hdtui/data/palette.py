"""What the palette finds besides actions: runs and robots."""

from db.queries.robots import list_robots
from db.queries.runs import list_runs
from db.records import Robot, Run
from db.session import Database


def read_names(database: Database) -> tuple[list[Run], list[Robot]]:
    """Every run, newest first, and every robot by name."""
    return list_runs(database), list_robots(database)


def key_words(label: str, words: str) -> list[tuple[str, str]]:
    """Single keys and what each does, of a line of help such as ``A / D``: archive, delete.

    Keys that only move, such as arrows, are left out.
    """
    keys = [label] if label in "*/" else [key for key in label.split() if key != "/"]
    if not all(key in ("space", "*", "/") or (len(key) == 1 and key.isalpha()) for key in keys):
        return []
    meanings = words.split(", ")
    if len(keys) == 1:
        return [(keys[0], words)]
    return list(zip(keys, meanings, strict=True)) if len(keys) == len(meanings) else []
