"""What became of a worker that left no exit record, in one sentence."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from db.records import Run, RunKind, RunState
from engine.files import open_file
from engine.text import printable

TAIL_BYTES = 4096
LAST_LINE_LENGTH = 200


@dataclass(frozen=True)
class PostMortem:
    """How an attempt ended."""

    state: RunState
    reason: str
    exit_code: int | None = None


BY_ROBOT = (RunKind.COLLECTION, RunKind.EVALUATION, RunKind.DEPLOYMENT)
"""What writes no checkpoints: whatever its end, the robots that are finished are kept."""
EXIT_UNWRITTEN = 5
"""A worker leaves with it when the workspace takes no record of its end."""
EXIT_DIVERGED = 7
"""A worker leaves with it when its training diverged, which it would do again: seeds are fixed."""
_UNWRITTEN = "the workspace took no writing, often a full disk; free some space, then resume"
_QUIET = re.compile(r"^[\d-]+ [\d:]+ (DEBUG|INFO) ")
"""How a line of a log begins that tells of no trouble."""
_WHY_KILLED = {
    None: "; often that is want of memory",
    False: "; not by the kernel for want of memory",
    True: "; the kernel killed for want of memory then: fewer simulations or processes need less",
}
INTERRUPTED = PostMortem(RunState.INTERRUPTED, "the machine restarted")
STRANGER = PostMortem(
    RunState.LOST,
    "the process it names does not work on it: the workspace is a copy, or was moved or changed",
)


def has_diverged(run: Run) -> bool:
    """Whether the run's last attempt ended because training diverged."""
    return run.exit_code == EXIT_DIVERGED


def how_it_ended(
    run: Run, code: int | None, last_words: str = "", memory_short: bool | None = None
) -> PostMortem:
    """Judge by how the process ended; ``code`` as subprocess gives it, None where nobody knows.

    ``memory_short`` says whether the kernel killed for want of memory just then, if it counts.
    """
    if run.state is RunState.STOPPING and (code is None or code < 0):
        kept = "checkpoint kept" if run.checkpoint_step is not None else "no checkpoint"
        return PostMortem(RunState.STOPPED, f"killed, {kept}", code)
    if code is None:
        trouble = last_words and not _QUIET.search(last_words)
        words = f"; its log ends: {last_words}" if trouble else ""
        return PostMortem(
            RunState.LOST, f"process {run.pid} is gone and left no exit record{words}"
        )
    if code < 0:
        number = signal.Signals(-code)
        reason = f"process {run.pid} was ended by {number.name} and left no exit record"
        if number is signal.SIGKILL:
            reason += _WHY_KILLED[memory_short]
        return PostMortem(RunState.LOST, reason, 128 - code)
    if code == EXIT_UNWRITTEN:
        reason = f"process {run.pid} could not write down how it ended: {_UNWRITTEN}"
        return PostMortem(RunState.FAILED, reason, code)
    words = f": {last_words}" if last_words else ", its log is empty"
    return PostMortem(RunState.FAILED, f"process {run.pid} left with exit code {code}{words}", code)


def last_line(log: Path) -> str:
    """The last line of a log that says anything, safe to show."""
    try:
        with open_file(log) as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = text.splitlines()
    if len(lines) > 1 and not text.endswith("\n"):
        del lines[-1]  # a full disk cut it off, and the one before says so
    said = [line.strip() for line in lines if line.strip()]
    return printable(said[-1], LAST_LINE_LENGTH) if said else ""
