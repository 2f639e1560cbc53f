"""Nothing that lies in a workspace, a run's folder or the current folder is ever imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.session import Database
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment
from engine.workers.workspace import Workspace

MODULES = (
    *("json", "queue", "argparse", "random", "types", "pathlib", "logging", "signal", "copyreg"),
    *("numpy", "psutil", "torch", "mujoco", "lxml", "sqlalchemy", "pydantic", "typer", "alembic"),
    *("multiprocessing", "resource", "readline", "pynvml", "sitecustomize", "usercustomize"),
    *("runpy", "pkgutil", "encodings", "textual", "plotext", "platformdirs", "safetensors"),
)
PACKAGES = ("engine", "db", "hdtui", "json", "numpy", "concurrent")


def plant(folder: Path, ran: Path) -> None:
    """Modules and packages of many names that write down that they ran."""
    folder.mkdir(parents=True, exist_ok=True)
    code = f"open({str(ran)!r}, 'a').write(__file__ + chr(10))\nraise SystemExit(7)\n"
    for name in MODULES:
        (folder / f"{name}.py").write_text(code)
    for name in PACKAGES:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(code)


@pytest.fixture
def ran(workspace: Workspace, tmp_path: Path) -> Path:
    """A file that appears when anything planted runs: in workspace, run folders, current folder."""
    ran = tmp_path / "ran"
    for folder in (workspace.home, tmp_path / "here", *map(workspace.run_folder, range(1, 9))):
        plant(folder, ran)
    return ran


def hdtui(*words: str, here: Path) -> "subprocess.CompletedProcess[str]":
    """The program as its script starts it, standing in ``here``."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "from hdtui.__main__ import main; main()", *words],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_supervisor_and_no_worker_imports_what_lies_in_a_workspace(
    workspace: Workspace, database: Database, ran: Path, tmp_path: Path
) -> None:
    words = ("robots", "generate", "--count", "1", "--into", "x", "--home", str(workspace.home))
    done = hdtui(*words, here=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert not ran.exists(), ran.read_text()


def test_a_module_started_from_the_current_folder_imports_nothing_else_from_there(
    ran: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    # Python itself imports these, and the program, before it may say no: everything else is ours.
    for name in ("runpy", "pkgutil", "types", "encodings"):
        (here / f"{name}.py").unlink()
    (here / "hdtui" / "__init__.py").unlink()
    (here / "hdtui").rmdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "hdtui", "doctor", "--json"],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.exists(), ran.read_text()
    assert json.loads(done.stdout), done.stderr


@pytest.mark.slow
def test_no_stage_and_no_tool_imports_what_lies_in_a_workspace(
    workspace: Workspace, database: Database, ran: Path, tmp_path: Path
) -> None:
    here, home = tmp_path / "here", str(workspace.home)
    for words in (("pipeline", "--preset", "smoke"), ("claims",), ("efficiency", "--task", "flat")):
        done = hdtui(*words, "--home", home, here=here)
        assert done.returncode == 0, done.stderr
        assert not ran.exists(), ran.read_text()


def test_an_obsolete_backport_among_the_packages_stops_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    plant(tmp_path / "packages", ran)
    (tmp_path / "packages" / "only_here.py").write_text("FOUND = True")
    for name in ("numpy", "psutil"):  # a package of that name is whoever set PYTHONPATH's wish
        (tmp_path / "packages" / f"{name}.py").unlink()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'packages'}{os.pathsep}{os.pathsep}relative")
    environment = child_environment()
    assert "PYTHONPATH" not in environment
    done = subprocess.run(
        child_command("engine.workers.child_tool", "nothing"),
        input="{}",
        cwd=NEUTRAL_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no tool 'nothing'" in done.stdout
    assert not ran.exists()
    monkeypatch.setattr(os, "environ", environment)
    assert child_environment() == environment, "a child's children look in the same places"
