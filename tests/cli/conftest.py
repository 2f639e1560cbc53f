"""Command lines in this process, for all tests of commands."""

from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from hdtui.cli.main import run

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command line ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def hdtui(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs a command line as a user would, in this process and without a terminal."""
    monkeypatch.delenv("HDTUI_UNIMAL_DIR", raising=False)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.stdin", StringIO())

    def run_words(*words: str, home: Path) -> Ended:
        monkeypatch.setenv("HDTUI_HOME", str(home))
        code = run(words)
        return Ended(code, *capfd.readouterr())

    return run_words
