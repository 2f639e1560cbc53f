"""Which states may follow which; nothing else writes a run's state."""

from db.queries import attempts
from db.queries.runs import insert_event
from db.records import Run, RunState
from db.session import Session
from engine.workers.post_mortem import PostMortem

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


def end_as(session: Session, run: Run, end: PostMortem) -> bool:
    """Close a run's attempt as it was judged; False where it was closed already."""
    state, reason = end.state, end.reason
    ended = attempts.end(
        session,
        run.id,
        state,
        sources(state),
        attempt=run.attempt,
        reason=reason,
        exit_code=end.exit_code,
    )
    if ended:
        level = "info" if state is RunState.STOPPED else "error"
        insert_event(session, run.id, level, str(state), f"{state}: {reason}")
    return ended
