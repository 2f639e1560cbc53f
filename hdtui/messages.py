"""What the parts of the cockpit tell each other; facts go down as records."""

from dataclasses import dataclass

from textual.message import Message


@dataclass(frozen=True)
class Counts:
    """How many runs wait, run, need eyes; ``notice`` replaces them, ``warning`` comes before."""

    queued: int = 0
    active: int = 0
    failed: int = 0
    lost: int = 0
    total: int = 0
    notice: str = ""
    warning: str = ""


class WorldChanged(Message):
    """Somebody wrote to the database, or processes and clocks moved on."""

    bubble = False


@dataclass(eq=False)
class Answer(Message):
    """The answer to the last key, for the row above the keys.

    What holds only while run ``run_id`` is in ``state`` is taken back once it has moved on.
    """

    text: str
    role: str = "text"
    run_id: int | None = None
    state: str | None = None


@dataclass(eq=False)
class OpenMode(Message):
    """The user goes to one of the seven screens."""

    mode: str


@dataclass(eq=False)
class OpenRun(Message):
    """The user goes into a run."""

    run_id: int


@dataclass(eq=False)
class OpenRobot(Message):
    """The user goes to a robot's page."""

    digest: str
    robot_name: str | None = None


@dataclass(eq=False)
class WatchRobot(Message):
    """The user wants to see a robot walk."""

    digest: str
    robot_name: str


@dataclass(eq=False)
class OpenStudy(Message):
    """The user goes into a study that was begun."""

    name: str


@dataclass(eq=False)
class OpenForm(Message):
    """The user wants to start a run: of a stage, or with the settings of the run ``clone``."""

    stage: str = "teacher"
    clone: int | None = None


class ScreenGone(Message):
    """A screen was left and nothing of it is in use: its memory can be given back."""
