"""New robots for the library: generated, mutated, imported, selected into sets."""

from collections.abc import Sequence
from pathlib import Path

from db.records import NewRun, RunKind
from engine.config.robots import GenerationConfig, MutationConfig
from engine.errors import UsageError
from engine.workers.library import check_set_name, import_folder, select_into_set
from engine.workers.wording import counted
from engine.workers.workspace import Workspace
from hdtui.services.cockpit import Cockpit
from hdtui.services.commands import prepare_workspace, queue


def number_problem(values: Sequence[str], names: Sequence[str]) -> str:
    """Which of these fields is no whole number; empty where all are."""
    for value, name in zip(values, names, strict=True):
        if not value.isdecimal():
            return f"{name}: found {value!r}, needs a whole number"
    return ""


def generate(cockpit: Cockpit, count: str, seed: str, set_name: str) -> str:
    """Queue a generation run that fills a set.

    Raises:
        UsageError: A field that cannot be used.
    """
    check_set_name(set_name)
    config = GenerationConfig.model_validate({"train_count": int(count), "seed": int(seed)})
    new = NewRun(
        kind=RunKind.GENERATION,
        name=set_name,
        config=config.model_dump(mode="json"),
        seed=config.seed,
        device="cpu",
        extra={"training_set": set_name},
    )
    return f"{queue(cockpit, new)} generation is queued: {count} robots into the set {set_name}"


def mutate(cockpit: Cockpit, source: str, per_robot: str, seed: str, set_name: str) -> str:
    """Queue a mutation run over a set that fills another.

    Raises:
        UsageError: A field that cannot be used.
    """
    check_set_name(set_name)
    config = MutationConfig.model_validate({"mutants_per_robot": int(per_robot), "seed": int(seed)})
    new = NewRun(
        kind=RunKind.MUTATION,
        name=set_name,
        config=config.model_dump(mode="json"),
        seed=config.seed,
        robot_sets=(source,),
        device="cpu",
        extra={"mutant_set": set_name},
    )
    number = queue(cockpit, new)
    return f"{number} mutation is queued: {per_robot} mutants of each robot of {source}"


def import_robots(cockpit: Cockpit, folder: str, set_name: str) -> str:
    """Read a folder of robots into the library.

    Raises:
        UsageError: There is no such folder.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UsageError(f"{path} is no folder; robots are imported from one with xml/ in it")
    prepare_workspace(cockpit)
    workspace = Workspace(cockpit.home)
    made = cockpit.store.ask(
        lambda database: import_folder(database, workspace, path, set_name or None)
    )
    return f"{counted(made.size, 'robot')} in the set {made.name}"


def select(cockpit: Cockpit, digests: Sequence[str], set_name: str) -> str:
    """Make a set of robots.

    Raises:
        UsageError: The name cannot be used.
    """
    made = cockpit.store.ask(lambda database: select_into_set(database, set_name, list(digests)))
    return f"{counted(made.size, 'robot')} in the set {made.name}"
