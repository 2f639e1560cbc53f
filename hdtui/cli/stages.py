"""One command per stage that trains or judges: teach, collect, distill, evaluate; each a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from db.records import RunKind
from engine.config.base import TaskName
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.teacher import TeacherConfig
from hdtui.cli import completion
from hdtui.cli.launch import StageOptions, check_robot_set, queue_and_follow, reading
from hdtui.cli.options import Call, Seed, grouped_options, known_name
from hdtui.cli.output import print_table
from hdtui.cli.run_text import run_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


@grouped_options(seed=Seed)
def teach_command(call: Call, stage: StageOptions, robots: RobotSets) -> None:
    """Train a teacher for all robots of the sets by PPO."""
    config = stage.stage_config(TeacherConfig, RunKind.TEACHER, call.seed)
    request = stage.request(RunKind.TEACHER, config, robots=tuple(robots))
    for robot_set in robots:
        check_robot_set(call, robot_set)
    _, database = call.create()
    queue_and_follow(call, database, request, detach=stage.detach)


@grouped_options(seed=Seed, device=None)
def collect_command(
    call: Call,
    stage: StageOptions,
    teacher: Annotated[
        str,
        typer.Argument(
            metavar="TEACHER",
            help="Number of its run, its file, or pretrained-teacher.",
            autocompletion=completion.policy_runs(RunKind.TEACHER),
        ),
    ],
    robots: RobotSets,
) -> None:
    """Roll a teacher out on robot sets and store what it saw and did."""
    stage.stage_config(CollectionConfig, RunKind.COLLECTION, call.seed)  # wrong words come first
    database, inputs = reading(call, teacher, RunKind.COLLECTION, robots)
    config = stage.stage_config(
        CollectionConfig, RunKind.COLLECTION, call.seed, inputs=(database, inputs)
    )
    request = stage.request(RunKind.COLLECTION, config, inputs=inputs, robots=tuple(robots))
    queue_and_follow(call, database, request, detach=stage.detach)


@grouped_options(seed=Seed, allow_role=None)
def distill_command(
    call: Call,
    stage: StageOptions,
    collection: Annotated[
        int,
        typer.Argument(
            metavar="COLLECTION",
            min=1,
            help="Number of its run.",
            autocompletion=completion.runs(RunKind.COLLECTION),
        ),
    ],
) -> None:
    """Distil collected behaviour into a student."""
    _, database = call.existing()
    config = stage.stage_config(
        StudentConfig, RunKind.STUDENT, call.seed, inputs=(database, [collection])
    )
    request = stage.request(RunKind.STUDENT, config, inputs=(collection,))
    queue_and_follow(call, database, request, detach=stage.detach)


@grouped_options({"preset": "laptop"}, seed=Seed, device=None, allow_role=None)
def evaluate_command(
    call: Call,
    stage: StageOptions,
    policies: Annotated[
        list[str],
        typer.Option(
            "--policy",
            metavar="RUN|FILE",
            help="A run, a file, pretrained, random or zero; may be repeated.",
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
) -> None:
    """Evaluate policies on robots: the same seeds for each, every episode kept."""
    from engine.workers.stages import policies_of

    words = [] if episodes is None else [f"episodes={episodes}"]
    if task is not None:
        words.append(f'task.name="{known_name(task, get_args(TaskName), "task")}"')
    workspace, database = judging_workspace(call, policies, robots)
    inputs, baselines, files = policies_of(policies, workspace.home)
    config = stage.stage_config(
        EvaluationConfig, RunKind.EVALUATION, call.seed, *words, inputs=(database, inputs)
    )
    request = stage.request(
        RunKind.EVALUATION,
        config,
        inputs=inputs,
        baselines=baselines,
        policy_files=files,
        robots=tuple(robots),
    )
    run = queue_and_follow(call, database, request, detach=stage.detach)
    if not stage.detach and not call.json:
        print_returns(run_document(database, run)["evaluation"])


def judging_workspace(
    call: Call, policies: Sequence[str], robots: Sequence[str]
) -> tuple[Workspace, Database]:
    """Where an evaluation runs: files and baselines need no workspace that was there before.

    Raises:
        RunError: A run is named and there is no workspace.
        UnknownRobotSetError: There is no workspace, nor a built-in set of such a name.
    """
    if any(word.isdecimal() for word in policies):
        return call.existing()
    if call.look()[1] is None:
        for word in robots:
            check_robot_set(call, word)
    return call.create()


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
