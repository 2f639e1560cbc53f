"""The doctor looks and touches nothing."""

from pathlib import Path

import pytest

from hdtui.services import doctor


def test_examining_creates_nothing(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path / "absent", {"TERM": "xterm-256color"})
    assert not (tmp_path / "absent").exists()
    names = [finding.name for finding in findings]
    assert names == sorted(set(names), key=names.index)
    assert "none yet" in next(f.text for f in findings if f.name == "database")


def test_a_file_in_the_way_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    findings = {f.name: f for f in doctor.examine(tmp_path / "file" / "home", {})}
    assert findings["workspace"].verdict == "bad"
    assert "is a file" in findings["workspace"].text


def test_a_damaged_database_is_bad(tmp_path: Path) -> None:
    (tmp_path / "hdtui.db").write_bytes(b"not a database, whatever its name says" * 100)
    findings = {f.name: f for f in doctor.examine(tmp_path, {})}
    assert findings["database"].verdict == "bad"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("[Login]\nKillUserProcesses=yes\n", "warn"),
        ("[Login]\n#KillUserProcesses=yes\n", "good"),
        ("[Login]\nKillUserProcesses=no\n", "good"),
    ],
)
def test_logout_rules_are_read(
    tmp_path: Path, text: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "nobody-lingers")
    (tmp_path / "logind.conf").write_text(text)
    assert doctor._logout(tmp_path).verdict == verdict


def test_a_small_or_plain_terminal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    assert doctor._terminal({"TERM": "vt100", "NO_COLOR": "1"}).verdict == "warn"
