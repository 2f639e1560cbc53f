"""One command per stage that trains or judges: teach, collect, distill, evaluate; each a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from db.records import RunKind
from engine.config.base import TaskName
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.presets import stage_preset
from engine.config.teacher import TeacherConfig
from engine.workers.devices import check_devices
from hdtui.cli import completion
from hdtui.cli.launch import ConfigType, configured, queue_and_follow, run_document
from hdtui.cli.options import (
    AllowedRoles,
    ConfigFile,
    Detach,
    DeviceName,
    Home,
    Json,
    Name,
    Preset,
    Seed,
    Settings,
    Study,
    known_name,
    open_workspace,
    read_workspace,
)
from hdtui.cli.output import print_table
from hdtui.cli.pipeline import check_robot_set
from hdtui.cli.runs import existing

if TYPE_CHECKING:
    from db.session import Database
    from engine.workers.workspace import Workspace

RobotSets = Annotated[
    list[str],
    typer.Option(
        "--robots",
        metavar="SET",
        help="Robot set; may be repeated.",
        autocompletion=completion.robot_sets,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the stage commands to the root command."""
    app.command("teach")(teach_command)
    app.command("collect")(collect_command)
    app.command("distill")(distill_command)
    app.command("evaluate")(evaluate_command)


def stage_config(
    config: type[ConfigType],
    stage: str,
    preset: str,
    file: Path | None,
    settings: Sequence[str] | None,
    seed: int | None,
    inputs: "tuple[Database, Sequence[int]] | None" = None,
) -> ConfigType:
    """A stage's settings from its preset, a file, ``--set`` words and ``--seed``.

    The preset first takes over what follows from ``inputs``, runs of a database.

    Raises:
        ConfigError: There is no such preset or device, or a key or value is not valid.
    """
    from engine.workers.inherited import found_in, starting_config

    base = stage_preset(stage, preset)
    if inputs is not None:
        base = starting_config(base, found_in(inputs[0]), inputs[1])
    if not isinstance(base, config):
        raise TypeError(f"preset {preset} holds no {config.__name__} under {stage}")
    chosen = configured(base, file, settings, seed)
    check_devices(chosen)
    return chosen


def on_device(settings: Sequence[str] | None, device: str | None) -> list[str]:
    """``--set`` words, and ``--device`` as one more."""
    return [*(settings or []), *([] if device is None else [f"device={device}"])]


def teach_command(
    robots: RobotSets,
    preset: Preset = "quick",
    settings: Settings = None,
    config: ConfigFile = None,
    device: DeviceName = None,
    allow_role: AllowedRoles = None,
    name: Name = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Train a teacher for all robots of the sets by PPO."""
    from engine.workers.stages import StageRequest

    words = on_device(settings, device)
    chosen = stage_config(TeacherConfig, "teacher", preset, config, words, seed)
    request = StageRequest(
        RunKind.TEACHER,
        chosen,
        preset,
        name=name or "",
        study=study or "",
        robots=tuple(robots),
        allowed_roles=allowed(allow_role),
    )
    for robot_set in robots:
        check_robot_set(robot_set, home)
    workspace, database = open_workspace(home)
    queue_and_follow(workspace, database, request, detach=detach, json=json)


def collect_command(
    teacher: Annotated[
        int,
        typer.Argument(
            metavar="TEACHER",
            min=1,
            help="Number of its run.",
            autocompletion=completion.runs(RunKind.TEACHER),
        ),
    ],
    robots: RobotSets,
    preset: Preset = "quick",
    settings: Settings = None,
    config: ConfigFile = None,
    allow_role: AllowedRoles = None,
    name: Name = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Roll a teacher out on robot sets and store what it saw and did."""
    from engine.workers.stages import StageRequest

    workspace, database = existing(home)
    chosen = stage_config(
        CollectionConfig, "collection", preset, config, settings, seed, (database, [teacher])
    )
    request = StageRequest(
        RunKind.COLLECTION,
        chosen,
        preset,
        name=name or "",
        study=study or "",
        inputs=(teacher,),
        robots=tuple(robots),
        allowed_roles=allowed(allow_role),
    )
    queue_and_follow(workspace, database, request, detach=detach, json=json)


def distill_command(
    collection: Annotated[
        int,
        typer.Argument(
            metavar="COLLECTION",
            min=1,
            help="Number of its run.",
            autocompletion=completion.runs(RunKind.COLLECTION),
        ),
    ],
    preset: Preset = "quick",
    settings: Settings = None,
    config: ConfigFile = None,
    device: DeviceName = None,
    name: Name = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Distil collected behaviour into a student."""
    from engine.workers.stages import StageRequest

    workspace, database = existing(home)
    words = on_device(settings, device)
    chosen = stage_config(
        StudentConfig, "student", preset, config, words, seed, (database, [collection])
    )
    request = StageRequest(
        RunKind.STUDENT,
        chosen,
        preset,
        name=name or "",
        study=study or "",
        inputs=(collection,),
    )
    queue_and_follow(workspace, database, request, detach=detach, json=json)


def evaluate_command(
    policies: Annotated[
        list[str],
        typer.Option(
            "--policy",
            metavar="RUN|FILE",
            help="A run, a file, random or zero; may be repeated.",
            autocompletion=completion.policies,
        ),
    ],
    robots: Annotated[
        list[str],
        typer.Option(
            "--robots",
            metavar="SET|NAME,NAME...",
            help="Sets or robots of the library.",
            autocompletion=completion.robots_and_sets,
        ),
    ],
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", min=1, help="Episodes a robot; compare equal numbers."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="flat, variable, obstacles, incline; default as the first run's.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    preset: Preset = "laptop",
    settings: Settings = None,
    config: ConfigFile = None,
    name: Name = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Evaluate policies on robots: the same seeds for each, every episode kept."""
    from engine.workers.stages import StageRequest, policies_of

    if task is not None:
        known_name(task, get_args(TaskName), "task")
    words = list(settings or [])
    words += [] if episodes is None else [f"episodes={episodes}"]
    words += [] if task is None else [f'task.name="{task}"']
    workspace, database = judging_workspace(policies, robots, home)
    inputs, baselines, files = policies_of(policies, workspace.home)
    chosen = stage_config(
        EvaluationConfig, "evaluation", preset, config, words, seed, (database, inputs)
    )
    request = StageRequest(
        RunKind.EVALUATION,
        chosen,
        preset,
        name=name or "",
        study=study or "",
        inputs=inputs,
        baselines=baselines,
        policy_files=files,
        robots=tuple(robots),
    )
    run = queue_and_follow(workspace, database, request, detach=detach, json=json)
    if not detach and not json:
        print_returns(run_document(workspace, database, run)["evaluation"])


def judging_workspace(
    policies: Sequence[str], robots: Sequence[str], home: Path | None
) -> tuple["Workspace", "Database"]:
    """Where an evaluation runs: files and baselines need no workspace that was there before.

    Raises:
        RunError: A run is named and there is no workspace.
        UnknownRobotSetError: There is no workspace, nor a built-in set of such a name.
    """
    if any(word.isdecimal() for word in policies):
        return existing(home)
    if read_workspace(home)[1] is None:
        for word in robots:
            check_robot_set(word, home)
    return open_workspace(home)


def print_returns(evaluation: Mapping[str, Any]) -> None:
    """Mean return of each policy with its interval, by what training knew of the robots."""
    headings = {"train": "trained", "unseen": "unseen", "robots": "other"}
    groups = evaluation["groups"]
    columns, rows = [], []
    for group in groups:
        alone = group == "robots" and len(groups) == 1
        columns += ["return" if alone else headings[group], "interval"]
    for place, policy in enumerate(evaluation["policies"]):
        cells = [policy_label(policy["label"], evaluation)]
        for found in groups.values():
            estimate = found["policies"][place]["mean_return"]
            low, high = estimate["low"], estimate["high"]
            interval = "·" if low is None or low == high else f"[{low:.0f}, {high:.0f}]"
            cells += [f"{estimate['value']:.0f}", interval]
        rows.append(cells)
    print_table(["policy", *columns], rows)


def policy_label(label: str, evaluation: Mapping[str, Any]) -> str:
    """A policy as an evaluation names it, with the checkpoint it was where it had not finished."""
    read = evaluation.get("checkpoints", {}).get(label)
    return label if read is None else f"{label} of run {read['run']} at {read['step']:,} steps"


def allowed(words: Sequence[str] | None) -> frozenset[str]:
    """The roles that ``--allow-role`` names.

    Raises:
        UsageError: There is no such role.
    """
    from engine.workers.robot_roles import ALLOWED_ROLES

    return frozenset(known_name(word, ALLOWED_ROLES, "role") for word in words or ())
