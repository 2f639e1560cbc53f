"""How many runs work at once, changed by a key or a command."""

from db.session import Database
from engine.errors import UsageError
from engine.workers.slots import check_slots, set_slots, slots_here
from hdtui.messages import Answer


def change_slots(database: Database, text: str) -> Answer:
    """Let so many runs work at once.

    Raises:
        UsageError: It is no such number.
    """
    number = check_slots(text)
    set_slots(database, number)
    here = slots_here(database)
    if here.number != number:
        return Answer(f"slots {number} in this workspace; here {here.number}: {here.sentence}")
    return Answer(f"slots {number}: so many runs work at once")


def slots_problem(text: str) -> str:
    """Why a text is no number of slots; empty where it is one."""
    try:
        check_slots(text)
    except UsageError as error:
        return str(error)
    return ""
