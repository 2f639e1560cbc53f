"""``hdtui efficiency``: one JSON document, counted in a child."""

import json
from pathlib import Path

import pytest

from engine.errors import UsageError
from hdtui.cli.main import run
from hdtui.data.child_tool import run_tool


def test_efficiency_prints_rows_and_ratios_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    words = ["efficiency", "--policies", "transformer,base-mlp", "--json", "--home", str(home)]
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["policy"] for row in document["rows"]] == ["transformer", "base-mlp"]
    assert [set(row) for row in document["rows"]] == [
        {"policy", "task", "limbs", "parameters", "macs", "latency_us"}
    ] * 2
    assert document["rows"][0]["macs"] == 19_928_064
    assert round(document["ratios"]["transformer"]["macs"], 1) == 160.8
    assert "multiply-add counts once" in document["convention"]
    assert not home.exists()


def test_no_robot_has_a_hundred_thousand_limbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["efficiency", "--limbs", "100000"]) == 2
    assert "less than or equal to 100" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("efficiency", "--task", "moon"),
        ("efficiency", "--scaling", "--latency"),
        ("efficiency", "--policies", "7"),
        ("compare", "1"),
        ("export", "claims", "--format", "xml"),
    ],
)
def test_wrong_use_exits_2(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--home", str(tmp_path / "home")]) == 2
    assert capsys.readouterr().err.startswith("hdtui: ")
    assert not (tmp_path / "home").exists()


def test_what_a_child_refuses_is_wrong_use_here_too() -> None:
    with pytest.raises(UsageError, match="no tool 'nothing'"):
        run_tool("nothing", {})
