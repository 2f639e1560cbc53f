"""``hdtui study``: what is there, what would be run, and the whole way to a verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from db.session import Database
from engine.config.study import built_in_studies
from hdtui.cli.main import run as hdtui

Captured = pytest.CaptureFixture[str]
FAST = [
    *("--set", "evaluation.episodes=1", "--set", "evaluation.task.episode_steps=50"),
    *("--set", "evaluation.record_poses=0", "--set", "student.epochs=10"),
    *("--set", "teacher.total_env_steps=1024", "--set", "collection.samples_per_robot=128"),
    *("--set", "student.correction_samples_per_robot=64"),
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


COSTS = """
question = "What does a limb more cost?"
preset = "quick"
trained = false
seeds = 2
equal = []
[factors.limbs]
2 = { value = 2, limbs = 2 }
20 = { value = 20, limbs = 20 }
[factors.policy]
teacher = { route = "teach" }
hypernetwork = { route = "write" }
written = { route = "distil" }
[[compare]]
cell = "limbs=20 policy=written"
against = "limbs=20 policy=teacher"
measure = { name = "multiply_adds" }
expected = "lower"
[[compare]]
cell = "limbs=20 policy=hypernetwork"
against = "limbs=2 policy=hypernetwork"
measure = { name = "steps_to_earn_back" }
"""


def test_costs_of_fresh_networks_are_a_study_without_runs_that_is_counted_once(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(COSTS)
    told = asked(capsys, "study", "run", str(file))
    assert (told["runs_made"], told["runs_reused"], told["finished"]) == (0, 0, True)
    macs, earned = told["answers"]
    assert macs["outcome"] == "lower"
    assert earned["first"]["mean"]["value"] > 0
    cells = {(cell["cell"], cell["seed"]): cell["values"] for cell in told["cells"]}
    written, more = (cells[f"limbs={n} policy=written", 1]["multiply-adds"] for n in (2, 20))
    assert written < more
    page = Path(told["report"])
    assert "Latencies are CPU time" in page.read_text()
    for name in ("multiply-adds", "control-steps-to-earn-writing-back"):
        assert page.with_name(f"{name}.svg").is_file()
        assert page.with_name(f"{name}.pdf").read_bytes().startswith(b"%PDF")
    # What was counted is remembered: no child is started for it again.
    monkeypatch.setattr("hdtui.data.studies.run_tool", None)
    assert asked(capsys, "study", "verdict", "costs")["answers"] == told["answers"]
    assert asked(capsys, "study", "run", str(file))["cells"] == told["cells"]


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


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_built_in_study_ends_at_smoke_in_a_report_without_a_verdict(
    capsys: Captured,
) -> None:
    made = asked(capsys, "robots", "generate", "--into", "four", "--count", "4", "--unseen", "2")
    assert made["run"]["state"] == "finished"
    words = {
        name: (
            *("study", "run", name, "--preset", "smoke", "--seeds", "1", *FAST),
            *(() if name == "limbs" else ("--robots", "four")),
            *(() if name in ("limbs", "held-out") else ("--unseen", "four-unseen")),
        )
        for name in built_in_studies()
    }
    for each in words.values():  # all at once, so that no slot is ever empty
        asked(capsys, *each, "--detach")
    for name, each in words.items():
        told = asked(capsys, *each)
        assert told["runs_made"] == 0, name
        assert told["finished"], name
        assert {answer["outcome"] for answer in told["answers"]} == {"too small to judge"}, name
        page = Path(told["report"]).read_text()
        assert page.count("too small to judge") >= len(told["answers"]), name


def test_a_built_in_set_is_planned_alike_before_a_workspace_is_there(
    capsys: Captured, tmp_path: Path, unimal_dir: Path
) -> None:
    del unimal_dir
    words = ("study", "run", "regularisation", "--robots", "unimal8", "--dry-run", "--home")
    nothing = tmp_path / "nothing"
    before = asked(capsys, *words, str(nothing))
    assert not nothing.exists()
    Database.open(tmp_path / "there").close()
    assert asked(capsys, *words, str(tmp_path / "there"))["graph"] == before["graph"]
