"""The workspace's robots: files by digest, rows beside them, sets by name.

A robot that was imported is kept byte for byte and given out so: its file may hold what hdtui does
not simulate, such as contacts that are left out. Loads neither torch nor mujoco: whether a robot
can stand is for the generation stage to find out.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from db.queries import removal
from db.queries import robots as queries
from db.queries.removal import RemovedSet
from db.queries.runs import list_runs
from db.records import NewRobot, NewRun, Robot, RobotSet, RunState
from db.session import Database
from engine.errors import RobotError, UnknownRobotSetError, UsageError
from engine.files import parse_json, read_file, write_bytes
from engine.morphology.geometry import limb_mass_kg
from engine.morphology.mjcf import (
    RobotFile,
    own_file,
    parse_robot,
    read_robot_file,
    safe_name,
    save_file,
)
from engine.morphology.tree import Morphology
from engine.morphology.xml_reading import MAX_FILE_BYTES
from engine.workers.workspace import Workspace

TRAINING, UNSEEN = "training", "unseen"
MARKED = "marked-"
"""How the names of sets begin that hold just the robots somebody named."""
UNIMAL_VARIABLE = "HDTUI_UNIMAL_DIR"
BUILT_IN_SETS = {
    "unimal8": (
        "floor-5506-3-10-01-14-19-06",
        "mvt-5506-14-2-17-07-59-45",
        "vt-1409-3-14-02-15-26-41",
        "floor-1409-10-0-01-11-09-15",
        "vt-5506-10-12-02-12-35-19",
        "floor-1409-1-6-01-07-43-16",
        "floor-1409-0-12-01-12-30-07",
        "vt-1409-0-15-02-22-16-32",
    )
}
"""Sets of UNIMAL robots that have a name without being imported."""
FILLED_SETS = {
    "training_set": "train_count",
    "unseen_set": "unseen_count",
    "mutant_set": "mutants_per_robot",
}
"""Where a run's ``extra`` names the sets it fills, and the setting that counts their robots."""


def add_to_library(
    database: Database, workspace: Workspace, robots: Iterable[Morphology]
) -> list[Robot]:
    """Write robots and their rows; a robot that the library knows stays as it is."""
    return _added(database, workspace, [own_file(robot) for robot in robots], keep_known=True)


def add_files(database: Database, workspace: Workspace, files: Sequence[RobotFile]) -> list[Robot]:
    """Keep robots' files as they came, and their rows.

    Raises:
        RobotError: The library has one of these bodies under the same name from another file;
            nothing was added.
    """
    for file in files:
        _check_same_file(workspace, file)
    return _added(database, workspace, files, keep_known=False)


def _added(
    database: Database, workspace: Workspace, files: Sequence[RobotFile], *, keep_known: bool
) -> list[Robot]:
    rows = queries.add_robots(
        database, [_stored(workspace, file, keep_known=keep_known) for file in files]
    )
    for file in files:  # the set that held one may have been removed between file and row
        if not _place(workspace, file.robot).is_file():
            _stored(workspace, file, keep_known=keep_known)
    return rows


def make_set(
    database: Database,
    workspace: Workspace,
    name: str,
    members: Sequence[tuple[Morphology, str | None]],
    *,
    run_id: int | None = None,
) -> RobotSet:
    """A named set of robots with their roles; robots the library lacks are added.

    Raises:
        UsageError: It exists with other robots and is not what the run ``run_id`` made
            before.
    """
    check_set_name(name)
    rows = add_to_library(database, workspace, [robot for robot, _ in members])
    roles = [role for _, role in members]
    numbers = [(row.id, role) for row, role in zip(rows, roles, strict=True)]
    return queries.create_set(database, name, numbers, run_id=run_id)


def load_set(
    database: Database, workspace: Workspace, name: str, role: str | None = None
) -> list[Morphology]:
    """The robots of a set, in order; those of a built-in set where the library lacks it."""
    resolve_set(database, workspace, name)
    return [load(workspace, robot) for robot in queries.list_robots(database, name, role=role)]


def load(workspace: Workspace, robot: Robot) -> Morphology:
    """A robot of the library.

    Raises:
        RobotError: Its file is gone or holds another body.
    """
    path = workspace.resolve(robot.path)
    try:
        xml, metadata = _read_stored(path)
        document = parse_json(metadata)
    except (OSError, ValueError) as error:
        raise RobotError(f"{robot.name}: {path} or its .json cannot be read: {error}") from error
    morphology = parse_robot(xml, robot.name, document, source=str(path))
    if morphology.digest != robot.digest:
        raise RobotError(f"{robot.name}: {path} holds another body than digest {robot.digest[:7]}")
    return morphology


def _read_stored(path: Path) -> tuple[bytes, bytes]:
    """The XML of the library at ``path`` and the metadata beside it.

    Raises:
        OSError: One is not.
    """
    return read_file(path, MAX_FILE_BYTES), read_file(path.with_suffix(".json"), MAX_FILE_BYTES)


def resolve_set(database: Database, workspace: Workspace, name: str) -> RobotSet:
    """The set with this name; a built-in one is read from HDTUI_UNIMAL_DIR when first used.

    Raises:
        UnknownRobotSetError: Neither the library nor the built-in names know it.
    """
    try:
        return queries.get_set(database, name)
    except UnknownRobotSetError:
        if name not in BUILT_IN_SETS:
            raise
    return import_files(database, workspace, built_in_files(name), name)


def built_in_files(name: str) -> list[RobotFile]:
    """The robots of a built-in set, from the folder that HDTUI_UNIMAL_DIR names."""
    folder = os.environ.get(UNIMAL_VARIABLE)
    if not folder:
        raise UnknownRobotSetError(
            f'The robot set "{name}" is read from the folder that {UNIMAL_VARIABLE} names, and '
            "that is not set; it holds xml/ and metadata/ of UNIMAL robots."
        )
    paths = [Path(folder) / "xml" / f"{robot}.xml" for robot in BUILT_IN_SETS[name]]
    for path in paths:
        if not path.is_file():
            raise UnknownRobotSetError(
                f'The robot set "{name}" needs {path}; {UNIMAL_VARIABLE} is {folder}.'
            )
    return [read_robot_file(path, Path(folder).resolve()) for path in paths]


def folder_set_name(folder: Path) -> str:
    """The name of the set of a folder's robots: the folder's own, as far as a set can have it."""
    folder = folder.resolve()
    return safe_name((folder.parent if folder.name == "xml" else folder).name).replace("+", "-")


def import_files(
    database: Database,
    workspace: Workspace,
    files: Sequence[RobotFile],
    set_name: str,
    role: str | None = TRAINING,
) -> RobotSet:
    """A set of robots from their files, which are kept as they came.

    Raises:
        UsageError: The set exists with other robots, or cannot be named so.
        RobotError: The library has one of these bodies under the same name from another file.
    """
    check_set_name(set_name)
    rows = add_files(database, workspace, files)
    return queries.create_set(database, set_name, [(row.id, role) for row in rows])


def select_into_set(
    database: Database,
    name: str,
    robots: Sequence[str | Robot],
    role: str | None = None,
    *,
    from_set: str | None = None,
) -> RobotSet:
    """A set of robots of the library, by names or digests too; ``from_set`` is where they are from.

    Without ``role`` they keep theirs: robots that were set apart stay so in the new set.
    """
    check_set_name(name)
    chosen = [
        robot if isinstance(robot, Robot) else queries.get_robot(database, robot)
        for robot in robots
    ]
    roles = kept_roles(database, [robot.digest for robot in chosen], from_set)
    members = [(robot.id, role or roles[robot.digest]) for robot in chosen]
    return queries.create_set(database, name, members)


def kept_roles(
    database: Database, digests: Collection[str], from_set: str | None = None
) -> dict[str, str]:
    """The role of each robot in the set it is taken from, else what it is in any set.

    For training where some set has it so, or none says anything.
    """
    own = queries.roles_of(database, digests, from_set) if from_set else {}
    anywhere = queries.roles_of(database, digests)
    return {
        digest: UNSEEN if (own.get(digest) or anywhere[digest]) == {UNSEEN} else TRAINING
        for digest in digests
    }


def marked_set(database: Database, robots: Iterable[Robot]) -> RobotSet:
    """The set of just these robots, none of which has a role in it.

    The same robots make the same set from every screen and command; one that an earlier version
    named otherwise goes on.
    """
    marked = sorted({(robot.name, robot.digest, robot.id) for robot in robots})
    bodies = [each[:2] for each in marked]
    for known in queries.list_sets(database):
        if known.name.startswith(MARKED) and known.size == len(marked) and not known.roles:
            there = [
                (robot.name, robot.digest) for robot in queries.list_robots(database, known.name)
            ]
            if sorted(there) == bodies:
                return known
    digest = hashlib.sha256(repr(bodies).encode()).hexdigest()[:7]
    members = [(number, None) for *_, number in marked]
    return queries.create_set(database, f"{MARKED}{digest}", members)


def set_names(database: Database) -> set[str]:
    """The names of all sets that have robots, those too that were removed and are kept for runs."""
    return {one.name for one in queries.list_sets(database, removed=True)}


def learning_robots(database: Database, names: Iterable[str]) -> list[Robot]:
    """The robots that somebody learns from who is given these sets, set by set.

    Those with the role training; all of a set in which none has it.
    """
    return [
        robot
        for name in names
        for robot in queries.list_robots(database, name, role=TRAINING)
        or queries.list_robots(database, name)
    ]


def export_set(database: Database, workspace: Workspace, name: str, folder: Path) -> list[Path]:
    """Write a set's robots as ``xml/`` and ``metadata/`` in ``folder``; the XML files.

    What was imported comes out as it came in. Different bodies of one name get their digests'
    first letters behind it.
    """
    resolve_set(database, workspace, name)
    robots = queries.list_robots(database, name)
    bodies: dict[str, set[str]] = {}
    for robot in robots:
        load(workspace, robot)  # all are as they were written, before the first is written out
        bodies.setdefault(robot.name, set()).add(robot.digest)
    paths = []
    for robot in robots:
        stored = workspace.resolve(robot.path)
        alone = len(bodies[robot.name]) == 1
        as_name = robot.name if alone else f"{robot.name}-{robot.digest[:7]}"
        xml, metadata = _read_stored(stored)
        paths.append(save_file(as_name, xml, metadata, folder))
    return paths


def remove_set(
    database: Database, workspace: Workspace, name: str, dead: Collection[int] = ()
) -> RemovedSet:
    """Take a set out of the library, with the files of robots that nothing else holds.

    Runs that have ended keep the robots that they read. ``dead`` are runs whose rows say that they
    work and whose processes are gone.

    Raises:
        UnknownRobotSetError: There is no such set.
        RunError: A run that waits or works reads it or fills it; nothing was changed.
    """
    removed = removal.remove_set(database, name, dead)
    _remove_files(workspace, removed.robots)
    return removed


def forget_unread_sets(database: Database, workspace: Workspace) -> None:
    """Let go of sets that were removed and kept for runs which are deleted now."""
    _remove_files(workspace, removal.forget_unread_sets(database))


def _remove_files(workspace: Workspace, robots: Iterable[Robot]) -> None:
    for robot in robots:
        path = workspace.resolve(robot.path)
        for file in (path, path.with_suffix(".json")):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # another name of the body has its files there
            path.parent.rmdir()


def check_set_name(name: str) -> None:
    """UsageError for a name that a command line or a screen would trip over."""
    allowed = name.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum() and len(name) <= 100):
        raise UsageError(f'A robot set cannot be named "{name[:100]}": letters, digits, - _ and .')


def check_filled_sets(database: Database, new: NewRun) -> None:
    """UsageError where a run would fill a set that is there already with other robots.

    What a finished run was asked for may be asked again: it gives the same robots.
    """
    wanted = [
        new.extra[key]
        for key, count in FILLED_SETS.items()
        if new.config.get(count, 1) and key in new.extra
    ]
    known = {*BUILT_IN_SETS, *(one.name for one in queries.list_sets(database))}
    taken = [name for name in wanted if name in known]
    if not taken:
        return
    request = (new.kind, new.config, new.robot_sets, new.extra)
    for run in list_runs(database, states=[RunState.FINISHED], archived=True):
        if (run.kind, run.config, run.robot_sets, run.extra) == request:
            return
    raise queries.name_taken(taken[0])


_WRITTEN_BY_0_1 = (
    b'<mujoco model="unimal">\n  <compiler angle="degree"/>\n  <option timestep="0.005">\n'
    b'    <flag filterparent="disable"/>\n'
)
"""How the files begin that version 0.1 wrote in place of those it imported."""


def _check_same_file(workspace: Workspace, file: RobotFile) -> None:
    """Refuse a second file of a body and a name: sets that hold the first would change."""
    path = _place(workspace, file.robot)
    kept = _kept(path, file.robot)
    if kept is None or (kept.xml == file.xml and kept.robot == file.robot):
        return
    what = "metadata" if kept.xml == file.xml else "file"
    raise RobotError(
        f"{file.path or file.robot.name}: the library has this body as {file.robot.name} already,"
        f" from a {what} that differs ({path}); name the file otherwise, or remove the sets that"
        " hold it with `hdtui robots remove`"
    )


def _kept(path: Path, robot: Morphology) -> RobotFile | None:
    """The file that the library keeps of a robot and would lose; None where there is no such."""
    try:
        xml, metadata = _read_stored(path)
        kept = parse_robot(xml, robot.name, parse_json(metadata))
    except (OSError, ValueError, RobotError):
        return None
    if kept.digest != robot.digest:
        return None
    # What 0.1 wrote of an imported robot has contacts that nobody asked for.
    if xml.startswith(_WRITTEN_BY_0_1) and kept.lineage is None:
        return None
    return RobotFile(kept, xml, metadata, path)


def _place(workspace: Workspace, robot: Morphology) -> Path:
    return workspace.robots_folder / robot.digest / f"{robot.name}.xml"


def _stored(workspace: Workspace, file: RobotFile, *, keep_known: bool) -> NewRobot:
    """The row of a robot whose file is written where there is none, or none that must stay."""
    robot = file.robot
    path = _place(workspace, robot)
    if not path.is_file() or not (keep_known or _kept(path, robot)):
        write_bytes(path.with_suffix(".json"), file.metadata)
        write_bytes(path, file.xml)
    lineage = robot.lineage
    return NewRobot(
        digest=robot.digest,
        name=robot.name,
        family=robot.family,
        num_limbs=robot.num_limbs,
        num_joints=robot.num_joints,
        mass_kg=sum(limb_mass_kg(limb) for limb in robot.limbs),
        head_height_m=robot.head_height_m,
        path=workspace.relative(path),
        parent_digest=lineage.parent_digest if lineage else None,
        operations=lineage.operations if lineage else (),
        seed=lineage.seed if lineage else None,
    )
