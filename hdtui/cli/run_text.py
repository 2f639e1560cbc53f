"""A run in lines of text: what it is, what it was asked for and what belongs to it."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from db.records import Run
from engine.config.overrides import differences, plain
from hdtui.cli.output import safe
from hdtui.data.settings import nearest_preset, start_of
from hdtui.formatting import date_and_time


def print_run(run: Run, sentence: str, home: Path, readers: Iterable[int], now: datetime) -> None:
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
        "settings": settings_words(run),
        "folder": str(home / run.folder),
        "inputs": " ".join(input_words(run)) or "none",
        "used by": _numbers(readers),
    }
    for name, words in facts.items():
        if words:
            print(safe(f"{name} {words}"))


def settings_words(run: Run) -> str:
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


def _numbers(runs: Iterable[int]) -> str:
    return " ".join(map(str, runs)) or "none"
