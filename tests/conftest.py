"""Fixtures every area shares."""

import contextlib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgresql_server import Server, server_tools
from promises import promised_files
from sqlalchemy import Connection, create_engine, inspect, text

# Before torch is imported anywhere: two cores are shared by pytest's own processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from db.migrations import upgrade as migrations
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Joint, Limb, Morphology

NEVER_AGAIN = ("workers", "db", "soak")
"""Folders whose tests need no terminal: what fails there once in a while is broken."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a promise are known by their mark; what they rest on is never tried again either."""
    promised = promised_files()
    for item in items:
        if item.path in promised:
            item.add_marker(pytest.mark.promise)
        if item.path in promised or item.path.parent.name in NEVER_AGAIN:
            item.add_marker(pytest.mark.flaky(reruns=0))


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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A PostgreSQL server of our own; who stops it starts it again."""
    if server_tools() is None:
        pytest.skip("PostgreSQL is not installed")
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: Server) -> str:
    """Where that server's database is."""
    return postgresql_server.url


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> str:
    """The server's one database without what the test before made; one each would be slow."""
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_url


class _Replay:
    """The statements that made the first empty database make all others, six times as fast."""

    def __init__(self, upgrade: Callable[..., None]) -> None:
        self._upgrade = upgrade
        self._statements: list[str] = []

    def __call__(self, connection: Connection, to: str = "head") -> None:
        new = connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()
        if not new or to != "head":
            self._upgrade(connection, to)
        elif self._statements:
            for statement in self._statements:
                connection.exec_driver_sql(statement)
        else:
            self._upgrade(connection)
            dump = connection.connection.driver_connection.iterdump()  # type: ignore[union-attr]
            self._statements = [
                line for line in dump if line not in ("BEGIN TRANSACTION;", "COMMIT;")
            ]


_REPLAY = _Replay(migrations.upgrade)


@pytest.fixture(autouse=True)
def _new_databases_are_made_at_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations take 50 ms, and hundreds of tests make a workspace; those of db run them all."""
    if request.path.parent.name != "db":
        monkeypatch.setattr(migrations, "upgrade", _REPLAY)


TEST_RUN = "HDTUI_TEST_RUN"
"""Names in every child's environment the process that runs its test."""
os.environ[TEST_RUN] = str(os.getpid())
_OURS = re.compile(rb"hdtui|engine[./]workers")


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    """Supervisors and workers live in sessions of their own: nobody else ends them."""
    before = _numbers_of_processes()
    yield
    # A worker that ends may just have brought a supervisor back.
    while left := [pid for pid in _numbers_of_processes() - before if _is_of_this_run(pid)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    # Zombies of ours are waited for by whoever started them.


def _numbers_of_processes() -> set[int]:
    return {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()}


def _is_of_this_run(pid: int) -> bool:
    """It works for this program, and a test of this process started it; a zombie has no words.

    Database servers and what serves pytest's own processes stay for the tests to come.
    """
    folder = Path("/proc", str(pid))
    try:
        program, *words = (folder / "cmdline").read_bytes().split(b"\0")
        if b"python" not in program or not any(_OURS.search(word) for word in words):
            return False
        return f"{TEST_RUN}={os.getpid()}\0".encode() in (folder / "environ").read_bytes()
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _no_workspace_outside_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDTUI_HOME", str(tmp_path / "home"))


def limb(
    identifier: int,
    parent: int,
    position: tuple[float, float, float],
    end: tuple[float, float, float],
    joints: tuple[Joint | None, Joint | None],
) -> Limb:
    return Limb(identifier, parent, position, (0.0, 0.0, 0.0), end, 0.05, 900.0, joints)


def hinge(axis: tuple[float, float, float], low: float, high: float, gear: float) -> Joint:
    return Joint((low, high), (0.0, 0.0, 0.05), axis, gear)


def head(height_m: float) -> Limb:
    slots = (None,) * UNIMAL.joint_slots
    return Limb(0, -1, (0.0, 0.0, height_m), (0.0, 0.0, 0.0), None, 0.1, 1000.0, slots)


@pytest.fixture(scope="session")
def biped() -> Morphology:
    """A head with two legs to the sides, one of them with a shin."""
    x, y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    limbs = (
        head(0.75),
        limb(
            3,
            0,
            (0.0, 0.1, 0.0),
            (0.0, 0.25, 0.0),
            (hinge(x, -30, 30, 200), hinge(y, -60, 30, 150)),
        ),
        limb(7, 1, (0.0, 0.25, -0.05), (0.0, 0.0, -0.35), (None, hinge(y, -90, 0, 300))),
        limb(1, 0, (0.0, -0.1, 0.0), (0.0, -0.25, 0.0), (hinge(x, -30, 30, 200), None)),
    )
    return Morphology("biped", limbs, ())


@pytest.fixture(scope="session")
def crawler() -> Morphology:
    """A low head with three flat limbs that cannot fall far."""
    x, y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    both = (hinge(x, 0, 60, 250), hinge(y, -45, 45, 300))
    limbs = (
        head(0.35),
        limb(0, 0, (0.1, 0.0, 0.0), (0.25, 0.0, 0.0), both),
        limb(1, 0, (0.0, 0.1, 0.0), (0.0, 0.35, 0.0), both),
        limb(2, 0, (0.0, -0.1, 0.0), (0.0, -0.35, 0.0), both),
    )
    return Morphology("crawler", limbs, ((1, 2),))


@pytest.fixture(autouse=True)
def _denormals_as_they_were() -> Iterator[None]:
    """Training in this process flushes denormals, which hypothesis refuses to work with."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_flush_denormal(False)


@pytest.fixture
def mistakes_are_meant() -> None:
    """The test makes the cockpit fail on purpose."""


@pytest.fixture
def mistakes_are_forbidden() -> None:
    """The cockpit may not fail, though it may in other tests of the file."""


@pytest.fixture(autouse=True)
def _no_mistake_is_outlived_in_silence(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The cockpit goes on after an error of its own, which a test must see all the same."""
    from hdtui.data.error_log import Mistakes

    told: list[str] = []
    is_news = Mistakes.is_news

    def note(self: Mistakes, doing: str, error: BaseException) -> bool:
        told.append("".join(traceback.format_exception(error)))
        return is_news(self, doing, error)

    monkeypatch.setattr(Mistakes, "is_news", note)
    yield
    meant = "mistakes_are_meant" in request.fixturenames
    if not meant or "mistakes_are_forbidden" in request.fixturenames:
        assert not told, f"the cockpit made a mistake, and went on: {told[0]}"
