"""Policies as files: what comes with hdtui, and what one workspace gives another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.records import RunKind
from db.session import Database
from engine.checkpoints import read_document
from engine.deployment.runtime import load_document
from engine.rollout.saved_policy import load_policy
from engine.workers.policy_files import PRETRAINED, find_policy_file


@pytest.mark.slow
def test_a_student_leaves_one_workspace_as_a_file_and_is_deployed_in_another(
    tmp_path: Path, hdtui: Callable[..., Any]
) -> None:
    home, other, file = tmp_path / "here", tmp_path / "there", tmp_path / "student.safetensors"
    made = hdtui("pipeline", "--preset", "smoke", "--json", home=home)
    assert made.returncode == 0, made.stderr
    runs = json.loads(hdtui("runs", "list", "--json", home=home).stdout)["runs"]
    numbers = {run["kind"]: run["id"] for run in runs}
    student = str(numbers["student"])
    exported = hdtui("export", "policy", student, "--out", str(file), "--json", home=home)
    assert json.loads(exported.stdout)["bytes"] == file.stat().st_size
    origin = read_document(file)["origin"]
    assert origin["run"]["kind"] == "student"
    assert origin["made_with"]["hdtui"]
    assert all(origin["robots"].values())
    judged = hdtui("export", "policy", str(numbers["evaluation"]), "--out", "x", home=home)
    assert (judged.returncode, "expected a teacher or student" in judged.stderr) == (2, True)
    # A robot of its teacher's training is known as such there, by what the file says.
    training = next(run["robot_sets"][0] for run in runs if run["kind"] == "teacher")
    hdtui("robots", "export", training, str(tmp_path / "robots"), home=home)
    xml = min((tmp_path / "robots" / "xml").iterdir())
    deployed = hdtui("deploy", str(file), "--robot", str(xml), "--json", home=other)
    assert deployed.returncode == 0, deployed.stderr
    again = hdtui("deploy", str(file), "--robot", str(xml), "--json", home=other)
    kinds = [
        run["kind"]
        for run in json.loads(hdtui("runs", "list", "--json", home=other).stdout)["runs"]
    ]
    assert kinds == ["deployment", "deployment", "student"]
    (policy,) = json.loads(again.stdout)["files"]
    assert load_document(Path(policy))["robot"]["known_from"] == "training"
    refused = hdtui("collect", str(file), "--robots", "r", home=other)
    assert (refused.returncode, "holds a student, expected a teacher" in refused.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize(("word", "kind"), PRETRAINED.items())
def test_what_comes_with_hdtui_says_where_it_is_from(word: str, kind: RunKind) -> None:
    file = find_policy_file(Path(word), "flat", ())
    (path,) = file.checked_paths()
    _, description = load_policy(path)
    document = read_document(path)
    assert (document["kind"], file.label) == (kind, word)
    assert document["origin"]["robots"].keys() == set(description.digests)
    assert all(document["origin"]["robots"].values())
    assert {"hdtui", "revision", "torch"} <= document["origin"]["made_with"].keys()
    assert document["config"]["seed"] == document["origin"]["run"]["seed"]
    assert sum(each.stat().st_size for each in path.parent.iterdir()) < 3_000_000


@pytest.mark.parametrize(
    "words",
    [
        ("collect", "pretrained-teacher", "--robots", "nobody"),
        ("collect", "pretrained-teacher", "--robots", "nobody", "--set", "nonsense=1"),
        ("deploy", "pretrained", "--robot", "nobody"),
    ],
)
def test_for_what_is_refused_no_policy_is_taken_over(
    tmp_path: Path, hdtui: Callable[..., Any], words: tuple[str, ...]
) -> None:
    Database.open(tmp_path).close()
    assert hdtui(*words, home=tmp_path).returncode == 2
    assert json.loads(hdtui("runs", "list", "--json", home=tmp_path).stdout)["runs"] == []
