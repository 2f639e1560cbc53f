"""What holds for every command: help that is true, options that are read, one document."""

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.workers.stages import STAGES
from hdtui.cli.main import app
from hdtui.cli.main import run as hdtui

Captured = pytest.CaptureFixture[str]


def commands(of: typer.Typer, *words: str) -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    """Every command's words and its function."""
    for command in of.registered_commands:
        assert command.name is not None
        assert command.callback is not None
        yield (*words, command.name), command.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *words, str(group.name))


COMMANDS = dict(commands(app))
SHARED = ("home", "json", "seed")


def test_every_command_takes_home_json_and_seed_and_explains_all_it_takes() -> None:
    root = typer.main.get_command(app)
    for words in COMMANDS:
        command: Any = root
        for word in words:
            command = command.commands[word]
        assert command.help, words
        assert {parameter.name for parameter in command.params} >= set(SHARED), words
        assert [one.name for one in command.params if not one.help] == [], words


def test_every_option_is_read_or_says_that_it_has_no_effect() -> None:
    idle = {words: _idle(function) for words, function in COMMANDS.items()}
    assert {words: options for words, options in idle.items() if options} == {}


def _idle(command: Callable[..., Any]) -> list[str]:
    """Options that a command takes, does not read, and does not say so of.

    An option of a group is read as its attribute, or by whoever is given the whole group.
    """
    written = inspect.getclosurevars(command).nonlocals
    function, groups = written["function"], written["groups"]
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    nodes = [node for statement in tree.body for node in ast.walk(statement)]
    read = {node.id for node in nodes if isinstance(node, ast.Name)}
    read |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    given = {
        each.id
        for node in nodes
        if isinstance(node, ast.Call)
        for each in node.args
        if isinstance(each, ast.Name)
    }
    for name in groups.keys() & read - {"call"}:
        read |= {each.name for each in fields(groups[name])}
    read |= {"home", "json"} if "call" in given else set()
    read |= {"home"} if read & WORKSPACE else set()
    read |= {"seed"} if "usual_seed" in read else set()
    hints = inspect.get_annotations(command)
    return [
        name
        for name, hint in hints.items()
        if name not in {"return", *read} and not hint.__metadata__[0].help.startswith("No effect")
    ]


WORKSPACE = {"folder", "create", "look", "existing"}
"""What ``Call`` makes of ``--home``."""


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("runs", "show", "7"), "run", 1),
        (("runs", "show", "seven"), "usage", 2),
        (("runs", "show"), "usage", 2),
        (("runs", "shw"), "usage", 2),
        (("teach", "--robots", "nobody"), "unknown_robot_set", 2),
        (("teach", "--robots", "x", "--set", "ppo.discount=2"), "config", 2),
        (("pipeline", "--config", "absent.toml"), "usage", 2),
        (("robots", "show", "absent.xml"), "robot", 1),
        (("settings", "nothing"), "usage", 2),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else str(words),
)
def test_a_failure_under_json_is_one_document_and_its_sentence_is_told(
    tmp_path: Path, capsys: Captured, words: tuple[str, ...], kind: str, code: int
) -> None:
    assert hdtui([*words, "--json"]) == code
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert error["message"].lower() in told.err.lower()
    assert "Traceback" not in told.err
    assert not (tmp_path / "home").exists()
    assert hdtui([*words]) == code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("--json", "runs", "list"), "--json stands after the command: hdtui runs list --json"),
        (("--readonly", "runs", "list"), "--readonly needs no command"),
        (("--version", "runs", "list"), "--version needs no command"),
        (("--demo", "--home", "x"), "--demo has a workspace of its own"),
        (("--json",), "--json goes with --version"),
    ],
)
def test_options_that_would_be_lost_are_refused(
    capsys: Captured, words: tuple[str, ...], meant: str
) -> None:
    assert hdtui(words) == 2
    assert meant in capsys.readouterr().err


def test_the_version_is_told_with_the_libraries_where_asked(capsys: Captured) -> None:
    assert hdtui(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hdtui 0.")
    assert hdtui(["--version", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"hdtui", "revision", "python", "libraries"} <= document.keys()
    assert {"torch", "textual", "mujoco"} <= document["libraries"].keys()


@pytest.mark.parametrize("stage", STAGES)
def test_every_setting_has_a_type_a_default_and_a_sentence(stage: str, capsys: Captured) -> None:
    assert hdtui(["settings", str(stage), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stage"] == stage
    for each in document["settings"]:
        assert each["type"]
        assert each["description"].endswith("."), each["key"]
        assert each["defaults"].keys() in ({"smoke", "quick", "laptop", "paper"}, set())
    assert len({each["key"] for each in document["settings"]}) == len(document["settings"])


def test_settings_say_what_they_may_be(capsys: Captured) -> None:
    assert hdtui(["settings", "teach", "ppo.horizon", "ppo.schedule"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ppo.horizon  64 (paper 2560)",
        "    Control steps per environment and iteration."
        " [whole number, at least 1, at most 100000]",
        "ppo.schedule  adaptive (paper cosine)",
        "    Follow the KL target, or warm up and decay along a cosine. [one of adaptive cosine]",
    ]
    assert hdtui(["settings", "teach", "nothing"]) == 2
    assert "no setting that begins with 'nothing'" in capsys.readouterr().err
