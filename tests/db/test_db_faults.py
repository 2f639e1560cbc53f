"""Damage, age, full and read-only disks: a clear sentence, and nothing is made worse."""

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import db.filesystem
import db.migrations.upgrade
import db.session
from db.connections import journal_mode
from db.migrations import SCHEMA
from db.models import Base
from db.queries.robots import list_robots
from db.queries.runs import count_states, get_run, list_events, list_runs, queue_run
from db.queries.settings import get_setting, set_setting
from db.records import NewRun, RunKind
from db.session import Database
from engine.errors import DatabaseError, HdtuiError

NEW = NewRun(RunKind.TEACHER, "first", {"seed": 1}, seed=1, tags=("kept",))
SCHEMAS = Path(__file__).with_name("schemas")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two mebibytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a byte on the disk of ``folder``."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_full_disk_is_a_sentence_and_loses_nothing(small_disk: Path) -> None:
    with closing(Database.open(small_disk)) as database:
        run = queue_run(database, NEW)
        filler = fill(small_disk)

        def write_much() -> None:
            for number in range(1000):
                set_setting(database, f"key{number}", "x" * 1000)

        with pytest.raises(DatabaseError, match=r"Cannot write .*hdtui\.db: .*(full|disk I/O)"):
            write_much()
        assert get_run(database, run.id).name == "first"
        filler.unlink()
        set_setting(database, "after", 1)
        assert get_setting(database, "after") == 1
        assert database.problems() == []


def test_a_read_only_disk_is_read_and_refused_with_a_sentence(small_disk: Path) -> None:
    with closing(Database.open(small_disk)) as database:
        queue_run(database, NEW)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refusal = r"Cannot write .*hdtui\.db: its folder or its disk takes no writing; choose another"
    with closing(Database.open(small_disk, create=False)) as reader:
        assert [run.name for run in list_runs(reader)] == ["first"]
        with pytest.raises(DatabaseError, match=refusal):
            queue_run(reader, NEW)
    with pytest.raises(DatabaseError, match=refusal):
        Database.open(small_disk)


def test_a_log_that_a_read_only_disk_keeps_apart_is_a_sentence(small_disk: Path) -> None:
    writer = Database.open(small_disk)
    queue_run(writer, NEW)
    for name in ("hdtui.db", "hdtui.db-wal"):
        shutil.copy(small_disk / name, small_disk / f"{name}.kept")
    writer.close()
    for name in ("hdtui.db", "hdtui.db-wal"):
        (small_disk / f"{name}.kept").rename(small_disk / name)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DatabaseError, match=r"lies in the log beside it\. Copy both to a disk"):
        Database.open(small_disk, create=False)


def test_a_database_that_vanishes_is_missed_by_readers_and_writers_and_never_made_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hdtui.db"
    gone = r"Cannot (read|write) .*hdtui\.db: the file is gone. Put it back"
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
        assert database.revision() == database.revision()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).rename(tmp_path / f"away{suffix}")
        for question in (list_runs, lambda database: queue_run(database, NEW), Database.revision):
            with pytest.raises(DatabaseError, match=gone):
                question(database)
        assert not path.exists()
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"away{suffix}").rename(path.with_name(path.name + suffix))
        assert [run.name for run in list_runs(database)] == ["first"]
        queue_run(database, NEW)
        assert len(list_runs(database)) == 2
        assert database.problems() == []


def test_a_log_that_is_removed_under_two_that_look_all_the_time_is_let_go_of_by_both(
    tmp_path: Path,
) -> None:
    with closing(Database.open(tmp_path)) as one, closing(Database.open(tmp_path)) as other:
        set_setting(one, "kept", "moved")
        one.checkpoint_log(truncate=True)
        for number in range(5):
            set_setting(one, "lost", number)
            assert other.revision() != one.revision()
        (tmp_path / "hdtui.db-wal").unlink()
        refused: list[str] = []
        for number in range(20):
            for each in (one, other):
                try:
                    each.revision()
                    set_setting(each, "after", number)
                except DatabaseError as error:
                    refused.append(str(error))
        assert len(refused) < 10
        assert all("removed while" in said or "made anew" in said for said in refused)
        assert get_setting(other, "after") == 19
        assert get_setting(one, "kept") == "moved"
        with closing(Database.open(tmp_path)) as late:
            assert get_setting(late, "after") == 19
        assert one.problems() == []


def test_an_empty_file_is_no_workspace_and_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "hdtui.db").touch()
    for readonly in (False, True):
        with pytest.raises(DatabaseError, match="There is no workspace at"):
            Database.open(tmp_path, create=False, readonly=readonly)
    assert (tmp_path / "hdtui.db").stat().st_size == 0


@pytest.mark.parametrize("schema", [None, *range(1, SCHEMA)])
def test_an_older_schema_is_not_read_without_its_upgrade(
    schema: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "hdtui.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        if schema is None:
            connection.execute("CREATE TABLE left_by_the_first_one (a)")
        else:
            connection.executescript((SCHEMAS / f"{schema}.sql").read_text())
    before = sha256(path)
    with pytest.raises(DatabaseError, match=rf"has schema {schema or 0}.*`hdtui db upgrade`"):
        Database.open(tmp_path, readonly=True)
    assert sha256(path) == before


def test_tables_of_another_shape_are_a_sentence(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
    with closing(sqlite3.connect(tmp_path / "hdtui.db")) as connection, connection:
        connection.execute("ALTER TABLE runs DROP COLUMN report_gap_s")
    with closing(Database.open(tmp_path, readonly=True)) as database:
        known = r"not the database this hdtui knows \(no such column.*hdtui db upgrade"
        with pytest.raises(DatabaseError, match=known):
            list_runs(database)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_are_an_answer_or_a_sentence_never_a_crash(seed: int, tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        for _ in range(5):
            queue_run(database, NEW)
        database.checkpoint_log(truncate=True)
    path, chance = tmp_path / "hdtui.db", random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(60):
        # The first pages hold what everything else hangs on.
        content[chance.randrange(len(content) if chance.random() < 0.5 else 8192)] ^= 0xFF
    path.write_bytes(content)
    said = ""
    try:
        with closing(Database.open(tmp_path, create=False)) as damaged:
            damaged.problems()
            list_runs(damaged)
            list_events(damaged)
            queue_run(damaged, NEW)
    except HdtuiError as error:
        said = str(error)
    assert not said or str(path) in said or "newer hdtui" in said


def test_a_lost_page_is_found_and_a_backup_put_in_its_place(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
        database.backup(tmp_path / "copy.db")
        queue_run(database, NEW)
        database.checkpoint_log(truncate=True)
    path = tmp_path / "hdtui.db"
    path.write_bytes(path.read_bytes()[:-4096] + b"\xff" * 4096)
    with closing(Database.open(tmp_path)) as database:
        assert database.problems() != []
    kept = Database.restore(tmp_path, tmp_path / "copy.db", last_run=7)
    assert kept == tmp_path / "hdtui.db.replaced"
    with closing(Database.open(tmp_path)) as database:
        assert [run.id for run in list_runs(database)] == [1]
        assert database.problems() == []
        # Folders of runs 2 to 7 may lie there: their numbers are not given again.
        assert queue_run(database, NEW).id == 8


def test_a_file_that_is_no_database_is_replaced_and_kept(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
        database.backup(tmp_path / "copy.db")
    (tmp_path / "hdtui.db").write_bytes(b"no database" * 1000)
    kept = Database.restore(tmp_path, tmp_path / "copy.db")
    assert kept is not None
    assert kept.read_bytes() == b"no database" * 1000
    with closing(Database.open(tmp_path)) as database:
        assert [run.name for run in list_runs(database)] == ["first"]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_what_is_no_backup_changes_nothing(content: bytes | None, tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
        database.checkpoint_log(truncate=True)
    before = sha256(tmp_path / "hdtui.db")
    copy = tmp_path / "copy.db"
    if content is not None:
        copy.write_bytes(content)
    with pytest.raises(DatabaseError, match=r"copy\.db"):
        Database.restore(tmp_path, copy)
    assert sha256(tmp_path / "hdtui.db") == before
    assert not list(tmp_path.glob("*.restoring"))


def test_a_backup_is_restored_under_readers_and_writers(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "home")
    set_setting(database, "kept", 1)
    database.backup(tmp_path / "copy.db")
    set_setting(database, "gone", 1)
    stop, errors = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            while not stop.is_set():
                queue_run(database, NEW)
                count_states(database)
        except DatabaseError as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        Database.restore(database.home, tmp_path / "copy.db")
    finally:
        stop.set()
        worker.join()
    assert errors == []
    assert (get_setting(database, "kept"), get_setting(database, "gone")) == (1, None)
    assert database.problems() == []
    database.close()


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_every_schema_ever_released_is_opened_and_read(schema: int, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hdtui.db")) as connection:
        connection.executescript((SCHEMAS / f"{schema}.sql").read_text())
    with closing(Database.open(tmp_path)) as database:
        assert database.schema() == SCHEMA
        with database.read() as session:
            context = MigrationContext.configure(session.connection())
            assert compare_metadata(context, Base.metadata) == []
        assert [run.name for run in list_runs(database)] == ["mutants", "robots"]
        assert list_runs(database)[0].inputs == (1,)
        assert len(list_robots(database, "robots")) == 2
        assert database.problems() == []


OLD_RESULTS = {
    "generation": (12.0, "8 training robots and 4 unseen robots", "robots"),
    "mutation": (16.0, "16 mutants of 4 robots, all valid", "mutants"),
    "teacher": (1395.5, "mean return 1396 on 8 robots", "sampled_return"),
    "collection": (283.0, "4000 samples of 8 robots, teacher's mean return 283", "sampled_return"),
    "student": (0.013, "held-out loss 0.013 after 98 gradient steps", "loss"),
    "evaluation": (0.934, "student 278 of teacher's 297 (0.93) on training robots", "ratio"),
    "deployment": (None, "2 policies, 73 kB at most", "policies"),
}


def test_results_of_an_old_database_are_told_by_what_their_runs_are(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hdtui.db")) as connection, connection:
        connection.executescript((SCHEMAS / "1.sql").read_text())
        columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
        like = connection.execute("SELECT * FROM runs WHERE id = 1").fetchone()
        insert = f"INSERT INTO runs VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        old = [*OLD_RESULTS.items(), ("evaluation", (297.2, "mean return: teacher 297", "return"))]
        for number, (kind, (result, text, _)) in enumerate(old, 11):
            changes = {"id": number, "kind": kind, "state": "finished", "result": result}
            row = dict(zip(columns, like, strict=True)) | changes | {"result_text": text}
            connection.execute(insert, list(row.values()))
        for policy, of_run in (("teacher", 16), ("student", 16), ("teacher", 18)):
            connection.execute("INSERT INTO evaluated_policies VALUES (?, ?, 13)", (of_run, policy))
        for name in ("a", "b"):
            file = (17, 1, "deployed_policy", name, name, "0" * 64, 1, "2026-11-22 16:19:28.5")
            connection.execute("INSERT INTO artifacts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", file)
    with closing(Database.open(tmp_path)) as database:
        found = {run.id: (run.result, run.result_kind) for run in list_runs(database)}
    expected = [(result, kind) for _, (result, _, kind) in old]
    expected[6] = (2.0, "policies")
    assert [found[number] for number in range(11, 19)] == expected
    assert found[1] == (None, None)


def test_an_upgrade_keeps_a_copy_of_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Database.open(tmp_path / "home")) as database:
        queue_run(database, NEW)
    newer = tmp_path / "migrations"
    shutil.copytree(Path(db.migrations.upgrade.__file__).parent, newer)
    (newer / "versions" / "schema_next.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '{SCHEMA + 1:04}', '{SCHEMA:04}'\n"
        "def upgrade():\n    op.execute('CREATE TABLE added (a INTEGER)')\n"
    )
    monkeypatch.setattr(db.migrations.upgrade, "__file__", str(newer / "upgrade.py"))
    monkeypatch.setattr(db.session, "SCHEMA", SCHEMA + 1)
    with closing(Database.open(tmp_path / "home")) as database:
        upgrade = database.upgrade
        assert upgrade is not None
        assert (upgrade.from_schema, upgrade.to_schema) == (SCHEMA, SCHEMA + 1)
        assert upgrade.copy == tmp_path / "home" / f"hdtui.db.{SCHEMA}"
        assert [run.name for run in list_runs(database)] == ["first"]
    with closing(sqlite3.connect(upgrade.copy)) as copy:
        assert copy.execute("SELECT name FROM runs").fetchall() == [("first",)]
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (
            f"{SCHEMA:04}",
        )


def test_a_network_file_system_gets_a_rollback_journal_and_two_processes_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Database.open(tmp_path)) as database:
        queue_run(database, NEW)
    assert journal_mode(tmp_path) == "WAL"
    table = tmp_path.parent / "mountinfo"
    table.write_text(f"22 1 0:35 / {tmp_path} rw,relatime - nfs4 server:/home rw\n")
    monkeypatch.setattr(db.filesystem, "MOUNT_TABLE", table)
    with closing(Database.open(tmp_path)) as first, closing(Database.open(tmp_path)) as second:
        for each in (first, second):
            with each.read() as session:
                connection = session.connection()
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        before = first.revision()
        queue_run(second, NEW)
        assert first.revision() != before
        assert len(list_runs(first)) == 2
        assert first.problems() == []
    assert not list(tmp_path.glob("*-wal"))
