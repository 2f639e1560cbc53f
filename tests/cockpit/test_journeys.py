"""Journeys through the cockpit, key by key, on a workspace with runs in every state."""

from pathlib import Path

import cockpit_story
import pytest
from cockpit_pilot import opened, shows, text, until

from db.queries.runs import get_run
from db.session import Database
from engine.config.presets import PRESETS
from hdtui.app import CockpitApp
from hdtui.formatting import steps

Filled = tuple[Path, dict[str, int]]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


async def test_home_shows_stages_active_runs_events_and_counts(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        screen = await shows(pilot, "[1 Home]", "Pipeline 2 · quick", "►2 ∙4 ✗1 †1", "waits for")
        assert f"► {ids['teacher']}" in screen
        assert "1.0M of 2.0M" in screen
        assert "3.7k/s" in screen
        assert f"waits for {ids['teacher']} teacher" in screen
        assert "4 alerts" in screen


async def test_the_list_of_runs_is_filtered_sorted_and_marked(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13", "[2 Runs]")
        await pilot.press("slash", *"kind:student", "enter")
        screen = await shows(pilot, "Runs · 2 of 13", "11 runs do not pass the filter")
        assert "evaluation" not in screen
        await pilot.press("s", *"result", "enter")
        screen = await shows(pilot, "result ↓")
        first = screen.splitlines()[4]
        assert f"✓ {ids['student']}" in first
        await pilot.press("space")
        await shows(pilot, f"*✓ {ids['student']}", "1 marked")
        await pilot.press("escape")
        await shows(pilot, "Runs · 13")


async def test_every_key_is_answered_also_one_that_means_nothing(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("G")
        await shows(pilot, "G: no key of this screen, ? shows them")
        await pilot.press("2", "slash", *"kind:Z")
        assert "Z: no key" not in text(pilot)
        await pilot.press("escape", "escape", "slash", *f"id:{ids['teacher']}", "enter", "enter")
        await shows(pilot, "Curves")
        for key, answer in (("m", "m: smooth 0.9"), ("o", "1 to 99 %"), ("x", "x: wall time")):
            await pilot.press(key)
            await shows(pilot, answer)


async def test_a_wrong_filter_keeps_the_last_valid_one_and_says_what_was_meant(
    filled: Filled,
) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"retrun", "greater_than_sign", "3")
        await shows(pilot, '"retrun" is no column or metric; did you mean return?')
        await pilot.press("enter", "escape")
        await shows(pilot, "Runs · 13")


async def test_an_empty_result_says_how_to_leave_it(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"nothingiscalledthat", "enter")
        await shows(pilot, "No run passes nothingiscalledthat", "Esc clears the filter")


async def test_a_run_opens_on_its_curves_and_tabs_lead_on(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter")
        await shows(pilot, "[Curves]", "Metrics", "return", "┤", "Values at")
        await pilot.press("right_square_bracket")
        await shows(pilot, "[Robots]", "Return by robot · 8", "floor-1409-0", "mean over robots")
        await pilot.press("right_square_bracket")
        quick = PRESETS["quick"].teacher
        await shows(pilot, "[Config]", "total_env_steps", steps(quick.total_env_steps))
        await pilot.press("right_square_bracket")
        await shows(pilot, "[Log]", "400 lines", "iteration 399")
        await pilot.press("right_square_bracket")
        await shows(pilot, "[Files]", "config.json", "not checked")
        await pilot.press("right_square_bracket")
        await shows(pilot, "[Lineage]", f"{ids['teacher']} teacher (here)", "collection")
        await pilot.press("escape")
        await shows(pilot, "[1 Home]")


async def test_the_log_is_searched_by_level_and_word(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter", "left_square_bracket", "left_square_bracket")
        await pilot.press("left_square_bracket")
        await shows(pilot, "[Log]", "following")
        await pilot.press("slash", *"NaN", "enter")
        await shows(pilot, "1 of 1 matches", "ended by a NaN guard")
        await pilot.press("v", "v")
        await shows(pilot, "warn and above")


async def test_the_pinned_run_is_overlaid_and_compared(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        pilot.app.cockpit.pinned_run = ids["old teacher"]
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter")
        await shows(
            pilot, f"b {ids['old teacher']} pinned", "a is", "above b"
        )  # at the step that both have
        pilot.app.cockpit.preferences.changed = False


async def test_stopping_asks_and_only_y_stops(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("X")
        await shows(pilot, f"Stop {ids['teacher']} teacher quick-unimal8-s1?", "y stop it")
        await pilot.press("enter")
        await shows(pilot, "y stop it")
        await pilot.press("n")
        await until(pilot, lambda: "y stop it" not in text(pilot))
        await pilot.press("X")
        await shows(pilot, "y stop it")
        await pilot.press("y")
        await shows(pilot, "is asked to stop")
    assert str(state_of(home, ids["teacher"])) == "stopping"


async def test_a_second_stop_offers_to_kill(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    cockpit_story.change(
        database, ids["teacher"], state="stopping", stop_requested_at=cockpit_story.NOW
    )
    database.close()
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("X")
        await shows(pilot, f"Kill {ids['teacher']} teacher", "K kill it now")
        await pilot.press("escape")


async def test_what_cannot_stop_says_why(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"state:finished", "enter")
        await shows(pilot, "Runs · 3 of 13")
        await pilot.press("X")
        await shows(pilot, "is finished, nothing to stop")
    assert str(state_of(home, ids["student"])) == "finished"


async def test_resume_queues_a_lost_run_again(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"state:lost", "enter")
        await shows(pilot, "Runs · 1 of 13", "left no exit record")
        await pilot.press("R")
        await shows(pilot, f"{ids['lost']} teacher is queued, it resumes at {steps(1_400_000)}")
    assert str(state_of(home, ids["lost"])) == "queued"


async def test_deleting_asks_for_the_id(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"state:stopped", "enter")
        await shows(pilot, "Runs · 1 of 13")
        await pilot.press("D")
        await shows(pilot, "on disk go with it", f"Type {ids['stopped']}, the id of the run")
        await pilot.press("9", "9", "enter")
        await shows(pilot, f"found 99, needs {ids['stopped']}")
        await pilot.press("backspace", "backspace", *str(ids["stopped"]), "enter")
        await shows(pilot, f"deleted {ids['stopped']}", "Runs · 0 of 12")


async def test_readonly_answers_capitals(filled: Filled) -> None:
    home, ids = filled
    async with opened(home, readonly=True) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("X")
        await shows(pilot, "read-only")
    assert str(state_of(home, ids["teacher"])) == "running"


async def test_help_names_the_keys_of_the_screen(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("2", "question_mark")
        await shows(pilot, "Help · Runs", "mark; on a group", "ctrl+p", "kind:teacher")
        await pilot.press("escape")
        await shows(pilot, "Runs · 13")


async def test_the_palette_finds_a_run_by_its_tag(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("ctrl+p", *"paper stud")
        await shows(pilot, f"{ids['student']} student laptop-unimal8-s1")
        await pilot.press("enter")
        await shows(pilot, f"{ids['student']} student", "[Curves]")


async def test_the_form_marks_what_is_wrong_and_gives_the_command(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "New run · teacher", "0 changes to quick", "hdtui teach --preset quick")
        await pilot.press("slash", *"learning_rate", "enter", "enter", *"-3e-4")
        await shows(pilot, "✗", "greater than 0", "1 change to quick")
        await pilot.press("enter", "R")
        await shows(pilot, "1 setting is not valid")
        await pilot.press("enter", *"3e-3", "enter")
        await shows(pilot, "--set ppo.learning_rate=0.003")
        await pilot.press("u")
        await shows(pilot, "0 changes to quick")


async def test_clone_and_edit_starts_a_run_with_one_change(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"name:laptop kind:teacher", "enter")
        await shows(pilot, "Runs · 1 of 13")
        await pilot.press("C")
        await shows(pilot, f"0 changes to run {ids['old teacher']}")
        await pilot.press("slash", *"learning_rate", "enter", "enter", *"3e-3", "enter", "R")
        await shows(pilot, "is queued")
    database = Database.open(home)
    newest = max(ids.values()) + 1
    assert get_run(database, newest).config["ppo"]["learning_rate"] == pytest.approx(3e-3)
    database.close()


async def test_the_first_start_offers_the_quick_pipeline(tmp_path: Path) -> None:
    async with opened(tmp_path / "new") as pilot:
        screen = await shows(pilot, "Welcome. This workspace is empty", "no runs yet")
        assert "▌ start the quick pipeline" in screen
        assert "hdtui pipeline --preset quick --detach" in screen
    assert not (tmp_path / "new").exists()


async def test_keys_typed_before_the_workspace_was_read_act_once_it_was(filled: Filled) -> None:
    app = CockpitApp(filled[0])
    async with app.run_test(size=(80, 24)) as pilot:
        app.simulate_key("2")
        app.simulate_key("j")
        await until(pilot, lambda: app.current_mode == "runs")
        await until(pilot, lambda: app.screen.table.cursor == 1)  # type: ignore[attr-defined]


async def test_home_is_home_also_after_a_run_was_opened_from_it(filled: Filled) -> None:
    async with opened(filled[0]) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter")
        await shows(pilot, "[Curves]")
        await pilot.press("3")
        await shows(pilot, "[3 Robots]")
        await pilot.press("1")
        await shows(pilot, "[1 Home]", "slots")


async def test_keys_typed_ahead_choose_nothing_in_an_empty_workspace(tmp_path: Path) -> None:
    app = CockpitApp(tmp_path / "new")
    async with app.run_test(size=(80, 24)) as pilot:
        app.simulate_key("enter")
        await shows(pilot, "Welcome. This workspace is empty")
        await pilot.pause(0.5)
        assert "start the quick pipeline" in text(pilot)
    assert not (tmp_path / "new").exists()


def state_of(home: Path, run_id: int) -> object:
    database = Database.open(home)
    try:
        return get_run(database, run_id).state
    finally:
        database.close()


async def test_the_palette_changes_the_drawing_to_ascii_and_it_stays(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await shows(pilot, "waits for")
        await pilot.press("ctrl+p", *"drawing ascii")
        await shows(pilot, "drawing: ascii")
        await pilot.press("enter")
        await until(pilot, lambda: text(pilot).isascii())
        await pilot.press("2")
        await shows(pilot, "[2 Runs]", "Runs . 13")
        await until(pilot, lambda: not pilot.app.cockpit.preferences.changed)
    async with opened(home) as pilot:
        await until(pilot, lambda: "waits for" in text(pilot) and text(pilot).isascii())
