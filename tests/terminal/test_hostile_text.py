"""Names, logs and settings from outside are shown as they are and never drawn with."""

import unicodedata
from pathlib import Path
from typing import Any

import hostile_workspace
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pseudo_terminal import Cockpit
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from hdtui.app import CockpitApp
from hdtui.terminal.sanitizer import DrawnText

TABS = ("[Curves]", "[Robots]", "[Config]", "[Log]", "[Files]", "[Lineage]")
SCREENS = {
    "2": "[2 Runs]",
    "3": "[3 Robots]",
    "4": "[4 Watch]",
    "5": "[5 Compare]",
    "6": "[6 ",
    "7": "[7 ",
}
HIDDEN = {"Cc", "Cf", "Cs"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    hostile_workspace.fill(tmp_path / "home")
    return tmp_path / "home"


def text(pilot: Any) -> str:
    """What the terminal shows."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


async def shows(pilot: Any, *words: str) -> str:
    """Wait for words; nothing on the screen may be a character that draws."""
    for _ in range(1500):
        shown = text(pilot)
        if all(word in shown for word in words):
            hidden = {letter for letter in shown if unicodedata.category(letter) in HIDDEN}
            assert hidden <= {"\n"}, hidden
            return shown
        await pilot.pause(0.02)
    raise AssertionError(f"{words} never came true on:\n{text(pilot)}")


async def test_markup_is_shown_and_not_obeyed_on_every_screen(home: Path) -> None:
    app = CockpitApp(home)
    async with app.run_test(size=(160, 48)) as pilot:
        await shows(pilot, "[1 Home]", "[red]m[/]")
        await pilot.press("2")
        await shows(pilot, "[2 Runs]", "[red]m[/]")
        await pilot.press("enter")
        await shows(pilot, TABS[0], "[red]m[/]")
        for tab in TABS[1:]:
            await pilot.press("right_square_bracket")
            shown = await shows(pilot, tab)
            if tab in ("[Config]", "[Log]"):
                assert "[red]m[/]" in shown or await shows(pilot, tab, "[red]m[/]")
        await pilot.press("escape")
        for key, title in SCREENS.items():
            await pilot.press(key)
            await shows(pilot, title)
            if key == "3":
                await shows(pilot, "[red]m[/]")
        await pilot.press("ctrl+p", *"[red]")
        await pilot.pause(0.2)
        await pilot.press("escape")
    assert app.return_code in (0, None)


@pytest.mark.slow
def test_not_one_planted_escape_reaches_the_terminal(home: Path) -> None:
    with Cockpit(home, size=(120, 40)) as cockpit:
        cockpit.shows("[1 Home]", "[red]m[/]")
        for key, title in SCREENS.items():
            cockpit.press(key)
            cockpit.shows(title)
            cockpit.pump(0.5)
        cockpit.press("2")
        cockpit.shows("[2 Runs]", "[red]m[/]")
        cockpit.press("enter")
        cockpit.shows(TABS[0])
        for tab in TABS[1:]:
            cockpit.press("]")
            cockpit.shows(tab)
            cockpit.pump(0.5)
        for planted in hostile_workspace.FORBIDDEN:
            assert planted not in cockpit.written, planted
    outside = [path.name for path in home.parent.iterdir()]
    assert outside == ["home"]


@given(st.text(alphabet=st.characters(), max_size=30))
def test_drawn_text_keeps_its_width_and_holds_nothing_that_a_terminal_obeys(words: str) -> None:
    drawn = "".join(each.text for each in DrawnText().apply([Segment(words)], Color(0, 0, 0)))
    assert cell_len(drawn) == cell_len(words)
    assert all(unicodedata.category(letter) not in ("Cc", "Cs") for letter in drawn)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200f\u061c") & set(drawn)
    drawn.encode()


def test_text_that_draws_nothing_is_left_as_it_is() -> None:
    segments = [Segment("│ é 👩\u200d💻 x")]
    assert DrawnText().apply(segments, Color(0, 0, 0)) == segments
