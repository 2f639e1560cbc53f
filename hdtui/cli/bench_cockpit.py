"""``hdtui bench cockpit``: how fast the cockpit opens and answers, and what it sends.

A key counts as answered when the first bytes after it arrive; ``key_settled_p95_ms`` is the time to
the last byte of what it caused. Opening ends with the last word of a filled Home.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hdtui.cli.terminal import Terminal, plain
from hdtui.services.demo.crowd import LONG_RUN, prepare
from hdtui.services.demo.feed import Feed

OPENINGS = 3
UNANSWERED_S = 2.0
WINDOW_S = 12.0
_HOME_WORDS = ("Pipeline", "teacher", "Machine", "Events", "? help")
_ESCAPE = "\x1b"
_KEYS: tuple[tuple[str, str], ...] = (
    ("Home", "\t\t"),
    ("Home to Runs", "2"),
    ("Runs", "jjjkk js?"),
    ("Runs", _ESCAPE),
    ("Runs to Robots", "3"),
    ("Robots", "jjjk jrddd?"),
    ("Robots", _ESCAPE),
    ("Robots to Compare", "5"),
    ("Compare to Efficiency", "6"),
    ("Efficiency", "vv?"),
    ("Efficiency", _ESCAPE),
    ("Efficiency to Runs", "2"),
    ("Runs to Run", "\r"),
    ("Run", "jkjxgggmmmmoo"),
    ("Run's tabs", "]]]]]]"),
    ("Run to Runs", _ESCAPE),
    ("Runs to Home", "1"),
    ("Home to form", "n"),
    ("Form", "jjjkk"),
    ("Form to Home", _ESCAPE),
)


def measure(home: Path) -> dict[str, Any]:
    """All figures, on the workspace in ``home``, which is made where it is missing."""
    prepare(home)
    opened = [_open_once(home) for _ in range(OPENINGS)]
    answers = _answer_times(home)
    answered = sorted(first_s for _, first_s, _ in answers)
    settled = sorted(last_s for _, _, last_s in answers)
    unanswered = [name for name, first_s, _ in answers if first_s >= UNANSWERED_S]
    slowest = max(answers, key=lambda answer: answer[1])
    curve_s = _curve_time(home)
    return {
        "open_s": statistics.median(opened),
        "key_p95_ms": 1e3 * _percentile(answered, 0.95),
        "key_p50_ms": 1e3 * _percentile(answered, 0.5),
        "key_settled_p95_ms": 1e3 * _percentile(settled, 0.95),
        "keys": len(answers),
        "unanswered_keys": ", ".join(unanswered),
        "slowest_key": f"{slowest[0]}, {1e3 * slowest[1]:.0f} ms",
        "curve_ms": None if curve_s is None else 1e3 * curve_s,
        **_rates(home),
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _opened(home: Path) -> Terminal:
    terminal = Terminal(home)
    terminal.wait_for(_HOME_WORDS)
    terminal.settle(0.5)
    return terminal


def _open_once(home: Path) -> float:
    terminal = Terminal(home)
    full_at = terminal.wait_for(_HOME_WORDS)
    terminal.settle(0.5)
    terminal.close()
    return float("inf") if full_at is None else full_at - terminal.started_at


def _answer_times(home: Path) -> list[tuple[str, float, float]]:
    """Per key: where it was pressed, seconds to the first and to the last byte it caused."""
    terminal = _opened(home)
    times = []
    for where, keys in _KEYS:
        for key in keys:
            terminal.settle()
            pressed_at = terminal.press(key)
            data = terminal.read(UNANSWERED_S)
            first_s = time.perf_counter() - pressed_at if data else UNANSWERED_S
            last_s = first_s
            while terminal.read(0.1) and last_s < UNANSWERED_S:
                last_s = time.perf_counter() - pressed_at
            name = {_ESCAPE: "esc", "\r": "enter", " ": "space", "\t": "tab"}.get(key, key)
            times.append((f"{where}: {name}", first_s, last_s))
    terminal.close()
    return times


def _curve_time(home: Path) -> float | None:
    """Seconds from the key that asks for a curve of a million points to its picture."""
    terminal = _opened(home)
    _open_run(terminal, below_newest=0)
    pressed_at = terminal.press("j")
    drawn_s = None
    found = b""
    while drawn_s is None and time.perf_counter() - pressed_at < UNANSWERED_S * 5:
        found += terminal.read(0.5)
        if sum("\u2801" <= letter <= "\u28ff" for letter in plain(found)) >= 20:
            drawn_s = time.perf_counter() - pressed_at
    terminal.close()
    return drawn_s


def _open_run(terminal: Terminal, below_newest: int) -> None:
    """Go to the curves of one of the newest runs; the list shows them first."""
    terminal.press("2")
    terminal.wait_for((f"bench-{LONG_RUN}",))
    for _ in range(below_newest):
        terminal.settle(0.5)
        terminal.press("j")
    terminal.settle(1.0)
    terminal.press("\r")
    terminal.wait_for(("Values at",))
    terminal.settle(1.0)


def _rates(home: Path) -> dict[str, float]:
    """Bytes a second on Home with a worker at work, beside its curve, and watching a robot."""
    prepare(home)
    feed = Feed(home)
    feed.start()
    terminal = _opened(home)
    terminal.read_for(3.0)
    rates = {"idle_bytes_per_s": len(terminal.read_for(WINDOW_S)) / WINDOW_S}
    _open_run(terminal, below_newest=1)
    terminal.read_for(6.0)
    rates["live_bytes_per_s"] = len(terminal.read_for(WINDOW_S)) / WINDOW_S
    feed.stop()
    terminal.press("4")
    terminal.read_for(4.0)
    rates["watch_bytes_per_s"] = len(terminal.read_for(WINDOW_S)) / WINDOW_S
    terminal.close()
    return rates
