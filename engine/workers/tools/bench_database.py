"""Many writers and readers on one workspace, some killed at work, for ``hdtui bench database``."""

import math
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from ctypes import c_longlong
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

from db.machine import boot_id, host_name
from db.queries import attempts, metrics, runs
from db.records import NewRun, RunKind
from db.session import Database
from engine.errors import DatabaseError
from engine.events import Metrics, Progress
from engine.workers.recorder import Recorder
from engine.workers.workspace import Workspace

NUM_SERIES = 8
BUCKETS_PER_DECADE = 20
NUM_BUCKETS = 8 * BUCKETS_PER_DECADE
SHORTEST_S = 1e-6
CHECKPOINT_EVERY_S = 1.0
_context = multiprocessing.get_context("fork")


class Tally:
    """What one process did, in memory that outlives it: waits by size, refusals, last step.

    ``beside`` are all writers' tallies: how many transactions of theirs passed while one waited.
    """

    def __init__(self) -> None:
        self._waits = RawArray(c_longlong, NUM_BUCKETS)
        self._facts = RawArray(c_longlong, 4)
        self.beside: Sequence[Tally] = ()

    def timed(self, work: Callable[[], object]) -> None:
        """Do ``work`` and note how long it took, or that the database refused."""
        started, before = time.perf_counter(), self._passed()
        try:
            work()
            self._facts[3] += 1
        except DatabaseError as error:
            self._facts[0] += 1
            print(f"bench database: {error}", file=sys.stderr)  # noqa: T201
        waited_s = max(SHORTEST_S, time.perf_counter() - started)
        bucket = int(math.log10(waited_s / SHORTEST_S) * BUCKETS_PER_DECADE)
        self._waits[min(bucket, NUM_BUCKETS - 1)] += 1
        self._facts[2] = max(self._facts[2], self._passed() - before)

    @property
    def waits(self) -> list[int]:
        """How many waits fell into each bucket."""
        return list(self._waits)

    @property
    def refused(self) -> int:
        """How often the database refused."""
        return int(self._facts[0])

    @property
    def overtaken(self) -> int:
        """How many transactions of writers passed during the longest wait, by that count."""
        return int(self._facts[2])

    @property
    def asked(self) -> int:
        """How often it was answered, refusals included."""
        return self.refused + self.done

    @property
    def done(self) -> int:
        """How many were done."""
        return int(self._facts[3])

    def _passed(self) -> int:
        return sum(each.done for each in self.beside)

    @property
    def acknowledged(self) -> int:
        """The last step whose transaction is known to be written."""
        return int(self._facts[1])

    @acknowledged.setter
    def acknowledged(self, step: int) -> None:
        self._facts[1] = step


@dataclass(frozen=True)
class Writer:
    """One claimed run that reports as fast as it can."""

    run_id: int
    token: str
    tally: Tally


def run(
    *, writers: int = 16, readers: int = 4, seconds: float = 60.0, kills: int = 100, seed: int = 1
) -> dict[str, Any]:
    """Figures of ``seconds`` of stress during which ``kills`` writers are killed and replaced.

    Every transaction is what a worker reports (progress and 8 numbers); every reading is what the
    cockpit asks for twice a second. Steps are checked against what the writers saw written.
    """
    with tempfile.TemporaryDirectory(prefix="hdtui-bench-") as folder:
        home = Path(folder)
        claimed = _claim_runs(home, writers)
        looking = [Tally() for _ in range(readers)]
        for writer in claimed:
            writer.tally.beside = [each.tally for each in claimed if each is not writer]
        started = time.monotonic()
        _stress(home, claimed, looking, seconds, kills, random.Random(seed))  # noqa: S311
        elapsed_s = time.monotonic() - started
        tallies = [writer.tally for writer in claimed]
        return {
            "writers": writers,
            "readers": readers,
            "seconds": elapsed_s,
            "writers_killed": kills,
            **_figures("write", tallies, elapsed_s),
            "overtaken_at_most": max(tally.overtaken for tally in tallies),
            **_figures("read", looking, elapsed_s),
            "refused": sum(tally.refused for tally in [*tallies, *looking]),
            **_check(home, claimed),
        }


def _claim_runs(home: Path, writers: int) -> list[Writer]:
    database = Database.open(home)
    claimed = []
    for number in range(writers):
        new = NewRun(RunKind.TEACHER, f"writer {number}", {}, seed=number)
        run_id, token = runs.queue_run(database, new).id, secrets.token_hex(8)
        with database.write() as session:
            attempts.claim(session, run_id, token, host_name())
            process = attempts.Process(os.getpid(), 1.0, boot_id())
            attempts.begin(session, run_id, token, process, {})
        claimed.append(Writer(run_id, token, Tally()))
    database.close()
    return claimed


def _stress(
    home: Path,
    claimed: Sequence[Writer],
    looking: Sequence[Tally],
    seconds: float,
    kills: int,
    chance: random.Random,
) -> None:
    writing = [_started(_write_for_ever, home, writer) for writer in claimed]
    others = [_started(_read_for_ever, home, claimed[0].run_id, tally) for tally in looking]
    others.append(_started(_checkpoint_for_ever, home))
    begun = [0] * len(writing)
    started = time.monotonic()
    try:
        for killed in range(kills):
            _sleep_until(started + seconds * (killed + 1) / (kills + 1))
            victim = chance.randrange(len(writing))
            _until_at_work(writing[victim], claimed[victim].tally, begun[victim])
            _kill(writing[victim])
            begun[victim] = claimed[victim].tally.asked
            writing[victim] = _started(_write_for_ever, home, claimed[victim])
        _sleep_until(started + seconds)
    finally:
        for process in [*writing, *others]:
            _kill(process)


def _until_at_work(process: ForkProcess, tally: Tally, asked: int) -> None:
    """Wait until it has asked something of the database: a busy machine starts it late."""
    while process.is_alive() and tally.asked == asked:
        time.sleep(0.01)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _started(work: Callable[..., None], *arguments: object) -> ForkProcess:
    process = _context.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def _kill(process: ForkProcess) -> None:
    process.kill()
    process.join()


def _write_for_ever(home: Path, writer: Writer) -> None:
    database = Database.open(home, create=False)
    record = runs.get_run(database, writer.run_id)
    recorder = Recorder(database, Workspace(home), record, writer.token)
    step = max((one.last_step or 0 for one in metrics.list_series(database, record.id)), default=0)

    def report() -> None:
        values = {f"metric {number}": step * 0.5 for number in range(NUM_SERIES)}
        recorder.report(Progress(step, 1e9, "steps"))
        recorder.report(Metrics(step, step, values))
        recorder.write()

    while True:
        step += 1
        writer.tally.timed(report)
        writer.tally.acknowledged = step


def _read_for_ever(home: Path, run_id: int, tally: Tally) -> None:
    database = Database.open(home, readonly=True)

    def look() -> None:
        runs.count_states(database)
        runs.list_runs(database, limit=50)
        for series in metrics.list_series(database, run_id)[:1]:
            metrics.read_points(database, series.id)

    while True:
        tally.timed(look)
        time.sleep(0.01)


def _checkpoint_for_ever(home: Path) -> None:
    database = Database.open(home, create=False, checkpointing=True)
    while True:
        time.sleep(CHECKPOINT_EVERY_S)
        database.checkpoint_log()


def _figures(what: str, tallies: Sequence[Tally], elapsed_s: float) -> dict[str, float]:
    waits = [sum(column) for column in zip(*(tally.waits for tally in tallies), strict=True)]
    return {
        f"{what}s": sum(waits),
        f"{what}s_per_s": sum(waits) / elapsed_s,
        f"{what}_median_ms": 1e3 * _quantile(waits, 0.5),
        f"{what}_p99_ms": 1e3 * _quantile(waits, 0.99),
        f"{what}_longest_ms": 1e3 * _quantile(waits, 1.0),
    }


def _quantile(waits: Sequence[int], share: float) -> float:
    """The upper end of the bucket below which ``share`` of the waits lie, in seconds."""
    wanted, seen = share * sum(waits), 0
    for bucket, count in enumerate(waits):
        seen += count
        if count and seen >= wanted:
            return float(SHORTEST_S * 10 ** ((bucket + 1) / BUCKETS_PER_DECADE))
    return 0.0


def _check(home: Path, claimed: Sequence[Writer]) -> dict[str, int]:
    """Points that should be there and are not, or that nobody reported; damage of the file.

    The last transaction of a writer that was killed may be written and not acknowledged.
    """
    database = Database.open(home, create=False)
    lost = extra = 0
    for writer in claimed:
        reported = writer.tally.acknowledged
        for came, stored, summed in metrics.count_points(database, writer.run_id).values():
            lost += max(0, reported - stored)
            extra += max(0, stored - reported - 1) + abs(came - stored) + abs(summed - stored)
        for series in metrics.list_series(database, writer.run_id):
            points = metrics.read_points(database, series.id, max_points=10_000_000)
            lost += len(set(range(1, reported + 1)) - set(points.step))
    problems = len(database.problems())
    database.close()
    return {"points_lost": lost, "points_doubled": extra, "integrity_problems": problems}
