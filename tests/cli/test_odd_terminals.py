"""Terminals of other encodings, dumb ones, closed streams, keys pressed too early."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from hdtui.cli import cockpit
from hdtui.cli.main import run
from hdtui.cli.output import print_table, replace_what_cannot_be_written
from hdtui.terminal.sanitizer import DrawnText

HDTUI = f"{sys.executable} -P -m hdtui"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("latin-1", "caf\xe9 ± · 216 ... -> *"),
        ("ascii", "caf? +- . 216 ... -> *"),
        ("utf-8", "café ± · 216 … → ⣿"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_letters(
    monkeypatch: pytest.MonkeyPatch, encoding: str, written: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    replace_what_cannot_be_written()
    sys.stdout.write("café ± · 216 … → ⣿\n")
    print_table(["a long heading"], [["a long line that is cut"]], max_width=10)
    sys.stdout.flush()
    lines = raw.getvalue().decode(encoding).splitlines()
    assert lines[0] == written
    assert lines[1] == ("a long he…" if encoding == "utf-8" else "a long he...")


def test_the_cockpit_sends_as_many_letters_as_cells_to_a_terminal_that_is_no_utf_8() -> None:
    text = "─ ✓ · é … ± ⣿ 好 x"
    segments = [Segment(text), Segment("\x1b[1m", None, [(1,)])]  # type: ignore[list-item]
    drawn = DrawnText("latin-1").apply(segments, Color(0, 0, 0))
    assert drawn[0].text == "- + · é . ± * ?? x"
    assert drawn[0].cell_length == Segment(text).cell_length
    assert drawn[1] is segments[1], "control sequences are the program's own"
    assert DrawnText("utf-8").apply(segments[:1], Color(0, 0, 0))[0].text == text


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_the_cockpit_says_what_a_dumb_terminal_cannot(
    term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TERM", term)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert cockpit.open_cockpit(tmp_path) == 2
    assert run(["--demo"]) == 2
    said = capsys.readouterr().err
    assert said.count(f"TERM={term}") == 2
    assert "Traceback" not in said


def test_closed_streams_are_one_sentence_or_silence(tmp_path: Path) -> None:
    def shell(words: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "HDTUI_HOME": str(tmp_path / "ws")}
        return subprocess.run(
            ["sh", "-c", f"{HDTUI} {words}"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    for words, code, said in (
        ("<&-", 2, "the cockpit needs a terminal"),
        ("runs list --json >&-", 1, "the output cannot be written: Bad file descriptor"),
        ("runs list --json <&-", 0, ""),
        ("runs show 7 2>&-", 1, ""),
        ("<&- >&- 2>&-", 2, ""),
    ):
        done = shell(words)
        assert done.returncode == code, (words, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def test_an_interrupt_while_modules_are_loaded_leaves_quietly(tmp_path: Path) -> None:
    # The program says when it may be interrupted: before, Python itself is still starting.
    script = (
        "import _signal as signal, hdtui.__main__ as program\n"
        "def tell(*words):\n"
        "    set_handler(*words)\n"
        "    signal.signal = set_handler\n"
        "    print('ready', flush=True)\n"
        "set_handler, signal.signal = signal.signal, tell\n"
        "program.main()\n"
    )
    for delay_s in (0.0, 0.05, 0.2):
        with subprocess.Popen(
            [sys.executable, "-P", "-c", script, "runs", "list", "--home", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(delay_s)
            child.send_signal(signal.SIGINT)
            _, said = child.communicate()
            assert child.returncode in (130, 0)  # 0: it was quicker
            assert not said


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "note", "1", "--note", "caf\udce9"],
        ["teach", "--name", "caf\udce9"],
        ["robots", "show", "caf\udce9"],
        ["robots", "list", "caf\udce9"],
        ["deploy", "1", "--robot", "caf\udce9"],
        ["runs", "list", "--home", "caf\udce9"],
        ["caf\udce9"],
        ["teach", "--set", "task.name=\udcff"],
    ],
)
def test_words_that_are_no_text_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert "is no utf-8 text; nothing was done" in said.err
    assert not said.out


def test_a_terminal_that_does_not_know_its_size_shows_a_quiet_cockpit(tmp_path: Path) -> None:
    ours, theirs = os.openpty()  # such a terminal is 0x0
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "hdtui", "--home", str(tmp_path / "ws")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    ) as child:
        os.close(theirs)
        sent = b""
        while b"quick" not in sent:
            sent += os.read(ours, 65536)
            assert len(sent) < 500_000
        os.write(ours, b"q")
        while True:
            try:
                sent += os.read(ours, 65536)
            except OSError:  # it has left
                break
            assert len(sent) < 500_000
    os.close(ours)
    assert child.returncode == 0
