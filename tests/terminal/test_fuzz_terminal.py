"""Random keys, odd bytes and sizes through a real terminal: it lives, and leaves with ``q``."""

import os
import random
import signal
from pathlib import Path

import pytest
import workspace
from pseudo_terminal import KEYS, Cockpit

ODD = (
    *(b"\xe9", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\x00", b"\x1b[M\x20\xe8\x30"),
    *(b"\x1b[1;", b"\x1b[", b"\x1bO", b"\x1b]11;rgb:00/11/22\x1b\\", b"\x1bP>|x\x1b\\"),
    *(b"\x1b[200~1q\x1b[3~", b"\x1b[<0;5;5M", b"\x1b[O", b"\x1b[I", b"\x1b[?62;1c"),
)
LETTERS = "12345671234jkjkcbxgmopsSvnewty/?[]+-0fdru:.,*XRDACEWZ "


def _alive(cockpit: Cockpit) -> None:
    assert cockpit.process.poll() is None, cockpit.text


def test_the_size_is_the_terminals_whatever_a_shell_exported(tmp_path: Path) -> None:
    with Cockpit(tmp_path, (120, 40), COLUMNS="80", LINES="24") as cockpit:
        cockpit.shows("Welcome")
        assert max(len(line.rstrip()) for line in cockpit.text.splitlines()) > 100
        cockpit.resize(50, 15)
        cockpit.shows("hdtui needs 60x18", "this is 50x15")
        cockpit.leave()


@pytest.mark.slow
def test_odd_bytes_and_small_terminals_leave_every_key_as_it_was(tmp_path: Path) -> None:
    workspace.fill(tmp_path)
    with Cockpit(tmp_path, (120, 40)) as cockpit:
        cockpit.shows("Home]", "? help")
        for odd in ODD:
            os.write(cockpit._master, odd)
            cockpit.pump(0.4)
            cockpit.press("2")
            cockpit.shows("[2 Runs]")
            cockpit.resize(50, 15)
            cockpit.shows("hdtui needs 60x18")
            cockpit.resize(120, 40)
            cockpit.press("1")
            cockpit.shows("[1 Home]")
        cockpit.leave()
        assert cockpit.process.returncode == 0
        assert b"Traceback" not in cockpit.written
    assert not (tmp_path / "cockpit.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_bytes_and_sizes_are_survived(tmp_path: Path, seed: int) -> None:
    workspace.fill(tmp_path)
    draw = random.Random(seed)
    with Cockpit(tmp_path, (100, 30)) as cockpit:
        cockpit.shows("Home]", "? help")
        for _ in range(150):
            what = draw.random()
            if what < 0.2:
                os.write(cockpit._master, draw.choice(ODD))
                cockpit.pump(0.05)
            elif what < 0.35:
                cockpit.resize(draw.randint(1, 200), draw.randint(1, 60))
            elif what < 0.55:
                cockpit.press(draw.choice([key for key in KEYS if not key.startswith("ctrl+c")]))
            else:
                cockpit.press(draw.choice(LETTERS))
            _alive(cockpit)
        cockpit.resize(120, 40)
        cockpit.pump(0.5)
        for _ in range(8):  # out of forms and fields
            cockpit.press("escape")
        cockpit.leave()
        assert cockpit.process.returncode == 0, cockpit.text
    log = tmp_path / "cockpit.log"
    assert not log.exists(), log.read_text()


def test_a_terminal_that_hangs_up_ends_the_cockpit_with_1(tmp_path: Path) -> None:
    workspace.fill(tmp_path)
    with Cockpit(tmp_path) as cockpit:
        cockpit.shows("Home]", "? help")
        cockpit.process.send_signal(signal.SIGHUP)
        assert cockpit.process.wait(60) == 1
