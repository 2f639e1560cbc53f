"""What was opened in a cockpit and left takes no memory any more."""

import gc
import weakref
from pathlib import Path
from typing import Any

from cockpit_pilot import opened, until

from hdtui.app import MOST_LEFT_SCREENS
from hdtui.messages import OpenForm, OpenRun
from hdtui.screens.new_run.screen import LaunchScreen
from hdtui.screens.run.screen import RunScreen


async def test_screens_that_were_left_are_given_back(filled: tuple[Path, dict[str, int]]) -> None:
    home, ids = filled
    left: list[weakref.ref[Any]] = []
    async with opened(home, size=(120, 40)) as pilot:
        app = pilot.app
        # Python finds them by itself after a while, which of large screens is too late.
        gc.disable()
        try:
            for _ in range(2 * MOST_LEFT_SCREENS):
                for message, kind in (
                    (OpenRun(ids["teacher"]), RunScreen),
                    (OpenForm(), LaunchScreen),
                ):
                    app.post_message(message)
                    await until(pilot, lambda kind=kind: isinstance(app.screen, kind))
                    left.append(weakref.ref(app.screen))
                    await until(pilot, lambda: app.screen.is_mounted)
                    await pilot.press("escape")
                    await until(pilot, lambda kind=kind: not isinstance(app.screen, kind))
            assert len(left) == 4 * MOST_LEFT_SCREENS
            # The first and the last may be kept by what began with them; more would be a leak.
            await until(pilot, lambda: sum(each() is not None for each in left) <= 3)
        finally:
            gc.enable()
