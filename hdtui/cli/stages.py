"""One command per stage: teach, collect, distill, evaluate, deploy; each a run."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from db.records import NewRun, Run, RunKind, RunState
from engine.config.base import Config
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import DeploymentConfig, EvaluationConfig
from engine.config.presets import stage_preset
from engine.config.teacher import TeacherConfig
from engine.errors import DeploymentError, UsageError
from hdtui.cli.launch import ConfigType, configured, queue_and_follow
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
    open_workspace,
)
from hdtui.cli.output import say
from hdtui.cli.pipeline import check_robot_set
from hdtui.cli.runs import existing
from hdtui.services.inherited import (
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


def register(app: typer.Typer) -> None:
    """Add the stage commands to the root command."""
    app.command("teach")(teach_command)
    app.command("collect")(collect_command)
    app.command("distill")(distill_command)
    app.command("evaluate")(evaluate_command)
    app.command("deploy")(deploy_command)


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
        raise UsageError(f"run {run_id} is a {run.kind.value}, expected a {wanted}")
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
        int | None, typer.Option("--episodes", min=1, help="Episodes a robot and policy.")
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

    words = list(settings or [])
    words += [] if episodes is None else [f"episodes={episodes}"]
    words += [] if task is None else [f'task.name="{task}"']
    workspace, database = existing(home)
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
    sets = robot_sets(workspace, database, robots)
    new_run = stage_run(RunKind.EVALUATION, chosen, name, inputs, sets, study)
    extra: dict[str, object] = {"baselines": baselines}
    if files:
        digests = {one.digest for each in sets for one in list_robots(database, each)}
        found = find_policy_files(files, chosen.task.name, digests)
        extra["files"] = [file.document() for file in found]
    new_run = replace(new_run, extra=extra)
    queue_and_follow(workspace, database, new_run, detach=detach, json=json)


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
            inputs.append(input_run(database, int(word), kinds).id)
        else:
            files.append(Path(word))
    return inputs, baselines, files


def robot_sets(workspace: "Workspace", database: "Database", words: Sequence[str]) -> list[str]:
    """Sets by name; single robots become a set of their own.

    Raises:
        UsageError: A word names neither a set nor a robot.
    """
    from db.queries.robots import list_sets
    from engine.workers.library import BUILT_IN_SETS, resolve_set, select_into_set

    known = {one.name for one in list_sets(database)} | set(BUILT_IN_SETS)
    names = [word for text in words for word in text.split(",") if word]
    sets = [name for name in names if name in known]
    for name in sets:
        resolve_set(database, workspace, name)
    single = [name for name in names if name not in known]
    if single:
        digest = hashlib.sha256(" ".join(sorted(single)).encode()).hexdigest()[:7]
        marked = f"marked-{digest}"
        if marked not in known:
            select_into_set(database, marked, single, role=None)
        sets.append(marked)
    return sets


def deploy_command(
    student: RunArgument,
    robots: Annotated[
        list[str],
        typer.Option("--robot", metavar="ROBOT|FILE.xml|SET", help="May be repeated."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to copy the files to as well.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="npz (numpy alone) or onnx.")
    ] = None,
    settings: Settings = None,
    name: Name = None,
    study: Study = None,
    home: Home = None,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Write one robot's MLP as a file that runs anywhere, with a JSON that explains it."""
    from db.queries.artifacts import list_artifacts
    from engine.morphology.mjcf import load_robot
    from engine.workers.library import add_to_library

    words = list(settings or [])
    words += [] if file_format is None else [f'format="{file_format}"']
    chosen = stage_config(DeploymentConfig, "deployment", "quick", None, words, seed)
    workspace, database = existing(home)
    input_run(database, student, [RunKind.STUDENT])
    files = {robot: load_robot(Path(robot)) for robot in robots if robot.endswith(".xml")}
    if files:
        add_to_library(database, workspace, files.values())
    names = [files[robot].digest if robot in files else robot for robot in robots]
    sets = robot_sets(workspace, database, names)
    new_run = stage_run(RunKind.DEPLOYMENT, chosen, name, (student,), sets, study)
    run = queue_and_follow(workspace, database, new_run, detach=False, json=json)
    if out is not None:
        for artifact in list_artifacts(database, run.id):
            copy_deployed(workspace.resolve(artifact.path), out)


def copy_deployed(policy: Path, out: Path) -> None:
    """Copy a deployed policy, the JSON that explains it and the scene to try it in.

    Raises:
        DeploymentError: The policy or its JSON is missing, or the folder cannot be written.
    """
    scene = policy.with_suffix(".xml")
    try:
        out.mkdir(parents=True, exist_ok=True)
        # A robot that sees terrain has no scene of its own.
        for source in (policy, policy.with_suffix(".json"), *([scene] if scene.is_file() else [])):
            shutil.copy2(source, out / source.name)
            say(str(out / source.name))
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
        raise DeploymentError(f"{policy.name} cannot be copied to {out}: {problem}") from error
