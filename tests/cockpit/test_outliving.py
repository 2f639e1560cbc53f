"""Errors that nobody expected end nothing: the cockpit says so, writes them down, goes on."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import textual.timer
from cockpit_pilot import opened, shows, text, until

from hdtui.app import CockpitApp
from hdtui.data.error_log import Mistakes
from hdtui.screens.run.screen import RunScreen
from hdtui.screens.runs.screen import RunsScreen
from hdtui.widgets.pane import Rule
from hdtui.widgets.table import Column, Table, TableRow

Filled = tuple[Path, dict[str, int]]
pytestmark = pytest.mark.usefixtures("mistakes_are_meant")


def _fail(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("seven by zero")


async def test_a_handler_a_timer_a_thread_and_a_callback_may_fail(filled: Filled) -> None:
    home, _ = filled
    async with opened(home, size=(160, 30)) as pilot:
        app = pilot.app
        await shows(pilot, "waits for")
        failures: tuple[Callable[[], object], ...] = (
            lambda: setattr(app.screen.active, "action_move", _fail),
            lambda: app.set_timer(0.01, _fail),
            lambda: app.run_worker(_fail, thread=True),
            lambda: app.screen.call_later(_fail),
            lambda: app.call_after_refresh(_fail),
        )
        for count, begin in enumerate(failures, start=1):
            begin()
            await pilot.press("j")
            await until(pilot, lambda count=count: app.cockpit.mistakes.count >= count)
            await shows(pilot, "A mistake in hdtui", "seven by zero", "cockpit.log")
        assert "ZeroDivisionError: seven by zero" in (home / "cockpit.log").read_text()
        await pilot.press("2")
        await shows(pilot, "Runs · 13")


async def test_a_widget_that_cannot_be_drawn_says_so_in_its_place_and_does_not_spin(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(filled[0], size=(160, 30)) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        monkeypatch.setattr(Table, "render_line", _fail)
        await pilot.press("j")
        await shows(pilot, "Table cannot be drawn: ZeroDivisionError", "[2 Runs]", "? help")
        await pilot.pause(0.5)
        drawn = pilot.app.cockpit.mistakes.count
        await pilot.pause(0.5)
        assert pilot.app.cockpit.mistakes.count - drawn < 10
        assert len((filled[0] / "cockpit.log").read_text().split("Traceback")) == 2
        monkeypatch.undo()
        await pilot.press("j", "1", "2")
        await shows(pilot, "Runs · 13", "laptop-unimal8-s1")


async def test_a_widget_whose_size_fails_leaves_room_for_the_others(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rule, "get_content_width", _fail)
    monkeypatch.setattr("hdtui.widgets.lines.Lines.get_content_height", _fail)
    async with opened(filled[0]) as pilot:
        await shows(pilot, "[1 Home]", "Active", "? help")
        await pilot.press("2")
        await shows(pilot, "Runs · 13")


async def test_a_screen_that_cannot_be_composed_says_so_and_is_left_again(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(filled[0]) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        monkeypatch.setattr(RunScreen, "compose_body", _fail)
        await pilot.press("enter")
        await shows(pilot, "This screen cannot be shown: ZeroDivisionError")
        await pilot.press("1")
        await shows(pilot, "[1 Home]")


async def test_a_screen_that_cannot_be_made_leaves_the_one_before(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(filled[0]) as pilot:
        await shows(pilot, "waits for")
        monkeypatch.setattr(RunsScreen, "__init__", _fail)
        await pilot.press("2")
        await shows(pilot, "seven by zero")
        await pilot.press("3")
        await shows(pilot, "[3 Robots]")


async def test_a_mistake_under_a_dialog_is_said_below_it(filled: Filled) -> None:
    async with opened(filled[0]) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("s")
        await shows(pilot, "Sort by")
        pilot.app.screen.call_later(_fail)
        await pilot.press("escape")
        await shows(pilot, "seven by zero")


async def test_a_cockpit_that_cannot_begin_ends_with_exit_code_1(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CockpitApp, "on_mount", _fail)
    app = CockpitApp(filled[0])
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            await pilot.pause()
    assert app.return_code == 1


@pytest.mark.usefixtures("mistakes_are_forbidden")
async def test_marks_taken_away_between_two_visits_of_compare_break_nothing(
    filled: Filled,
) -> None:
    async with opened(filled[0]) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("asterisk", "c")
        await shows(pilot, "[5 Compare]", "groups")
        await pilot.press("2", "asterisk", "5")
        await shows(pilot, "Nothing is marked.")


async def test_a_table_draws_rows_columns_and_sentence_of_one_moment(filled: Filled) -> None:
    """Rows of three cells, then of one: at no moment is one drawn with the columns of the other."""
    async with opened(filled[0]) as pilot:
        screen: Any = pilot.app.screen
        three = [Column(name, name, 4) for name in "abc"]
        table, seen = screen.active, []

        def row(num_cells: int) -> Callable[[int], TableRow]:
            def row_of(_: int) -> TableRow:
                seen.append((num_cells, len(table.columns)))
                return TableRow(tuple(() for _ in range(num_cells)))

            return row_of

        table.set_rows([1, 2], row(1), columns=three[:1], empty="none")
        table.set_rows([1], row(3), columns=three, empty="nothing")
        table.set_rows([1, 2], row(1), columns=three[:1], empty="none")
        assert seen
        assert all(cells == columns for cells, columns in seen)


async def test_what_waits_behind_a_mistake_is_called_all_the_same(filled: Filled) -> None:
    async with opened(filled[0]) as pilot:
        called: list[str] = []
        screen = pilot.app.screen
        for wait in (screen.call_next, screen.call_after_refresh, screen.call_later):
            wait(_fail)
            wait(called.append, wait.__name__)
        screen.refresh()
        await until(pilot, lambda: len(called) == 3)


@pytest.mark.usefixtures("mistakes_are_forbidden")
async def test_a_timer_that_begins_while_the_machine_is_busy_rings(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys wait for such timers, and the end of a batch of drawings does."""
    async with opened(filled[0]) as pilot:
        await shows(pilot, "waits for")
        time_of, late = textual.timer._time.get_time, 0.0

        def later() -> float:
            nonlocal late
            late = min(2.0, late + 0.05)  # each step is longer than what is timed here
            return time_of() + late

        monkeypatch.setattr(textual.timer._time, "get_time", later)
        rung: list[int] = []
        for number in range(5):
            pilot.app.set_timer(0.01, partial(rung.append, number))
        await until(pilot, lambda: sorted(rung) == list(range(5)))


def test_a_mistake_that_comes_again_at_once_is_written_once(tmp_path: Path) -> None:
    mistakes = Mistakes(tmp_path)
    for _ in range(100):
        try:
            _fail()
        except ZeroDivisionError as error:
            sentence = mistakes.note("drawing", error)
    assert mistakes.count == 100
    assert (tmp_path / "cockpit.log").read_text().count("Traceback") == 1
    assert sentence.endswith(f"seven by zero. More in {tmp_path / 'cockpit.log'}")


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "missing", "only read"])
def test_a_log_that_is_no_file_of_this_workspace_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    log = home / "cockpit.log"
    if what == "pipe":
        os.mkfifo(log)
    elif what == "link":
        log.symlink_to(elsewhere)
    elif what == "folder":
        log.mkdir()
    elif what == "missing":
        home.rmdir()
    mistakes = Mistakes(home, readonly=what == "only read")
    mistakes.note("drawing", ValueError("x\n\x1b[31m y"))
    assert mistakes.log is not None
    assert mistakes.log.is_relative_to(tmp_path / "state")
    assert not elsewhere.exists()
    assert "\x1b" not in mistakes.sentence("drawing", ValueError("x\n\x1b[31m y"))


async def test_an_answer_from_a_thread_closes_no_other_screen(filled: Filled) -> None:
    async with opened(filled[0]) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("enter")
        await shows(pilot, "Curves")
        left = pilot.app.screen
        await pilot.press("question_mark")
        await until(pilot, lambda: pilot.app.screen is not left)
        left.dismiss()
        await pilot.pause()
        assert "Help" in text(pilot)
        await pilot.press("escape", "escape")
        await shows(pilot, "Runs · 13")
        left.dismiss()
        await pilot.pause()
        await shows(pilot, "Runs · 13")
