"""What commands print."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import pytest

from engine.text import clause, counted
from hdtui.cli.output import document, print_json, print_table


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Example:
    when: datetime
    where: Path
    colour: Colour
    numbers: tuple[float, ...]


def test_records_become_plain_json() -> None:
    example = Example(datetime(2026, 1, 2, tzinfo=UTC), Path("/a"), Colour.RED, (1.5, float("nan")))
    plain = document({"one": example, 2: [example.colour]})
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "one": {
            "when": "2026-01-02T00:00:00+00:00",
            "where": "/a",
            "colour": "red",
            "numbers": [1.5, "NaN"],
        },
        "2": ["red"],
    }


def test_json_is_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_tables_align_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "value"], [["a", "1"], ["long", "100"], ["b", "·"]])
    assert capsys.readouterr().out.splitlines() == [
        "name  value",
        "a         1",
        "long    100",
        "b         ·",
    ]


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(number, "robot") for number in (0, 1, 2)] == ["0 robots", "1 robot", "2 robots"]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("There is no run 9.", "there is no run 9."),
        ("Run 9 is finished.", "run 9 is finished."),
        ("ONNX files are for others", "ONNX files are for others"),
        ("Robots.toml: unreadable", "Robots.toml: unreadable"),
    ],
)
def test_behind_a_colon_only_names_begin_with_a_capital(sentence: str, told: str) -> None:
    assert clause(sentence) == told


def test_an_empty_table_still_has_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "value"], [])
    assert capsys.readouterr().out == "name  value\n"
