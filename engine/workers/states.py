"""Which states may follow which; nothing else writes a run's state."""

from db.records import RunState

_S = RunState

NEXT: dict[RunState, frozenset[RunState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.STOPPED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.STOPPING, _S.FAILED, _S.LOST, _S.INTERRUPTED}),
    _S.RUNNING: frozenset(
        {_S.STOPPING, _S.FINISHED, _S.STOPPED, _S.FAILED, _S.LOST, _S.INTERRUPTED}
    ),
    _S.STOPPING: frozenset({_S.FINISHED, _S.STOPPED, _S.FAILED, _S.LOST, _S.INTERRUPTED}),
    # Only a collection whose data were damaged since; `commands.resume` looks.
    _S.FINISHED: frozenset({_S.QUEUED}),
    _S.STOPPED: frozenset({_S.QUEUED}),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.LOST: frozenset({_S.QUEUED}),
    _S.INTERRUPTED: frozenset({_S.QUEUED}),
}


def sources(state: RunState) -> frozenset[RunState]:
    """The states that ``state`` may follow."""
    return frozenset(before for before, after in NEXT.items() if state in after)
