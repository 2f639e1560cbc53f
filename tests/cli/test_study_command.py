"""``hdtui study``: what is there, what would be run, and the whole way to a verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.study import built_in_studies
from hdtui.cli.main import run as hdtui

Captured = pytest.CaptureFixture[str]
FAST = [
    *("--set", "evaluation.episodes=1", "--set", "evaluation.task.episode_steps=50"),
    *("--set", "evaluation.record_poses=0", "--set", "student.epochs=10"),
    *("--set", "teacher.total_env_steps=1024", "--set", "collection.samples_per_robot=128"),
]


def asked(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    assert hdtui([*words, "--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_studies_are_listed_and_shown_without_a_workspace(capsys: Captured, tmp_path: Path) -> None:
    listed = asked(capsys, "study", "list")
    assert [each["name"] for each in listed["built_in"]] == list(built_in_studies())
    assert listed["begun"] == []
    shown = asked(capsys, "study", "show", "context-features")
    assert shown["combinations"] == ["context=raw", "context=transformed"]
    assert hdtui(["study", "show", "context-features"]) == 0
    assert "compares context=transformed with context=raw: return on trained" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "home").exists()


def test_a_dry_run_tells_the_graph_and_leaves_no_workspace(
    capsys: Captured, tmp_path: Path
) -> None:
    words = ("study", "run", "distillation-robots", "--preset", "smoke", "--seeds", "2")
    told = asked(capsys, *words, "--dry-run")
    assert (told["runs_made"], told["runs_reused"]) == (34, 0)
    kinds = [node["kind"] for node in told["graph"]]
    assert (kinds.count("generation"), kinds.count("teacher")) == (2, 2)
    recipes = [node["recipe"] for node in told["graph"]]
    for place, node in enumerate(told["graph"]):
        assert set(node["reads"]) <= set(recipes[:place]), "each comes after what it reads"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        (("run", "nothing"), "usage", "there is no study"),
        (("run", "held-out", "--preset", "smoke"), "usage", "name one with --robots SET"),
        (("run", "teachers", "--robots", "nobody"), "unknown_robot_set", "nobody"),
        (("run", "teachers", "--unseen", "nobody"), "config", "is read with a training set"),
        (("run", "teachers", "--set", "student.epohcs=2"), "config", "did you mean"),
        (("status", "teachers"), "run", "no workspace here yet"),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_is_queued(
    capsys: Captured, words: tuple[str, ...], kind: str, told: str
) -> None:
    error = asked(capsys, "study", *words, code=1 if kind == "run" else 2)["error"]
    assert error["kind"] == kind
    assert told in error["message"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_runs_from_an_empty_workspace_and_its_runs_are_never_made_twice(
    capsys: Captured, tmp_path: Path
) -> None:
    words = ("study", "run", "distillation-robots", "--preset", "smoke", "--seeds", "2", *FAST)
    first = asked(capsys, *words)
    assert (first["runs_made"], first["runs_reused"], first["finished"]) == (34, 0, True)
    assert not first["answered"]
    assert {each["outcome"] for each in first["answers"]} == {"too small to judge"}
    assert asked(capsys, "runs", "show", "1")["studies"] == ["distillation-robots"]
    again = asked(capsys, *words)
    assert (again["runs_made"], again["runs_reused"]) == (0, 34)
    assert again["cells"] == first["cells"]
    more = asked(capsys, "study", "extend", "distillation-robots", "--seeds", "3")
    assert (more["runs_made"], more["runs_reused"]) == (17, 34)
    report = Path(more["report"])
    page = report.read_text()
    assert page.startswith("# Study distillation-robots\n")
    assert all((report.parent / name).is_file() for name in ("results.csv", "results.tex"))
    assert len(list(report.parent.glob("*.svg"))) >= 3
    # What the report says repeats it.
    told = asked(
        capsys,
        "study",
        "run",
        str(report.parent / "study.toml"),
        "--dry-run",
        "--home",
        str(tmp_path / "elsewhere"),
    )
    assert told["runs_made"] == 51
