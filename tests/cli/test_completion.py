"""What Tab offers: asked as bash, zsh and fish ask, of a workspace and of none."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import queue_run
from db.records import NewRobot, NewRun, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from hdtui.cli.main import run as hdtui

Captured = pytest.CaptureFixture[str]
BIN = Path(sys.executable).parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A teacher (1), a collection (2) and a student (3) on the set ``eight`` of one robot."""
    home = tmp_path / "home"
    home.mkdir()
    database = Database.open(home)
    preset = PRESETS["quick"]
    for kind, config in (
        (RunKind.TEACHER, preset.teacher),
        (RunKind.COLLECTION, preset.collection),
        (RunKind.STUDENT, preset.student),
    ):
        name = 'mine $(touch "$HOME/ran") `id`' if kind is RunKind.TEACHER else f"of {kind}"
        new = NewRun(kind, name, config.model_dump(mode="json"), 1, group="wide")
        queue_run(database, new)
    with database.write() as session:
        append_points(session, 1, [NewPoint("return", "", 1, 1, 0.5, 4.0)])
    [robot] = add_robots(database, [NewRobot("ab" * 32, "walker", "unimal", 5, 8, 9.0, 1.0, "x")])
    create_set(database, "eight", [(robot.id, "training")])
    database.close()
    return home


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> "Tab":
    return Tab(monkeypatch, capsys)


class Tab:
    """Asks as a shell asks at Tab; bash cuts words at ``=`` and ``:``, which is done here too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def bash(self, line: str) -> list[str]:
        words = [part for word in line.split(" ") for part in _cut(word)]
        self._monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        self._monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        return self._asked("complete_bash")

    def other(self, shell: str, line: str) -> list[str]:
        self._monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        self._monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        return self._asked(f"complete_{shell}")

    def _asked(self, instruction: str) -> list[str]:
        self._monkeypatch.setenv("_HDTUI_COMPLETE", instruction)
        hdtui([])
        told = self._capsys.readouterr()
        assert told.err == ""
        return told.out.split("\n")[:-1] if told.out.strip() else []


def _cut(word: str) -> list[str]:
    return [part for part in re.split(r"([=:]+)", word) if part] or [""]


def test_commands_options_and_choices_are_completed(tab: Tab) -> None:
    assert {"pipeline", "runs", "settings", "export"} <= set(tab.bash("hdtui "))
    assert tab.bash("hdtui ru") == ["runs"]
    assert {"--home", "--json", "--preset", "--set"} <= set(tab.bash("hdtui teach --"))
    assert tab.bash("hdtui pipeline --preset ") == ["smoke", "quick", "laptop", "paper"]
    assert tab.bash("hdtui pipeline --preset=s") == ["smoke"]
    assert tab.bash("hdtui runs list --state fi") == ["finished"]
    assert tab.bash("hdtui evaluate --task ob") == ["obstacles"]
    assert tab.bash("hdtui teach --device c") == ["cpu", "cuda"]
    assert tab.bash("hdtui deploy 3 --format ") == ["npz", "onnx"]
    assert tab.bash("hdtui export metrics 1 --format ten") == ["tensorboard"]
    assert tab.bash("hdtui settings stu") == ["student"]
    assert tab.bash("hdtui runs list --filter kind:te") == ["teacher"]
    assert tab.bash("hdtui runs list --filter sta") == ["state:", "started:"]


def test_settings_are_completed_by_key_and_behind_the_sign_by_value(tab: Tab) -> None:
    keys = tab.bash("hdtui pipeline --set teacher.ppo.")
    assert "teacher.ppo.learning_rate=" in keys
    assert all(key.startswith("teacher.ppo.") and key.endswith("=") for key in keys)
    assert tab.bash("hdtui teach --set ppo.schedule=") == ["adaptive", "cosine"]
    assert tab.bash("hdtui teach --set ppo.schedule=co") == ["cosine"]
    assert tab.bash("hdtui teach --set=ppo.schedule=co") == ["cosine"]
    assert tab.bash("hdtui distill 2 --set network.size=pub") == ["published"]
    assert tab.bash("hdtui teach --set ppo.learn_action_std=") == ["yes", "no"]
    # Behind the only answer a shell would put a space: the value in use is the second one.
    assert tab.bash("hdtui teach --set seed") == ["seed=", "seed=1"]
    assert tab.bash("hdtui teach --preset paper --set ppo.horizon=") == ["2560"]
    assert tab.other("fish", "hdtui teach --set ppo.schedule=co")[0].startswith(
        "ppo.schedule=cosine\tFollow the KL target"
    )


def test_runs_sets_robots_policies_and_studies_come_from_the_workspace(
    home: Path, tab: Tab
) -> None:
    assert tab.bash("hdtui runs show ") == ["3", "2", "1"]
    assert tab.bash("hdtui collect ") == ["1", "pretrained-teacher"]
    assert tab.bash("hdtui distill ") == ["2"]
    assert tab.bash("hdtui deploy ") == ["3", "pretrained"]
    assert tab.bash("hdtui runs stop 3 ") == ["2", "1"]
    everywhere = ["pretrained", "pretrained-teacher", "random", "zero"]
    assert tab.bash("hdtui evaluate --policy ") == ["3", "1", *everywhere]
    assert tab.bash("hdtui teach --robots ei") == ["eight"]
    assert tab.bash("hdtui evaluate --robots eight,wal") == ["eight,walker"]
    assert tab.bash("hdtui robots show ") == ["walker"]
    assert tab.bash("hdtui robots select eight ") == ["walker"]
    assert tab.bash("hdtui teach --study ") == ["wide"]
    assert tab.bash("hdtui runs clone 1 --set ppo.sched") == [
        "ppo.schedule=adaptive",
        "ppo.schedule=cosine",
    ]
    assert tab.bash("hdtui runs metrics 1 --name ret") == ["return"]
    [of_fish] = [one for one in tab.other("fish", "hdtui runs show ") if one.startswith("2")]
    assert of_fish == "2\tcollection of collection queued"
    assert not (home / "ran").exists()


def test_names_from_outside_cannot_run_in_a_shell(home: Path, tab: Tab) -> None:
    del home
    [line] = [one for one in tab.other("zsh", "hdtui runs show 1") if '"1"' in one]
    assert not set("$`'\\") & set(line.partition("((")[2].partition("))")[0])


def test_the_workspace_may_be_named_on_the_line(home: Path, tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Database.open(tmp_path / "other").close()
    assert tab.bash(f"hdtui runs show --home {tmp_path / 'other'} ") == []
    assert tab.bash(f"hdtui runs show --home={home} ") == ["3", "2", "1"]


def test_without_a_workspace_or_with_a_broken_one_nothing_is_offered_said_or_made(
    tmp_path: Path, tab: Tab
) -> None:
    assert tab.bash("hdtui runs show ") == []
    assert not (tmp_path / "home").exists()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "hdtui.db").write_bytes(b"no database at all, but of some length" * 99)
    assert tab.bash("hdtui runs show ") == []
    assert [each.name for each in (tmp_path / "home").iterdir()] == ["hdtui.db"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_in_a_terminal(home: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HDTUI_HOME": str(home),
        "TERM": "dumb",
        "PS1": "> ",
    }
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(  # noqa: S606 - a terminal of bash is what is tested
            "bash", ["bash", "--norc", "--noprofile", "-i"], environment
        )
    try:
        os.write(terminal, b'eval "$(_HDTUI_COMPLETE=source_bash hdtui)"; echo re""ady\n')
        _read_until(terminal, "ready\r\n")
        os.write(terminal, b"echo hdtui; hdtui teach --set ppo.schedule=co\t")
        assert "the cockpit needs" not in _read_until(terminal, "ppo.schedule=cosine ")
        os.write(terminal, b"\x15hdtui runs show \t\t")
        assert re.search(r"1 +2 +3", _read_until(terminal, "3 "))
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


def _read_until(terminal: int, words: str) -> str:
    seen, deadline = "", time.monotonic() + 60
    while words not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536).decode()
    assert words in seen, seen
    return seen


def test_tab_loads_neither_torch_nor_mujoco_nor_textual(home: Path) -> None:
    asked = {"COMP_WORDS": "hdtui\nruns\nshow\n", "COMP_CWORD": "3"}
    code = (
        "import sys; sys.argv = ['hdtui']\n"
        "from hdtui.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'mujoco', 'textual', 'numpy'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **asked, "_HDTUI_COMPLETE": "complete_bash", "HDTUI_HOME": str(home)},
        check=True,
    )
    assert result.stdout.splitlines() == ["3", "2", "1", "[]"]
