"""A worker that only reports: numbers and checkpoints, each step written to a ledger first."""

import os
from pathlib import Path

from db.queries.artifacts import latest_checkpoint
from db.queries.attempts import Process, begin
from db.queries.runs import get_run
from db.session import Database
from engine.events import CheckpointWritten, Metrics, Progress
from engine.files import write_bytes
from engine.workers.process import this_process
from engine.workers.recorder import Recorder
from engine.workers.workspace import Workspace

CHECKPOINT_EVERY = 7


def number(attempt: int, step: int) -> float:
    """What an attempt reports at a step: no other reports the same."""
    return attempt * 1e6 + step


def report_for_ever(home: Path, run_id: int, token: str) -> None:
    """Report for ever; ``ledger`` says up to which step checkpoints are known to be complete."""
    database, workspace, me = Database.open(home), Workspace(home), this_process()
    with database.write() as session:
        begin(session, run_id, token, Process(me.pid, 0.0, me.boot_id, me.ticks), {})
    run = get_run(database, run_id)
    recorder = Recorder(database, workspace, run, token)
    checkpoint = latest_checkpoint(database, run_id)
    step = checkpoint.step if checkpoint else 0
    ledger = os.open(home / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        step += 1
        recorder.report(Metrics(step, step, {"return": number(run.attempt, step)}))
        recorder.report(Progress(step, 1e9, "steps"))
        if step % CHECKPOINT_EVERY == 0:
            path = workspace.run_folder(run_id) / f"checkpoint-a{run.attempt}-{step}"
            sha256 = write_bytes(path, str(step).encode())
            recorder.report(CheckpointWritten(step, path, sha256))
            os.write(ledger, f"{step}\n".encode())
