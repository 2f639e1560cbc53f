"""How many runs may work at once on a machine: a number of the workspace, or of the machine."""

import os
from dataclasses import dataclass

import psutil

from db.machine import boot_id
from db.queries.settings import get_setting, set_setting
from db.queries.supervisors import get_supervisor
from db.session import Database
from engine.errors import UsageError
from engine.workers.supervisor_lock import supervisor_alive

VARIABLE = "HDTUI_SLOTS"
SETTING = "slots"
DEFAULT_SLOTS = 2
MOST_SLOTS = 256


@dataclass(frozen=True)
class Slots:
    """The number in effect on this machine, and where it comes from.

    ``variable`` is HDTUI_SLOTS of the supervisor at work, else of whoever asks; it wins over
    ``stored``, the workspace's own number.
    """

    number: int
    stored: int | None
    variable: str | None

    @property
    def sentence(self) -> str:
        """Why it is this number."""
        if self.variable is not None and _whole(self.variable) is None:
            return f"{VARIABLE} is {self.variable!r}, which is no number and not used"
        if self.variable is not None:
            stored = "" if self.stored is None else f", not the workspace's {self.stored}"
            return f"{VARIABLE} says {self.variable} on this machine{stored}"
        if self.stored is not None:
            return "set in this workspace"
        return "the default"


def read_slots(database: Database) -> int:
    """How many runs may work at once: HDTUI_SLOTS, else the workspace's number, else two."""
    return _number(os.environ.get(VARIABLE), get_setting(database, SETTING))


def set_slots(database: Database, number: int) -> None:
    """Give a workspace its number; a supervisor at work follows within a second.

    Raises:
        UsageError: It cannot be that many.
    """
    set_setting(database, SETTING, check_slots(number))


def check_slots(wanted: int | str) -> int:
    """The number of runs that may work at once.

    Raises:
        UsageError: It is no number, nothing could work, or more than any machine takes.
    """
    number = _whole(wanted)
    if number is None or not 1 <= number <= MOST_SLOTS:
        raise UsageError(f"slots: found {wanted}, expected a whole number from 1 to {MOST_SLOTS}")
    return number


def slots_here(database: Database) -> Slots:
    """What counts on this machine now."""
    stored = get_setting(database, SETTING)
    variable = os.environ.get(VARIABLE) or None
    if supervisor_alive(database):
        variable = _variable_of_supervisor(database, variable)
    number = _number(variable, stored)
    return Slots(number, stored if isinstance(stored, int) else None, variable)


def _variable_of_supervisor(database: Database, otherwise: str | None) -> str | None:
    """A supervisor was started with the environment of whoever queued first."""
    supervisor = get_supervisor(database, boot_id())
    if supervisor is None:
        return otherwise
    try:
        return psutil.Process(supervisor.pid).environ().get(VARIABLE) or None
    except (psutil.Error, OSError):
        return otherwise


def _number(variable: str | None, stored: object) -> int:
    found = (_whole(variable), _whole(stored))
    return next(
        (min(max(1, number), MOST_SLOTS) for number in found if number is not None), DEFAULT_SLOTS
    )


def _whole(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else None
