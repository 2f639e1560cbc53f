"""What happens to machines and folders while runs work: none of it may cost or confuse one."""

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from machines import OtherMachine
from results import differences, results_of_pipeline
from workplace import Workplace

from db.records import RunState
from db.session import Database

CLOCK_STEPS_S = (1, -1, 60, -60, 3600, -3600)
SEED = 11


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherMachine]:
    """One whose name and clock can be changed, with nobody else on it."""
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    try:
        made = OtherMachine("before", settable_clock=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"it takes root on Linux and a C compiler: {error}")
    yield made
    made.stop()


@pytest.fixture
def place(machine: OtherMachine, tmp_path: Path) -> Iterator[Workplace]:
    """A workspace on that machine, with a pipeline that nobody disturbed."""
    made = Workplace(tmp_path / "workspace", SEED, [machine])
    assert made.launch(SEED) == 1
    made.finish()
    yield made
    made.database.close()


def until_something_works(place: Workplace, *, resuming: bool = False) -> None:
    """Wait for a run that has reported; ``resuming`` lets go on what ends unfinished meanwhile."""
    while not any(run.state is RunState.RUNNING and run.done for run in place.runs()):
        assert not place.all_finished()
        if resuming:
            place.resume_all()
        place.wait(0.1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_clocks_that_are_set_new_names_and_copies_cost_no_run_anything(
    place: Workplace, machine: OtherMachine, tmp_path: Path
) -> None:
    disturbed, began, ahead_s = [place.launch(SEED)], time.monotonic(), 0
    for number, step_s in enumerate(CLOCK_STEPS_S):
        if place.all_finished():
            disturbed.append(place.launch(SEED))
        until_something_works(place)
        ahead_s += step_s
        machine.set_clock(ahead_s)
        machine.rename(f"name-{number}")
        place.look()
        copy = tmp_path / f"copy-{number}"
        look_at_a_copy(place, copy, backed_up=number % 2 == 1)
    place.finish()
    assert place.mistakes == []
    for run in place.runs():
        assert (run.state, run.attempt) == (RunState.FINISHED, 1), run.reason
        assert run.started_at is not None
        assert run.ended_at is not None
        took_s = (run.ended_at - run.started_at).total_seconds()
        assert 0 <= took_s <= time.monotonic() - began + 120
    calm = results_of_pipeline(place.database, 1)
    for pipeline in disturbed:
        assert differences(calm, results_of_pipeline(place.database, pipeline)) == []
    left = place.leave()
    assert left == {"processes": [], "semaphores": left["semaphores"], "partial_files": []}


def look_at_a_copy(place: Workplace, copy: Path, *, backed_up: bool) -> None:
    """In a copy, or a backup put elsewhere, nothing works, and what is done there stays there."""
    copy.mkdir()
    if backed_up:
        file = copy.with_suffix(".backup")
        place.hdtui("db", "backup", str(file))
        place.elsewhere(copy, "db", "restore", str(file))
    else:
        # Files come and go meanwhile; the database is copied as one that is written must be.
        passing = shutil.ignore_patterns("*.tmp", "hdtui.db*")
        shutil.copytree(place.database.home, copy, ignore=passing, dirs_exist_ok=True)
        place.hdtui("db", "backup", str(copy / "hdtui.db"))
    place.elsewhere(copy, "runs", "list")
    with closing(Database.open(copy)) as copied:
        active = [run.id for run in place.runs_of(copied) if run.state.active]
    for number in itertools.islice(active, 2):
        place.elsewhere(copy, "runs", "stop", str(number), "--kill")
    with closing(Database.open(copy)) as copied:
        assert all(not run.state.active for run in place.runs_of(copied) if run.id in active)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_workspace_that_is_moved_again_and_again_ends_where_a_calm_one_ends(
    place: Workplace, machine: OtherMachine, tmp_path: Path
) -> None:
    pipeline, home = place.launch(SEED), place.database.home
    for number in range(3):
        if place.all_finished():
            break
        # What was about to begin when the workspace went is known to be lost only a while later.
        until_something_works(place, resuming=True)
        place.database.close()
        home = home.rename(tmp_path / f"moved-{number}")
        old, place = place, Workplace(home, SEED, [machine], mark=place.mark)
        while any(str(old.database.home) in each.words for each in place.processes()):
            place.wait(0.2)
        assert not old.database.home.exists(), "nobody makes it anew"
        place.look()
        place.resume_all()
    place.finish()
    assert place.mistakes == []
    assert {run.state for run in place.runs()} == {RunState.FINISHED}
    calm = results_of_pipeline(place.database, 1)
    assert differences(calm, results_of_pipeline(place.database, pipeline)) == []
    left = place.leave()
    assert (left["processes"], left["partial_files"]) == ([], [])
