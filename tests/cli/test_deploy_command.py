"""`hdtui deploy` and what `hdtui evaluate` prints: names, copies, refusals, a real run."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.models import RunRow
from db.queries.artifacts import NewFile, insert_artifact
from db.queries.robots import list_robots, list_sets
from db.queries.runs import queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.evaluation import DeploymentConfig
from engine.errors import UsageError
from engine.files import file_sha256
from engine.morphology.generation import generate
from engine.morphology.mjcf import save_robot
from engine.workers.new_runs import new_run
from engine.workers.robot_library import make_set
from engine.workers.stages import StageRequest
from engine.workers.workspace import Workspace
from hdtui.cli.stages import print_returns

STUDENTS = Path(__file__).parents[1] / "deployment"


def _workspace(home: Path) -> tuple[Workspace, Database]:
    home.mkdir()
    return Workspace(home), Database.open(home)


def _student(database: Database) -> int:
    return queue_run(database, NewRun(RunKind.STUDENT, "student", {}, seed=1)).id


def deployment_of(student: int, *robots: str) -> StageRequest:
    return StageRequest(RunKind.DEPLOYMENT, DeploymentConfig(), inputs=(student,), robots=robots)


def test_a_robot_of_a_file_keeps_the_name_of_its_file(tmp_path: Path) -> None:
    workspace, database = _workspace(tmp_path / "home")
    (robot,) = generate(1, seed=3)
    make_set(database, workspace, "one", [(robot, None)])
    student = _student(database)
    save_robot(replace(robot, name="mine"), tmp_path)
    for word, name in (("one", robot.name), (str(tmp_path / "xml" / "mine.xml"), "mine")):
        new = new_run(database, deployment_of(student, word))
        assert [each.name for each in list_robots(database, new.robot_sets[0])] == [name]
    both = deployment_of(student, "one", str(tmp_path / "xml" / "mine.xml"))
    assert len(new_run(database, both).robot_sets) == 2


def test_two_robots_of_one_name_are_refused_before_a_run_is_queued(tmp_path: Path) -> None:
    _, database = _workspace(tmp_path / "home")
    for folder, robot in zip("xy", generate(2, seed=3), strict=True):
        save_robot(replace(robot, name="mine"), tmp_path / folder)
    files = [str(tmp_path / folder / "xml" / "mine.xml") for folder in "xy"]
    with pytest.raises(UsageError, match="two robots are named mine"):
        new_run(database, deployment_of(_student(database), *files))
    assert list_sets(database) == []
    assert list_robots(database) == []


def test_returns_are_printed_by_policy_and_by_what_training_knew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def found(teacher: tuple[float, float, float], random: float) -> dict[str, object]:
        bounds = [dict(zip(("value", "low", "high"), each, strict=True))
                  for each in (teacher, (random, random, random))]  # fmt: skip
        return {"policies": [{"mean_return": each} for each in bounds]}

    policies = [{"label": "teacher"}, {"label": "random"}]
    groups = {
        "train": found((2457.5, 2058.7, 2950.9), 0.4),
        "unseen": found((1115.0, 958.7, 1150.9), -2.0),
    }
    print_returns({"policies": policies, "groups": groups})
    # No mean is taken over robots that were trained on and robots that were not.
    assert capsys.readouterr().out.splitlines() == [
        "policy   trained  interval      unseen  interval",
        "teacher     2458  [2059, 2951]    1115  [959, 1151]",
        "random         0  ·                 -2  ·",
    ]
    print_returns({"policies": policies, "groups": {"robots": groups["train"]}})
    assert capsys.readouterr().out.startswith("policy   return  interval")


@pytest.mark.slow
def test_a_student_is_deployed_by_its_command_and_the_copy_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdtui: Callable[..., Any]
) -> None:
    monkeypatch.syspath_prepend(str(STUDENTS))
    from students import save_student

    from engine.config.distillation import student_network
    from engine.deployment.runtime import load_deployed

    home = tmp_path / "home"
    workspace, database = _workspace(home)
    robot, other = generate(2, seed=3)
    make_set(database, workspace, "one", [(robot, None)])
    run = queue_run(database, NewRun(RunKind.STUDENT, "student", {}, seed=1))
    path = workspace.run_folder(run.id) / "student-a1.safetensors"
    path.parent.mkdir(parents=True)
    shutil.move(save_student(tmp_path / "s.safetensors", "flat", student_network("small")), path)
    file = NewFile(1, workspace.relative(path), file_sha256(path), path.stat().st_size)
    with database.write() as session:
        insert_artifact(session, run.id, file, "student", path.name)
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state = "finished"
    save_robot(replace(other, name="mine"), tmp_path)
    words = ["deploy", str(run.id), "--robot", "one", "--robot", str(tmp_path / "xml" / "mine.xml")]
    for file_format in ("npz", "onnx"):
        done = hdtui(*words, "--out", str(tmp_path / "out"), "--format", file_format, home=home)
        assert done.returncode == 0, done.stderr
        expected = {
            str(tmp_path / "out" / f"{name}.{file_format}") for name in (robot.name, "mine")
        }
        assert set(done.stdout.split()) == expected
    for name in (robot.name, "mine"):
        policy = load_deployed(tmp_path / "out" / f"{name}.npz")
        assert policy.document["check"]["largest_difference"] <= 1e-5
        assert (tmp_path / "out" / f"{name}.xml").is_file()
    document = json.loads((tmp_path / "out" / "mine.onnx.json").read_text())
    assert document["check"]["runtime"] == "onnxruntime"
    in_the_way = hdtui(*words, "--out", str(path), home=home)
    assert in_the_way.returncode == 2
    assert "not a folder" in in_the_way.stderr
