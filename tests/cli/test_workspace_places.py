"""Any folder is a workspace under one spelling, or one sentence says why it is none."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db.queries.settings import get_setting, set_setting
from db.session import Database
from engine.errors import DatabaseError, UsageError, WorkspaceError
from engine.files import whole_path
from engine.morphology.mjcf_writing import write_robot
from engine.morphology.tree import Morphology
from engine.workers.workspace import Workspace
from hdtui.cli.home import home_folder
from hdtui.cli.main import run

ODD_NAMES = ("a?b", "a%41b", "my%20project", "#&;'\"", "a\nb", "é☃", ":memory:", "~x", "a:b@c")


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("there", [True, False])
def test_the_database_lies_in_the_folder_of_that_very_name(
    tmp_path: Path, name: str, there: bool
) -> None:
    home = tmp_path / name
    if there:
        home.mkdir()
    with closing(Database.open(home)) as database:
        set_setting(database, "mine", name)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert (home / "hdtui.db").is_file()
    with closing(Database.open(home, readonly=True)) as database:
        assert get_setting(database, "mine") == name
    assert Workspace(home).database_exists()


def test_two_names_that_a_url_would_cut_are_two_workspaces(
    tmp_path: Path, biped: Morphology, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "xml").mkdir(parents=True)
    (tmp_path / "in" / "xml" / "biped.xml").write_text(write_robot(biped))
    assert run(["robots", "import", str(tmp_path / "in"), "--home", str(tmp_path / "sweep?a")]) == 0
    capsys.readouterr()
    assert run(["robots", "list", "--home", str(tmp_path / "sweep?a")]) == 0
    assert "training" in capsys.readouterr().out
    assert run(["robots", "list", "--home", str(tmp_path / "sweep?b")]) == 0
    assert "training" not in capsys.readouterr().out
    assert not (tmp_path / "sweep").exists()


def test_every_spelling_of_a_home_is_one_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "ws"
    home.mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in ("../ws", "../here/../ws", "~/ws", "../link", str(home), f"{home}/", "./../ws"):
        assert home_folder(Path(spelling)) == home
        monkeypatch.setenv("HDTUI_HOME", spelling)
        assert home_folder(None) == home


def test_a_workspace_spelt_with_two_dots_knows_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    workspace = Workspace(tmp_path / "here" / ".." / "ws")
    assert workspace.relative(workspace.run_folder(3) / "log.txt") == "runs/3/log.txt"
    assert workspace.resolve("runs/3/log.txt") == tmp_path / "ws" / "runs" / "3" / "log.txt"
    with pytest.raises(WorkspaceError, match="outside the workspace"):
        workspace.resolve("../secret")


@pytest.mark.parametrize("home", ["~nobody-has-this-name", "~nobody-has-this-name/ws"])
def test_the_home_of_a_user_whom_nobody_knows_is_one_sentence(
    home: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["runs", "list", "--home", home]) == 2
    assert "nobody here has that home folder" in capsys.readouterr().err
    monkeypatch.setenv("HDTUI_HOME", home)
    with pytest.raises(UsageError, match="HDTUI_HOME"):
        home_folder(None)
    with pytest.raises(UsageError, match="--policy"):
        whole_path(Path(home), "--policy")


def test_a_file_on_the_way_to_the_workspace_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "ws", tmp_path / ("n" * 300)):
        for words in (["runs", "list"], ["doctor"], ["db", "check"], []):
            assert run([*words, "--home", str(home)]) == 2
            said = capsys.readouterr()
            assert not said.out
            assert said.err.count("\n") == 1


COMMANDS = (["runs", "list"], ["doctor"], ["export", "runs"], ["db", "check"], ["robots", "list"])


def test_no_home_folder_is_one_sentence_of_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nameless(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nameless)
    for name in ("HOME", "HDTUI_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for words in (*COMMANDS, ["bench", "cockpit"], ["--readonly"]):
        assert run(words) == 2
        said = capsys.readouterr()
        assert not said.out
        assert "HOME is not set" in said.err
        assert said.err.endswith("--home DIR or HDTUI_HOME\n")


@pytest.mark.skipif(os.getuid() != 0, reason="plays another user, which root alone may")
def test_a_closed_folder_is_one_sentence_of_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for words in COMMANDS:  # another user may be unable to read the modules that they load
        run([*words, "--home", str(tmp_path / "ws")])
    capsys.readouterr()
    os.seteuid(54321)
    try:
        codes = [run([*words, "--home", str(closed / "ws")]) for words in (*COMMANDS, [])]
    finally:
        os.seteuid(0)
    assert codes == [2] * 6
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("Permission denied. Choose another with --home DIR or HDTUI_HOME\n") == 6
    assert not list(closed.iterdir())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "no address"),
        ("postgresql://user:hunter2", "port is no number"),
        ("postgresql://user:hun@ter2@host/db", "%40"),
        ("postgresql://user@host:hunter2/db", "port is no number"),
        ("mysql://user:hunter2@host/db", "only PostgreSQL"),
        ("sqlite:///hunter2.db", "no whole path"),
        ("sqlite://", "no file"),
        ("sqlite:////tmp/a?b/hunter2.db", "%3F"),
        ("postgresql+hunter://u:hunter2@h/db", "hunter"),
        ("postgresql://h/db?user=hd&password=hun@ter2", "%40"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv("HDTUI_DATABASE_URL", url)
    with pytest.raises(DatabaseError, match="HDTUI_DATABASE_URL cannot be used") as refused:
        Database.open(tmp_path)
    assert reason in str(refused.value)
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hd:hunter%402@127.0.0.1:1/db",
        "postgresql://hd@127.0.0.1:1/db?password=hunter%402",
        "postgresql://hd@127.0.0.1:1/db?sslmode=disable&sslpassword=hunter%402",
        "postgres://hd@/db?host=/nowhere/hunter&password=hunter%402&passfile=/home/hunter%402",
        "postgresql+psycopg://127.0.0.1:1/db?user=hd&password=hunter%402&dbname=db",
    ],
)
def test_no_message_of_any_command_shows_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("HDTUI_DATABASE_URL", url)
    for words in (
        ["runs", "list"],
        ["doctor"],
        ["runs", "note", "1", "--note", "x"],
        ["db", "check"],
    ):
        assert run([*words, "--home", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "/db" in said.err
    for spelling in ("hunter@2", "hunter%402"):
        assert spelling not in said.out + said.err
    assert not list(tmp_path.rglob("*.log"))


def test_the_current_folder_may_be_gone(tmp_path: Path) -> None:
    script = "import os, sys; os.rmdir(os.getcwd()); from hdtui.__main__ import main; main()"
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "runs", "list", "--home", str(tmp_path / "ws")],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
