"""Runs as records and views: counted, listed, judged alive; and what leaving says."""

from collections.abc import Sequence
from datetime import datetime

from db.machine import boot_id
from db.queries.robots import list_robots
from db.queries.runs import count_states, get_run, list_runs
from db.queries.studies import list_studies
from db.queries.supervisors import get_supervisor
from db.records import Robot, Run, RunState
from db.session import Database
from engine.text import counted
from engine.workers.machines import Machines, is_here
from engine.workers.observed import observed
from engine.workers.process import other_owner, worker_of
from engine.workers.run_policies import input_words
from engine.workers.slots import read_slots
from hdtui.data.run_states import RunView, Surroundings, view
from hdtui.formatting import percent
from hdtui.messages import Counts

ACTIVE = (RunState.STARTING, RunState.RUNNING, RunState.STOPPING)


def count_runs(database: Database) -> Counts:
    """How many runs wait, work and need eyes, for row 1; liveness is judged, not believed."""
    states = count_states(database)
    active = (
        observed(database, list_runs(database, states=ACTIVE))
        if any(states[state] for state in ACTIVE)
        else []
    )
    gone = sum(1 for run in active if run.state is RunState.LOST)
    broken = sum(1 for run in active if run.state is RunState.INTERRUPTED)
    return Counts(
        queued=states[RunState.QUEUED],
        active=len(active) - gone - broken,
        failed=states[RunState.FAILED],
        lost=states[RunState.LOST] + gone,
        total=sum(states.values()),
    )


def surroundings(database: Database, now: datetime) -> Surroundings:
    """What the sentences of a list of runs need: who waits for whom, and the slots."""
    unfinished = list_runs(database, states=(*ACTIVE, RunState.QUEUED))
    inputs = {number for run in unfinished for number in run.inputs}
    waited_for = [*unfinished, *(list_runs(database, ids=inputs) if inputs else [])]
    supervisor = get_supervisor(database, boot_id())
    machines = Machines.of(database, unfinished)
    here = [run for run in unfinished if run.state in ACTIVE and is_here(run)]
    return Surroundings(
        now=now,
        boot_id=boot_id(),
        waits_for={run.id: run for run in waited_for if run.state is not RunState.FINISHED},
        slots=supervisor.slots if supervisor else read_slots(database),
        slots_in_use=len(here),
        elsewhere={
            run.id: silence_s
            for run in unfinished
            if (silence_s := machines.silence_s(run)) is not None
        },
        owners=_owners(database, here),
    )


def _owners(database: Database, runs: Sequence[Run]) -> dict[int, str]:
    """Per run that is to stop the user whose process works on it, where that is another one."""
    stopping = [run for run in runs if run.state is RunState.STOPPING]
    workers = [worker for run in stopping if (worker := worker_of(run, database.home))]
    owners = {worker.run_id: other_owner(worker.pid) for worker in workers}
    return {run_id: owner for run_id, owner in owners.items() if owner}


def views(database: Database, runs: Sequence[Run], now: datetime) -> list[RunView]:
    around = surroundings(database, now)
    return [view(run, around) for run in observed(database, runs)]


def read_run(database: Database, run_id: int, now: datetime) -> RunView:
    """One run as its reader sees it now.

    Raises:
        RunError: There is none with this number.
    """
    return views(database, [get_run(database, run_id)], now)[0]


def read_names(database: Database) -> tuple[list[Run], list[Robot], list[str]]:
    """Every run, newest first, every robot by name, and the names of studies that were begun."""
    begun = [study.name for study in list_studies(database)]
    return list_runs(database), list_robots(database), begun


def reads(run: Run) -> str:
    """The inputs of a run, with the steps of the checkpoints that it reads."""
    return ", ".join(input_words(run))


def leaving_sentence(database: Database) -> str:
    """What ``q`` prints: which runs keep running; empty where none does."""
    active = [
        run
        for run in observed(database, list_runs(database, states=ACTIVE, newest_first=False))
        if run.state in ACTIVE
    ]
    queued = count_states(database)[RunState.QUEUED]
    if not active:
        return (
            f"{counted(queued, 'run waits', 'runs wait')}. `hdtui` shows them again."
            if queued
            else ""
        )
    named = [
        f"{run.id} {run.kind}" + (f" {percent(run.progress)}" if run.progress is not None else "")
        for run in active
    ]
    verb = counted(len(active), "run keeps", "runs keep")
    waits = f" {queued} more wait." if queued else ""
    return f"{verb} running: {', '.join(named)}.{waits} `hdtui` shows them again."
