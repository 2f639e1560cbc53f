"""Drive the cockpit without a terminal: open it, wait for what must come true, read the screen."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from hdtui.app import CockpitApp


@asynccontextmanager
async def opened(
    home: Path, size: tuple[int, int] = (80, 24), readonly: bool = False
) -> AsyncIterator[Pilot[Any]]:
    """The cockpit of a workspace, read for the first time."""
    app = CockpitApp(home, readonly)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app._opened)
        yield pilot


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait until something holds; fails after many frames."""
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"this never came true on:\n{text(pilot)}")


def text(pilot: Pilot[Any]) -> str:
    """What the terminal shows."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


async def shows(pilot: Pilot[Any], *words: str) -> str:
    """Wait until the terminal shows all of the words; the screen's text."""
    await until(pilot, lambda: all(word in text(pilot) for word in words))
    return text(pilot)
