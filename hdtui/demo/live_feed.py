"""Keeps the demo's running teacher reporting, so that its curve moves while one looks."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from db.queries.bulk import write_runs
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.errors import DatabaseError
from hdtui.demo.curves import ITERATION_S, ITERATION_STEPS, teacher_values

FINAL_RETURN = 1_500.0


class Feed:
    """A thread that reports for the newest teacher at work as its worker would."""

    def __init__(self, home: Path, every_s: float = ITERATION_S) -> None:
        self._home = home
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report_on, name="demo", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the database is closed."""
        self._stop.set()
        self._thread.join()

    def _report_on(self) -> None:
        database = Database.open(self._home, checkpointing=True)
        try:
            found = list_runs(database, states=[RunState.RUNNING])
            teachers = [run for run in found if run.kind is RunKind.TEACHER]
            if teachers:
                self._report(database, teachers[0])
        except DatabaseError:
            return  # the workspace was taken away: nobody looks any more
        finally:
            database.close()

    def _report(self, database: Database, run: Run) -> None:
        total = int((run.total or 0) // ITERATION_STEPS)
        values = teacher_values(run.id, total + 1, FINAL_RETURN)
        for iteration in range(int((run.done or 0) // ITERATION_STEPS) + 1, total + 1):
            if self._stop.wait(self._every_s):
                return
            step, wall_s = ITERATION_STEPS * iteration, ITERATION_S * iteration
            points = [
                NewPoint(name, "", step, iteration, wall_s, series[iteration])
                for name, series in values.items()
            ]
            result = values["return"][iteration]
            report = {
                "done": float(step),
                "result": result,
                "result_kind": "sampled_return",
                "reported_at": datetime.now(UTC),
            }
            run = replace(run, **report)  # type: ignore[arg-type]
            with database.write() as session:
                append_points(session, run.id, points)
                write_runs(session, [run])
        ended = datetime.now(UTC)
        with database.write() as session:
            write_runs(session, [replace(run, state=RunState.FINISHED, ended_at=ended)])
