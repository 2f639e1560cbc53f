"""Writers, readers and kills on one database: nobody is refused, nothing is lost."""

from engine.workers.tools import bench_database


def test_nobody_is_refused_and_nothing_lost_while_writers_are_killed() -> None:
    figures = bench_database.run(writers=4, readers=2, seconds=3.0, kills=6)
    assert figures["writes"] > 20
    assert figures["reads"] > 0
    assert [
        figures[name] for name in ("refused", "points_lost", "points_doubled", "integrity_problems")
    ] == [0, 0, 0, 0]
