"""The journey of a study in a real terminal: begun from the screen, watched, read, reported."""

import re
from pathlib import Path

import pytest
from pseudo_terminal import Cockpit
from test_journey_training import end_all_work

from db.queries.runs import list_runs
from db.records import RunState
from db.session import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WORK_S = 600.0
FAST = (
    "evaluation.episodes=1 evaluation.task.episode_steps=50 evaluation.record_poses=0"
    " student.epochs=10 teacher.total_env_steps=1024 collection.samples_per_robot=128"
)


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> None:
    """The supervisor is ended by the test itself."""


def test_a_study_begun_from_the_screen_fills_its_matrix_and_ends_in_a_verdict(
    tmp_path: Path,
) -> None:
    home = tmp_path / "workspace"
    try:
        with Cockpit(home, size=(80, 24)) as cockpit:
            cockpit.shows("Welcome. This workspace is empty")
            cockpit.press("7")
            cockpit.shows("[7 Studies]", "context-features")
            cockpit.press("down", "enter")
            cockpit.shows("New study · context-features", "runs to be made, 0 reused")
            cockpit.press("down", "down", "enter")
            cockpit.shows("Preset")
            cockpit.type("smoke")
            cockpit.press("enter", "down", "enter")
            cockpit.type("2")
            cockpit.press("enter", "down", "down", "down", "enter")
            cockpit.type(FAST)
            cockpit.press("enter")
            cockpit.shows("16 runs to be made, 0 reused", "--preset smoke --seeds 2")
            cockpit.press("R")
            cockpit.shows("context-features · smoke", "raw", "transformed", "Answer so far")
            cockpit.until(lambda text: bool(re.search(r"raw +[∙◦►] +\d+ %", text)), WORK_S)
            cockpit.press("enter")  # the run at work of the first cell
            cockpit.shows("[2 Runs]", "[Curves]")
            cockpit.press("escape")
            cockpit.until(lambda text: "✓ 100 %" in text, WORK_S)
            cockpit.shows("16 of 16 runs finished", "too small to judge", "┤")
            cockpit.press("enter")
            cockpit.shows("evaluation context=raw s1", "finished")
            cockpit.press("escape")
            cockpit.press("W")
            cockpit.shows("report written and its path copied")
        page = home / "studies" / "context-features" / "report.md"
        assert "too small to judge" in page.read_text()
        database = Database.open(home, readonly=True)
        assert {run.state for run in list_runs(database)} == {RunState.FINISHED}
        database.close()
    finally:
        end_all_work(home)
