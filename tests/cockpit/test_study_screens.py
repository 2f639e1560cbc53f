"""Studies on the screen: what was begun and what it says, and the way to begin one."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cockpit_story
import pytest
from cockpit_pilot import opened, shows, text, until
from sqlalchemy import event

from db.models import SettingRow
from db.queries.runs import list_runs
from db.queries.studies import get_study, list_studies
from db.records import Run, RunState
from db.session import Database
from engine.config.study import load_study
from engine.workers.studies.running import run_study
from hdtui.data.study_views import StudyReader, StudyView, axis_of, run_of
from hdtui.demo.world import build

AT_WORK, ENDED = "demo-distillation-robots", "demo-rl-against-distilled"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("studies") / "demo"
    build(home)
    return home


@pytest.fixture
def copy(demo: Path, tmp_path: Path) -> Path:
    """The demo, the test's own."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))


@pytest.fixture
def database(copy: Path) -> Iterator[Database]:
    found = Database.open(copy)
    yield found
    found.close()


async def test_a_study_is_opened_and_its_cells_lead_to_their_runs(demo: Path) -> None:
    async with opened(demo, readonly=True) as pilot:
        await pilot.press("7")
        shown = await shows(pilot, "[7 Studies]", AT_WORK, ENDED, "2 studies begun · 11 more")
        assert re.search(r" distillation-robots +Do more robots", shown), "it can be begun too"
        await pilot.press("enter")
        shown = await shows(pilot, f"{AT_WORK} · laptop", "►", "log scale", "Answer so far")
        assert "return on unseen robots: open" in shown or "higher than robots=1" in shown
        assert "1 running, 5 queued" in shown
        await pilot.press("j", "right", "right")
        await shows(pilot, "robots=2 s3: running")
        await pilot.press("enter")
        await shows(pilot, "student demo robots=2 s3", "running")
        await pilot.press("escape", "home")
        await shows(pilot, "robots=1 s3: finished 100 %, runs")
        await pilot.press("enter")
        await shows(pilot, "evaluation demo robots=1 s3")
        await pilot.press("escape", "right_square_bracket")
        await shows(pilot, "steps to 90% of loss against robots")
        await pilot.press("v", "v")
        await shows(pilot, "higher on a robot with probability", "interquartile means")
        await pilot.press("y")
        await shows(pilot, f"y: {AT_WORK} has no report yet, W writes it")
        await pilot.press("W")
        await shows(pilot, "read-only")


async def test_a_report_is_written_and_its_path_copied(copy: Path) -> None:
    async with opened(copy) as pilot:
        await pilot.press("7")
        await shows(pilot, AT_WORK)
        await pilot.press("j", "W")
        page = copy / "studies" / ENDED / "report.md"
        await shows(pilot, "report written and its path copied")
        await until(pilot, lambda: pilot.app.clipboard == str(page))
        pilot.app.copy_to_clipboard("")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.clipboard == str(page))
    assert page.read_text().startswith(f"# Study {ENDED}\n")


@pytest.fixture
def story(filled: tuple[Path, dict[str, int]]) -> Iterator[Database]:
    """A workspace without studies, in which nothing starts by itself."""
    found = Database.open(filled[0])
    yield found
    found.close()


def in_study(database: Database) -> list[Run]:
    return [run for run in list_runs(database) if run.group == "context-features"]


async def test_a_study_is_begun_from_a_form_that_tells_what_it_would_run(story: Database) -> None:
    async with opened(story.home) as pilot:
        await pilot.press("7")
        await shows(pilot, "11 to begin", "alignment")
        await pilot.press("j", "enter")
        await shows(pilot, "New study · context-features", "runs to be made, 0 reused")
        await pilot.press("j", "j", "enter", *"smoke", "enter", "j", "enter", *"2", "enter")
        await shows(pilot, "--preset smoke --seeds 2 --detach", "16 runs to be made")
        await pilot.press("enter", *"many", "enter")
        await shows(pilot, "cannot be begun", "seeds: found 'many'; expected how many")
        await pilot.press("R")
        await shows(pilot, "✗ seeds: found 'many'")
        await pilot.press("enter", *"2", "enter")
        await shows(pilot, "16 runs to be made")
        await pilot.press("R")
        await shows(pilot, "context-features · smoke · ∙ 0 %", "study context-features: 16 runs")
        await pilot.press("escape", "n")
        await shows(pilot, "context-features was begun here", "--name context-features-2")
    assert {run.state for run in in_study(story)} == {RunState.QUEUED}
    names = {run.name for run in in_study(story)}
    assert {"context=raw s1", "context=transformed s2", "context-features s1"} <= names


async def test_a_study_is_stopped_resumed_and_extended(story: Database) -> None:
    changes = {"preset": "smoke", "seeds": 2}
    run_study(story, load_study("context-features", changes))
    async with opened(story.home) as pilot:
        await pilot.press("7")
        await shows(pilot, "1 study begun", "16 queued")
        await pilot.press("enter")
        await shows(pilot, "context-features · smoke · ∙ 0 %")
        await pilot.press("X")
        await shows(pilot, "Stop study context-features?", "hdtui study stop context-features")
        await pilot.press("enter", "y")
        await shows(pilot, "16 runs stopped", "▪ 0 %")
        assert {run.state for run in in_study(story)} == {RunState.STOPPED}
        await pilot.press("R")
        await shows(pilot, "16 runs queued again", "∙ 0 %")
        assert {run.state for run in in_study(story)} == {RunState.QUEUED}
        await pilot.press("E")
        await shows(pilot, "Extend context-features", "hdtui study extend")
        await pilot.press("backspace", "2", "enter")
        await shows(pilot, "it has 2 already")
        await pilot.press("backspace", "3", "enter")
        await shows(pilot, "8 runs queued, 16 reused", "s3")
    assert len(in_study(story)) == 24


async def test_what_failed_was_deleted_or_cannot_be_read_is_said(
    copy: Path, database: Database
) -> None:
    reader = StudyReader()
    view = reader.read(database, ENDED)
    lost = view.result("network=reinforced", 2)
    evaluation = lost.runs[lost.cell.evaluation]
    cockpit_story.change(database, evaluation.id, state="failed", reason="the disk is full")
    assert run_of(reader.read(database, ENDED).result("network=reinforced", 2)) is not None
    with database.write() as session:
        document = {"name": "odd", "question": "[red]?[/]\x1b[31m", "factors": {"\x1b[2J": {}}}
        value = {"document": document, "runs": {}, "made": [], "version": "", "created_at": ""}
        session.add(SettingRow(key="study:odd\x1b[31m", value=value))
    async with opened(copy, readonly=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "odd·[31m", "✗", f"✗ {ENDED}")
        await pilot.press("j", "enter")
        await shows(pilot, "1 failed", "✗")
        await pilot.press("right")
        await shows(pilot, "network=reinforced s2: failed")
        await pilot.press("enter")
        await shows(pilot, "the disk is full")
        await pilot.press("7", "end")
        assert "\x1b" not in text(pilot)


def test_a_second_reading_asks_little_and_says_the_same(database: Database) -> None:
    reader, asked = StudyReader(), []
    first = reader.read(database, AT_WORK)
    assert isinstance(first, StudyView)
    assert len(first.runs) == len(get_study(database, AT_WORK).runs) == 48
    engine = database._engine
    event.listen(engine, "before_cursor_execute", lambda *facts: asked.append(facts[2]))
    again = reader.read(database, AT_WORK)
    assert len(asked) <= 12, asked
    assert again.verdict is first.verdict
    assert again.results == first.results


def test_finished_cells_are_read_anew_once_their_runs_are_others(database: Database) -> None:
    reader = StudyReader()
    before = reader.read(database, ENDED)
    cell = before.result("network=reinforced", 1)
    cockpit_story.change(database, cell.runs[cell.cell.judged].id, state="queued")
    after = reader.read(database, ENDED)
    assert not after.result("network=reinforced", 1).returns
    assert (
        after.result("network=reinforced", 2).returns
        == before.result("network=reinforced", 2).returns
    )
    assert after.verdict is not before.verdict
    assert [view.study.name for view in reader.read_all(database) if isinstance(view, StudyView)]
    assert {each.name for each in list_studies(database)} == {AT_WORK, ENDED}


def test_a_study_is_drawn_against_its_numbers_on_a_log_scale_where_they_are_geometric(
    database: Database,
) -> None:
    reader = StudyReader()
    axis = axis_of(reader.read(database, AT_WORK).study)
    assert (axis.factor, axis.log, axis.numbers) == ("robots", True, True)
    assert axis.ticks == ((1, "1"), (2, "2"), (4, "4"), (10, "10"))
    names = axis_of(reader.read(database, ENDED).study)
    assert (names.numbers, names.log, names.places) == (
        False,
        False,
        {"network=reinforced": 1.0, "network=distilled": 2.0, "network=transformer": 3.0},
    )
