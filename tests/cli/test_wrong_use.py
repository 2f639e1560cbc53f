"""Wrong use: exit code 2, one clear sentence, no traceback, nothing created."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def hdtui(*words: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user would, without a terminal."""
    variables = {name: value for name, value in os.environ.items() if name != "HDTUI_UNIMAL_DIR"}
    return subprocess.run(
        [sys.executable, "-m", "hdtui", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env={**variables, "HDTUI_HOME": str(home), **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "hdtui pipeline --preset quick"),
        (("pipeline", "--preset", "slow"), "there is no preset 'slow'; the presets are smoke"),
        (("pipeline", "--robots", "nobody"), 'no robot set "nobody"'),
        (("pipeline", "--robots", "unimal8"), "HDTUI_UNIMAL_DIR"),
        (("pipeline", "--set", "teacher.totl_env_steps=3"), "did you mean teacher.total_env_steps"),
        (("pipeline", "--set", "teacher.processes=0"), "greater than or equal to 1"),
        (("pipeline", "--set", "nonsense"), "expected KEY=VALUE"),
        (("pipeline", "--config", "absent.toml"), "absent.toml"),
        (("teach", "--robots", "nobody"), 'no robot set "nobody"'),
        (("teach", "--robots", "nobody", "--set", "ppo.discount=2"), "ppo.discount"),
        (("teach", "--robots", "nobody", "--device", "gpu"), "'auto', 'cpu', 'cuda'"),
        (("robots", "generate", "--into", "../escape"), "cannot be named"),
        (("robots", "generate", "--into", "a", "--role", "test"), "choose from training, unseen"),
        (("runs", "list", "--state", "done"), "there is no state 'done'"),
        (("fly",), "fly"),
    ],
)
def test_wrong_use_exits_2_with_one_sentence_and_creates_nothing(
    tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    home = tmp_path / "home"
    result = hdtui(*words, home=home)
    assert result.returncode == 2, result.stderr
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not home.exists()


def test_a_workspace_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = hdtui("pipeline", "--preset", "smoke", home=tmp_path / "file" / "home")
    assert result.returncode == 2
    assert "is a file" in result.stderr
    assert "Traceback" not in result.stderr


def test_home_before_a_command_is_pointed_out(tmp_path: Path) -> None:
    result = hdtui("--home", str(tmp_path / "other"), "runs", "list", home=tmp_path / "home")
    assert result.returncode == 2
    assert "after the command" in result.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("runs", "show", "7"), "no workspace here yet"),
        (("robots", "show", "nobody"), "nobody"),
        (("robots", "show", "absent.xml"), "no such file"),
    ],
)
def test_what_does_not_exist_fails_and_creates_nothing(
    tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    result = hdtui(*words, home=tmp_path / "home")
    assert result.returncode == 1
    assert part in result.stderr
    assert not (tmp_path / "home").exists()


def test_an_empty_workspace_lists_no_runs_and_is_not_created(tmp_path: Path) -> None:
    result = hdtui("runs", "list", "--json", home=tmp_path / "home")
    assert result.returncode == 0
    assert result.stdout.split() == ["{", '"runs":', "[]", "}"]
    assert not (tmp_path / "home").exists()
