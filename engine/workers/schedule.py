"""Which queued runs start now and which never will: a pure decision over facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.records import RunState


@dataclass(frozen=True)
class Candidate:
    """A queued run of this host; one that is ``held`` waits for a word and holds no slot.

    ``inputs`` have to finish, ``stopping`` only to end: their last checkpoint is read.
    """

    id: int
    inputs: tuple[int, ...]
    held: bool = False
    stopping: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Runs to start, in order, and runs that cannot, each with its input that ended unfinished."""

    start: tuple[int, ...] = ()
    blocked: Mapping[int, int] = field(default_factory=dict)


def plan(
    queued: Sequence[Candidate], states: Mapping[int, RunState], active: int, slots: int
) -> Plan:
    """Decide for this host; ``states`` covers all inputs and ``active`` counts its processes.

    Oldest first; a run starts when all its inputs are finished and a slot is free. What waits for
    a blocked run is blocked too.
    """
    known = dict(states)
    blocked: dict[int, int] = {}
    start: list[int] = []
    for candidate in sorted(queued, key=lambda candidate: candidate.id):
        # Inputs are older than what reads them, so one pass in order reaches every dependant.
        broken = next((i for i in candidate.inputs if _ended_unfinished(known.get(i))), None)
        if broken is not None:
            blocked[candidate.id] = broken
            known[candidate.id] = RunState.STOPPED
        elif (
            not candidate.held
            and active + len(start) < slots
            and all(known.get(i) is RunState.FINISHED for i in candidate.inputs)
            and not any(known[i].active for i in candidate.stopping if i in known)
        ):
            start.append(candidate.id)
    return Plan(tuple(start), blocked)


def _ended_unfinished(state: RunState | None) -> bool:
    return state is None or (state.ended and state is not RunState.FINISHED)
