"""A PostgreSQL server of our own, on a socket in a temporary folder, that may end and come back."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


def server_tools() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None where PostgreSQL is not installed."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """It runs from the start until ``stop``, and again from ``start`` on.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """

    def __init__(self) -> None:
        tools = server_tools()
        if tools is None:
            raise FileNotFoundError("PostgreSQL is not installed")
        self._tools = tools
        # The server refuses to be root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self._folder = tempfile.TemporaryDirectory(prefix="hdtui-pg-")
        if self._user:
            shutil.chown(self._folder.name, "postgres")
        self._data = f"{self._folder.name}/data"
        self.url = f"postgresql+psycopg://hdtui@/postgres?host={self._folder.name}"
        initdb = [*self._user, tools / "initdb", "-D", self._data]
        _run_quietly([*initdb, "-U", "hdtui", "-A", "trust", "-N"])
        self.start()

    def start(self) -> None:
        """Start it; it takes connections when this returns."""
        folder = self._folder.name
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        self._control("-l", f"{folder}/log", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        """End it: ``immediate`` is as if it were killed."""
        self._control("-m", how, "stop")

    def halt(self) -> None:
        """Have it say nothing from now on, as a machine that hangs: nobody is refused either."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        first = psutil.Process(int(Path(self._data, "postmaster.pid").read_text().split()[0]))
        for process in (first, *first.children()):
            process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _control(self, *words: str) -> None:
        _run_quietly([*self._user, self._tools / "pg_ctl", "-D", self._data, "-w", *words])


def _run_quietly(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
