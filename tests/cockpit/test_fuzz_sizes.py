"""Sizes at random: whatever a terminal is resized to, on every screen, nothing breaks."""

import random
from pathlib import Path

import pytest
from cockpit_pilot import opened, text
from rich.cells import cell_len

Filled = tuple[Path, dict[str, int]]
SCREENS = (
    (),
    ("2",),
    ("3",),
    ("4",),
    ("5",),
    ("6",),
    ("7",),
    ("7", "n"),
    ("1", "enter"),
    ("1", "enter", "right_square_bracket"),
    ("1", "enter", *["right_square_bracket"] * 3),
    ("1", "n"),
    ("1", "question_mark"),
    ("1", "ctrl+p"),
)


async def survive(home: Path, keys: tuple[str, ...], sizes: list[tuple[int, int]]) -> None:
    async with opened(home) as pilot:
        await pilot.press(*keys)
        for size in sizes:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            rows = text(pilot).split("\n")
            assert len(rows) == size[1]
            assert all(cell_len(row) == size[0] for row in rows)


def some_sizes(seed: int, count: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    small = [(draw.randint(1, 90), draw.randint(1, 30)) for _ in range(count - count // 3)]
    large = [(draw.randint(1, 300), draw.randint(1, 100)) for _ in range(count // 3)]
    return [*small, *large]


@pytest.mark.parametrize("place", range(0, len(SCREENS), 3))
async def test_a_few_random_sizes_are_survived(filled: Filled, place: int) -> None:
    await survive(filled[0], SCREENS[place], some_sizes(place, 6))


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(SCREENS)))
async def test_many_random_sizes_are_survived_on_every_screen(filled: Filled, place: int) -> None:
    await survive(filled[0], SCREENS[place], some_sizes(100 + place, 60))
