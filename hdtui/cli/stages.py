"""One command per stage that trains or judges: teach, collect, distill, evaluate; each a run."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from db.records import NewRun, Robot, Run, RunKind, RunState
from engine.config.base import Config, TaskName
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import EvaluationConfig
from engine.config.presets import stage_preset
from engine.config.teacher import TeacherConfig
from engine.errors import RobotError, UsageError
from hdtui.cli.launch import ConfigType, configured, queue_and_follow, run_document
from hdtui.cli.options import (
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
from hdtui.services.inherited import (
    check_ground,
    check_teachers,
    collection_of_teacher,
    evaluation_of_policies,
    found_in,
    student_of_collection,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.session import Database
    from engine.workers.workspace import Workspace

RunArgument = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Number of a run.")]
RobotSets = Annotated[
    list[str], typer.Option("--robots", metavar="SET", help="Robot set; may be repeated.")
]


_MAKES = {
    RunKind.TEACHER: "`hdtui teach --robots SET`",
    RunKind.COLLECTION: "`hdtui collect TEACHER --robots SET`",
    RunKind.STUDENT: "`hdtui distill COLLECTION`",
}
"""Commands whose runs are the inputs of others."""


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
    fit: "Callable[[ConfigType], ConfigType] | None" = None,
) -> ConfigType:
    """A stage's settings from its preset, a file, ``--set`` words and ``--seed``.

    ``fit`` gives the preset what follows from the stage's inputs, for all the others to change.

    Raises:
        ConfigError: There is no such preset, or a key or value is not valid.
    """
    base = stage_preset(stage, preset)
    if not isinstance(base, config):
        raise TypeError(f"preset {preset} holds no {config.__name__} under {stage}")
    return configured(base if fit is None else fit(base), file, settings, seed)


def on_device(settings: Sequence[str] | None, device: str | None) -> list[str]:
    """``--set`` words, and ``--device`` as one more."""
    return [*(settings or []), *([] if device is None else [f"device={device}"])]


def input_run(database: "Database", run_id: int, kinds: Sequence[RunKind]) -> Run:
    """A run that may be an input: it exists and is of one of these kinds.

    Raises:
        RunError: There is no such run.
        UsageError: It is of another kind, or ended without finishing.
    """
    from db.queries.runs import get_run

    run = get_run(database, run_id)
    if run.kind not in kinds:
        wanted = " or ".join(kind.value for kind in kinds)
        raise UsageError(
            f"run {run_id} is a {run.kind.value}, expected a {wanted};"
            f" {_MAKES[kinds[0]].format(run=run_id)} makes one"
        )
    if run.state.ended and run.state is not RunState.FINISHED:
        raise UsageError(
            f"run {run_id} {run.kind.value} is {run.state.value}, expected finished; "
            f"`hdtui runs resume {run_id}` continues it"
        )
    return run


def stage_run(
    kind: RunKind,
    config: Config,
    name: str | None,
    inputs: Sequence[int] = (),
    robot_sets: Sequence[str] = (),
    study: str | None = None,
) -> NewRun:
    """A stage as a run to queue."""
    seed = int(getattr(config, "seed", 1))
    what = "-".join(robot_sets) or "-".join(map(str, inputs))
    return NewRun(
        kind=kind,
        name=name or f"{what}-s{seed}",
        config=config.model_dump(mode="json"),
        seed=seed,
        inputs=tuple(inputs),
        robot_sets=tuple(robot_sets),
        group=study or None,
        device=str(getattr(config, "device", "cpu")),
    )


def teach_command(
    robots: RobotSets,
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
    """Train a teacher for all robots of the sets by PPO."""
    from engine.workers.library import resolve_set

    words = on_device(settings, device)
    chosen = stage_config(TeacherConfig, "teacher", preset, config, words, seed)
    for robot_set in robots:
        check_robot_set(robot_set, home)
    workspace, database = open_workspace(home)
    for robot_set in robots:
        resolve_set(database, workspace, robot_set)
    name = name or f"{preset}-{'-'.join(robots)}-s{chosen.seed}"
    new_run = stage_run(RunKind.TEACHER, chosen, name, (), robots, study)
    queue_and_follow(workspace, database, new_run, detach=detach, json=json)


def collect_command(
    teacher: RunArgument,
    robots: RobotSets,
    preset: Preset = "quick",
    settings: Settings = None,
    config: ConfigFile = None,
    name: Name = None,
    study: Study = None,
    detach: Detach = False,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Roll a teacher out on robot sets and store what it saw and did."""
    from engine.workers.library import resolve_set

    workspace, database = existing(home)
    source = input_run(database, teacher, [RunKind.TEACHER])
    chosen = stage_config(
        CollectionConfig,
        "collection",
        preset,
        config,
        settings,
        seed,
        lambda base: collection_of_teacher(base, source),
    )
    check_ground(found_in(database), [source.id], chosen.task)
    for robot_set in robots:
        resolve_set(database, workspace, robot_set)
    check_teachers(database, source, robots)
    new_run = stage_run(RunKind.COLLECTION, chosen, name, (teacher,), robots, study)
    queue_and_follow(workspace, database, new_run, detach=detach, json=json)


def distill_command(
    collection: RunArgument,
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
    workspace, database = existing(home)
    source = input_run(database, collection, [RunKind.COLLECTION])
    chosen = stage_config(
        StudentConfig,
        "student",
        preset,
        config,
        on_device(settings, device),
        seed,
        lambda base: student_of_collection(base, found_in(database), source),
    )
    new_run = stage_run(RunKind.STUDENT, chosen, name, (collection,), study=study)
    queue_and_follow(workspace, database, new_run, detach=detach, json=json)


def evaluate_command(
    policies: Annotated[
        list[str],
        typer.Option(
            "--policy", metavar="RUN|FILE", help="A run, a file, random or zero; may be repeated."
        ),
    ],
    robots: Annotated[
        list[str],
        typer.Option("--robots", metavar="SET|NAME,NAME...", help="Sets or robots of the library."),
    ],
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", min=1, help="Episodes a robot; compare equal numbers."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", help="flat, variable, obstacles, incline; default as the first run's."
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
    from db.queries.robots import list_robots
    from engine.workers.policy_files import find_policy_files

    if task is not None:
        known_name(task, get_args(TaskName), "task")
    words = list(settings or [])
    words += [] if episodes is None else [f"episodes={episodes}"]
    words += [] if task is None else [f'task.name="{task}"']
    workspace, database = judging_workspace(policies, robots, home)
    inputs, baselines, files = policy_words(database, policies)
    chosen = stage_config(
        EvaluationConfig,
        "evaluation",
        preset,
        config,
        words,
        seed,
        lambda base: evaluation_of_policies(base, found_in(database), inputs),
    )
    check_ground(found_in(database), inputs, chosen.task)
    sets = robot_sets(workspace, database, robots)
    new_run = stage_run(RunKind.EVALUATION, chosen, name, inputs, sets, study)
    extra: dict[str, object] = {"baselines": baselines}
    if files:
        digests = {one.digest for each in sets for one in list_robots(database, each)}
        found = find_policy_files(files, chosen.task.name, digests)
        extra["files"] = [file.document() for file in found]
    new_run = replace(new_run, extra=extra)
    run = queue_and_follow(workspace, database, new_run, detach=detach, json=json)
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
    """Mean return of each policy over all robots and by what training knew of them."""
    groups = evaluation["returns"]
    rows = []
    for policy in evaluation["policies"]:
        estimate = policy["mean_return"]
        low, high = estimate["low"], estimate["high"]
        interval = "·" if low is None or low == high else f"[{low:.0f}, {high:.0f}]"
        of_groups = [f"{returns[policy['label']]:.0f}" for returns in groups.values()]
        rows.append([policy["label"], f"{estimate['value']:.0f}", interval, *of_groups])
    headings = {"train": "trained", "unseen": "unseen", "robots": "other"}
    columns = [headings.get(group, group) for group in groups]
    print_table(["policy", "return", "interval", *columns], rows)


def policy_words(
    database: "Database", words: Sequence[str]
) -> tuple[list[int], list[str], list[Path]]:
    """Runs, baselines and files that policies were named by.

    Raises:
        UsageError: A run makes no policy, or a policy is named twice.
    """
    kinds = [RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT]
    inputs, baselines, files = [], [], []
    for word in words:
        if words.count(word) > 1:
            raise UsageError(f"--policy {word}: named more than once")
        if word in ("random", "zero"):
            baselines.append(word)
        elif word.isdecimal():
            run = input_run(database, int(word), kinds)
            if run.id in inputs:
                raise UsageError(f"--policy {word}: run {run.id} is named more than once")
            inputs.append(run.id)
        else:
            files.append(Path(word))
    return inputs, baselines, files


def robot_sets(workspace: "Workspace", database: "Database", words: Sequence[str]) -> list[str]:
    """Sets by name; single robots become a set of their own.

    Raises:
        UsageError: A word names neither a set nor a robot, or there is none.
    """
    from db.queries.robots import get_robot, list_sets
    from engine.workers.library import BUILT_IN_SETS, resolve_set

    known = {one.name for one in list_sets(database)} | set(BUILT_IN_SETS)
    names = list(dict.fromkeys(word for text in words for word in text.split(",") if word))
    if not names:
        raise UsageError("no robots are named; name a set or robots, comma-separated")
    sets = [name for name in names if name in known]
    for name in sets:
        resolve_set(database, workspace, name)
    try:
        single = [get_robot(database, name) for name in names if name not in known]
    except RobotError as error:
        raise UsageError(
            f"{str(error).rstrip('.')}, nor a set of that name; `hdtui robots list` shows the sets,"
            " `hdtui robots list SET` its robots"
        ) from error
    return [*sets, marked_set(database, single)] if single else sets


def marked_set(database: "Database", robots: "Sequence[Robot]") -> str:
    """The set of just these robots of the library: its name."""
    from db.queries.robots import create_set

    marked = sorted({(robot.name, robot.digest, robot.id) for robot in robots})
    digest = hashlib.sha256(repr([each[:2] for each in marked]).encode()).hexdigest()[:7]
    return create_set(database, f"marked-{digest}", [(number, None) for *_, number in marked]).name
