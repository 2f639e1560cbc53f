"""A run for scripts and in lines of text: what it is, was asked for and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from db.records import Run, RunKind
from engine.config.overrides import differences, plain
from hdtui.cli.output import safe
from hdtui.data.columns import RUN_COLUMNS, document_of
from hdtui.data.settings import nearest_preset, start_of
from hdtui.formatting import date_and_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from db.session import Database


def run_summary(run: Run) -> dict[str, Any]:
    return document_of(run, RUN_COLUMNS)


def run_document(database: Database, run: Run) -> dict[str, Any]:
    """A run for scripts, with the absolute paths of its artifacts and what an evaluation found."""
    from db.queries.artifacts import list_artifacts
    from engine.files import MAX_DOCUMENT_BYTES, parse_json, read_file

    artifacts: list[dict[str, Any]] = [
        {
            "kind": artifact.kind,
            "name": artifact.name,
            "path": database.home / artifact.path,
            "sha256": artifact.sha256,
        }
        for artifact in list_artifacts(database, run.id)
    ]
    described = {**run_summary(run), "folder": database.home / run.folder, "artifacts": artifacts}
    found = [each["path"] for each in artifacts if each["kind"] == RunKind.EVALUATION.value]
    if found:
        described["evaluation"] = parse_json(read_file(found[0], MAX_DOCUMENT_BYTES))
    return described


def print_run(
    run: Run,
    sentence: str,
    home: Path,
    readers: Iterable[int],
    studies: Iterable[str],
    now: datetime,
) -> None:
    """Print the facts of a run that lies in ``home``, in the time zone of ``now``."""
    from engine.workers.run_policies import input_words

    print(safe(f"{run.id} {run.kind.value} {run.name}: {sentence}"))
    times = {"created": run.created_at, "started": run.started_at, "ended": run.ended_at}
    facts = {
        "result": run.result_text,
        "note": run.note,
        "tags": " ".join(run.tags),
        "study": run.group,
        **{name: date_and_time(at, now) for name, at in times.items() if at},
        "device": run.device,
        "seed": str(run.seed),
        "robots": " ".join(run.robot_sets),
        "settings": settings_text(run),
        "folder": str(home / run.folder),
        "inputs": " ".join(input_words(run)) or "none",
        "used by": " ".join(map(str, readers)) or "none",
        "answers for": " ".join(studies),
    }
    for name, words in facts.items():
        if words:
            print(safe(f"{name} {words}"))


def settings_text(run: Run) -> str:
    """The nearest preset and what differs from it, as ``--set`` takes it."""
    stage = str(run.kind)
    try:
        preset = nearest_preset(stage, run.config, run.name)
        start = start_of(stage, preset)
        changed = differences(start, type(start).model_validate(run.config))
    except ValidationError:
        return "of another version of hdtui; --json shows them"
    words = [f"{key}={plain(value)}" for key, value in changed.items() if key != "seed"]
    return " ".join([f"preset {preset}", *(["with", *words] if words else [])])
