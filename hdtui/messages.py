"""What the parts of the cockpit tell each other; facts go down as records."""

from dataclasses import dataclass, field
from typing import Any

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


class Loaded(Message):
    """A service answered: ``topic`` says which question, ``facts`` is its snapshot."""

    def __init__(self, topic: str, facts: Any) -> None:
        super().__init__()
        self.topic = topic
        self.facts = facts


class Failed(Message):
    """A service could not answer; ``sentence`` is written for the user."""

    def __init__(self, topic: str, sentence: str) -> None:
        super().__init__()
        self.topic = topic
        self.sentence = sentence


class WorldChanged(Message):
    """Somebody wrote to the database, or processes and clocks moved on."""

    bubble = False


class StateSentence(str):
    """A sentence that holds while a run is in a state: taken back once the run has moved on.

    A string, so that it goes whatever way other answers go.
    """

    __slots__ = ("run_id", "state")

    def __new__(cls, text: str, run_id: int, state: str) -> "StateSentence":
        """The sentence, with what it says of which run."""
        sentence = super().__new__(cls, text)
        sentence.run_id, sentence.state = run_id, state
        return sentence

    run_id: int
    state: str


class Answer(Message):
    """The answer to the last key, for the row above the keys."""

    def __init__(self, text: str, role: str = "text") -> None:
        super().__init__()
        self.text = text
        self.role = role


@dataclass(frozen=True)
class RowKey:
    """Names a row of a table: a run's id, a robot's digest, a group's name."""

    kind: str
    value: Any = field(default=None)
