"""The processes that a disturbed workspace's program started, wherever they went since.

All of them carry a mark in their environment, which they hand on.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "HDTUI_DISTURBED"
_STATE, _START_TICKS = 0, 19
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True)
class Process:
    """A living process: what it is (worker, supervisor, cockpit, command or child)."""

    pid: int
    ticks: int
    kind: str
    words: tuple[str, ...]

    @property
    def descriptors(self) -> int:
        """How many files it has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    @property
    def memory_bytes(self) -> int:
        """What of its memory is in the machine's."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
        return uptime_s - self.ticks / os.sysconf("SC_CLK_TCK")


def processes(mark: str) -> list[Process]:
    """Those that carry the mark; zombies are none."""
    return list(_found(mark))


def _found(mark: str) -> Iterator[Process]:
    wanted = f"{MARK}={mark}\0".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted not in (entry / "environ").read_bytes():
                continue
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if not words or fields[_STATE] in "ZX":
                continue
            pid = int(entry.name)
            kind = _kind(words, leads=os.getsid(pid) == pid)
        except OSError:
            continue  # it ended meanwhile, or is nobody of ours
        yield Process(pid, int(fields[_START_TICKS]), kind, tuple(words))


def _kind(words: list[str], *, leads: bool) -> str:
    if "engine.workers" in words:
        role = words[words.index("engine.workers") + 1]
        if role == "supervisor":
            return "supervisor"
        return "worker" if leads else "child"
    if words[-2:] == ["-m", "hdtui"]:
        return "cockpit" if leads else "child"
    return "command" if words[1:3] == ["-m", "hdtui"] or words[0] == "nsenter" else "child"


def semaphores() -> set[str]:
    """Names in shared memory that outlive their processes unless somebody removes them."""
    names = {path.name for path in SHARED_MEMORY.iterdir()}
    return {name for name in names if not name.startswith("PostgreSQL")}


def partial_files(folder: Path) -> list[str]:
    """Files that somebody began to write and did not live to complete."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.tmp"))
