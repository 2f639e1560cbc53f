"""A robot set stays what runs have read: no other robots take its place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from db.models import RunRow
from db.queries.robots import list_robots
from db.queries.runs import get_run, list_runs, queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.robots import MutationConfig
from engine.errors import UsageError
from engine.events import StageContext
from engine.morphology.generation import generate
from engine.workers import commands
from engine.workers.jobs import generation, mutation
from engine.workers.jobs.job import Job
from engine.workers.robot_library import make_set
from engine.workers.workspace import Workspace
from hdtui.actions.run_form import RunForm
from hdtui.cli.main import run as hdtui
from hdtui.data.form_choices import read_known

ROBOTS = generate(2, seed=5)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The workspace of the command line, with a set of two robots; nothing is started in it."""
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)
    home = tmp_path / "home"
    home.mkdir()
    database = Database.open(home)
    make_set(database, Workspace(home), "parents", [(robot, "training") for robot in ROBOTS])
    return database


def mutants(seed: int, into: str = "mutants") -> NewRun:
    config = MutationConfig(mutants_per_robot=2, seed=seed).model_dump(mode="json")
    sets = {"robot_sets": ("parents",), "extra": {"mutant_set": into}}
    return NewRun(RunKind.MUTATION, into, config, seed, **sets)  # type: ignore[arg-type]


def do(database: Database, run: Run, attempt: int = 1) -> None:
    """What a worker does with the run."""
    folder = database.home / "runs" / str(run.id)
    context = StageContext(folder, attempt, lambda event: None, lambda: False)
    job = Job(run, (), database, Workspace(database.home), context, lambda: None)
    (mutation if run.kind is RunKind.MUTATION else generation).run(job)


def finished(database: Database, new: NewRun) -> Run:
    run = queue_run(database, new)
    do(database, run)
    with database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state = "finished"
    return get_run(database, run.id)


def digests(database: Database, name: str) -> list[str]:
    return [robot.digest for robot in list_robots(database, name)]


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "--into", "mutants", "--count", "3"),
        ("generate", "--into", "mutants", "--role", "unseen"),
        ("generate", "--into", "new", "--unseen", "2"),
        ("generate", "--into", "unimal8"),
        ("mutate", "parents", "--into", "mutants", "--per-robot", "2", "--seed", "8"),
        ("mutate", "parents", "--into", "parents"),
    ],
)
def test_commands_put_no_other_robots_into_a_set(
    database: Database, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    finished(database, mutants(7))
    make_set(database, Workspace(database.home), "new-unseen", [(ROBOTS[0], "unseen")])
    before = digests(database, "mutants")
    assert hdtui(["robots", *words, "--detach"]) == 2
    assert "with other robots exists; choose another name" in capsys.readouterr().err
    assert [run.kind for run in list_runs(database)] == [RunKind.MUTATION]
    assert digests(database, "mutants") == before


def test_the_same_robots_may_be_asked_for_again(database: Database) -> None:
    first = finished(database, mutants(7))
    before = digests(database, "mutants")
    words = ["mutate", "parents", "--into", "mutants", "--per-robot", "2", "--seed", "7"]
    assert hdtui(["robots", *words, "--detach"]) == 0
    again = list_runs(database)[0]
    assert again.id != first.id
    do(database, again)
    assert digests(database, "mutants") == before


@pytest.mark.parametrize("kind", [RunKind.MUTATION, RunKind.GENERATION])
def test_a_job_leaves_a_set_of_other_robots_alone(database: Database, kind: RunKind) -> None:
    config = {"train_count": 1, "unseen_count": 0}
    grown = NewRun(RunKind.GENERATION, "g", config, 1, extra={"training_set": "parents"})
    new = grown if kind is RunKind.GENERATION else mutants(7, into="parents")
    before = digests(database, "parents")
    with pytest.raises(UsageError, match='set "parents" with other robots exists'):
        do(database, queue_run(database, new))
    assert digests(database, "parents") == before


def test_a_later_attempt_may_replace_what_its_earlier_one_made(database: Database) -> None:
    run = queue_run(database, mutants(7))
    do(database, run)
    before = digests(database, "mutants")
    changed = replace(run, config={**run.config, "seed": 8})  # as another version would make them
    do(database, changed, attempt=2)
    assert digests(database, "mutants") != before


def test_the_form_says_beside_the_field_that_a_set_exists(database: Database) -> None:
    known = read_known(database)
    form = RunForm(stage="mutation", robots="parents", into="parents")
    assert "parents exists already" in form.problems(known)["into"]
    make_set(database, Workspace(database.home), "parents-mutants", [(ROBOTS[0], None)])
    form = RunForm(stage="mutation", robots="parents")
    form.take_defaults(read_known(database))
    assert form.into == "parents-mutants-2"
    assert "into" not in form.problems(known)


def test_a_single_robot_is_counted_as_one(
    database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = [robot.name for robot in list_robots(database, "parents")]
    assert hdtui(["robots", "select", "parents", names[0], "--into", "one", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == "1 robot in the set one\n"
    assert json.loads(told.out)["set"]["size"] == 1
    assert hdtui(["robots", "export", "one", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.startswith("1 robot written")
    assert hdtui(["robots", "import", str(tmp_path / "out"), "--into", "again"]) == 0
    assert capsys.readouterr().err == "1 robot in the set again\n"
