"""``hdtui runs ...`` of a workspace with runs: what it shows, what it refuses, how it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from db.models import RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import get_run, queue_run, set_note, set_tags
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers import commands
from hdtui.cli import follow
from hdtui.cli.main import run as hdtui

REASON = "value loss is NaN since the reward of one robot left the range of float32 at step 12"
Captured = pytest.CaptureFixture[str]


def change(database: Database, run_id: int, **facts: object) -> Run:
    with database.write() as session:
        row = session.get(RunRow, run_id)
        assert row is not None
        for name, value in facts.items():
            setattr(row, name, value)
    return get_run(database, run_id)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A failed teacher (1) with a curve and a student (2) that finished before its last step."""
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)
    (tmp_path / "home").mkdir()
    database = Database.open(tmp_path / "home")
    config = PRESETS["quick"].teacher.model_copy(update={"total_env_steps": 300_000})
    document = config.model_dump(mode="json")
    new = NewRun(RunKind.TEACHER, "broken", document, 4, robot_sets=("eight",), group="wide")
    teacher = queue_run(database, new).id
    change(database, teacher, state="failed", reason=REASON, exit_code=1)
    set_note(database, teacher, "too wide")
    set_tags(database, teacher, ["mine"])
    with database.write() as session:
        append_points(session, teacher, [NewPoint("return", "", 1, 1, 0.5, 4.0)])
    document = PRESETS["quick"].student.model_dump(mode="json")
    student = queue_run(database, NewRun(RunKind.STUDENT, "small", document, 1)).id
    change(database, student, state="finished", done=98, total=100, result_text="loss 0.1")
    return database


def test_following_a_resumed_run_fails_with_it(
    database: Database, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(state: str) -> None:
        def follow_it(database: Database, runs: list[int]) -> list[Run]:
            return [change(database, number, state=state) for number in runs]

        monkeypatch.setattr(follow, "follow", follow_it)

    ended("failed")
    assert hdtui(["runs", "resume", "1", "--follow", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["state"] == "failed"
    ended("finished")
    assert hdtui(["runs", "resume", "1", "--follow"]) == 0


def test_the_list_says_why_a_run_failed(database: Database, capsys: Captured) -> None:
    del database
    assert hdtui(["runs", "list"]) == 0
    _, student, teacher = capsys.readouterr().out.splitlines()
    assert teacher.endswith(REASON)
    assert student.split()[-4:] == ["100", "%", "loss", "0.1"]


def test_lines_longer_than_the_terminal_end_in_an_ellipsis(
    database: Database, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert hdtui(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines if line.endswith("…")] == [60]


def test_a_run_is_shown_with_what_it_was_asked_for(database: Database, capsys: Captured) -> None:
    created = database and get_run(database, 1).created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    assert hdtui(["runs", "show", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        f"1 teacher broken: failed: exit code 1, {REASON}. `hdtui runs resume 1` retries"
    )
    for line in (
        *("seed 4", "robots eight", "study wide", "note too wide", "tags mine"),
        *(f"created {created}", "settings preset quick with total_env_steps=300000"),
    ):
        assert line in lines
    assert hdtui(["runs", "show", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["robot_sets"], document["device"]) == (["eight"], "auto")
    assert (document["note"], document["tags"]) == ("too wide", ["mine"])


@pytest.mark.parametrize(
    "words", [("runs", "metrics", "1"), ("export", "metrics", "1")], ids=" ".join
)
def test_a_metric_that_a_run_lacks_is_named(
    database: Database, capsys: Captured, words: tuple[str, ...]
) -> None:
    del database
    assert hdtui([*words, "--name", "return", "--name", "nope"]) == 1
    told = capsys.readouterr()
    assert told.err == "hdtui: run 1: no metric nope; it has return\n"
    assert told.out == ""
    assert hdtui([*words, "--name", "return"]) == 0


def test_a_run_that_is_not_there_is_said_in_lower_case(
    database: Database, capsys: Captured
) -> None:
    del database
    assert hdtui(["runs", "show", "99"]) == 1
    assert capsys.readouterr().err.startswith("hdtui: there is no run 99;")


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (("runs", "list"), "Only runs of this seed"),
        (("adopt",), "No effect: the file keeps the seed"),
    ],
)
def test_a_seed_that_is_none_of_random_choices_says_so(
    capsys: Captured, words: tuple[str, ...], meaning: str
) -> None:
    assert hdtui([*words, "--help"]) == 0
    assert meaning in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [("runs", "list"), ("runs", "show", "1", "--json"), ("export", "runs"), ("--help",)]
)
def test_a_full_disk_behind_stdout_is_one_sentence(
    database: Database, words: tuple[str, ...]
) -> None:
    del database
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "hdtui", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "hdtui: the output cannot be written: No space left on device\n"
