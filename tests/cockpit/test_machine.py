"""The load of the machine, read from any thread."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hdtui.data.machine import MachineReader


def test_the_cpu_share_is_unknown_at_first_and_then_seen_by_every_thread(tmp_path: Path) -> None:
    reader = MachineReader(tmp_path)
    assert reader.read().cpu_share is None
    share = None
    for _ in range(200):
        sum(range(300_000))
        with ThreadPoolExecutor(1) as thread:
            share = thread.submit(reader.read).result().cpu_share
        if share is not None:
            break
    assert share is not None
    assert 1 / (4 * (os.cpu_count() or 1)) < share <= 1
