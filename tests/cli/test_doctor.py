"""The doctor looks and touches nothing."""

import sqlite3
from pathlib import Path

import pytest

import db.filesystem
from db.migrations import SCHEMA
from db.session import Database
from hdtui.data import doctor


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


ON, OFF = "[Login]\nKillUserProcesses=yes\n", "[Login]\nKillUserProcesses=no\n"


@pytest.mark.parametrize(
    ("files", "verdict"),
    [
        ({}, "good"),
        ({"etc/systemd/logind.conf": ON}, "warn"),
        ({"etc/systemd/logind.conf": f"#{OFF}"}, "good"),
        ({"usr/lib/systemd/logind.conf": ON, "etc/systemd/logind.conf": "[Login]\n"}, "good"),
        ({"etc/systemd/logind.conf": ON, "run/systemd/logind.conf.d/50-ours.conf": OFF}, "good"),
        ({"usr/lib/systemd/logind.conf.d/50-kill.conf": ON}, "warn"),
        (
            {
                "usr/lib/systemd/logind.conf.d/50-kill.conf": ON,
                "etc/systemd/logind.conf.d/50-kill.conf": OFF,
            },
            "good",
        ),
        ({"etc/systemd/logind.conf": ON, "var/lib/systemd/linger/worker": ""}, "good"),
    ],
)
def test_logout_rules_are_read(
    tmp_path: Path, files: dict[str, str], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "worker")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert doctor._logout(tmp_path).verdict == verdict


def test_a_small_or_plain_terminal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    assert doctor._terminal({"TERM": "vt100", "NO_COLOR": "1"}).verdict == "warn"


def test_a_network_file_system_is_told_with_what_is_done_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 0:35 / {tmp_path} rw,relatime - nfs4 server:/home rw\n")
    monkeypatch.setattr(db.filesystem, "MOUNT_TABLE", table)
    found = doctor._file_system(tmp_path / "home")
    assert found.verdict == "warn"
    assert f"nfs4 at {tmp_path} is a network file system" in found.text
    assert "rollback journal instead of WAL" in found.text


def test_a_sqlite_that_can_corrupt_a_log_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert doctor._sqlite().verdict == "warn"
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert doctor._sqlite().verdict == "good"


def test_a_broken_nvidia_smi_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._gpu().verdict == "good"
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert doctor._gpu().verdict == "warn"
    program.write_text("no program at all")
    assert doctor._gpu().verdict == "warn"


def test_a_sound_and_an_older_database_are_told_apart(tmp_path: Path) -> None:
    Database.open(tmp_path / "new").close()
    assert doctor._database(tmp_path / "new").text == f"sound, schema {SCHEMA}"
    with sqlite3.connect(tmp_path / "hdtui.db") as connection:
        connection.execute("CREATE TABLE left_by_the_first_one (a)")
    connection.close()
    older = doctor._database(tmp_path)
    assert older.verdict == "bad"
    assert "`hdtui db upgrade` brings it up" in older.text
