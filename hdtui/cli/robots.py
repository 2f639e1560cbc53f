"""``hdtui robots ...``: make, read, look at and group robots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from db.records import Robot, RunKind
from engine.config.robots import GenerationConfig, MutationConfig
from engine.errors import InvalidRobotsError, RunError, UsageError
from engine.text import counted
from hdtui.cli import completion
from hdtui.cli.launch import allowed, check_robot_set, configured, queue_and_follow
from hdtui.cli.options import (
    AllowedRoles,
    Call,
    Detach,
    Seed,
    Settings,
    Study,
    grouped_options,
    known_name,
    no_workspace,
)
from hdtui.cli.output import print_failure, print_json, print_table, say
from hdtui.data.columns import DIGEST_LETTERS, ROBOT_COLUMNS, document_of, listing

if TYPE_CHECKING:
    from collections.abc import Sequence


app = typer.Typer(no_args_is_help=True, help="Robots: generate, import, mutate, look at, group.")
ROLES = ("training", "unseen")
NO_SETS = "are no robot sets"
Into = Annotated[str, typer.Option("--into", metavar="SET", help="Name of the new set.")]
Role = Annotated[
    str,
    typer.Option("--role", help="training or unseen.", autocompletion=completion.words(*ROLES)),
]
KeptRole = Annotated[
    str | None,
    typer.Option(
        "--role",
        help="training or unseen; else as in SET.",
        autocompletion=completion.words(*ROLES),
    ),
]
RobotSetName = Annotated[
    str, typer.Argument(metavar="SET", autocompletion=completion.robot_sets, help="A robot set.")
]


@app.command("generate")
@grouped_options(seed=Seed)
def generate_command(
    call: Call,
    into: Into,
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="Robots.")] = 16,
    unseen: Annotated[
        int, typer.Option("--unseen", min=0, max=10_000, help="More robots, for SET-unseen.")
    ] = 0,
    role: Role = "training",
    study: Study = None,
    detach: Detach = False,
) -> None:
    """Grow new robots that can stand and move, by seed, into a set."""
    from engine.workers.robot_library import check_set_name
    from engine.workers.stages import StageRequest, filled_sets

    check_set_name(into)
    known_name(role, ROLES, "role")
    if unseen and role == "unseen":
        raise UsageError("--unseen adds robots to a training set; leave --role out")
    counts = {"train_count": count, "unseen_count": unseen}
    if role == "unseen":
        counts = {"unseen_count": count}
    config = GenerationConfig.model_validate({**counts, "seed": call.usual_seed})
    sets = filled_sets([role, *(["unseen"] if unseen else [])], into)
    _, database = call.create()
    request = StageRequest(RunKind.GENERATION, config, study=study or "", fills=sets)
    queue_and_follow(call, database, request, detach=detach)


@app.command("import")
@grouped_options()
def import_command(
    call: Call,
    folder: Annotated[Path, typer.Argument(help="A folder with xml/ and metadata/.")],
    into: Annotated[
        str | None, typer.Option("--into", metavar="SET", help="Else named after the folder.")
    ] = None,
    role: Role = "training",
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out files that are no valid robots.")
    ] = False,
) -> None:
    """Read all robots of a folder into a set; none is added where one is not valid.

    hdtui reads UNIMAL robots alone: a head named torso/0 and limbs with limbx and limby hinges, as
    DERL and MetaMorph publish them or as MuJoCo saved them again. Other gears, joint ranges,
    damping, armature, densities and sizes than that design space has are read and told; MuJoCo's
    other robots (ant, walker2d, humanoid) are refused. Files are kept as they are. Links are
    followed inside the folder alone. File names lose their accents, and spaces become dashes.
    """
    from hdtui.actions.robot_imports import import_read, read_robots_of

    known_name(role, ROLES, "role")
    try:
        found = read_robots_of(folder, into, skip_invalid)
    except InvalidRobotsError as error:
        if not call.json:
            raise
        say(f"hdtui: {error}")
        print_failure(error, 1, set=None, refused=error.refused)
        raise typer.Exit(1) from error
    workspace, database = call.create()
    imported = import_read(database, workspace, found, into, role)
    say(f"{counted(imported.set.size, 'robot')} in the set {imported.set.name}")
    for note in imported.notes():
        say(note)
    if call.json:
        print_json(imported)


@app.command("mutate")
@grouped_options(seed=Seed)
def mutate_command(
    call: Call,
    robots: RobotSetName,
    into: Into,
    per_robot: Annotated[
        int | None, typer.Option("--per-robot", min=1, help="Mutants of each robot.")
    ] = None,
    settings: Settings = None,
    allow_role: AllowedRoles = None,
    study: Study = None,
    detach: Detach = False,
) -> None:
    """Mutants of a set's robots, each by one to three operations, into a set."""
    from engine.workers.robot_library import check_set_name
    from engine.workers.stages import MUTANTS, StageRequest

    check_set_name(into)
    if per_robot is not None:
        settings = [*(settings or []), f"mutants_per_robot={per_robot}"]
    config = configured(MutationConfig(), None, settings, call.seed)
    check_robot_set(call, robots)
    _, database = call.create()
    request = StageRequest(
        RunKind.MUTATION,
        config,
        study=study or "",
        robots=(robots,),
        fills={MUTANTS: into},
        allowed_roles=allowed(allow_role),
    )
    queue_and_follow(call, database, request, detach=detach)


@app.command("select")
@grouped_options()
def select_command(
    call: Call,
    from_set: RobotSetName,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Robots of the set.",
            autocompletion=completion.robots_of_set,
        ),
    ],
    into: Into,
    role: KeptRole = None,
) -> None:
    """A set of some robots of another."""
    from db.queries.robots import get_set, list_robots
    from engine.workers.robot_library import check_set_name, resolve_set
    from hdtui.actions.robots import select

    check_set_name(into)
    if role is not None:
        known_name(role, ROLES, "role")
    workspace, database = call.existing(NO_SETS)
    resolve_set(database, workspace, from_set)
    members = list_robots(database, from_set)
    chosen = [_member(members, from_set, name) for name in names]
    say(select(database, chosen, into, role, from_set).text)
    if call.json:
        print_json({"set": get_set(database, into)})


@app.command("split")
@grouped_options(seed=Seed)
def split_command(
    call: Call,
    robots: RobotSetName,
    into: Into,
    rest: Annotated[
        str, typer.Option("--rest", metavar="SET", help="Name of the set of all other robots.")
    ],
    fraction: Annotated[
        float, typer.Option("--fraction", min=0.0, max=1.0, help="Share of the bodies for --into.")
    ] = 0.8,
) -> None:
    """Part a set by seed: robots to train on, and the rest, which nobody trains on.

    Robots with equal bodies stay on one side.
    """
    from engine.workers.robot_split import split_set

    workspace, database = call.existing(NO_SETS)
    kept, others = split_set(
        database, workspace, robots, fraction=fraction, seed=call.usual_seed, into=into, rest=rest
    )
    for made in (kept, others):
        say(f"{counted(made.size, 'robot')} in set {made.name}, for {made.role}")
    if call.json:
        print_json({"set": kept, "rest": others})


def _member(members: Sequence[Robot], set_name: str, name: str) -> Robot:
    """The one robot of a set with this name, or with a digest that begins so."""
    found = [robot for robot in members if robot.name == name]
    if not found and len(name) >= DIGEST_LETTERS:
        found = [robot for robot in members if robot.digest.startswith(name)]
    if not found:
        raise UsageError(f"set {set_name} has no robot {name}")
    if len({robot.digest for robot in found}) > 1:
        digests = " ".join(robot.digest[:DIGEST_LETTERS] for robot in found)
        raise UsageError(f"set {set_name} has {len(found)} robots {name}; name digests: {digests}")
    return found[0]


@app.command("remove")
@grouped_options()
def remove_command(
    call: Call,
    name: RobotSetName,
    yes: Annotated[
        bool, typer.Option("--yes", help="Really remove it, and robots that nothing else holds.")
    ] = False,
) -> None:
    """Remove a set; robots that are in no other, and that no run needs, go with it.

    Runs that have ended keep the robots that they read. A set that a waiting or working run reads
    or fills is not removed.
    """
    from hdtui.actions.robot_removal import removal_warning, remove, removed_text

    _, database = call.existing(NO_SETS)
    warning = removal_warning(database, name)
    if not yes:
        raise RunError(f"{' '.join(warning)} Say --yes to do it")
    removed = remove(database, name)
    say(removed_text(removed))
    if call.json:
        names = [robot.name for robot in removed.robots]
        print_json({"removed": name, "kept_for_runs": removed.kept_for, "robots": names})


@app.command("list")
@grouped_options()
def list_command(
    call: Call,
    from_set: Annotated[
        str | None,
        typer.Argument(
            metavar="[SET]", help="Else all sets.", autocompletion=completion.robot_sets
        ),
    ] = None,
) -> None:
    """The sets, or the robots of one."""
    from db.queries.robots import get_set, list_robots, list_sets

    workspace, database = call.look()
    sets = [] if database is None else list_sets(database)
    if from_set is None:
        if database is None:
            say(no_workspace(workspace.home))
        if call.json:
            print_json({"sets": sets})
        else:
            print_table(
                ["set", "robots", "role", "digest"],
                [[one.name, str(one.size), one.role or "·", one.digest[:7]] for one in sets],
            )
        return
    _, database = call.existing(NO_SETS)
    robots = list_robots(database, get_set(database, from_set).name)
    if call.json:
        print_json(
            {"set": from_set, "robots": [document_of(robot, ROBOT_COLUMNS) for robot in robots]}
        )
        return
    headings = ("name", "limbs", "joints", "mass", "head", "digest")
    print_table(headings, listing(robots, ROBOT_COLUMNS, headings))


@app.command("export")
@grouped_options()
def export_command(
    call: Call,
    from_set: RobotSetName,
    folder: Annotated[Path, typer.Argument(help="Folder to write xml/ and metadata/ into.")],
) -> None:
    """Write a set's robots as files that MuJoCo and others read.

    An imported robot is written as it came in, byte for byte. One that hdtui grew or mutated is
    written with the physics hdtui trains with: parents and children do not collide, and all other
    limbs do. hdtui trains imported robots so too, whatever contacts their files leave out.
    """
    from engine.workers.robot_library import export_set

    workspace, database = call.existing(NO_SETS)
    paths = export_set(database, workspace, from_set, folder)
    say(f"{counted(len(paths), 'robot')} written to {folder}")
    if call.json:
        print_json({"files": paths})
