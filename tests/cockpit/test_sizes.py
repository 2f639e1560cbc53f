"""No terminal is too small to survive, and what does not fit says so."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cockpit_pilot import opened, shows, text, until
from rich.cells import cell_len
from textual.pilot import Pilot

SIZES = [(1, 1), (59, 17), (60, 18), (79, 23), (160, 48), (300, 100)]
Filled = tuple[Path, dict[str, int]]


def is_filled(pilot: Pilot[Any], size: tuple[int, int]) -> bool:
    """Every row of the terminal is drawn to its end, and none beyond."""
    rows = text(pilot).split("\n")
    return len(rows) == size[1] and all(cell_len(row) == size[0] for row in rows)


@pytest.mark.parametrize("keys", [(), ("2",), ("enter",), ("n",), ("question_mark",)])
async def test_every_size_is_survived_on_every_screen(
    filled: Filled, keys: tuple[str, ...]
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await shows(pilot, "waits for")
        await pilot.press(*keys)
        for size in (*SIZES, (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, partial(is_filled, pilot, size))


async def test_below_sixty_by_eighteen_one_sentence_says_what_is_needed(filled: Filled) -> None:
    home, _ = filled
    async with opened(home, size=(48, 12)) as pilot:
        await shows(pilot, "hdtui needs 60x18,", "this is 48x12. Runs go on.")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_last_row_always_offers_help(filled: Filled, size: tuple[int, int]) -> None:
    home, _ = filled
    async with opened(home, size=size) as pilot:
        await shows(pilot, "waits for")
        for key in ("2", "1", "enter", "n"):
            await pilot.press(key)
            await pilot.pause(0.1)
            assert text(pilot).split("\n")[-1].rstrip().endswith("? help")
