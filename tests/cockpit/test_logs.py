"""The log as it grows: a window at its end, older lines on demand, never more than a bound."""

from pathlib import Path

import pytest

from hdtui.services import logs


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
