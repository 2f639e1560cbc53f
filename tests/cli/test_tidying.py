"""Runs deleted all or none, cloned, filtered and weighed; slots; devices that are not there."""

import json
from pathlib import Path

import pytest

from db.machine import boot_id
from db.models import RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import (
    archive,
    get_run,
    insert_pipeline,
    insert_run,
    list_pipelines,
    list_runs,
    queue_run,
)
from db.queries.supervisors import get_supervisor
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.morphology.generation import generate
from engine.workers import commands, devices, slots
from engine.workers.robot_library import make_set
from engine.workers.supervisor import Settings, SupervisorLoop, stand_in
from engine.workers.workspace import Workspace
from hdtui.cli.main import run as hdtui
from hdtui.data.disk_use import disk_use

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Two pipelines of a teacher and a collection (1 2, 3 4) and a teacher alone (5)."""
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)
    (tmp_path / "home").mkdir()
    database = Database.open(tmp_path / "home")
    teacher = PRESETS["quick"].teacher.model_dump(mode="json")
    collection = PRESETS["quick"].collection.model_dump(mode="json")
    with database.write() as session:
        for seed in (1, 2):
            made = insert_pipeline(session, f"quick-s{seed}", "quick", "eight", seed).id
            new = NewRun(RunKind.TEACHER, f"t-s{seed}", teacher, seed, pipeline=made)
            read = insert_run(session, new, boot_id()).id
            new = NewRun(RunKind.COLLECTION, "c", collection, 1, (read,), pipeline=made)
            insert_run(session, new, boot_id())
    workspace = Workspace(database.home)
    make_set(database, workspace, "eight", [(robot, "training") for robot in generate(1, 3)])
    new = NewRun(RunKind.TEACHER, "alone-s7", {**teacher, "seed": 7}, 7, robot_sets=("eight",))
    queue_run(database, new)
    for run in list_runs(database):
        ended(database, run.id)
        folder = tmp_path / "home" / "runs" / str(run.id)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_bytes(b"x" * 1000)
    return database


def ended(database: Database, run_id: int, state: str = "finished") -> None:
    with database.write() as session:
        row = session.get(RunRow, run_id)
        assert row is not None
        row.state = state


def test_runs_are_deleted_all_or_none_and_a_pipeline_goes_with_its_last_run(
    database: Database, capsys: Captured
) -> None:
    runs = database.home / "runs"
    assert hdtui(["runs", "delete", "5", "1", "--yes"]) == 1
    assert "run 1 is the input of 2; delete those first" in capsys.readouterr().err
    assert hdtui(["runs", "delete", "5", "--pipeline", "1"]) == 1
    told = capsys.readouterr().err
    assert "3 KiB on disk go with it" in told.replace("2.9 KiB", "3 KiB")
    assert len(list_runs(database)) == len(list(runs.iterdir())) == 5
    assert hdtui(["runs", "delete", "5", "1", "2", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": [1, 2, 5], "size_bytes": 3000}
    assert [run.id for run in list_runs(database)] == [4, 3]
    assert sorted(each.name for each in runs.iterdir()) == ["3", "4"]
    assert [each.id for each in list_pipelines(database)] == [2]
    assert hdtui(["runs", "delete", "--pipeline", "2", "--yes"]) == 0
    assert list_runs(database) == list_pipelines(database) == []
    assert hdtui(["runs", "delete", "--pipeline", "2", "--yes"]) == 1
    assert hdtui(["runs", "delete", "--yes"]) == 2
    assert "no runs are named" in capsys.readouterr().err


def test_a_clone_is_named_after_what_differs(database: Database, capsys: Captured) -> None:
    def cloned(*words: str) -> Run:
        assert hdtui(["runs", "clone", "5", *words, "--detach", "--json"]) == 0
        return get_run(database, json.loads(capsys.readouterr().out)["run"]["id"])

    first = get_run(database, 5)
    other = cloned("--set", "ppo.learning_rate=0.001", "--seed", "9")
    assert other.name == "alone-learning_rate=0.001-s9"
    assert (other.kind, other.robot_sets, other.seed) == (first.kind, first.robot_sets, 9)
    assert other.config["ppo"] == {**first.config["ppo"], "learning_rate": 0.001}
    assert cloned("--name", "mine", "--study", "rates").name == "mine"
    assert list_runs(database, limit=1)[0].group == "rates"
    assert hdtui(["runs", "clone", "5", "--set", "ppo.nothing=1"]) == 2
    assert "there is no such setting" in capsys.readouterr().err
    assert hdtui(["runs", "clone", "99"]) == 1


def listed(capsys: Captured, *words: str) -> list[int]:
    assert hdtui(["runs", "list", "--json", *words]) == 0
    return [run["id"] for run in json.loads(capsys.readouterr().out)["runs"]]


def test_the_list_is_filtered_as_the_screens_filter(database: Database, capsys: Captured) -> None:
    with database.write() as session:
        append_points(session, 5, [NewPoint("loss", "", 1, 1, 0.5, 4.0)])
    archive(database, 3)
    assert listed(capsys, "--filter", "kind:teacher") == [5, 1]
    assert listed(capsys, "--filter", "kind:teacher archived:yes") == [3]
    assert listed(capsys, "--filter", "kind:teacher", "--archived") == [5, 3, 1]
    assert listed(capsys, "--filter", "loss>3") == [5]
    assert listed(capsys, "--filter", "ppo.horizon=64 -pipeline:1") == [5]
    assert listed(capsys, "--filter", "kind:teacher", "--pipeline", "1") == [1]
    assert hdtui(["runs", "list", "--filter", "knid:teacher"]) == 2
    assert "did you mean kind?" in capsys.readouterr().err


def test_disk_use_adds_up_and_says_what_could_go(database: Database, capsys: Captured) -> None:
    home = database.home
    (home / "runs" / "1" / "checkpoint-a1-000004.safetensors").write_bytes(b"x" * 500)
    (home / "runs" / "99").mkdir()
    (home / "runs" / "99" / "log.txt").write_bytes(b"x" * 70)
    (home / "hdtui.db.schema-1").write_bytes(b"x" * 30)
    archive(database, 4)
    ended(database, 5, "failed")
    assert hdtui(["runs", "du", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {run["id"]: run["bytes"] for run in document["runs"]} == {
        1: 1500,
        **dict.fromkeys((2, 3, 4, 5), 1000),
    }
    assert document["files"] == {"logs": 5000, "checkpoints": 500, "of runs that are gone": 70}
    sizes = {each["pipeline"]: each["bytes"] for each in document["pipelines"]}
    assert sizes == {1: 2500, 2: 2000, None: 1000}
    on_disk = sum(path.lstat().st_size for path in home.rglob("*") if path.is_file())
    assert document["total_bytes"] == disk_use(database).total == on_disk
    assert [(each["what"], each["num_bytes"]) for each in document["freeable"]][:4] == [
        ("archived runs", 1000),
        ("runs that ended unfinished and that no other reads", 1000),
        ("folders of runs that are gone", 70),
        ("a copy of an earlier database", 30),
    ]
    assert document["freeable"][0]["how"] == "hdtui runs delete 4 --yes"
    assert hdtui(["runs", "du", "--top", "1"]) == 0
    told = capsys.readouterr().out
    assert "and 4 smaller ones" in told
    assert "could be freed: 1000 B, archived runs: hdtui runs delete 4 --yes" in told


def test_slots_are_a_number_of_the_workspace_that_a_supervisor_at_work_follows(
    database: Database, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDTUI_SLOTS", raising=False)
    assert hdtui(["slots"]) == 0
    assert capsys.readouterr().out == "2 slots, 0 in use: the default\n"
    assert stand_in(database, 2) is not None
    loop = SupervisorLoop(database, Workspace(database.home), Settings())
    assert hdtui(["slots", "5"]) == 0
    assert capsys.readouterr().err == "slots 5: so many runs work at once\n"
    assert loop.tick()
    supervisor = get_supervisor(database, boot_id())
    assert supervisor is not None
    assert supervisor.slots == 5
    for wrong in ("0", "257", "many", "-1"):
        assert hdtui(["slots", "--", wrong]) == 2
    assert slots.slots_here(database).stored == 5


def test_the_variable_wins_over_the_workspace_and_says_so(
    database: Database, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDTUI_SLOTS", "1")
    assert hdtui(["slots", "3", "--json"]) == 0
    told = capsys.readouterr()
    why = "HDTUI_SLOTS says 1 on this machine, not the workspace's 3"
    assert json.loads(told.out) == {
        "slots": 1,
        "in_use": 0,
        "why": why,
        "stored": 3,
        "variable": "1",
    }
    assert told.err == f"slots 3 in this workspace; here 1: {why}\n"
    monkeypatch.setenv("HDTUI_SLOTS", "many")
    assert slots.read_slots(database) == 3
    assert "'many', which is no number" in slots.slots_here(database).sentence


@pytest.mark.parametrize(
    "words",
    [
        ("teach", "--robots", "nobody", "--device", "cuda"),
        ("pipeline", "--set", "student.device=cuda"),
        ("runs", "clone", "5", "--set", "device=cuda"),
    ],
    ids=" ".join,
)
def test_cuda_that_is_not_there_is_refused_before_anything_is_queued(
    database: Database, capsys: Captured, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def absent(device: str) -> None:
        raise devices.ConfigError(f"device: found {device}, but there is none")

    monkeypatch.setattr(devices, "_find", absent)
    assert hdtui([*words]) == 2
    assert "device: found cuda" in capsys.readouterr().err
    assert len(list_runs(database)) == 5


@pytest.mark.slow
def test_torch_is_asked_for_cuda_in_a_child() -> None:
    import torch

    if torch.cuda.is_available():
        devices._find("cuda")
    else:
        with pytest.raises(devices.ConfigError, match=r"found cuda, but torch .* sees no CUDA"):
            devices._find("cuda")
