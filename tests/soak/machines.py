"""Machines to run the program on: this one, and others that namespaces make of it.

Another machine has a name, process numbers, a boot and an installation of its own, and a clock that
can be set; it shares the disk. All of its processes end with it, as where somebody pulls the plug.
"""

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil

START_S = 30.0
_BOOT_ID, _MACHINE_ID = "/proc/sys/kernel/random/boot_id", "/etc/machine-id"


class Machine:
    """This machine: commands run as they are."""

    name = "this machine"
    variables: Mapping[str, str] = {}
    """What the environment of its commands holds beside that of the person."""

    def command(self, *words: str) -> list[str]:
        """The command that runs the program with these words here."""
        return [sys.executable, "-m", "hdtui", *words]


class OtherMachine(Machine):
    """Another one; it runs from the start, until ``stop``.

    Raises:
        OSError: No namespaces can be made here, which takes root on Linux; or, for a clock that is
            to be set, there is no C compiler.
    """

    def __init__(self, name: str, *, settable_clock: bool = False) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="hdtui-machine-")
        Path(self._folder.name, "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        if settable_clock:
            self._make_clock()
        self._start()

    def command(self, *words: str) -> list[str]:
        """The command that runs the program with these words on that machine."""
        return [*self._there(), *super().command(*words)]

    def enter(self, *command: str) -> None:
        """Run any command on that machine."""
        subprocess.run([*self._there(), *command], check=True, timeout=60)

    def rename(self, name: str) -> None:
        """Give it another name while it works."""
        self.enter("hostname", name)
        self.name = name

    def set_clock(self, ahead_s: int) -> None:
        """Set its wall clock so many seconds ahead of ours; the time of its boot moves with it."""
        folder = Path(self._folder.name)
        with (folder / "clock").open("r+b") as clock:
            clock.write(struct.pack("=q", ahead_s))
        (folder / "stat").write_text(_stat(ahead_s))

    def restart(self) -> None:
        """Everything on it ends at once; then it is there again, after another boot."""
        self._pull_the_plug()
        self._start()

    def stop(self) -> None:
        """End it for good."""
        self._pull_the_plug()
        self._folder.cleanup()

    def _pull_the_plug(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._first, signal.SIGKILL)
        self._process.communicate()

    def _make_clock(self) -> None:
        folder = Path(self._folder.name)
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        compile_it = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(compile_it, check=True, capture_output=True)
        (folder / "clock").write_bytes(bytes(8))
        (folder / "stat").write_text(_stat(0))
        self.variables = {"LD_PRELOAD": str(library), "HDTUI_CLOCK": str(folder / "clock")}

    def _there(self) -> list[str]:
        return ["nsenter", "--target", str(self._first), "--pid", "--uts", "--mount", "--"]

    def _start(self) -> None:
        folder = Path(self._folder.name)
        (folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        ready = folder / "ready"
        ready.unlink(missing_ok=True)
        # The first process of a machine also buries those whose parent is gone; the shell does.
        script = (
            f"hostname {self.name} && mount --bind {folder}/boot_id {_BOOT_ID} &&"
            f" mount --bind {folder}/machine-id {_MACHINE_ID} &&"
            f" {{ [ ! -e {folder}/stat ] || mount --bind {folder}/stat /proc/stat; }} &&"
            f" touch {ready} &&"
            " while sleep 1; do :; done"
        )
        apart = ["--fork", "--kill-child", "--pid", "--mount-proc", "--uts", "--mount"]
        self._process = subprocess.Popen(
            ["unshare", *apart, "bash", "-c", script],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + START_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                said = (self._process.communicate()[1] or b"").decode(errors="replace").strip()
                raise OSError(f"another machine cannot be made of namespaces here: {said}")
            time.sleep(0.05)
        self._first = psutil.Process(self._process.pid).children()[0].pid


def _stat(ahead_s: int) -> str:
    """What the kernel says of the time of its boot, which it reckons from the wall clock."""
    said = Path("/proc/stat").read_text()
    return re.sub(r"btime (\d+)", lambda found: f"btime {int(found[1]) + ahead_s}", said)


def in_private_memory() -> None:
    """Start this script again with a /dev/shm of its own, where that can be had.

    What is left there in the end is this program's then, and nobody else's.
    """
    if os.environ.get("HDTUI_PRIVATE_MEMORY"):
        return
    private = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode == 0:
        os.environ["HDTUI_PRIVATE_MEMORY"] = "yes"
        os.execvp(private[0], [*private, sys.executable, *sys.argv])  # noqa: S606


def environment(**variables: str) -> Mapping[str, str]:
    """That of a person who uses the program."""
    return {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **variables}
