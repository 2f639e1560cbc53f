"""However the cockpit ends, the terminal is as it was; two cockpits share a workspace."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from postgresql_server import Server

from db.queries.runs import queue_run
from db.queries.settings import get_setting
from db.records import NewRun, RunKind
from db.session import Database
from hdtui.data.efficiency import SETTING

PATIENCE_S = 120.0
QUIT, CTRL_Z, REDRAW = b"q", b"\x1a", b"\x0c"
MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
OPEN = [sys.executable, "-m", "hdtui"]
BROKEN = """
import pathlib, sys
import hdtui.app
class Broken(hdtui.app.CockpitApp):
    def action_redraw(self):
        raise RuntimeError("broken on purpose")
hdtui.app.CockpitApp = Broken
from hdtui.cli.cockpit import open_cockpit
sys.exit(open_cockpit(pathlib.Path(sys.argv[1])))
"""

FLOODED = """
import pathlib, sys
import hdtui.app
class Flooded(hdtui.app.CockpitApp):
    def on_mount(self):
        self.set_interval(0.01, lambda: [self._driver.write(".") for _ in range(100)])
hdtui.app.CockpitApp = Flooded
hdtui.app.run(pathlib.Path(sys.argv[1]))
"""


class Terminal:
    """A pseudo-terminal with a program in it, and all that the program wrote."""

    def __init__(self, command: list[str], home: Path) -> None:
        self._master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (24, 80))
        self.settings_before = termios.tcgetattr(self._slave)
        self.written = b""
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**os.environ, "TERM": "xterm-256color", "HDTUI_HOME": str(home)},
            start_new_session=True,
        )

    @property
    def settings(self) -> list[object]:
        """Speed, echo, line editing and signals of the terminal."""
        return list(termios.tcgetattr(self._slave))

    @property
    def modes(self) -> dict[int, bool]:
        """Private modes (another screen, cursor, mouse...) as last switched on or off."""
        switched = {}
        for numbers, letter in MODE.findall(self.written):
            for number in numbers.split(b";"):
                switched[int(number)] = letter == b"h"
        return switched

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            self.written += os.read(self._master, 65536)

    def wait_for(self, words: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.written:
            assert time.monotonic() < deadline, self.written[-500:]
            assert self.process.poll() is None, self.written[-500:]
            self.read(0.1)

    def wait_for_end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "the cockpit does not leave"
            self.read(0.1)
        self.read(0.2)
        return self.process.returncode

    @property
    def state(self) -> str:
        """The process's letter in the process table."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2][0]

    def wait_for_state(self, letter: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.state != letter:
            assert time.monotonic() < deadline, self.state
            time.sleep(0.01)

    def set_as_a_shell_does(self) -> None:
        """Give the terminal back the settings of before, and no notice."""
        termios.tcsetattr(self._slave, termios.TCSANOW, self.settings_before)

    def vanish(self) -> None:
        """Close our end, as a dropped connection does; nobody is told."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a run that waits since another boot."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    with closing(Database.open(tmp_path / "home")) as database:
        queue_run(database, NewRun(RunKind.TEACHER, "waits", {}, seed=1), boot_id="before")
    return tmp_path / "home"


@pytest.fixture
def terminal(request: pytest.FixtureRequest, home: Path) -> Iterator[Terminal]:
    """A cockpit that shows its home screen."""
    with closing(Terminal(getattr(request, "param", OPEN), home)) as opened:
        opened.wait_for(b"waits")
        assert opened.settings != opened.settings_before
        assert opened.modes[1049]
        yield opened


def assert_restored(terminal: Terminal) -> None:
    assert terminal.settings == terminal.settings_before
    modes = terminal.modes
    left_on = {mode for mode, on in modes.items() if on} - {25, 7}
    assert left_on == set(), f"modes {sorted(left_on)} are still on"
    assert modes[25], "the cursor is hidden"


def test_leaving_restores_the_terminal_although_threads_are_at_work(terminal: Terminal) -> None:
    terminal.press(b"2")
    terminal.wait_for(b"clone")
    terminal.press(QUIT)
    assert terminal.wait_for_end() == 0
    assert_restored(terminal)


def test_leaving_waits_for_no_child_that_counts(terminal: Terminal, home: Path) -> None:
    terminal.press(b"6")
    terminal.wait_for(b"child")
    counting: list[psutil.Process] = []
    while not counting:
        terminal.read(0.1)
        children = psutil.Process(terminal.process.pid).children()
        counting = [child for child in children if "efficiency" in child.cmdline()]
    terminal.press(QUIT)
    assert terminal.wait_for_end() == 0
    assert_restored(terminal)
    assert not any(child.is_running() for child in counting)
    with closing(Database.open(home, readonly=True)) as database:
        assert get_setting(database, SETTING) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_restores_the_terminal(terminal: Terminal, number: signal.Signals) -> None:
    terminal.process.send_signal(number)
    terminal.wait_for_end()
    assert_restored(terminal)


def test_an_error_is_told_and_the_cockpit_goes_on(home: Path) -> None:
    with closing(Terminal([sys.executable, "-c", BROKEN, str(home)], home)) as terminal:
        terminal.wait_for(b"waits")
        terminal.press(REDRAW)
        terminal.wait_for(b"broken on purpose")
        terminal.press(QUIT)
        assert terminal.wait_for_end() == 0
        assert_restored(terminal)
        assert b"Traceback" not in terminal.written
        assert "broken on purpose" in (home / "cockpit.log").read_text()


def test_an_error_that_lets_nothing_begin_restores_the_terminal_and_is_told(home: Path) -> None:
    broken = BROKEN.replace("action_redraw", "on_mount")
    with closing(Terminal([sys.executable, "-c", broken, str(home)], home)) as terminal:
        assert terminal.wait_for_end() == 1
        assert_restored(terminal)
        assert b"broken on purpose" in terminal.written


@pytest.mark.parametrize("command", [OPEN, [sys.executable, "-c", FLOODED]])
def test_a_cockpit_whose_terminal_vanished_leaves_however_much_it_has_to_say(
    command: list[str], home: Path
) -> None:
    with closing(Terminal([*command, str(home)] if "-c" in command else command, home)) as terminal:
        terminal.wait_for(b"waits")
        terminal.vanish()
        terminal.process.wait(PATIENCE_S)


@pytest.mark.parametrize("way", ["key", "hangup", "vanished"])
def test_a_cockpit_whose_database_says_nothing_leaves(
    way: str,
    tmp_path: Path,
    empty_postgresql: str,
    postgresql_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HDTUI_DATABASE_URL", empty_postgresql)
    with closing(Database.open(tmp_path / "home")) as database:
        queue_run(database, NewRun(RunKind.TEACHER, "waits", {}, seed=1), boot_id="before")
    with closing(Terminal(OPEN, tmp_path / "home")) as terminal:
        terminal.wait_for(b"waits")
        postgresql_server.halt()
        try:
            # Every thread that reads waits for an answer by then.
            for screen in b"234561":
                terminal.press(bytes([screen]))
                terminal.read(0.5)
            if way == "vanished":
                terminal.vanish()
                terminal.process.wait(PATIENCE_S)
                return
            if way == "hangup":
                terminal.process.send_signal(signal.SIGHUP)
            else:
                terminal.press(QUIT)
            assert terminal.wait_for_end() == (1 if way == "hangup" else 0)
            assert_restored(terminal)
        finally:
            postgresql_server.go_on()


def test_a_suspending_key_neither_stops_the_cockpit_nor_spoils_the_terminal(
    terminal: Terminal,
) -> None:
    terminal.press(CTRL_Z)
    for _ in range(5):
        terminal.read(0.1)
    assert terminal.state != "T"
    terminal.press(QUIT)
    assert terminal.wait_for_end() == 0
    assert_restored(terminal)


def test_a_cockpit_that_was_halted_from_outside_goes_on_and_restores_the_terminal(
    terminal: Terminal,
) -> None:
    raw = terminal.settings
    terminal.process.send_signal(signal.SIGSTOP)
    terminal.wait_for_state("T")
    terminal.set_as_a_shell_does()
    terminal.process.send_signal(signal.SIGCONT)
    terminal.press(b"2")
    terminal.wait_for(b"clone")
    assert terminal.settings == raw
    terminal.press(QUIT)
    assert terminal.wait_for_end() == 0
    assert_restored(terminal)


@pytest.mark.slow
def test_a_second_cockpit_on_the_same_workspace_shows_the_same(
    terminal: Terminal, home: Path
) -> None:
    with closing(Terminal(OPEN, home)) as second:
        second.wait_for(b"waits")
        for each in (terminal, second):
            each.press(QUIT)
        for each in (terminal, second):
            assert each.wait_for_end() == 0
            assert_restored(each)
