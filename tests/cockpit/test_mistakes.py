"""An error that nobody expected: the cockpit goes on, says so and writes it down."""

from pathlib import Path
from typing import Any

import pytest
from cockpit_pilot import opened, shows

Filled = tuple[Path, dict[str, int]]


def _fail(_: Any) -> None:
    raise ZeroDivisionError("seven by zero")


@pytest.mark.usefixtures("mistakes_are_meant")
async def test_a_mistake_while_reading_is_told_and_logged_and_the_cockpit_goes_on(
    filled: Filled,
) -> None:
    home, _ = filled
    async with opened(home, size=(160, 30)) as pilot:
        await shows(pilot, "waits for")
        pilot.app.screen.ask(_fail, pilot.app.screen.say)
        await shows(pilot, "A mistake in hdtui while reading Home: ZeroDivisionError")
        assert "seven by zero" in (home / "cockpit.log").read_text()
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
