"""Opening, upgrading, refusing, backing up."""

import hashlib
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from db.migrations import SCHEMA
from db.migrations.upgrade import script_directory
from db.models import Base
from db.queries.runs import count_states, list_runs, queue_run
from db.queries.settings import get_setting, set_setting
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.errors import DatabaseError

NEW = NewRun(RunKind.TEACHER, "first", {}, seed=1)


def test_the_migrations_make_what_the_models_describe(database: Database) -> None:
    with database.read() as session:
        assert (
            compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        )


def test_the_newest_migration_is_the_schema_the_program_names() -> None:
    assert int(script_directory()[1].get_current_head() or 0) == SCHEMA


def test_many_processes_can_create_the_same_workspace_at_once(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from db.session import Database;"
        "print(Database.open(pathlib.Path(sys.argv[1])).schema())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "new")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [child.communicate()[0].strip() for child in children] == [b"%d" % SCHEMA] * 4


def test_an_absent_workspace_is_an_error_and_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no workspace"):
        Database.open(tmp_path / "absent", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    path = tmp_path / "hdtui.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DatabaseError) as refusal:
        Database.open(tmp_path)
    assert str(refusal.value) == (
        f"This workspace was written by a newer hdtui (schema 99, this one reads {SCHEMA}). "
        "Nothing was changed. Update hdtui, or open another: hdtui --home DIR."
    )
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_an_older_database_is_upgraded_and_a_copy_is_kept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hdtui.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.execute("CREATE TABLE left_by_the_old_one (a)")
    with closing(Database.open(tmp_path)) as database:
        assert database.schema() == SCHEMA
        assert database.problems() == []


def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hdtui.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DatabaseError, match=r"hdtui\.db: the file is damaged"):
        Database.open(tmp_path)
    assert path.read_bytes() == b"this is no database" * 100


def test_opening_makes_the_folder_of_runs_and_logs_wherever_the_database_is(
    database: Database,
) -> None:
    assert database.home.is_dir()


def test_an_unusable_url_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDTUI_DATABASE_URL", "nonsense")
    with pytest.raises(DatabaseError, match="HDTUI_DATABASE_URL"):
        Database.open(tmp_path)


def test_reading_only_reads_what_others_write_and_writes_nothing(tmp_path: Path) -> None:
    with (
        closing(Database.open(tmp_path)) as writer,
        closing(Database.open(tmp_path, readonly=True)) as reader,
    ):
        queue_run(writer, NEW)
        assert [run.name for run in list_runs(reader)] == ["first"]
        with pytest.raises(DatabaseError, match="reading only"):
            queue_run(reader, NEW)
        with pytest.raises(DatabaseError), reader.read() as session:
            session.execute(text("DELETE FROM runs"))


def test_the_revision_changes_when_somebody_else_wrote_and_only_then(database: Database) -> None:
    with closing(Database.open(database.home)) as other:
        first = database.revision()
        assert database.revision() == first
        set_setting(other, "theme", "dark")
        assert database.revision() != first


def test_a_revision_of_another_connection_is_never_taken_for_the_one_before(
    tmp_path: Path,
) -> None:
    """Somebody writes while nobody looks: a database opened anew counts from its own beginning."""
    Database.open(tmp_path).close()
    seen = []
    for _ in range(3):
        with closing(Database.open(tmp_path)) as database:
            seen.append(database.revision())
        with closing(Database.open(tmp_path)) as other:
            set_setting(other, "theme", "dark")
    assert len(set(seen)) == 3


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def write() -> None:
        with database.write() as session:
            session.execute(text("INSERT INTO settings (key, value) VALUES ('a', '1')"))
            session.execute(text("INSERT INTO no_such_table VALUES (1)"))

    with pytest.raises(DatabaseError):
        write()
    assert get_setting(database, "a") is None


def test_a_backup_under_load_is_sound_and_holds_whole_transactions(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "home")
    stop = threading.Event()

    def write_pairs() -> None:
        while not stop.is_set():
            with database.write() as session:
                for key in ("left", "right"):
                    session.execute(
                        text(
                            "INSERT INTO events (run_id, at, level, kind, text) VALUES"
                            " (1, '2026-01-01', 'info', :key, '')"
                        ),
                        {"key": key},
                    )

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        for number in range(5):
            database.backup(tmp_path / f"copy{number}.db")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            counts = dict(copy.execute("SELECT kind, count(*) FROM events GROUP BY kind"))
            assert counts.get("left", 0) == counts.get("right", 0)
    database.close()


def test_writers_and_readers_never_find_the_database_locked(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    script = """
import pathlib, sys
from db.queries.runs import count_states, queue_run
from db.records import NewRun, RunKind
from db.session import Database
database = Database.open(pathlib.Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    queue_run(database, NewRun(RunKind.TEACHER, f"run {number}", {}, seed=1))
    count_states(database)
"""
    command = [sys.executable, "-c", script, str(tmp_path), "40"]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [child.communicate()[1] for child in children] == [b""] * 4
    with closing(Database.open(tmp_path)) as database:
        assert count_states(database)[RunState.QUEUED] == 160
        assert database.problems() == []


def test_a_table_of_versions_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "hdtui.db")) as connection, connection:
        connection.execute("ALTER TABLE alembic_version RENAME version_num TO number")
    with pytest.raises(DatabaseError, match="not the database this hdtui knows"):
        Database.open(tmp_path)
