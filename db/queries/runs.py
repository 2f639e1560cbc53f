"""Runs, pipelines and events: list, get, queue, annotate, delete."""

import socket
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.machine import now
from db.models import (
    EventRow,
    PipelineRow,
    RunInputRow,
    RunRobotSetRow,
    RunRow,
    TagRow,
    record_of,
)
from db.queries.run_records import RunMemory, choose_runs, run_records
from db.records import CHECKPOINTS, NewRun, Pipeline, Run, RunEvent, RunState
from db.session import Database
from engine.errors import RunError, UsageError

RUN_FOLDER = "runs"
_LONGEST_NAME = 200
_LONGEST_NOTE = 10_000
_MOST_TAGS = 100
_LAST_NUMBER = 2**31 - 1
"""Of a run that any database can hold."""


def list_runs(
    database: Database,
    *,
    limit: int | None = None,
    ids: Collection[int] | None = None,
    states: Collection[RunState] | None = None,
    pipeline: int | None = None,
    archived: bool = False,
    newest_first: bool = True,
) -> list[Run]:
    """Runs by id; archived ones only where asked for or named in ``ids``."""
    query = choose_runs().order_by(RunRow.id.desc() if newest_first else RunRow.id)
    if ids is not None:
        query = query.where(RunRow.id.in_([each for each in ids if 0 < each <= _LAST_NUMBER]))
    elif not archived:
        query = query.where(RunRow.archived.is_(False))
    if states is not None:
        query = query.where(RunRow.state.in_([str(state) for state in states]))
    if pipeline is not None:
        query = query.where(RunRow.pipeline_id == pipeline)
    with database.read() as session:
        return _memory(database).records(session, query.limit(limit))


def _memory(database: Database) -> RunMemory:
    memory: RunMemory = database.memory.setdefault("runs", RunMemory())
    return memory


def get_run(database: Database, run_id: int) -> Run:
    """The run with this number.

    Raises:
        RunError: There is none.
    """
    if not 0 < run_id <= _LAST_NUMBER:
        raise _unknown(run_id)
    with database.read() as session:
        found = _memory(database).records(session, choose_runs().where(RunRow.id == run_id))
    if not found:
        raise _unknown(run_id)
    return found[0]


def is_run_number(word: str) -> bool:
    """Whether a word is one that a run can have; Python converts no thousands of digits."""
    return word.isdecimal() and len(word) <= len(str(_LAST_NUMBER))


def run_number(word: str) -> int:
    """The number that a word of digits says.

    Raises:
        RunError: No run can have it.
    """
    if not is_run_number(word):
        raise _unknown(f"{word[:40]}..." if len(word) > 40 else word)
    return int(word)


def _unknown(run_id: int | str) -> RunError:
    return RunError(f"There is no run {run_id}; `hdtui runs list` shows all.")


def existing(session: Session, run_id: int) -> RunRow:
    """The row of a run that must exist."""
    row = session.get(RunRow, run_id) if 0 < run_id <= _LAST_NUMBER else None
    if row is None:
        raise _unknown(run_id)
    return row


def queue_run(database: Database, new: NewRun, *, boot_id: str | None = None) -> Run:
    """Write a run down as queued on this machine; a supervisor starts it."""
    with database.write() as session:
        return run_records(session, [insert_run(session, new, boot_id)])[0]


def insert_run(session: Session, new: NewRun, boot_id: str | None = None) -> RunRow:
    """Add a queued run inside a transaction.

    Raises:
        UsageError: An input does not exist.
    """
    possible = [each for each in new.inputs if 0 < each <= _LAST_NUMBER]
    known = set(session.scalars(select(RunRow.id).where(RunRow.id.in_(possible))))
    for missing in sorted(set(new.inputs) - known):
        raise UsageError(
            f"There is no run {missing} to take as input; `hdtui runs list` shows all."
        )
    check_words(new.name, new.group)
    row = RunRow(
        kind=str(new.kind),
        name=new.name,
        state=str(RunState.QUEUED),
        pipeline_id=new.pipeline,
        group_name=new.group,
        host=socket.gethostname(),
        device=new.device,
        seed=new.seed,
        config=dict(new.config),
        extra=dict(new.extra),
        folder="",
        versions={},
        queued_boot_id=boot_id,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    row.folder = f"{RUN_FOLDER}/{row.id}"
    for position, input_id in enumerate(new.inputs):
        session.add(RunInputRow(run_id=row.id, position=position, input_id=input_id))
    for position, name in enumerate(new.robot_sets):
        session.add(RunRobotSetRow(run_id=row.id, position=position, name=name))
    session.add_all(TagRow(run_id=row.id, tag=tag) for tag in sorted(set(new.tags)))
    session.flush()
    return row


def set_checkpoints(session: Session, run_id: int, read: Mapping[str, Any]) -> None:
    """Write down inside a transaction which checkpoints a run reads of unfinished policies."""
    row = existing(session, run_id)
    row.extra = {**row.extra, CHECKPOINTS: dict(read)}


def check_words(
    name: str | None = None,
    study: str | None = None,
    note: str | None = None,
    tags: Collection[str] = (),
) -> None:
    """UsageError where words of a run are longer than lists and screens can bear."""
    given = [("name", name, _LONGEST_NAME), ("study", study, _LONGEST_NAME)]
    given += [("note", note, _LONGEST_NOTE), *(("tag", tag, _LONGEST_NAME) for tag in tags)]
    for what, words, longest in given:
        if words is not None and len(words) > longest:
            raise UsageError(
                f"The {what} {words[:20]!r}... has {len(words):,} characters, at most {longest:,} "
                "are kept; nothing was changed."
            )
    if len(tags) > _MOST_TAGS:
        raise UsageError(f"{len(tags):,} tags for one run, at most {_MOST_TAGS} are kept.")


def insert_pipeline(
    session: Session, name: str, preset: str, robot_set: str, seed: int
) -> Pipeline:
    """Add a pipeline inside a transaction."""
    check_words(name)
    row = PipelineRow(name=name, preset=preset, robot_set=robot_set, seed=seed, created_at=now())
    session.add(row)
    session.flush()
    return record_of(Pipeline, row)


def list_pipelines(database: Database, limit: int | None = None) -> list[Pipeline]:
    """Pipelines, newest first."""
    query = select(PipelineRow).order_by(PipelineRow.id.desc()).limit(limit)
    with database.read() as session:
        return [record_of(Pipeline, row) for row in session.scalars(query)]


def get_pipeline(database: Database, pipeline_id: int) -> Pipeline:
    """The pipeline with this number.

    Raises:
        RunError: There is none.
    """
    with database.read() as session:
        row = session.get(PipelineRow, pipeline_id)
        if row is None:
            raise RunError(f"There is no pipeline {pipeline_id}.")
        return record_of(Pipeline, row)


def list_events(
    database: Database, after_id: int = 0, limit: int = 50, run_id: int | None = None
) -> list[RunEvent]:
    """The newest ``limit`` events after ``after_id``, oldest of them first."""
    query = select(EventRow).where(EventRow.id > after_id).order_by(EventRow.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(EventRow.run_id == run_id)
    with database.read() as session:
        rows = session.scalars(query).all()
        return [record_of(RunEvent, row) for row in reversed(rows)]


def insert_event(session: Session, run_id: int | None, level: str, kind: str, text: str) -> None:
    """Tell something inside a transaction."""
    session.add(EventRow(run_id=run_id, at=now(), level=level, kind=kind, text=text))


def count_states(database: Database) -> dict[RunState, int]:
    """How many runs that are not archived are in each state; every state has an entry."""
    query = (
        select(RunRow.state, func.count()).where(RunRow.archived.is_(False)).group_by(RunRow.state)
    )
    with database.read() as session:
        counts: dict[str, int] = dict(session.execute(query).all())
    return {state: counts.get(str(state), 0) for state in RunState}


def dependants(database: Database, run_id: int) -> list[Run]:
    """The runs that read what this run makes, and what they make, in order of their numbers."""
    with database.read() as session:
        ids = dependant_ids(session, [run_id])
        query = choose_runs().where(RunRow.id.in_(ids)).order_by(RunRow.id)
        return _memory(database).records(session, query)


def dependant_ids(session: Session, ids: Sequence[int]) -> set[int]:
    """Everything downstream of the runs, themselves left out."""
    found: set[int] = set()
    frontier = set(ids)
    while frontier:
        query = select(RunInputRow.run_id).where(RunInputRow.input_id.in_(frontier))
        frontier = set(session.scalars(query)) - found
        found |= frontier
    return found


def set_tags(database: Database, run_id: int, tags: Collection[str]) -> None:
    """Replace the tags of a run."""
    check_words(tags=tags)
    with database.write() as session:
        existing(session, run_id)
        session.execute(delete(TagRow).where(TagRow.run_id == run_id))
        session.add_all(TagRow(run_id=run_id, tag=tag) for tag in sorted(set(tags)))


def set_note(database: Database, run_id: int, note: str | None) -> None:
    """Replace the note of a run."""
    check_words(note=note)
    with database.write() as session:
        existing(session, run_id).note = note or None


def set_study(database: Database, run_id: int, study: str | None) -> None:
    """Put a run into a study, or into none."""
    check_words(study=study)
    with database.write() as session:
        existing(session, run_id).group_name = study or None


def archive(database: Database, run_id: int, archived: bool = True) -> None:
    """Hide a run from lists, or bring it back."""
    with database.write() as session:
        existing(session, run_id).archived = archived


def delete_runs(database: Database, run_ids: Collection[int]) -> None:
    """Remove runs and everything they reported, all or none; their files are the caller's.

    A pipeline goes with its last run. RunError while one of them is active or while a run that is
    not among them was made from one.
    """
    with database.write() as session:
        rows = [existing(session, run_id) for run_id in sorted(run_ids, reverse=True)]
        for row in rows:
            if RunState(row.state).active:
                raise RunError(f"Run {row.id} is {row.state}; stop it before deleting it.")
            inputs = select(RunInputRow.run_id).where(RunInputRow.input_id == row.id)
            readers = sorted(set(session.scalars(inputs)) - set(run_ids))
            if readers:
                names = " ".join(map(str, readers))
                raise RunError(f"Run {row.id} is the input of {names}; delete those first.")
        pipelines = {row.pipeline_id for row in rows if row.pipeline_id is not None}
        for row in rows:
            session.delete(row)
            session.flush()  # in this order: what reads a run goes before it
        for pipeline in pipelines:
            if session.scalar(select(func.count()).where(RunRow.pipeline_id == pipeline)) == 0:
                session.execute(delete(PipelineRow).where(PipelineRow.id == pipeline))
