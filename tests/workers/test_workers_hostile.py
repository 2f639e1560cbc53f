"""What comes from outside is data: thousands of damaged documents, names that would draw."""

import contextlib
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.queries.runs import queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.base import Config, TaskConfig
from engine.config.presets import PRESETS
from engine.distillation.manifest import (
    MANIFEST_NAME,
    EpisodeStatistics,
    Manifest,
    Moments,
    Shard,
    Source,
    load_manifest,
)
from engine.errors import DatasetError, HdtuiError, RobotError
from engine.morphology.family import UNIMAL
from engine.morphology.generation import generate
from engine.morphology.metadata import write_metadata
from engine.morphology.mjcf import parse_robot
from engine.morphology.mjcf_writing import write_robot
from engine.workers import robot_library
from engine.workers.workspace import Workspace
from hdtui.cli.main import run as command

TRIES = 1000
ODD = [None, "", "../../etc/passwd", "\x1b]0;x\x07", "[red]x[/]", -1, 0, 1e308, 2**70, [], {}, True]
HOSTILE_NAME = "a\x1b[31m\x1b]0;owned\x07\x9b2J\u202e[red]b[/]\nc"


def mutated(value: Any, chance: random.Random) -> Any:
    """The same document with one place changed, dropped, doubled or added."""
    if isinstance(value, Mapping) and value and chance.random() < 0.8:
        key = chance.choice(sorted(value))
        changed = dict(value)
        action = chance.randrange(4)
        if action == 0:
            del changed[key]
        elif action == 1:
            changed[str(chance.choice(ODD))] = changed[key]
        else:
            changed[key] = mutated(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.6:
        place = chance.randrange(len(value))
        return [*value[:place], mutated(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


def scrambled(content: bytes, chance: random.Random) -> bytes:
    """The same file with some bytes changed, cut out, repeated, or words of markup put in."""
    data = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(data))
        end = start + chance.randrange(1, 40)
        action = chance.randrange(5)
        if action == 0:
            data[start] = chance.randrange(256)
        elif action == 1:
            del data[start:end]
        elif action == 2:
            data[start:start] = data[start:end]
        elif action == 3:
            words = [b"<!ENTITY x SYSTEM 'file:///etc/passwd'>", b"&x;", b"<include file='/x'/>"]
            data[start:start] = chance.choice([*words, b"nan", b"1e999", b"-", b"../", b"\x00"])
        else:
            del data[end:]
        data = data or bytearray(b"<")
    return bytes(data)


def outcomes(attempt: Callable[[random.Random], object], *refusals: type[Exception]) -> list[bool]:
    """Whether each of many tries was accepted; anything but these refusals fails the test."""
    accepted = []
    for seed in range(TRIES):
        try:
            attempt(random.Random(seed))
        except refusals:
            accepted.append(False)
        else:
            accepted.append(True)
    return accepted


def test_a_thousand_damaged_configurations_are_taken_or_refused() -> None:
    document = PRESETS["smoke"].model_dump(mode="json")
    kind: type[Config] = type(PRESETS["smoke"])

    def attempt(chance: random.Random) -> None:
        changed = mutated(document, chance)
        config = kind.model_validate(changed)
        assert kind.model_validate_json(config.model_dump_json()) == config

    assert 0 < sum(outcomes(attempt, ValidationError)) < TRIES


def test_a_thousand_damaged_robots_are_taken_or_refused() -> None:
    robot = generate(1, seed=3)[0]
    xml, metadata = write_robot(robot).encode(), json.loads(write_metadata(robot))

    def attempt(chance: random.Random) -> None:
        if chance.random() < 0.7:
            parse_robot(scrambled(xml, chance), "robot", metadata)
        else:
            parse_robot(xml, "robot", mutated(metadata, chance))

    assert 0 < sum(outcomes(attempt, RobotError)) < TRIES


def test_a_thousand_damaged_manifests_are_taken_or_refused(tmp_path: Path) -> None:
    manifest = an_honest_manifest().model_dump(mode="json")

    def attempt(chance: random.Random) -> None:
        content = json.dumps(manifest).encode()
        if chance.random() < 0.7:
            content = json.dumps(mutated(manifest, chance)).encode()
        else:
            content = scrambled(content, chance)
        (tmp_path / MANIFEST_NAME).write_bytes(content)
        found = load_manifest(tmp_path)
        for shard in found.shards:
            for path in (shard.path, shard.robot_path):
                assert os.path.normpath(path) == path
                assert path.startswith(("shards/", "robots/xml/"))

    assert 0 < sum(outcomes(attempt, DatasetError)) < TRIES


def test_names_and_logs_cannot_draw_on_the_terminal(
    database: Database, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    new = NewRun(RunKind.TEACHER, HOSTILE_NAME, {}, seed=1)
    run = queue_run(database, new, boot_id="before")
    workspace.run_folder(run.id).mkdir(parents=True)
    workspace.log_path(run.id).write_text(HOSTILE_NAME + "\n")
    home = ["--home", str(workspace.home)]
    for words in (
        ["runs", "list"],
        ["runs", "list", "--json"],
        ["runs", "show", str(run.id)],
        ["runs", "show", str(run.id), "--json"],
        ["runs", "logs", str(run.id)],
        ["runs", "delete", str(run.id)],
        ["runs", "stop", str(run.id)],
        ["runs", "delete", str(run.id), "--yes"],
    ):
        command([*words, *home])
        said = capsys.readouterr()
        for text in (said.out, said.err):
            assert set("\x1b\x07\x9b\u202e").isdisjoint(text), words


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "\x1b[31m", "..", "x" * 300])
def test_robots_with_names_that_would_leave_the_workspace_stay_inside(
    name: str, database: Database, workspace: Workspace
) -> None:
    robot = generate(1, seed=3)[0]
    outside = {path for path in workspace.home.parent.rglob("*") if path.is_file()}
    with contextlib.suppress(HdtuiError):
        parsed = parse_robot(write_robot(robot).encode(), name, None)
        robot_library.add_to_library(database, workspace, [parsed])
    after = {path for path in workspace.home.parent.rglob("*") if path.is_file()}
    assert all(path.is_relative_to(workspace.home) for path in after - outside)
    assert "\x1b" not in "".join(str(path) for path in after)


def an_honest_manifest() -> Manifest:
    """Two robots of some teacher."""
    statistics = EpisodeStatistics(episodes=3, mean_return=1.0, mean_length=9, fall_fraction=0)
    moments = Moments(count=5 * 64, mean=(0.0,) * 17, variance=(1.0,) * 17)
    digests = {"one": "ab" * 32, "two": "ba" * 32}
    shards = tuple(
        Shard(
            name=name,
            robot_digest=digest,
            num_limbs=5,
            path=f"shards/{name}.safetensors",
            robot_path=f"robots/xml/{name}.xml",
            sha256="cd" * 32,
            samples=64,
            moments=moments,
            statistics=statistics,
        )
        for name, digest in digests.items()
    )
    source = Source(
        teacher_sha256="ef" * 32,
        action_std=0.9,
        task=TaskConfig(),
        seed=1,
        samples_per_robot=64,
        simulations_per_robot=8,
        robots_per_batch=2,
        stochastic=True,
        minimum_return=None,
        maximum_fall_fraction=None,
        robots=digests,
        family=UNIMAL.name,
        observation_layout=UNIMAL.observation_layout.features,
        joint_names=UNIMAL.joint_names,
        terrain_points=0,
        versions={},
    )
    return Manifest(source=source, complete=True, shards=shards)
