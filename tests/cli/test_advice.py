"""Every command that a sentence of ours names is one that there is, with the options it names."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from hdtui.cli.main import app

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`hdtui ([^`\n]+)`")


def _named() -> set[str]:
    """Commands between backquotes in the program; a sentence may break over two lines of source."""
    found: set[str] = set()
    for folder in ("engine", "hdtui", "db"):
        for path in (ROOT / folder).rglob("*.py"):
            joined = re.sub(r"\"\s*\n\s*f?\"", "", path.read_text(encoding="utf-8"))
            found.update(NAMED.findall(joined))
    return {words for words in found if not words.endswith("...")}


@pytest.mark.parametrize("words", sorted(_named()))
def test_a_command_that_a_sentence_names_is_there(words: str) -> None:
    command: Any = typer.main.get_command(app)
    given = words.split()
    while given and hasattr(command, "commands") and not given[0].startswith("-"):
        assert given[0] in command.commands, words
        command = command.commands[given.pop(0)]
    options = {name for each in command.params for name in each.opts} | {"--help"}
    assert {word for word in given if word.startswith("--")} <= options, words
    takes_words = any(each.param_type_name == "argument" for each in command.params)
    assert takes_words or all(word.startswith("-") for word in given[:1]), words
