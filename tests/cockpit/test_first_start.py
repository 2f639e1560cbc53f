"""A workspace in which nothing was run yet: Welcome, what screens say, and the first run."""

from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, text, until
from cockpit_story import finish, new_run

from db.queries.runs import queue_run
from db.records import RunKind
from db.session import Database
from hdtui.actions import counting
from hdtui.messages import Answer


async def test_home_is_the_welcome_screen_until_something_was_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as pilot:
        await shows(pilot, "Welcome. This workspace is empty")
        await pilot.press("2")
        await shows(pilot, "No runs yet")
        await pilot.press("1")
        await shows(pilot, "Welcome. This workspace is empty")
        await pilot.press("n")
        await shows(pilot, "New run · teacher")
        await pilot.press("1", "1")
        await shows(pilot, "Welcome. This workspace is empty")
        database = Database.open(tmp_path)
        finish(database, queue_run(database, new_run(RunKind.TEACHER, "one", None)).id, 60, 9, "")
        await shows(pilot, "No pipeline yet. n opens its form.")


async def test_home_opens_the_form_of_a_pipeline_where_there_is_none(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    finish(database, queue_run(database, new_run(RunKind.TEACHER, "one", None)).id, 60, 9, "")
    async with opened(tmp_path) as pilot:
        await shows(pilot, "No pipeline yet. n opens its form.")
        await pilot.press("n")
        await shows(pilot, "New run · pipeline")


async def test_an_empty_workspace_counts_networks_and_measures_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(facts: object, task: str, *options: object) -> list[dict[str, object]]:
        counted = {"policy": "base-mlp", "limbs": 12, "parameters": 124_000, "macs": 124_000}
        return [{**counted, "latency_us": None}]

    monkeypatch.setattr(counting, "count_rows", rows)
    async with opened(tmp_path) as pilot:
        await pilot.press("6")
        await shows(pilot, "124k", "0 of 6 reproduced, 6 not measured yet", "counted on obstacles")
    assert not (tmp_path / "hdtui.db").exists()


async def test_what_the_pulse_finds_out_leaves_the_answer_to_a_key(
    filled: tuple[Path, dict[str, int]],
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        app = pilot.app
        await until(pilot, lambda: app.cockpit.counts)
        app._tell_of_pulse(Answer("Supervisor started"))
        await shows(pilot, "Supervisor started")
        app.screen.say("14 teacher is queued")
        app._tell_of_pulse(Answer("Supervisor started again"))
        await pilot.pause()
        assert "14 teacher is queued" in text(pilot)
        assert app.cockpit.messages[-1] == "Supervisor started again"
        app._tell_of_pulse(Answer("nothing starts", "warn"))
        await shows(pilot, "nothing starts")


async def test_a_key_for_filters_says_where_there_are_some(
    filled: tuple[Path, dict[str, int]],
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("slash")
        await shows(pilot, "this screen has no filter; Runs (2) and Robots (3) have one")
