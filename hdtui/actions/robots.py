"""New robots for the library: generated, mutated, imported, selected into sets."""

from collections.abc import Collection, Sequence
from pathlib import Path

from db.records import Robot, RunKind
from db.session import Database
from engine.config.overrides import validated
from engine.config.robots import GenerationConfig, MutationConfig
from engine.errors import UsageError
from engine.files import expanded
from engine.text import counted
from engine.workers.robot_library import TRAINING, UNSEEN, select_into_set
from engine.workers.stages import MUTANTS, StageRequest, filled_sets
from engine.workers.workspace import Workspace
from hdtui.actions.queueing import queue
from hdtui.actions.robot_imports import import_read, read_robots_of
from hdtui.data.store import Store
from hdtui.messages import Answer

MOST_DIGITS = 10
"""Of a number of robots or a seed; larger ones fit neither a database nor a generator."""


def number_problem(values: Sequence[str], names: Sequence[str]) -> str:
    """Which of these fields is no whole number; empty where all are."""
    for value, name in zip(values, names, strict=True):
        if not value.isdecimal() or len(value) > MOST_DIGITS:
            return f"{name}: found {value!r}, needs a whole number"
    return ""


def generate(database: Database, count: str, unseen: str, seed: str, set_name: str) -> Answer:
    """Queue a generation run that fills a set, and one of robots that are kept unseen.

    Raises:
        HdtuiError: A field that cannot be used.
    """
    counts = {"train_count": int(count), "unseen_count": int(unseen), "seed": int(seed)}
    config = validated(GenerationConfig, counts, "generate")
    sets = filled_sets((TRAINING, UNSEEN), set_name)
    request = StageRequest(RunKind.GENERATION, config, fills=sets)
    return queue(database, request, f": {count} robots into the set {set_name}")


def mutate(
    database: Database,
    source: str,
    per_robot: str,
    seed: str,
    set_name: str,
    *,
    allowed_roles: Collection[str] = (),
) -> Answer:
    """Queue a mutation run over a set that fills another.

    Raises:
        RoleNotAllowedError: The set is not for training, and its role not allowed.
        HdtuiError: A field that cannot be used.
    """
    counts = {"mutants_per_robot": int(per_robot), "seed": int(seed)}
    config = validated(MutationConfig, counts, "mutate")
    request = StageRequest(
        RunKind.MUTATION,
        config,
        robots=(source,) if source else (),
        fills={MUTANTS: set_name},
        allowed_roles=allowed_roles,
    )
    return queue(database, request, f": {per_robot} mutants of each robot of {source}")


def import_robots(
    store: Store, folder: str, set_name: str, *, skip_invalid: bool = False
) -> Answer:
    """Read a folder of robots into the library.

    Raises:
        UsageError: There is no such folder.
        InvalidRobotsError: Files are no valid robots, and those are not to be skipped.
    """
    path = expanded(Path(folder), "the folder")
    if not path.is_dir():
        raise UsageError(f"{path} is no folder; robots are imported from one with xml/ in it")
    found = read_robots_of(path, set_name or None, skip_invalid)
    workspace = Workspace(store.home)
    imported = store.act(lambda database: import_read(database, workspace, found, set_name or None))
    made = imported.set
    sentences = [f"{counted(made.size, 'robot')} in the set {made.name}", *imported.notes()]
    return Answer("; ".join(sentences))


def select(
    database: Database,
    robots: Sequence[str | Robot],
    set_name: str,
    role: str | None = None,
    from_set: str | None = None,
) -> Answer:
    """Make a set of robots; ``select_into_set`` says which roles they have in it.

    Raises:
        UsageError: The name cannot be used.
    """
    made = select_into_set(database, set_name, robots, role, from_set=from_set)
    return Answer(f"{counted(made.size, 'robot')} in the set {made.name}")
