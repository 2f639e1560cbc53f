"""Wrong use: exit code 2, one clear sentence, no traceback, nothing created."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.workers.policy_files import find_policy_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "hdtui pipeline --preset quick"),
        (("pipeline", "--preset", "slow"), "there is no preset 'slow'; the presets are smoke"),
        (("pipeline", "--robots", "nobody"), 'no robot set "nobody"'),
        (("pipeline", "--robots", "unimal8"), "HDTUI_UNIMAL_DIR"),
        (("pipeline", "--set", "teacher.totl_env_steps=3"), "did you mean teacher.total_env_steps"),
        (("pipeline", "--set", "teacher.processes=-1"), "greater than or equal to 0"),
        (("pipeline", "--set", "nonsense"), "expected KEY=VALUE"),
        (
            ("pipeline", "--config", "absent.toml"),
            "hdtui: --config absent.toml: cannot be read: No such file or directory\n",
        ),
        (("runs", "list", "--home", str(ROOT / "pyproject.toml")), "it is a file"),
        (("adopt", "absent.npz", "--robots", "unimal8"), "absent.npz: no such file; name a teach"),
        (
            ("adopt", "pyproject.toml", "--robots", "unimal8"),
            "pyproject.toml: holds no policy; expected a teacher's or student's, or a checkp",
        ),
        (("collect", "pretrained", "--robots", "r"), "holds a student, expected a teacher"),
        (("deploy", "pretrained-teacher", "--robot", "r"), "holds a teacher, expected a student"),
        (
            ("collect", "random", "--robots", "r"),
            "random is no teacher: name the number of its run",
        ),
        (("screenshots", "--out", "nowhere", "--only", "nope"), "there is no screen 'nope'"),
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
    tmp_path: Path, hdtui: Callable[..., Any], words: tuple[str, ...], part: str
) -> None:
    home = tmp_path / "home"
    result = hdtui(*words, home=home)
    assert result.returncode == 2, result.stderr
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not home.exists()


def test_a_workspace_that_cannot_be_written_is_refused(
    tmp_path: Path, hdtui: Callable[..., Any]
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = hdtui("pipeline", "--preset", "smoke", home=tmp_path / "file" / "home")
    assert result.returncode == 2
    assert "is a file" in result.stderr
    assert "Traceback" not in result.stderr


def test_home_before_a_command_is_pointed_out(tmp_path: Path, hdtui: Callable[..., Any]) -> None:
    for home in (["--home", "/w s"], ["--home=/w s"]):
        result = hdtui(*home, "runs", "show", "7", "--json", home=tmp_path / "home")
        assert result.returncode == 2
        meant = "hdtui runs show 7 --json --home '/w s'"
        assert result.stderr == f"hdtui: --home stands after the command: {meant}\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("runs", "show", "7"), "no workspace here yet, so there are no runs"),
        (("robots", "list", "nope"), "no workspace here yet, so there are no robot sets"),
        (("db", "check"), "no workspace here yet, so there is no database"),
        (("robots", "show", "nobody"), "nobody"),
        (("robots", "show", "absent.xml"), "no such file"),
    ],
)
def test_what_does_not_exist_fails_and_creates_nothing(
    tmp_path: Path, hdtui: Callable[..., Any], words: tuple[str, ...], part: str
) -> None:
    result = hdtui(*words, home=tmp_path / "home")
    assert result.returncode == 1
    assert part in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_policy_file_that_is_not_there_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nofile\.npz: no such file; name a run, a file"):
        find_policy_file(tmp_path / "nofile.npz", "flat", [])


@pytest.mark.parametrize(("kind", "key"), [("runs", "runs"), ("robots", "sets")])
def test_an_empty_workspace_lists_nothing_and_is_not_created(
    tmp_path: Path, hdtui: Callable[..., Any], kind: str, key: str
) -> None:
    result = hdtui(kind, "list", "--json", home=tmp_path / "home")
    assert result.returncode == 0
    assert result.stdout.split() == ["{", f'"{key}":', "[]", "}"]
    assert result.stderr == f"{tmp_path / 'home'}: no workspace here yet\n"
    assert not (tmp_path / "home").exists()
