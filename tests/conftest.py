"""Fixtures every area shares."""

import os
from pathlib import Path

import pytest

# Before torch is imported anywhere: two cores are shared by pytest's own processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def unimal_dir() -> Path:
    """The folder of real robots (``xml/``, ``metadata/``); tests that need it skip without it."""
    value = os.environ.get("HDTUI_UNIMAL_DIR")
    if not value:
        pytest.skip("HDTUI_UNIMAL_DIR is not set: the real robots are not part of the repository")
    folder = Path(value)
    if not (folder / "xml").is_dir():
        pytest.skip(f"HDTUI_UNIMAL_DIR={value} has no xml/ folder")
    return folder


@pytest.fixture(autouse=True)
def _no_workspace_outside_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDTUI_HOME", str(tmp_path / "home"))
