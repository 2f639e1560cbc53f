"""What the workspace offers to a form: robot sets, runs, what those took, and who is refused."""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from db.queries.robots import list_sets
from db.queries.runs import list_runs
from db.records import Run, RunKind, RunState
from engine.errors import UsageError
from engine.workers.library import BUILT_IN_SETS, check_set_name
from hdtui.services.machine import folder_sizes

if TYPE_CHECKING:
    from db.session import Database

NUM_WEIGHED = 5
NUM_FINISHED = 500


@dataclass(frozen=True)
class Known:
    """Sets by name; finished runs, newest first; bytes on disk of the newest of each kind.

    ``by_number`` holds every run, also archived ones; it is None before the workspace was read.
    """

    sets: tuple[str, ...]
    runs: tuple[Run, ...]
    folder_bytes: Mapping[int, int] = field(default_factory=dict)
    free_bytes: int | None = None
    by_number: Mapping[int, Run] | None = None

    def newest(self, kinds: Sequence[RunKind]) -> Run | None:
        """The newest finished run of these kinds."""
        return next((run for run in self.runs if run.kind in kinds), None)


def read_known(database: "Database") -> Known:
    """Robot sets and finished runs with the size of a few folders."""
    runs = list_runs(database, archived=True)
    finished = [run for run in runs if run.state is RunState.FINISHED and not run.archived]
    del finished[NUM_FINISHED:]
    sizes: dict[int, int] = {}
    for kind in RunKind:
        for run in [run for run in finished if run.kind is kind][:NUM_WEIGHED]:
            sizes[run.id] = folder_sizes(database.home / run.folder)[0]
    sets = tuple(one.name for one in list_sets(database))
    by_number = {run.id: run for run in runs}
    return Known(sets, tuple(finished), sizes, _free_bytes(database.home), by_number)


def robots_problem(known: Known | None, words: Sequence[str], *, many: bool) -> str | None:
    """Why these words cannot stand for robot sets, None where they can."""
    if not words:
        return "needs a robot set"
    if len(words) > 1 and not many:
        return f"takes one robot set, found {len(words)}"
    if known is None or known.by_number is None:
        return None
    sets = {*known.sets, *BUILT_IN_SETS}
    for word in words:
        if words.count(word) > 1:
            return f"{word} is named more than once"
        if word not in sets:
            near = difflib.get_close_matches(word, sorted(sets), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "Robots (3) lists the sets"
            return f"there is no robot set {word}; {hint}"
    return None


def new_set_problem(known: Known | None, name: str) -> str | None:
    """Why a new robot set cannot have this name, None where it can."""
    if not name:
        return "needs the name of the new set"
    try:
        check_set_name(name)
    except UsageError as error:
        return str(error)
    if known is not None and name in {*known.sets, *BUILT_IN_SETS}:
        return f"a robot set {name} exists already; choose another name"
    return None


def free_set_name(known: Known, name: str) -> str:
    """A name that no robot set has: this one, else with a number behind it."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in names if each not in {*known.sets, *BUILT_IN_SETS})


def inputs_problem(
    known: Known | None,
    words: Sequence[str],
    kinds: Sequence[RunKind],
    *,
    many: bool,
    baselines: Sequence[str] = (),
) -> str | None:
    """Why these words cannot stand for what a stage reads, None where they can."""
    wanted = " or ".join(kinds)
    if not words:
        return f"needs the number of a {wanted}"
    if len(words) > 1 and not many:
        return f"takes one {wanted}, found {len(words)} words"
    for word in words:
        if words.count(word) > 1:
            return f"{word} is named more than once"
        if word not in baselines:
            problem = _number_problem(known, word, kinds, wanted)
            if problem is not None:
                return problem
    return None


def _number_problem(
    known: Known | None, word: str, kinds: Sequence[RunKind], wanted: str
) -> str | None:
    if not word.isdecimal():
        return f"{word}: expected the number of a {wanted}"
    if known is None or known.by_number is None:
        return None
    run = known.by_number.get(int(word))
    if run is None:
        return f"there is no run {word}; Runs (2) lists them"
    if run.kind not in kinds:
        return f"run {word} is a {run.kind}, expected a {wanted}"
    if run.state.ended and run.state is not RunState.FINISHED:
        return f"run {word} is {run.state}, expected finished; R in Runs (2) resumes it"
    return None


def _free_bytes(folder: Path) -> int | None:
    try:
        return psutil.disk_usage(str(folder)).free
    except OSError:
        return None


def policy_file_word(document: Mapping[str, Any]) -> str:
    """How ``--policy`` names a file, or the folder of one file per robot."""
    paths = [str(path) for path in document["paths"]]
    return paths[0] if len(paths) == 1 else paths[0].rpartition("/")[0]


def run_number(word: str) -> int:
    """The number of a run that a word of ``from`` stands for.

    Raises:
        UsageError: It is no number.
    """
    if not word.isdecimal():
        raise UsageError(f"from {word}: expected the number of a run")
    return int(word)
