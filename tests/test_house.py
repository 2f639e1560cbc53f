"""The house keeps its shape: files import one way, and a reader holds few names at once."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PACKAGES = ("hdtui", "engine", "db")
MEDIAN_NAMES, MOST_NAMES = 12, 30
"""Own names that a file of ``hdtui/screens`` imports: in the middle, and at the most."""


def modules() -> dict[str, ast.Module]:
    """Every file of the project by its dotted name; a package is its ``__init__``."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def own_names(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a file imports from the project, in functions too, but not for types."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            stack += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith(PACKAGES))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        stack += ast.iter_child_nodes(node)


def test_no_two_files_import_each_other_however_indirectly() -> None:
    files = modules()
    graph = {}
    for name, tree in files.items():
        imported = {own if own in files else own.rpartition(".")[0] for own in own_names(tree)}
        graph[name] = imported & files.keys() - {name}
    TopologicalSorter(graph).prepare()  # CycleError names the files of a circle


def test_a_file_is_named_by_its_subject_and_one_module_makes_new_runs() -> None:
    files = modules()
    assert [name for name in files if name.endswith(("_parts", "_helpers", "utils"))] == []
    makers = [
        name
        for name, tree in files.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "NewRun"
    ]
    assert [name for name in makers if "bench" not in name] == ["engine.workers.new_runs"]


def test_a_screen_is_read_with_few_names() -> None:
    counts = {
        name: len({*own_names(tree)})
        for name, tree in modules().items()
        if name.startswith("hdtui.screens.") and tree.body[1:]
    }
    assert median(counts.values()) <= MEDIAN_NAMES
    assert {name: number for name, number in counts.items() if number > MOST_NAMES} == {}
