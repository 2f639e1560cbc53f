"""The newest points are drawn: no flood of bytes makes a live curve wait for long."""

from pathlib import Path
from typing import Any

import pytest
from cockpit_pilot import opened, shows, until

from db.queries.metrics import NewPoint, append_points
from db.session import Database
from hdtui.terminal.meter import LONGEST_WAIT_S, TokenBucket

Filled = tuple[Path, dict[str, int]]


@pytest.mark.parametrize("num_bytes", [10, 7_000, 10**6, 10**12])
def test_no_frame_is_so_dear_that_the_next_one_waits_longer_than_promised(num_bytes: int) -> None:
    now = [0.0]
    bucket = TokenBucket(3072, LONGEST_WAIT_S * 3072, lambda: now[0])
    for _ in range(5):
        bucket.pay(num_bytes)
    wait_s = bucket.wait_s
    assert wait_s <= LONGEST_WAIT_S + 0.01
    now[0] += wait_s + 0.01
    assert bucket.can_pay()


def test_frames_together_cost_no_more_than_the_rate() -> None:
    now, sent = [0.0], 0
    bucket = TokenBucket(3072, LONGEST_WAIT_S * 3072, lambda: now[0])
    while now[0] < 600:
        if bucket.can_pay():
            bucket.pay(4000)
            sent += 4000
        now[0] += 0.1
    assert sent / 600 < 1.05 * 3072


def _add_point(home: Path, run_id: int, step: int) -> None:
    database = Database.open(home)
    with database.write() as session:
        append_points(session, run_id, [NewPoint("return", "", step, 1, 1.0, 600.0)])
    database.close()


async def test_after_floods_of_redraws_the_newest_point_is_on_home_and_on_a_run(
    filled: Filled,
) -> None:
    home, _ = filled
    async with opened(home, size=(160, 45)) as pilot:
        app = pilot.app
        screen: Any = app.screen
        await shows(pilot, "waits for")
        await until(pilot, lambda: screen.chart.spec is not None and screen.chart.spec.curves)

        def ends(chart: Any) -> list[float]:
            spec = chart.spec
            return [curve.path.x[-1] for curve in spec.curves if len(curve.path)] if spec else []

        for width in range(140, 160):
            app.meter.count(10**6)  # as a terminal that is dragged makes the cockpit send
            await pilot.resize_terminal(width, 45)
        for _ in range(3):
            await pilot.press("2", "1")
        run_id = screen._split_run()
        _add_point(home, run_id, 3_000_001)
        await until(pilot, lambda: 3_000_001 in ends(screen.chart))
        await pilot.press("enter")
        run: Any = app.screen
        await until(pilot, lambda: app.screen is not screen and ends(app.screen.tabs[0].chart))
        run = app.screen
        app.meter.count(10**9)
        _add_point(home, run.run_id, 3_000_002)
        await until(pilot, lambda: 3_000_002 in ends(run.tabs[0].chart))
