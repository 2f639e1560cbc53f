"""``hdtui bench cockpit``: how fast the cockpit opens and answers, and what it sends.

A key counts as answered when the first bytes after it arrive; ``key_settled_p95_ms`` is the time to
the last byte of what it caused. Opening ends with the last word of a filled Home. Times are of the
wall clock; those with ``cpu`` in their name are the cockpit's own work up to the same moment, which
a busy machine does not stretch.
"""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db.queries.bulk import write_runs
from db.queries.runs import list_runs
from db.records import Run, RunState
from db.session import Database
from engine.workers.process import start_ticks
from hdtui.bench.pseudo_terminal import Burst, Terminal, braille_cells
from hdtui.bench.workspace import LONG_RUN, play_worker, prepare
from hdtui.demo.live_feed import Feed

Say = Callable[[str], None]
OPENINGS = 5
UNANSWERED_S = 2.0
WINDOW_S = 15.0
KILLS = 5
REPORT_EVERY_S = 1.2
_HOME_WORDS = (
    *("laptop", "teacher", "slots 1 of 2", "physics", "memory", "finished in 20m", "? help"),
)
_LAST_STEP = "8.2G"
_ESCAPE = "\x1b"
_KEYS: tuple[tuple[str, str], ...] = (
    ("Home", "\t\t"),
    ("Home to Runs", "2"),
    ("Runs", "jjjkkG j?"),
    ("Runs", _ESCAPE),
    ("Runs filter", "/kind:teacher return>100 learning_rate>=1e-4 tag:demo\r"),
    ("Runs sort", "svalue_l\r"),
    ("Runs", "Sbbbbbj"),
    ("Runs", _ESCAPE),
    ("Runs to Robots", "3"),
    ("Robots", "jjjk jrddd?"),
    ("Robots", _ESCAPE),
    ("Robots to Compare", "5"),
    ("Compare to Efficiency", "6"),
    ("Efficiency", "vv?"),
    ("Efficiency", _ESCAPE),
    ("Efficiency to Runs", "2"),
    ("Runs sort", "sid\r"),
    ("Runs to Run", "\r"),
    ("Run", "jkjxgggmmmmoo"),
    ("Run's tabs", "]]]]]]"),
    ("Run to Runs", _ESCAPE),
    ("Runs to Home", "1"),
    ("Home to form", "n"),
    ("Form", "jjjkk"),
    ("Form to Home", _ESCAPE),
    ("Home to palette", "\x10"),
    ("Palette", "bench-9"),
    ("Palette to Home", _ESCAPE),
)
_NAMES = {_ESCAPE: "esc", "\r": "enter", " ": "space", "\t": "tab", "\x10": "ctrl+p"}


@dataclass(frozen=True)
class Answered:
    """A key: seconds to the first and to the last byte it caused, and CPU seconds to the first."""

    name: str
    first_s: float
    last_s: float
    cpu_s: float


def measure(home: Path, say: Say) -> dict[str, Any]:
    """All figures, on the workspace in ``home``, which is made where it is missing."""
    prepare(home, say)
    load = os.getloadavg()[0]
    say(f"Opening the cockpit {OPENINGS} times ...")
    opened = [_open_once(home) for _ in range(OPENINGS)]
    say(f"Pressing {sum(len(keys) for _, keys in _KEYS)} keys ...")
    keys = _answer_times(home)
    say("Drawing the long curve ...")
    curve_s, curve_cpu_s = _curve_time(home)
    say(f"Counting bytes, {WINDOW_S:.0f} s each on Home, beside a live curve, watching a robot ...")
    say(f"Then killing a worker {KILLS} times ...")
    return {
        "open_s": statistics.median(wall_s for wall_s, _ in opened),
        "open_cpu_s": statistics.median(cpu_s for _, cpu_s in opened),
        **_key_figures(keys),
        "curve_ms": None if curve_s is None else 1e3 * curve_s,
        "curve_cpu_ms": 1e3 * curve_cpu_s,
        **_rates(home, say),
        "lost_s": _lost_time(home, say),
        "load_before": load,
        "cores": os.cpu_count(),
    }


def _key_figures(keys: Sequence[Answered]) -> dict[str, Any]:
    slowest = sorted(keys, key=lambda key: -key.first_s)[:5]
    return {
        "key_p95_ms": _percentile([key.first_s for key in keys], 0.95),
        "key_p50_ms": _percentile([key.first_s for key in keys], 0.5),
        "key_settled_p95_ms": _percentile([key.last_s for key in keys], 0.95),
        "key_cpu_p95_ms": _percentile([key.cpu_s for key in keys], 0.95),
        "keys": len(keys),
        "unanswered_keys": ", ".join(key.name for key in keys if key.first_s >= UNANSWERED_S),
        "slowest_keys": ", ".join(f"{key.name} {1e3 * key.first_s:.0f} ms" for key in slowest),
    }


def _percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _opened(home: Path) -> Terminal:
    terminal = Terminal(home)
    terminal.wait_for(_HOME_WORDS)
    terminal.settle(0.5)
    return terminal


def _open_once(home: Path) -> tuple[float, float]:
    terminal = Terminal(home)
    full_at = terminal.wait_for(_HOME_WORDS)
    cpu_s = terminal.cpu_s()
    terminal.settle(0.5)
    terminal.close()
    return float("inf") if full_at is None else full_at - terminal.started_at, cpu_s


def _answer_times(home: Path) -> list[Answered]:
    terminal = _opened(home)
    answers = []
    for where, keys in _KEYS:
        for key in keys:
            terminal.settle()
            cpu_s = terminal.cpu_s()
            pressed_at = terminal.press(key)
            data = terminal.read(UNANSWERED_S)
            first_s = time.perf_counter() - pressed_at if data else UNANSWERED_S
            cpu_s = terminal.cpu_s() - cpu_s
            last_s = first_s
            while terminal.read(0.1) and last_s < UNANSWERED_S:
                last_s = time.perf_counter() - pressed_at
            answers.append(Answered(f"{where}: {_NAMES.get(key, key)}", first_s, last_s, cpu_s))
    terminal.close()
    return answers


def _curve_time(home: Path) -> tuple[float | None, float]:
    """Seconds from the key that asks for a curve of a million points to its picture; CPU seconds.

    The picture is there when braille and the curve's last step were written.
    """
    terminal = _opened(home)
    _open_run(terminal, below_newest=0)
    cpu_s = terminal.cpu_s()
    pressed_at = terminal.press("j")
    drawn_at = terminal.wait_for((_LAST_STEP,), 5 * UNANSWERED_S, num_braille=20)
    cpu_s = terminal.cpu_s() - cpu_s
    terminal.close()
    return None if drawn_at is None else drawn_at - pressed_at, cpu_s


def _open_run(terminal: Terminal, below_newest: int) -> None:
    """Go to the curves of one of the newest runs; the list shows them first."""
    terminal.press("2")
    terminal.wait_for((f"bench-{LONG_RUN}",))
    for _ in range(below_newest):
        terminal.settle(0.5)
        terminal.press("j")
    terminal.settle(1.0)
    terminal.press("\r")
    terminal.wait_for(("this run",))
    terminal.settle(1.0)


def _rates(home: Path, say: Say) -> dict[str, float]:
    """Bytes a second on Home with a worker at work, beside its curve, and watching a robot."""
    prepare(home, say)
    feed = Feed(home, REPORT_EVERY_S)
    feed.start()
    terminal = _opened(home)
    terminal.read_for(3.0)
    cpu_s = terminal.cpu_s()
    idle = terminal.bursts(WINDOW_S)
    idle_cpu = (terminal.cpu_s() - cpu_s) / WINDOW_S
    _open_run(terminal, below_newest=1)
    terminal.read_for(5.0)
    live = terminal.bursts(WINDOW_S)
    feed.stop()
    terminal.press("4")
    terminal.read_for(4.0)
    watched = terminal.bursts(WINDOW_S)
    terminal.close()
    pictures = sum(1 for burst in watched if braille_cells(burst.data))
    return {
        "idle_bytes_per_s": _bytes_per_s(idle),
        "idle_cpu_share": idle_cpu,
        "live_bytes_per_s": _bytes_per_s(live),
        "live_longest_wait_s": _longest_wait(live),
        "watch_bytes_per_s": _bytes_per_s(watched),
        "watch_frames_per_s": pictures / WINDOW_S,
    }


def _lost_time(home: Path, say: Say) -> float:
    """The longest of some times from the kill -9 of a worker until the open cockpit says lost."""
    prepare(home, say)
    database = Database.open(home)
    (run,) = [run for run in list_runs(database, states=[RunState.RUNNING]) if run.pid]
    waits = []
    try:
        for _ in range(KILLS):
            with play_worker(home, run.id) as worker:
                reported = {"reported_at": datetime.now(UTC), "pid": worker.pid}
                ticks = start_ticks(worker.pid)
                _write(database, replace(run, pid_ticks=ticks, **reported))  # type: ignore[arg-type]
                terminal = _opened(home)
                worker.kill()
                killed_at = time.perf_counter()
                worker.wait()
                lost_at = terminal.wait_for((f"† {run.id}",))
                terminal.close()
            waits.append(float("inf") if lost_at is None else lost_at - killed_at)
    finally:
        _write(database, run)
        database.close()
    return max(waits)


def _write(database: Database, run: Run) -> None:
    with database.write() as session:
        write_runs(session, [run])


def _bytes_per_s(bursts: Sequence[Burst]) -> float:
    return sum(len(burst.data) for burst in bursts) / WINDOW_S


def _longest_wait(bursts: Sequence[Burst]) -> float:
    """The longest time in which no cell of the curve was sent."""
    times = [burst.at_s for burst in bursts if braille_cells(burst.data)]
    edges = [0.0, *times, WINDOW_S]
    return max(later - earlier for earlier, later in itertools.pairwise(edges))
