"""What the cockpit can do to runs; every function returns the sentence that answers the key."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from db.queries import runs as run_queries
from db.records import Run, RunState
from db.session import Database
from engine.config.presets import PipelineConfig, preset
from engine.errors import UsageError
from engine.workers import commands as worker_commands
from engine.workers.new_runs import queue_stage
from engine.workers.observed import observed
from engine.workers.post_mortem import BY_ROBOT, has_diverged
from engine.workers.run_policies import checkpoints_read
from engine.workers.slots import Slots, check_slots, set_slots, slots_here
from engine.workers.stages import PIPELINE, StageRequest
from engine.workers.workspace import Workspace
from hdtui.actions.launch import GENERATED, LaunchForm
from hdtui.data.cockpit import Cockpit, now
from hdtui.data.machine import folder_sizes
from hdtui.data.run_states import elapsed_s
from hdtui.formatting import duration, size, steps
from hdtui.messages import StateSentence


def resume(cockpit: Cockpit, run_id: int) -> str:
    """Let a stopped, failed, lost or interrupted run go on, or the queue after a restart."""
    run = _judged(cockpit, run_id)
    if run.state.active:
        words = f"R: {run_id} is {run.state}, nothing to start"
        return StateSentence(words, run_id, run.state)
    if run.state is RunState.FINISHED:
        return StateSentence(f"R: {run_id} is finished, C clones it", run_id, run.state)
    cockpit.store.ask(lambda database: worker_commands.resume(database, run_id))
    if run.state is RunState.QUEUED:
        words = f"{run_id} {run.kind} is queued and may start"
        return StateSentence(words, run_id, RunState.QUEUED)
    where = f" at {steps(run.checkpoint_step)}" if run.checkpoint_step else " from its start"
    if run.kind in BY_ROBOT:
        where = " and keeps the robots that are finished"
    again = "; it diverged, and does so again with the same settings" * has_diverged(run)
    words = f"{run_id} {run.kind} is queued, it resumes{where}{again}"
    return StateSentence(words, run_id, RunState.QUEUED)


def stop(cockpit: Cockpit, run_id: int) -> str:
    """Ask a run to write a checkpoint and leave."""
    cockpit.store.ask(lambda database: worker_commands.request_stop(database, run_id))
    return f"{run_id} is asked to stop; it writes a checkpoint and leaves. X again offers to kill"


def kill(cockpit: Cockpit, run_id: int) -> str:
    """Kill a run now."""
    cockpit.store.ask(lambda database: worker_commands.request_kill(database, run_id))
    return f"{run_id} is killed now; its last checkpoint stays"


def archive(cockpit: Cockpit, run_ids: Sequence[int]) -> str:
    """Hide runs from lists, or bring them back where all are archived."""

    def change(database: Database) -> bool:
        found = run_queries.list_runs(database, ids=run_ids)
        back = all(run.archived for run in found)
        for run in found:
            run_queries.archive(database, run.id, archived=not back)
        return back

    back = cockpit.store.ask(change)
    names = " ".join(str(run_id) for run_id in run_ids)
    hidden = "archived; archived:yes in the filter of Runs shows them"
    return f"{names} {'back in the lists' if back else hidden}"


def delete(cockpit: Cockpit, run_ids: Sequence[int]) -> str:
    """Delete runs with their folders, all or none."""
    workspace = Workspace(cockpit.home)
    cockpit.store.ask(lambda database: worker_commands.delete(database, workspace, run_ids))
    for run_id in run_ids:
        cockpit.marked_runs.pop(run_id, None)
    return f"deleted {' '.join(str(run_id) for run_id in run_ids)}"


def delete_warning(cockpit: Cockpit, run_ids: Sequence[int]) -> tuple[str, ...]:
    """The sentences of the delete dialog: size on disk and what depends on the runs."""
    workspace = Workspace(cockpit.home)
    runs = cockpit.store.ask(lambda database: run_queries.list_runs(database, ids=run_ids))
    num_bytes = sum(folder_sizes(workspace.home / run.folder)[0] for run in runs)
    depending: dict[int, Run] = {}
    for run_id in run_ids:
        for other in cockpit.store.ask(partial(run_queries.dependants, run_id=run_id)):
            if other.id not in run_ids:
                depending[other.id] = other
    names = ", ".join(f"{run.id} {run.kind} {run.name}" for run in runs[:3])
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    sentences = [f"Delete {names}{more}?", f"{size(num_bytes)} on disk go with it."]
    if depending:
        ids = " ".join(str(run_id) for run_id in sorted(depending))
        sentences.append(f"{ids} were made from it; delete those first.")
    return tuple(sentences)


def change_slots(cockpit: Cockpit, text: str) -> str:
    """Let so many runs work at once.

    Raises:
        UsageError: It is no such number.
    """
    number = check_slots(text)
    prepare_workspace(cockpit)
    cockpit.store.ask(partial(set_slots, number=number))
    return slots_sentence(cockpit.store.ask(slots_here), number)


def slots_problem(text: str) -> str:
    """Why a text is no number of slots; empty where it is one."""
    try:
        check_slots(text)
    except UsageError as error:
        return str(error)
    return ""


def slots_sentence(here: Slots, wanted: int) -> str:
    """What becomes of a number that was asked for."""
    if here.number != wanted:
        return f"slots {wanted} in this workspace; here {here.number}: {here.sentence}"
    return f"slots {wanted}: so many runs work at once"


def stop_warning(cockpit: Cockpit, run_id: int) -> tuple[Run, tuple[str, ...]]:
    """The run, and what stopping it means."""
    run = _judged(cockpit, run_id)
    depending = cockpit.store.ask(lambda database: run_queries.dependants(database, run_id))
    done = f", {steps(run.done)} of {steps(run.total)} {run.unit or ''}" if run.total else ""
    sentences = [f"Running {duration(elapsed_s(run, now()))}{done}, pid {run.pid}."]
    sentences.append("It writes a checkpoint and leaves; R resumes from there.")
    waiting = [str(other.id) for other in depending if other.state is RunState.QUEUED]
    if waiting:
        verb = "keeps" if len(waiting) == 1 else "keep"
        sentences.append(f"{' '.join(waiting)} {verb} waiting for it.")
    return run, tuple(sentences)


def annotated(database: Database, run_id: int) -> Run:
    """The run whose tags, study and note are to be edited."""
    return run_queries.get_run(database, run_id)


def annotate(cockpit: Cockpit, run_id: int, tags: Sequence[str], study: str, note: str) -> str:
    """Replace tags, study and note of a run."""

    def change(database: Database) -> None:
        run_queries.set_tags(database, run_id, tags)
        run_queries.set_study(database, run_id, study or None)
        run_queries.set_note(database, run_id, note or None)

    cockpit.store.ask(change)
    words = [f"tags {' '.join(tags) or 'none'}"]
    words += [f"study {study}"] if study else []
    words += [f"note {note}"] if note else []
    return f"{run_id}: {' · '.join(words)}"


def queue(cockpit: Cockpit, request: StageRequest) -> Run:
    """Queue one run and see to it that a supervisor starts it.

    Raises:
        HdtuiError: A set, an input or a value cannot be used; nothing was queued.
    """
    prepare_workspace(cockpit)
    return cockpit.store.ask(partial(queue_stage, request=request))


def warning_words(cockpit: Cockpit, run: Run) -> str:
    """What a queued run reads of unfinished ones and is warned of, to stand behind the sentence."""
    events = cockpit.store.ask(partial(run_queries.list_events, run_id=run.id))
    reads = f"; {checkpoints_read(run)}" if checkpoints_read(run) else ""
    return reads + "".join(f"; ⚠ {event.text}" for event in events if event.level == "warning")


def queue_form(cockpit: Cockpit, form: LaunchForm) -> str:
    """Queue what a form asks for.

    Raises:
        RoleNotAllowedError: Its robots are not for training; the form may allow them.
        HdtuiError: A set, an input or a value cannot be used; nothing was queued.
    """
    if form.stage == PIPELINE:
        return _queue_pipeline_form(cockpit, form)
    run = queue(cockpit, form.request())
    words = f"{run.id} {run.kind} {run.name} is queued{warning_words(cockpit, run)}"
    return StateSentence(words, run.id, RunState.QUEUED)


def _queue_pipeline_form(cockpit: Cockpit, form: LaunchForm) -> str:
    config = form.config()
    if not isinstance(config, PipelineConfig):
        raise TypeError("the pipeline form holds another stage's settings")
    robots = form.robots.strip()
    return start_pipeline(
        cockpit,
        config,
        preset=form.preset,
        robots=None if robots in {"", GENERATED} else robots,
        study=form.study.strip() or None,
        allowed_roles=form.allowed_roles,
    )


def start_preset(cockpit: Cockpit, name: str) -> str:
    """Queue all stages of a preset, its robots generated; the sentence that answers the key.

    Raises:
        HdtuiError: The workspace cannot be written, or the supervisor not started.
    """
    return start_pipeline(cockpit, preset(name), preset=name)


def start_pipeline(cockpit: Cockpit, config: PipelineConfig, **choices: Any) -> str:
    """Queue a pipeline and see to it that a supervisor starts it; as ``queue_pipeline`` does."""
    from engine.workers.pipeline import queue_pipeline

    prepare_workspace(cockpit)
    pipeline, runs = cockpit.store.ask(partial(queue_pipeline, config=config, **choices))
    warnings = "".join(warning_words(cockpit, run) for run in runs)
    words = f"pipeline {pipeline.id} is queued: runs {runs[0].id} to {runs[-1].id}{warnings}"
    return StateSentence(words, runs[0].id, RunState.QUEUED)


def prepare_workspace(cockpit: Cockpit) -> None:
    """Create the workspace where there is none.

    Raises:
        WorkspaceError: It cannot be created or written.
    """
    Workspace(cockpit.home).create()
    cockpit.store.open(create=True)


def _judged(cockpit: Cockpit, run_id: int) -> Run:
    def read(database: Database) -> Run:
        return observed(database, [run_queries.get_run(database, run_id)])[0]

    return cockpit.store.ask(read)
