"""What the workspace offers to a form: robot sets, runs, what those took, and who is refused."""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from db.queries.robots import list_robots, list_sets
from db.queries.runs import is_run_number, list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.errors import UsageError
from engine.files import expanded
from engine.text import counted
from engine.workers.policy_files import PRETRAINED, may_leave
from engine.workers.robot_library import BUILT_IN_SETS, TRAINING, check_set_name
from engine.workers.robot_roles import overlaps
from engine.workers.stage_checks import input_problem
from engine.workers.stages import XML, Robots, Stage, robot_words
from hdtui.data.machine import folder_sizes

NUM_WEIGHED = 5
NUM_FINISHED = 500
DIGEST_LETTERS = 7


@dataclass(frozen=True)
class FormChoices:
    """Sets by name; finished runs, newest first; bytes on disk of the newest of each kind.

    ``by_number`` holds every run, also archived ones; it is None before the workspace was read.
    ``training_sets`` are the sets with robots for training, ``about_sets`` says what each holds,
    ``warnings`` what speaks against learning from it. ``robots`` are digests by name.
    """

    sets: tuple[str, ...]
    runs: tuple[Run, ...]
    folder_bytes: Mapping[int, int] = field(default_factory=dict)
    free_bytes: int | None = None
    by_number: Mapping[int, Run] | None = None
    training_sets: frozenset[str] = frozenset()
    about_sets: Mapping[str, str] = field(default_factory=dict)
    robots: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    home: Path = Path()

    def offered_sets(self, stage: Stage) -> tuple[str, ...]:
        """The sets that a stage is offered: for training only where it learns from its robots."""
        return tuple(name for name in self.sets if not stage.learns or name in self.training_sets)

    def has_robot(self, word: str) -> bool:
        """Whether a robot has this name, or a digest that begins so."""
        long_enough = len(word) >= DIGEST_LETTERS and word.isalnum()
        return word in self.robots or (
            long_enough and any(digest.startswith(word) for digest in self.robots.values())
        )

    def usable(self, kinds: Sequence[RunKind]) -> list[Run]:
        """The runs that may be inputs of these kinds, newest first."""
        runs = sorted((self.by_number or {}).values(), key=lambda run: -run.id)
        return [run for run in runs if not run.archived and input_problem(run, kinds) is None]

    def newest(self, kinds: Sequence[RunKind]) -> Run | None:
        return next((run for run in self.runs if run.kind in kinds), None)


def read_known(database: Database) -> FormChoices:
    """Robot sets and finished runs with the size of a few folders."""
    runs = list_runs(database, archived=True)
    finished = [run for run in runs if run.state is RunState.FINISHED and not run.archived]
    del finished[NUM_FINISHED:]
    sizes: dict[int, int] = {}
    for kind in RunKind:
        for run in [run for run in finished if run.kind is kind][:NUM_WEIGHED]:
            sizes[run.id] = folder_sizes(database.home / run.folder)[0]
    sets = list_sets(database)
    return FormChoices(
        sets=tuple(one.name for one in sets),
        runs=tuple(finished),
        folder_bytes=sizes,
        free_bytes=_free_bytes(database.home),
        by_number={run.id: run for run in runs},
        home=database.home,
        training_sets=frozenset(one.name for one in sets if TRAINING in one.roles),
        about_sets={
            one.name: f"{counted(one.size, 'robot')}, {' and '.join(one.roles) or 'no role'}"
            for one in sets
        },
        robots={robot.name: robot.digest for robot in list_robots(database)},
        warnings=overlaps(database, [one.name for one in sets if TRAINING in one.roles]),
    )


def robots_problem(known: FormChoices | None, words: Sequence[str], stage: Stage) -> str | None:
    """Why these words cannot stand for the robots of a stage, None where they can."""
    if not words:
        return "needs a robot set"
    if len(words) > 1 and stage.robots is Robots.ONE_SET:
        return f"takes one robot set, found {len(words)}"
    if known is None or known.by_number is None:
        return None
    names = robot_words(stage, words)
    for name in names:
        if names.count(name) > 1:
            return f"{name} is named more than once"
        problem = _robot_problem(known, name, stage)
        if problem is not None:
            return problem
    return None


def _robot_problem(known: FormChoices, name: str, stage: Stage) -> str | None:
    single = stage.robots is Robots.SETS_AND_ROBOTS
    if single and name.endswith(XML):
        return None if _exists(name) else f"there is no file {name}"
    sets = {*known.sets, *BUILT_IN_SETS}
    if name in sets or (single and known.has_robot(name)):
        return None
    what = "robot set or robot" if single else "robot set"
    near = difflib.get_close_matches(name, sorted(sets), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "Robots (3) lists the sets"
    return f"there is no {what} {name}; {hint}"


def new_set_problem(known: FormChoices | None, name: str) -> str | None:
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


def free_set_name(known: FormChoices, name: str) -> str:
    """A name that no robot set has: this one, else with a number behind it."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in names if each not in {*known.sets, *BUILT_IN_SETS})


def inputs_problem(known: FormChoices | None, words: Sequence[str], stage: Stage) -> str | None:
    """Why these words cannot stand for what a stage reads, None where they can.

    A stage with baselines reads several policies, and files.
    """
    wanted = " or ".join(stage.reads)
    if not words:
        return f"needs the number of a {wanted}"
    if len(words) > 1 and not stage.baselines:
        return f"takes one {wanted}, found {len(words)} words"
    for word in words:
        if words.count(word) > 1:
            return f"{word} is named more than once"
        if word not in stage.baselines:
            problem = _input_problem(known, word, stage)
            if problem is not None:
                return problem
    return None


def _input_problem(known: FormChoices | None, word: str, stage: Stage) -> str | None:
    wanted = " or ".join(stage.reads)
    if not word.isdecimal():
        if word in PRETRAINED and may_leave(Path(word), stage.reads):
            return None
        if (stage.baselines or may_leave(Path(word), stage.reads)) and _exists(word):
            return None
        return f"{word}: expected the number of a {wanted}"
    if known is None or known.by_number is None:
        return None
    run = known.by_number.get(int(word)) if is_run_number(word) else None
    if run is None:
        return f"there is no run {word}; Runs (2) lists them"
    return input_problem(run, stage.reads)


def _free_bytes(folder: Path) -> int | None:
    try:
        return psutil.disk_usage(str(folder)).free
    except OSError:
        return None


def _exists(word: str) -> bool:
    try:
        return expanded(Path(word), "the path").exists()
    except (UsageError, OSError):
        return False
