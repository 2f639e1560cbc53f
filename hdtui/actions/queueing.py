"""Runs and pipelines that a key or a command asks for, queued, and the sentence that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.queries.runs import list_events
from db.records import Run, RunState
from engine.config.presets import PipelineConfig, preset
from engine.workers.new_runs import queue_stage
from engine.workers.run_policies import checkpoints_read
from engine.workers.stages import GENERATED, PIPELINE
from hdtui.messages import Answer

if TYPE_CHECKING:
    from db.session import Database
    from engine.workers.stages import StageRequest
    from hdtui.actions.run_form import RunForm


def queue(database: Database, request: StageRequest, about: str = "") -> Answer:
    """Queue a run and see to it that a supervisor starts it; ``about`` says more of it.

    The sentence is true until the run starts.

    Raises:
        RoleNotAllowedError: Its robots are not for training; the request may allow them.
        HdtuiError: A set, an input or a value cannot be used; nothing was queued.
    """
    run = queue_stage(database, request)
    name = "" if about else f" {run.name}"
    words = f"{run.id} {run.kind}{name} is queued{about}{_warnings(database, run)}"
    return Answer(words, run_id=run.id, state=RunState.QUEUED)


def queue_form(database: Database, form: RunForm) -> Answer:
    """Queue what a form asks for; as ``queue``."""
    if form.stage != PIPELINE:
        return queue(database, form.request())
    config = form.config()
    if not isinstance(config, PipelineConfig):
        raise TypeError("the pipeline form holds another stage's settings")
    robots = form.robots.strip()
    return start_pipeline(
        database,
        config,
        preset=form.preset,
        robots=None if robots in {"", GENERATED} else robots,
        study=form.study.strip() or None,
        allowed_roles=form.allowed_roles,
    )


def start_preset(database: Database, name: str) -> Answer:
    """Queue all stages of a preset, its robots generated.

    Raises:
        HdtuiError: The workspace cannot be written, or the supervisor not started.
    """
    return start_pipeline(database, preset(name), preset=name)


def start_pipeline(database: Database, config: PipelineConfig, **choices: Any) -> Answer:
    """Queue a pipeline and see to it that a supervisor starts it; as ``queue_pipeline`` does."""
    from engine.workers.pipeline import queue_pipeline

    pipeline, runs = queue_pipeline(database, config=config, **choices)
    warnings = "".join(_warnings(database, run) for run in runs)
    words = f"pipeline {pipeline.id} is queued: runs {runs[0].id} to {runs[-1].id}{warnings}"
    return Answer(words, run_id=runs[0].id, state=RunState.QUEUED)


def _warnings(database: Database, run: Run) -> str:
    """What a queued run reads of unfinished ones and is warned of, to stand behind the sentence."""
    reads = f"; {checkpoints_read(run)}" if checkpoints_read(run) else ""
    events = list_events(database, run_id=run.id)
    return reads + "".join(f"; ⚠ {event.text}" for event in events if event.level == "warning")
