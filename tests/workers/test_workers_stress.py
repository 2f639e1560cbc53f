"""Writers, readers and kills on one database: nobody is refused, nothing is lost."""

from collections.abc import Mapping

import pytest

from db.address import URL_VARIABLE
from engine.workers.tools import bench_database

NEVER = ("refused", "points_lost", "points_doubled", "integrity_problems")


def assert_nothing_went_wrong(figures: Mapping[str, float]) -> None:
    assert {name: figures[name] for name in NEVER} == dict.fromkeys(NEVER, 0)
    assert figures["writes"] > 0
    assert figures["reads"] > 0


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def _on_every_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv(URL_VARIABLE, request.getfixturevalue("empty_postgresql"))


def test_nobody_is_refused_and_nothing_lost_while_writers_are_killed() -> None:
    assert_nothing_went_wrong(bench_database.run(writers=4, readers=2, seconds=1.5, kills=4))


@pytest.mark.slow
def test_sixteen_writers_four_readers_and_a_hundred_kills_for_a_minute() -> None:
    figures = bench_database.run(writers=16, readers=4, seconds=60.0, kills=100)
    assert figures["seconds"] >= 60.0
    assert_nothing_went_wrong(figures)
    # Whoever waits is served long before its patience ends, however slow the machine is.
    assert figures["overtaken_at_most"] < figures["writes"] / 2
