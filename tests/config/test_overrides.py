"""Settings from words and files: applied where they fit, refused with one sentence where not."""

from pathlib import Path

import pytest
from pydantic import Field

from engine.config.base import Config, TaskConfig
from engine.config.overrides import (
    parse_assignment,
    setting_names,
    with_assignments,
    with_file,
)
from engine.errors import ConfigError


class Example(Config):
    seed: int = Field(1, ge=0)
    steps: int = Field(10, ge=1)
    name: str = "plain"
    task: TaskConfig = TaskConfig()


def test_every_leaf_has_a_dotted_name() -> None:
    names = list(setting_names(Example))
    assert names[:3] == ["seed", "steps", "name"]
    assert "task.incline_deg" in names
    assert "task" not in names


def test_a_value_is_json_where_it_reads_as_such_and_text_elsewhere() -> None:
    assert parse_assignment("steps=2e6") == ("steps", 2e6)
    assert parse_assignment("name=walker=2") == ("name", "walker=2")


def test_later_words_win_and_the_original_stays() -> None:
    original = Example()
    changed = with_assignments(original, ["steps=2e3", "task.name=incline", "steps=30"])
    assert (changed.steps, changed.task.name) == (30, "incline")
    assert original.steps == 10


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("steps", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("stepps=3", "did you mean steps?"),
        ("incline_deg=3", "did you mean task.incline_deg?"),
        ("task=3", "there is no such setting"),
        ("steps=0", "greater than or equal to 1"),
        ("steps=many", "found 'many'"),
        ("task.name=moon", "found 'moon'"),
    ],
)
def test_a_word_that_does_not_fit_is_refused_with_its_key(word: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace("?", r"\?")):
        with_assignments(Example(), [word])


def test_a_file_sets_nested_keys(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('steps = 3\n[task]\nname = "variable"\n')
    assert with_file(Example(), path).task.name == "variable"


@pytest.mark.parametrize("text", [b"steps = ", b"\xff\xfe", b"other = 1"])
def test_a_file_that_does_not_fit_is_refused_with_its_name(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=r"run\.toml"):
        with_file(Example(), path)
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        with_file(Example(), tmp_path / "absent.toml")
