"""The log as it grows: a window at its end, older lines on demand, never more than a bound."""

from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, until

from hdtui.data import logs

Filled = tuple[Path, dict[str, int]]


def test_forgotten_lines_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 10)
    path = tmp_path / "log.txt"
    tail = logs.LogTail(path)
    path.write_text("".join(f"line é {index}\n" for index in range(5)))
    assert tail.read() == 5
    with path.open("a") as file:
        file.writelines(f"line é {index}\n" for index in range(5, 25))
    assert tail.read() == 20
    assert [line.text for line in tail.lines] == [f"line é {index}" for index in range(15, 25)]
    assert tail.read_older()
    assert [line.text for line in tail.lines] == [f"line é {index}" for index in range(25)]
    assert tail.start == 0


TRACEBACK = """\
2026-11-25 10:00:00 INFO    step 1
2026-11-25 10:00:01 ERROR   the worker failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    info = error()
ValueError: no such robot
2026-11-25 10:00:02 INFO    leaving
"""


def test_lines_of_a_traceback_have_the_level_of_the_line_above(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(TRACEBACK)
    tail = logs.LogTail(path)
    tail.read()
    found = [line.text for line in logs.of_level(tail.lines, "error")]
    assert found == TRACEBACK.splitlines()[1:6]
    with path.open("a") as file:
        file.write("and it says more\n2026-11-25 10:00:03 WARNING low disk\n  12 MiB left\n")
    tail.read()
    assert [line.level for line in tail.lines[-3:]] == [1, 2, 2]


def test_a_traceback_keeps_its_level_across_the_edge_of_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_text(TRACEBACK)
    tail = logs.LogTail(path)
    monkeypatch.setattr(logs, "WINDOW_BYTES", 100)
    tail.read()
    assert tail.lines[0].level == 1  # what it continues was not read yet
    while tail.read_older():
        pass
    assert [line.level for line in tail.lines] == [1, 3, 3, 3, 3, 3, 1]


def test_a_search_reads_back_to_the_next_window_that_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "WINDOW_BYTES", 200)
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {index}\n" for index in range(1000)))
    tail = logs.LogTail(path)
    tail.read()
    known = len(tail.lines)
    assert not tail.find_older("nowhere", "all")
    assert len(tail.lines) == known  # what does not match is not kept
    assert tail.find_older("LINE 500", "all")
    texts = [line.text for line in tail.lines]
    assert "line 500" in texts
    assert texts == [f"line {index}" for index in range(1000 - len(texts), 1000)]
    assert not tail.find_older("line 100", "error")


def test_a_line_longer_than_a_window_is_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "WINDOW_BYTES", 64)
    path = tmp_path / "log.txt"
    path.write_text("needle\n" + "x" * 300 + "\n" + "short\n" * 20)
    tail = logs.LogTail(path)
    tail.read()
    assert tail.find_older("needle", "all")


async def test_a_search_goes_on_in_older_lines_and_says_how_far(filled: Filled) -> None:
    home, ids = filled
    lines = [f"2026-11-25 10:00:00 INFO    iteration {index} {'.' * 60}" for index in range(9000)]
    lines[50] = "2026-11-25 10:00:00 WARNING a rare thing"
    (home / "runs" / str(ids["teacher"]) / "log.txt").write_text("\n".join(lines) + "\n")
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter", *["right_square_bracket"] * 3)
        await shows(pilot, "[Log]", "iteration 8999")
        await pilot.press("slash", *"rare", "enter")
        await shows(pilot, "a rare thing", "found in older lines", "1 of 1 matches")
        await pilot.press("slash", *"nowhere", "enter")
        await shows(pilot, 'no line matches "nowhere"', "of the log were searched")
