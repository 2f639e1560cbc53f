"""What can be done to runs, by a key or a command; each returns the sentence that answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.queries import runs as run_queries
from db.records import Run, RunState
from db.session import Database
from engine.workers import commands as worker_commands
from engine.workers.observed import observed
from engine.workers.post_mortem import BY_ROBOT, has_diverged
from engine.workers.workspace import Workspace
from hdtui.data.cockpit import now
from hdtui.data.machine import folder_sizes
from hdtui.data.run_states import COCKPIT_KEYS, Orders, elapsed_s, view
from hdtui.data.run_views import surroundings
from hdtui.formatting import duration, size, steps
from hdtui.messages import Answer

_NAMED = 3


def resume(database: Database, run_id: int) -> Answer:
    """Let a stopped, failed, lost or interrupted run go on, or the queue after a restart."""
    run = observed(database, [run_queries.get_run(database, run_id)])[0]
    if run.state.active:
        return Answer(
            f"R: {run_id} is {run.state}, nothing to start", run_id=run_id, state=run.state
        )
    if run.state is RunState.FINISHED:
        return Answer(f"R: {run_id} is finished, C clones it", run_id=run_id, state=run.state)
    return go_on(database, run_id)


def go_on(database: Database, run_id: int) -> Answer:
    """Queue a run again, and say what it goes on from; finished data that were damaged, too.

    Raises:
        RunError: It works, has finished and is whole, or waits for one that did not finish.
    """
    before = run_queries.get_run(database, run_id)
    run = worker_commands.resume(database, run_id)
    if before.state is RunState.QUEUED:
        return _queued_again(run, " and may start")
    if run.kind in BY_ROBOT:
        keeps = "it keeps the robots that are finished and goes on with the others"
        return _queued_again(run, f", {keeps}")
    where = "it has no checkpoint and starts from the beginning"
    if run.checkpoint_step:
        where = f"it resumes at {steps(run.checkpoint_step)}"
    again = "; it diverged, and does so again with the same settings" * has_diverged(before)
    return _queued_again(run, f", {where}{again}")


def _queued_again(run: Run, rest: str) -> Answer:
    return Answer(f"{run.id} {run.kind} is queued{rest}", run_id=run.id, state=RunState.QUEUED)


def stop(database: Database, run_id: int, orders: Orders = COCKPIT_KEYS) -> Answer:
    """Ask a run to write a checkpoint and leave."""
    return _leaving(database, worker_commands.request_stop(database, run_id), orders)


def kill(database: Database, run_id: int, orders: Orders = COCKPIT_KEYS) -> Answer:
    """Kill a run now; its last checkpoint stays."""
    return _leaving(database, worker_commands.request_kill(database, run_id), orders)


def _leaving(database: Database, run: Run, orders: Orders) -> Answer:
    """What becomes of a run that was asked to leave; another user's or machine's hears it later."""
    around = replace(surroundings(database, now()), orders=orders)
    if run.state is RunState.STOPPED:
        words = f"is {run.reason or 'stopped'}"
    elif run.id in around.owners or run.id in around.elsewhere:
        words = f"{run.kind}: {view(run, around).sentence}"
    elif run.kill_requested_at is not None:
        kept = "its last checkpoint stays" if run.checkpoint_step else "nothing is kept"
        kept = "the robots that are finished are kept" if run.kind in BY_ROBOT else kept
        words = f"is killed now; {kept}"
    else:
        later = orders.kill.format(run=run.id)
        words = f"is asked to stop; it writes a checkpoint and leaves, {later}"
    return Answer(f"{run.id} {words}")


def archive(database: Database, run_ids: Sequence[int], back: bool | None = None) -> Answer:
    """Hide runs from lists, or bring them ``back``: where nothing is said, if all are archived."""
    runs = run_queries.list_runs(database, ids=run_ids)
    back = all(run.archived for run in runs) if back is None else back
    for run in runs:
        run_queries.archive(database, run.id, archived=not back)
    hidden = "archived; archived:yes in the filter of Runs shows them"
    return Answer(f"{' '.join(map(str, run_ids))} {'back in the lists' if back else hidden}")


@dataclass(frozen=True)
class Deletion:
    """What deleting runs would take away, and the sentences of the question whether to."""

    run_ids: tuple[int, ...]
    size_bytes: int
    sentences: tuple[str, ...]


def deletion(database: Database, run_ids: Sequence[int]) -> Deletion:
    """What deleting these runs would take away: their folders; and what depends on them."""
    runs = run_queries.list_runs(database, ids=run_ids, newest_first=False)
    size_bytes = sum(folder_sizes(database.home / run.folder)[0] for run in runs)
    dependants = {
        other.id
        for run_id in run_ids
        for other in run_queries.dependants(database, run_id)
        if other.id not in run_ids
    }
    sentences = [f"Delete {_named(runs)}?", f"{size(size_bytes)} on disk go with it."]
    if dependants:
        ids = " ".join(map(str, sorted(dependants)))
        sentences.append(f"{ids} were made from it; delete those first.")
    return Deletion(tuple(run_ids), size_bytes, tuple(sentences))


def delete(database: Database, run_ids: Sequence[int]) -> Answer:
    """Delete runs with their folders, all or none."""
    worker_commands.delete(database, Workspace(database.home), run_ids)
    return Answer(f"deleted {' '.join(map(str, run_ids))}")


def _named(runs: Sequence[Run]) -> str:
    names = ", ".join(f"{run.id} {run.kind} {run.name}" for run in runs[:_NAMED])
    more = len(runs) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def stop_warning(database: Database, run_id: int) -> tuple[Run, tuple[str, ...]]:
    """The run, and what stopping it means."""
    run = observed(database, [run_queries.get_run(database, run_id)])[0]
    done = f", {steps(run.done)} of {steps(run.total)} {run.unit or ''}" if run.total else ""
    sentences = [f"Running {duration(elapsed_s(run, now()))}{done}, pid {run.pid}."]
    sentences.append("It writes a checkpoint and leaves; R resumes from there.")
    dependants = run_queries.dependants(database, run_id)
    waiting = [str(other.id) for other in dependants if other.state is RunState.QUEUED]
    if waiting:
        verb = "keeps" if len(waiting) == 1 else "keep"
        sentences.append(f"{' '.join(waiting)} {verb} waiting for it.")
    return run, tuple(sentences)


def annotate(
    database: Database,
    run_id: int,
    tags: Sequence[str] | None = None,
    study: str | None = None,
    note: str | None = None,
) -> Answer:
    """Replace tags, study and note of a run; what is None stays, what is empty goes."""
    if tags is not None:
        run_queries.set_tags(database, run_id, tags)
    if study is not None:
        run_queries.set_study(database, run_id, study.strip() or None)
    if note is not None:
        run_queries.set_note(database, run_id, note or None)
    run = run_queries.get_run(database, run_id)
    words = [f"tags {' '.join(run.tags) or 'none'}"]
    words += [f"study {run.group}"] if run.group else []
    words += [f"note {run.note}"] if run.note else []
    return Answer(f"{run_id}: {' · '.join(words)}")
