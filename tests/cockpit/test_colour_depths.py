"""What reaches a terminal of each colour depth, on a real pseudo-terminal."""

import re
from pathlib import Path

import pytest

from db.queries.settings import set_setting
from db.session import Database
from hdtui.bench.pseudo_terminal import Terminal, plain

Filled = tuple[Path, dict[str, int]]
SGR = re.compile(rb"\x1b\[([0-9;]*)m")


def colours(home: Path, theme: str, environment: dict[str, str]) -> set[str]:
    """Kinds of colour codes that Home sends: 16, 256, true."""
    database = Database.open(home)
    set_setting(database, "cockpit", {"theme": theme})
    database.close()
    terminal = Terminal(home, environment)
    data = b""
    while "Machine" not in plain(data):
        chunk = terminal.read(20)
        assert chunk, plain(data)
        data += chunk
    data += terminal.settle(0.5)
    terminal.close()
    return {kind for codes in SGR.findall(data) for kind in _kinds(codes.decode())}


def _kinds(codes: str) -> set[str]:
    kinds = set()
    if re.search(r"[34]8;2;", codes):
        kinds.add("true")
    if re.search(r"[34]8;5;", codes):
        kinds.add("256")
    if any(re.fullmatch(r"[349][0-7]|10[0-7]", code) for code in codes.split(";")[:1]):
        kinds.add("16")
    return kinds


def test_no_color_sends_no_colour(filled: Filled) -> None:
    environment = {"NO_COLOR": "1", "COLORTERM": "truecolor"}
    assert colours(filled[0], "dark", environment) == set()


@pytest.mark.slow
def test_the_terminal_theme_sends_sixteen_colours_at_most(filled: Filled) -> None:
    assert colours(filled[0], "terminal", {"COLORTERM": "truecolor"}) <= {"16"}


@pytest.mark.slow
def test_a_256_colour_terminal_gets_no_true_colour(filled: Filled) -> None:
    found = colours(filled[0], "dark", {"TERM": "xterm-256color", "COLORTERM": ""})
    assert "256" in found
    assert "true" not in found


@pytest.mark.slow
def test_a_16_colour_terminal_gets_no_more(filled: Filled) -> None:
    environment = {"TERM": "xterm-16color", "COLORTERM": "", "TEXTUAL_COLOR_SYSTEM": "standard"}
    assert colours(filled[0], "dark", environment) == {"16"}


@pytest.mark.slow
def test_a_true_colour_terminal_gets_the_theme_s_own_colours(filled: Filled) -> None:
    assert "true" in colours(filled[0], "dark", {"COLORTERM": "truecolor"})
