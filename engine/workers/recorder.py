"""What a run reports becomes rows: one transaction a report, refused once the attempt is stale.

Reports between two transactions are merged. A checkpoint is written down at once, together with
every number that was reported before it. When the database does not answer (a full disk, a lock, a
restarting server) the reports wait and work goes on; after ``PATIENCE_S`` the run fails.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from db.queries import artifacts, attempts, evaluations, metrics
from db.queries.runs import insert_event
from db.records import Run
from db.session import Database, Session
from engine.errors import DatabaseAwayError
from engine.events import (
    ArtifactWritten,
    CheckpointWritten,
    Episode,
    EpisodesFinished,
    Event,
    Metrics,
    Note,
    Progress,
    Result,
)
from engine.text import amount, printable
from engine.workers.patience import PATIENCE_S
from engine.workers.workspace import Workspace

FLUSH_EVERY_S = 0.5
CONFIRM_EVERY_S = 5.0
"""How long a stale attempt works on at most before it hears of it, however rarely it reports."""
AWAY_SHARE = 0.1
"""Of a work's time, what may be spent on asking a database that does not answer."""
LOG_EVERY_S = 10.0
GAP_WEIGHT = 0.2
CHECKPOINTS_KEPT = 3
"""The newest ones of a run; a run resumes from the last, the others are for damaged disks."""

logger = logging.getLogger("hdtui.worker")


@dataclass
class _Pending:
    """Reports that no transaction has carried yet, in order."""

    points: list[metrics.NewPoint] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    files: list[CheckpointWritten | ArtifactWritten] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.points or self.episodes or self.files or self.notes or self.facts)


class Recorder:
    """Writes what one attempt reports; ``report`` is what stages call."""

    def __init__(
        self,
        database: Database,
        workspace: Workspace,
        run: Run,
        token: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._workspace = database, workspace
        self._run, self._token, self._clock = run, token, clock
        self._worked_before_s = run.worked_s
        self._started = self._flushed = self._answered = self._logged = clock()
        self.asked_to_stop = False
        """The run's row says so: whoever may not signal this process writes it there."""
        self._reported: float | None = None
        self._gap_s: float | None = None
        self._pending = _Pending()
        self._away_until = clock()

    def report(self, event: Event) -> None:
        """Take an event; StaleAttemptError when this attempt may not write any more."""
        self._take(event)
        urgent = isinstance(event, CheckpointWritten | ArtifactWritten | Result | EpisodesFinished)
        if urgent or self._clock() - self._flushed >= FLUSH_EVERY_S:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what has waited long enough, and ask now and then whether the run is still ours.

        Called whenever a stage asks whether to stop; StaleAttemptError where it is not.
        """
        every_s = CONFIRM_EVERY_S if self._pending.empty else FLUSH_EVERY_S
        if self._clock() - self._flushed >= every_s:
            self.flush()

    def flush(self) -> None:
        """Write everything in one transaction, or keep it for later if the database is away."""
        asked = self._flushed = self._clock()
        if asked < self._away_until:
            return
        try:
            self.write()
        except DatabaseAwayError as error:
            now = self._clock()
            if now - self._answered > PATIENCE_S:
                raise
            self._away_until = now + (now - asked) / AWAY_SHARE
            logger.warning("reports wait: %s", error)

    def write(self) -> None:
        """Write everything in one transaction; DatabaseError where that fails.

        Nothing that waits is lost by a failure: it is written with the next transaction.
        """
        pending = self._pending
        run_id = self._run.id
        forgotten: list[str] = []
        with self._database.write() as session:
            asked = attempts.confirm(
                session,
                run_id,
                self._token,
                worked_s=self.worked_s,
                report_gap_s=self._gap_s,
                **pending.facts,
            )
            metrics.append_points(session, run_id, pending.points)
            evaluations.insert_episodes(session, run_id, pending.episodes)
            for written in pending.files:
                self._insert(session, written)
            if any(isinstance(written, CheckpointWritten) for written in pending.files):
                forgotten = artifacts.forget_checkpoints(session, run_id, CHECKPOINTS_KEPT)
            for note in pending.notes:
                insert_event(session, run_id, note.level, "note", note.text)
        self._pending = _Pending()
        self.asked_to_stop = asked
        self._answered = self._clock()
        # Files go after their rows: a checkpoint that exists can be read.
        for path in forgotten:
            self._workspace.resolve(path).unlink(missing_ok=True)

    @property
    def worked_s(self) -> float:
        """Seconds of work that the curves stand for, over all attempts."""
        return self._worked_before_s + self._clock() - self._started

    def _take(self, event: Event) -> None:
        pending = self._pending
        match event:
            case Progress():
                self._note_gap()
                self._log_progress(event)
                pending.facts |= {
                    "done": event.done,
                    "total": event.total,
                    "unit": printable(event.unit),
                    "rate": event.rate or None,
                }
            case Metrics():
                self._note_gap()
                pending.points += self._points(event)
            case Result():
                known = event.value is not None and math.isfinite(event.value)
                pending.facts |= {
                    "result": event.value if known else None,
                    "result_kind": event.kind if known else None,
                    "result_text": printable(event.text),
                }
            case EpisodesFinished():
                pending.episodes += event.episodes
            case Note():
                level = {"info": logging.INFO, "warning": logging.WARNING}
                logger.log(level.get(event.level, logging.ERROR), "%s", printable(event.text))
                if event.level != "info":
                    pending.notes.append(replace(event, text=printable(event.text)))
            case CheckpointWritten():
                pending.files.append(event)
                pending.facts["checkpoint_step"] = event.step
            case ArtifactWritten():
                pending.files.append(event)

    def _points(self, event: Metrics) -> list[metrics.NewPoint]:
        wall_s = self.worked_s
        named = [("", event.values), *event.robots.items()]
        return [
            metrics.NewPoint(printable(name), digest, event.step, event.iteration, wall_s, value)
            for digest, values in named
            for name, value in values.items()
        ]

    def _log_progress(self, event: Progress) -> None:
        if self._clock() - self._logged >= LOG_EVERY_S:
            self._logged = self._clock()
            rate = f", {amount(event.rate)}/s" if event.rate else ""
            line = f"{amount(event.done)} of {amount(event.total)} {event.unit}{rate}"
            logger.info("%s", printable(line))

    def _note_gap(self) -> None:
        now = self._clock()
        if self._reported is not None and now > self._reported:
            gap_s = now - self._reported
            usual = self._gap_s
            self._gap_s = gap_s if usual is None else usual + GAP_WEIGHT * (gap_s - usual)
        self._reported = now

    def _insert(self, session: Session, written: CheckpointWritten | ArtifactWritten) -> None:
        file = artifacts.NewFile(
            attempt=self._run.attempt,
            path=self._workspace.relative(written.path),
            sha256=written.sha256,
            size_bytes=folder_size(written.path),
        )
        run_id = self._run.id
        if isinstance(written, ArtifactWritten):
            kind, name = printable(written.kind), printable(written.name)
            artifacts.insert_artifact(session, run_id, file, kind, name)
            return
        artifacts.insert_checkpoint(
            session, run_id, file, written.step, written.value, self.worked_s
        )
        value = "" if written.value is None else f", {written.value:.4g}"
        text = f"checkpoint at {amount(written.step)} steps{value}"
        logger.info("%s: %s", text, file.path)
        insert_event(session, run_id, "info", "checkpoint", text)


def folder_size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
