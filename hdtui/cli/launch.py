"""Queue runs from the shell and follow them: the part that all stage commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from db.records import Run, RunKind, RunState
from engine.config.base import Config
from engine.config.overrides import with_assignments, with_file, with_settings
from engine.config.presets import stage_preset
from engine.workers.devices import check_devices
from hdtui.cli.follow import follow
from hdtui.cli.options import (
    AllowedRoles,
    ConfigFile,
    Detach,
    DeviceName,
    Name,
    Preset,
    Settings,
    Study,
    known_name,
)
from hdtui.cli.output import print_json, say
from hdtui.cli.run_text import run_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from db.session import Database
    from engine.workers.stages import StageRequest
    from hdtui.cli.options import Call

ConfigType = TypeVar("ConfigType", bound=Config)


def configured(
    config: ConfigType, file: Path | None, settings: Sequence[str] | None, seed: int | None
) -> ConfigType:
    """A preset's configuration with a file, then ``--set`` words, then ``--seed`` applied.

    Raises:
        ConfigError: A key or value is not valid.
    """
    if file is not None:
        config = with_file(config, file)
    config = with_assignments(config, settings or [])
    return config if seed is None else with_settings(config, {"seed": seed}, "--seed")


@dataclass(frozen=True)
class StageOptions:
    """What the commands that queue a run take: its settings, its names, and whether to wait."""

    preset: Preset = "quick"
    settings: Settings = None
    config: ConfigFile = None
    device: DeviceName = None
    allow_role: AllowedRoles = None
    name: Name = None
    study: Study = None
    detach: Detach = False

    def applied(self, start: ConfigType, seed: int | None, *words: str) -> ConfigType:
        """``start`` with a file, ``--set`` words, further ``words``, device and seed applied.

        Raises:
            ConfigError: A key or value is not valid, or there is no such device.
        """
        device = [] if self.device is None else [f"device={self.device}"]
        settings = [*(self.settings or []), *words, *device]
        chosen = configured(start, self.config, settings, seed)
        check_devices(chosen)
        return chosen

    def stage_config(
        self,
        config: type[ConfigType],
        stage: RunKind,
        seed: int | None,
        *words: str,
        inputs: tuple[Database, Sequence[int]] | None = None,
    ) -> ConfigType:
        """A stage's settings from its preset, as ``applied``.

        The preset first takes over what follows from ``inputs``, runs of a database.
        """
        from engine.workers.inherited import found_in, starting_config

        base = stage_preset(stage, self.preset)
        if inputs is not None:
            base = starting_config(base, found_in(inputs[0]), inputs[1])
        if not isinstance(base, config):
            raise TypeError(f"preset {self.preset} holds no {config.__name__} under {stage}")
        return self.applied(base, seed, *words)

    def request(self, kind: RunKind, config: Config, **asked: Any) -> StageRequest:
        """What is asked for, with these names and the roles that are allowed."""
        from engine.workers.stages import StageRequest

        return StageRequest(
            kind,
            config,
            self.preset,
            name=self.name or "",
            study=self.study or "",
            allowed_roles=allowed(self.allow_role),
            **asked,
        )


def allowed(words: Sequence[str] | None) -> frozenset[str]:
    """The roles that ``--allow-role`` names.

    Raises:
        UsageError: There is no such role.
    """
    from engine.workers.robot_roles import ALLOWED_ROLES

    return frozenset(known_name(word, ALLOWED_ROLES, "role") for word in words or ())


def reading(
    call: Call, word: str, kind: RunKind, robots: Sequence[str]
) -> tuple[Database, tuple[int, ...]]:
    """The workspace, and the run that one of ``kind`` reads by this word: a number, folder or file.

    A file is taken over and needs no workspace that was there before.

    Raises:
        UsageError: The word names no run, nor a file that such a run would have left.
        RunError: A run is named and there is no workspace.
    """
    from engine.errors import UsageError
    from engine.workers.adoption import adoptions
    from engine.workers.new_runs import taken_over
    from engine.workers.stages import STAGES, policies_of
    from engine.workers.workspace import Workspace

    stage = STAGES[kind]

    inputs, _, files = policies_of([word], Workspace(call.folder).home)
    if not (inputs or files):
        wanted = " or ".join(stage.reads)
        raise UsageError(f"{word} is no {wanted}: name the number of its run, or its file")
    requests = adoptions(files, stage.reads)
    _, database = call.create() if files else call.existing()
    return database, inputs or taken_over(database, requests, stage, robots)


def check_robot_set(call: Call, name: str | None) -> None:
    """See that a set can be had before anything is created.

    Raises:
        UnknownRobotSetError: Neither the library nor the built-in names know it.
    """
    from db.queries.robots import get_set
    from engine.errors import UnknownRobotSetError
    from engine.workers.robot_library import BUILT_IN_SETS, built_in_files

    if name is None:
        return
    if name in BUILT_IN_SETS:
        built_in_files(name)
        return
    _, database = call.look()
    if database is None:
        raise UnknownRobotSetError(
            f'there is no robot set "{name}": this workspace is empty; the built-in sets are '
            f"{', '.join(BUILT_IN_SETS)}, and `hdtui robots import DIR --into {name}` makes one"
        )
    get_set(database, name)


def queue_and_follow(
    call: Call,
    database: Database,
    request: StageRequest,
    *,
    detach: bool,
    finished: Callable[[Run], Mapping[str, Any]] | None = None,
) -> Run:
    """Queue one run, start a supervisor, and wait for the end unless told to leave it alone.

    ``finished`` does what is left to do with a finished run; what it gives is told with the run.
    Leaves with exit code 1 where the run did not finish.
    """
    from db.queries.runs import get_run
    from hdtui.actions.queueing import queue

    answer = queue(database, request)
    say(answer.text)
    run = get_run(database, answer.run_id or 0)
    if not detach:
        run = follow(database, [run.id])[-1]
    done = not detach and run.state is RunState.FINISHED
    also = finished(run) if finished is not None and done else {}
    if call.json:
        print_json({"run": run_document(database, run), **also})
    if not detach and run.state is not RunState.FINISHED:
        raise typer.Exit(1)
    return run
