"""Whatever keys, sizes, marks and accidents come together, the cockpit lives and answers."""

import os

import pytest
from cockpit_fuzz import fuzz, replay, shortened

MORE_STEPS = int(os.environ.get("HDTUI_FUZZ_STEPS", "500"))
"""``make fuzz`` takes ten thousand."""


async def _nothing_breaks(seed: int, num_steps: int) -> None:
    told: list[str] = []
    broken = await fuzz(seed, num_steps, told.append)
    assert not broken, "\n".join(told)


async def test_some_random_steps_break_nothing() -> None:
    await _nothing_breaks(seed=4, num_steps=200)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_many_random_steps_break_nothing(seed: int) -> None:
    await _nothing_breaks(seed, MORE_STEPS)


@pytest.mark.slow
@pytest.mark.usefixtures("mistakes_are_meant")
async def test_what_breaks_is_cut_down_to_the_steps_that_break_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("seven by zero")

    monkeypatch.setattr("hdtui.screens.compare.screen.CompareScreen.action_smooth", fail)
    noise = [("key", "j"), ("size", 90, 30), ("key", "k")]
    steps = [*noise, ("key", "5"), *noise, ("key", "m"), *noise]
    few, words = await shortened("empty", steps, "ctrl+q")
    assert few == [("key", "5"), ("key", "m")]
    assert "seven by zero" in words
    wanted = """--leave ctrl+q --replay empty '[["key", "5"], ["key", "m"]]'"""
    assert replay("empty", few, "ctrl+q").endswith(wanted)
