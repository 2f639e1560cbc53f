"""What this machine may do to runs: files, SQLite, logout, disk, terminal, cores, GPU."""

import importlib.metadata
import locale
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from engine.files import existing_parent

SAFE_SQLITE = (3, 51, 3)
LOW_DISK_BYTES = 2 * 1024**3
GIB = 1024**3
Verdict = Literal["good", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what to do where it is not good."""

    name: str
    verdict: Verdict
    text: str


def examine(home: Path, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything worth knowing before hours of work; changes and creates nothing."""
    return [
        _libraries(),
        _cores(),
        _memory(),
        _gpu(),
        _workspace(home),
        _file_system(home),
        _disk(home),
        _sqlite(),
        _database(home),
        _logout(),
        _terminal(environment),
    ]


def checked(home: Path) -> tuple[str, tuple[str, ...]]:
    """What the doctor says of this machine in one sentence, and in several."""
    findings = examine(home)
    troubles = [f"{each.name}: {each.text}." for each in findings if each.verdict != "good"]
    good = [each.name for each in findings if each.verdict == "good"]
    summary = f"doctor: {len(good)} of {len(findings)} things are good"
    return summary, (*troubles, f"Good: {', '.join(good)}.", "`hdtui doctor` says all of it.")


def _libraries() -> Finding:
    names = ("hdtui", "torch", "mujoco", "mjbatch", "textual", "sqlalchemy")
    missing, found = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    text = f"Python {platform.python_version()}, {', '.join(found)}"
    if missing:
        return Finding("libraries", "bad", f"{text}; missing {', '.join(missing)}: run make setup")
    return Finding("libraries", "good", text)


def _cores() -> Finding:
    usable = _usable_cores()
    load = os.getloadavg()[0]
    text = f"{usable} usable of {os.cpu_count()}, load {load:.1f}"
    if load > 1.5 * usable:
        return Finding("cores", "warn", f"{text}: others are at work, runs will be slower")
    return Finding("cores", "good", text)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    if memory.available < 2 * GIB:
        return Finding("memory", "warn", f"{text}: a teacher of many robots needs 2 GiB")
    return Finding("memory", "good", text)


def _gpu() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        text = f"none found; a teacher here takes {_usable_cores()} processes on the CPU"
        return Finding("GPU", "good", text)
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding("GPU", "warn", "nvidia-smi fails; runs use the CPU")
    names = "; ".join(listing.stdout.split("\n")).strip("; ")
    build = _torch_version()
    if build.endswith("+cpu"):
        return Finding(
            "GPU",
            "warn",
            f"{names}, which torch {build} cannot use: it is a build for the CPU; install one with"
            " CUDA (`make setup TORCH=...`)",
        )
    learner = f"a learner and {max(_usable_cores() - 1, 1)} simulation processes"
    return Finding("GPU", "good", f"{names}; a large teacher here takes {learner}")


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _usable_cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def _workspace(home: Path) -> Finding:
    existing = existing_parent(home)
    if not existing.is_dir():
        return Finding("workspace", "bad", f"{home}: {existing} is a file; choose another --home")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("workspace", "bad", f"{home} cannot be written; choose another --home")
    if not home.exists():
        return Finding("workspace", "good", f"{home}, not created yet")
    if home.stat().st_mode & 0o077:
        return Finding(
            "workspace",
            "warn",
            f"{home} is open to other users, who see or change what lies there; "
            f"`chmod 700 {home}` makes it yours alone",
        )
    return Finding("workspace", "good", f"{home}, yours alone")


def _file_system(home: Path) -> Finding:
    from db.filesystem import file_system

    found = file_system(home)
    where = f"{found.type} at {found.mount_point or 'an unknown mount'}"
    if found.network:
        return Finding(
            "file system",
            "warn",
            f"{where} is a network file system: the database uses a rollback journal instead of "
            "WAL, and only one machine should write; a local --home is faster and safer",
        )
    return Finding("file system", "good", f"{where}, local: write-ahead log")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(existing_parent(home)).free
    text = f"{free / GIB:.1f} GiB free"
    if free < LOW_DISK_BYTES:
        return Finding("disk", "warn", f"{text}: a quick pipeline needs 0.2 GiB, long ones more")
    return Finding("disk", "good", text)


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version_info
    text = f"SQLite {sqlite3.sqlite_version}"
    if version < SAFE_SQLITE:
        return Finding(
            "SQLite",
            "warn",
            f"{text} is older than 3.51.3, which can corrupt a write-ahead log that two processes "
            "reset; hdtui lets only the supervisor reset it",
        )
    return Finding("SQLite", "good", text)


def _database(home: Path) -> Finding:
    from db.session import Database
    from engine.errors import DatabaseError
    from engine.workers.workspace import Workspace

    try:
        if not Workspace(home).database_exists():
            return Finding("database", "good", "none yet; the first run creates it")
        database = Database.open(home, readonly=True)
        problems = database.problems()
        schema = database.schema()
        kind = database.dialect
        database.close()
    except DatabaseError as error:
        return Finding("database", "bad", str(error))
    if problems:
        return Finding("database", "bad", f"{len(problems)} problems, first: {problems[0]}")
    known = "sound" if kind == "sqlite" else "PostgreSQL answers"
    return Finding("database", "good", f"{known}, schema {schema}")


def _logout(root: Path = Path("/")) -> Finding:
    """Whether systemd kills what a user leaves running at logout (KillUserProcesses, linger)."""
    user = os.environ.get("USER") or str(os.getuid())
    kills = _asked_logind() if root == Path("/") else None
    source = "logind says so"
    if kills is None:
        kills, source = _configured_kills(root), "its configuration says so"
    if kills and not (root / "var/lib/systemd/linger" / user).exists():
        return Finding(
            "logout",
            "warn",
            f"KillUserProcesses is on ({source}): runs die at logout;"
            f" `loginctl enable-linger {user}` keeps them",
        )
    if kills:
        return Finding("logout", "good", f"runs survive logout: {user} lingers")
    if kills is None:
        source = "KillUserProcesses is not set anywhere; distributions leave it off"
    return Finding("logout", "good", f"runs survive logout: {source}")


def _asked_logind() -> bool | None:
    """What the running logind does; None where there is none to ask."""
    program = shutil.which("busctl")
    if program is None:
        return None
    logind = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    command = [program, "get-property", *logind, "KillUserProcesses"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"b true": True, "b false": False}.get(answer.stdout.strip())


def _configured_kills(root: Path) -> bool | None:
    """What logind's files say, in the order in which it reads them; None where nothing does."""
    folders = [root / name / "systemd" for name in ("usr/lib", "usr/local/lib", "run", "etc")]
    mains = [folder / "logind.conf" for folder in folders if (folder / "logind.conf").is_file()]
    # A file of a later folder takes the place of one of that name in an earlier folder.
    parts = {
        file.name: file for folder in folders for file in (folder / "logind.conf.d").glob("*.conf")
    }
    kills = None
    for file in [*mains[-1:], *(parts[name] for name in sorted(parts))]:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for value in re.findall(r"(?m)^\s*KillUserProcesses\s*=\s*(\S+)", text):
            kills = value.lower() in ("yes", "true", "1", "on")
    return kills


def _terminal(environment: Mapping[str, str]) -> Finding:
    size = shutil.get_terminal_size((0, 0))
    term = environment.get("TERM", "none")
    colours = "256" if "256color" in term else "16"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        colours = "true"
    text = f"TERM {term}, {colours} colours, {size.columns}x{size.lines}"
    if "NO_COLOR" in environment:
        text += ", NO_COLOR"
    if "utf" not in locale.getpreferredencoding(False).lower():
        advice = "choose a UTF-8 locale, or ASCII drawing in the palette (ctrl+p)"
        return Finding("terminal", "warn", f"{text}; no UTF-8: {advice}")
    if 0 < size.columns < 80 or 0 < size.lines < 24:
        return Finding("terminal", "warn", f"{text}; made for 80x24, works from 60x18")
    return Finding("terminal", "good", text)
