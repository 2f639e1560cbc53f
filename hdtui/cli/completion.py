"""What the shell offers at Tab: quick, silent where nothing can be read, never a change.

``hdtui --install-completion`` puts a line into the shell's start-up file; the shell then asks this
program at every Tab what could stand there.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import typer

from db.records import Run, RunKind, RunState
from engine.config.base import TaskName
from engine.config.evaluation import DeploymentFormat
from engine.config.presets import PRESET_SENTENCES
from engine.errors import HdtuiError
from engine.text import counted

if TYPE_CHECKING:
    from db.session import Database

Row = TypeVar("Row")
Offer = tuple[str, str]
"""What could stand at the cursor, and a few words on it."""
Offers = Callable[[typer.Context, str], list[Offer]]

VARIABLE = "_HDTUI_COMPLETE"
NUM_NAMES = 500
"""So many names of runs or robots are offered at most."""
_POLICY_KINDS = (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT)
_JOINTS = "=:"
"""Letters at which bash cuts words that we take whole."""
_UNSAFE_WORD = re.compile(r"[^\w.,=:+/@%-]")
_UNSAFE = re.compile(r"[^\w .,;=+/@%()-]")


def asked() -> bool:
    """A shell asks for completions; nothing else is to be done or said."""
    return VARIABLE in os.environ


def answer(complete: Callable[[], int]) -> int:
    """Print what ``complete`` prints, as the shell needs it; what goes wrong is not said."""
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(io.StringIO()):
        if os.environ[VARIABLE] == "complete_bash":
            _join_words()
        try:
            code = complete()
        except Exception:  # noqa: BLE001 - whatever it is, a line that is being typed is no place for it
            return 1
    text = (
        _for_bash(told.getvalue()) if os.environ[VARIABLE] == "complete_bash" else told.getvalue()
    )
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), end="")
    return code


def _join_words() -> None:
    """Undo what bash does to words with ``=`` or ``:`` in them.

    It hands ``--set ppo.schedule=cos`` over as four words, and puts the answer behind the last
    ``=``: the words are joined here and the answers cut by ``_for_bash``.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")
    place = os.environ.get("COMP_CWORD", "")
    if not place.isdecimal():
        return
    words += [""] * (int(place) + 1 - len(words))
    joined: list[str] = []
    for word in words[: int(place) + 1]:
        if len(joined) > 1 and (_is_joint(word) or joined[-1][-1:] in (*_JOINTS,)):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(joined), str(len(joined) - 1)


def _is_joint(word: str) -> bool:
    return bool(word) and not word.strip(_JOINTS)


def _for_bash(lines: str) -> str:
    """Answers without what bash has already taken for words of their own."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    before = max(words[-1].rfind(joint) for joint in _JOINTS) + 1
    if before == 0 or words[-1][:1] in ("'", '"'):
        return lines
    typed = words[-1][:before]
    if words[-1].startswith("--"):  # --option=value: the answers are values alone
        typed = typed.partition("=")[2]
    return "\n".join(line.removeprefix(typed) for line in lines.split("\n"))


def _matching(offers: Iterable[Offer], incomplete: str) -> list[Offer]:
    """Those that begin so. Shells evaluate what they are given, and names come from outside.

    Words that need quotes are left out; what is said of a word keeps its letters alone.
    """
    begun = [
        (word, _UNSAFE.sub("·", about))
        for word, about in offers
        if word.startswith(incomplete) and not _UNSAFE_WORD.search(word)
    ]
    return begun[:NUM_NAMES]


def words(*known: str) -> Offers:
    def offers(ctx: typer.Context, incomplete: str) -> list[Offer]:
        del ctx
        return _matching(((word, "") for word in known), incomplete)

    return offers


def presets(ctx: typer.Context, incomplete: str) -> list[Offer]:
    del ctx
    return _matching(PRESET_SENTENCES.items(), incomplete)


tasks = words(*get_args(TaskName))
states = words(*RunState)
formats = words(*get_args(DeploymentFormat))


def _rows(ctx: typer.Context, question: Callable[[Database], Sequence[Row]]) -> Sequence[Row]:
    """What a question finds in the workspace that the command line names; nothing without one."""
    from db.session import Database
    from hdtui.cli.home import home_folder

    context: Any = ctx
    home = None
    while context is not None and home is None:
        home, context = context.params.get("home"), context.parent
    try:
        database = Database.open(home_folder(Path(home) if home else None), readonly=True)
    except (HdtuiError, OSError, RuntimeError):
        return []
    try:
        return question(database)
    except (HdtuiError, OSError):
        return []
    finally:
        database.close()


def runs(*kinds: RunKind) -> Offers:
    """Completes numbers of runs, newest first, of these kinds where any are named."""

    def offers(ctx: typer.Context, incomplete: str) -> list[Offer]:
        from db.queries.runs import list_runs

        def read(database: Database) -> list[Run]:
            return list_runs(database, archived=True)

        named = {str(each) for key in ("runs", "policies") for each in _listed(ctx.params.get(key))}
        found = [
            (str(run.id), f"{run.kind} {run.name} {run.state}")
            for run in _rows(ctx, read)
            if (not kinds or run.kind in kinds) and str(run.id) not in named
        ]
        return _matching(found, incomplete)

    return offers


def policy_runs(*kinds: RunKind) -> Offers:
    """Completes numbers of runs of these kinds, and the policies that come with hdtui."""

    def offers(ctx: typer.Context, incomplete: str) -> list[Offer]:
        from engine.workers.policy_files import PRETRAINED

        words = [
            (word, f"a {kind} that comes with hdtui")
            for word, kind in PRETRAINED.items()
            if kind in kinds
        ]
        return [*runs(*kinds)(ctx, incomplete), *_matching(words, incomplete)]

    return offers


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def pipelines(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Numbers of pipelines, newest first."""
    from db.queries.runs import list_pipelines

    found = _rows(ctx, list_pipelines)
    return _matching(((str(each.id), each.name) for each in found), incomplete)


def studies(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Names of studies that runs belong to."""
    from db.queries.runs import list_runs

    found = _rows(ctx, list_runs)
    names = dict.fromkeys(run.group for run in found if run.group)
    return _matching(((name, "") for name in names), incomplete)


def built_in_studies(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Studies that come with hdtui."""
    from engine.config.study import built_in_studies as known

    del ctx
    return _matching(((name, "") for name in known()), incomplete)


def begun_studies(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Studies that were begun in the workspace."""
    from db.queries.studies import list_studies

    found = _rows(ctx, list_studies)
    return _matching(((study.name, study.document["question"]) for study in found), incomplete)


def hosts(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Names of machines that runs were queued or worked on."""
    from db.queries.runs import list_runs

    names = dict.fromkeys(run.host for run in _rows(ctx, list_runs))
    return _matching(((name, "") for name in names), incomplete)


def robot_sets(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Robot sets of the workspace and the built-in ones."""
    from db.queries.robots import list_sets
    from engine.workers.robot_library import BUILT_IN_SETS

    found = {
        name: f"{counted(len(robots), 'robot')}, built in" for name, robots in BUILT_IN_SETS.items()
    }
    for one in _rows(ctx, list_sets):
        found[one.name] = counted(one.size, "robot") + (f", {one.role}" if one.role else "")
    return _matching(found.items(), incomplete)


def robots(ctx: typer.Context, incomplete: str) -> list[Offer]:
    from db.queries.robots import list_robots

    found = _rows(ctx, list_robots)
    return _matching(((each.name, counted(each.num_limbs, "limb")) for each in found), incomplete)


def robots_of_set(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Robots of the set that the command line names before."""
    from db.queries.robots import list_robots

    name = ctx.params.get("from_set")
    found = _rows(ctx, lambda database: list_robots(database, name))
    return _matching(((each.name, counted(each.num_limbs, "limb")) for each in found), incomplete)


def robots_and_sets(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Sets and single robots; after a comma another one."""
    before, comma, last = incomplete.rpartition(",")
    found = [*robot_sets(ctx, last), *robots(ctx, last)]
    return [(f"{before}{comma}{word}", about) for word, about in found]


def policies(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Runs that made a policy, those that come with hdtui, and the baselines."""
    baselines = [("random", "random actions"), ("zero", "no action at all")]
    return [*policy_runs(*_POLICY_KINDS)(ctx, incomplete), *_matching(baselines, incomplete)]


def networks(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Published policies, and runs that have a network; after a comma another one."""
    from hdtui.data.efficiency import PUBLISHED_NAMES

    before, comma, last = incomplete.rpartition(",")
    found = [
        *_matching(PUBLISHED_NAMES.items(), last),
        *runs(RunKind.TEACHER, RunKind.STUDENT)(ctx, last),
    ]
    return [(f"{before}{comma}{word}", about) for word, about in found]


def metrics(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Metrics of the run that the command line names before."""
    from db.queries.metrics import list_series

    def read(database: Database) -> list[str]:
        series = [one for number in _typed_runs() for one in list_series(database, number)]
        return list(dict.fromkeys(one.name for one in series))

    return _matching(((name, "") for name in _rows(ctx, read)), incomplete)


def stages(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Stages that have settings, as kinds of runs."""
    from engine.workers.stages import STAGES

    del ctx
    known = ((str(kind), f"hdtui {stage.command}") for kind, stage in STAGES.items())
    return _matching(known, incomplete)


def settings(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """``KEY=VALUE`` words of the stage that the command starts: keys, behind ``=`` values."""
    from hdtui.data.settings import list_settings

    stage = _stage(ctx)
    if stage is None:
        return []
    preset = str(ctx.params.get("preset") or "quick")
    key, equals, _ = incomplete.partition("=")
    known = list_settings(stage)
    found = [each for each in known if each.key == key or (not equals and each.key.startswith(key))]
    if len(found) != 1:
        return _matching(((f"{each.key}=", each.sentence) for each in found), incomplete)
    only = found[0]
    # Two answers at least where no value was begun: behind the only one a shell puts a space.
    values = only.words or (*([] if equals else [""]), only.default_text(preset))
    return _matching(((f"{only.key}={value}", only.sentence) for value in values), incomplete)


def _typed_runs() -> list[int]:
    """Numbers on the line that are no option's value.

    They are not among the parsed arguments while the option at the end has no value yet.
    """
    from db.queries.runs import is_run_number

    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    typed = line.split()
    return [
        int(word) for before, word in pairwise(typed) if before[:1] != "-" and is_run_number(word)
    ]


def _stage(ctx: typer.Context) -> str | None:
    from db.queries.runs import get_run
    from engine.workers.stages import STAGES

    if ctx.command.name == "clone":
        found = _rows(ctx, lambda database: [get_run(database, each) for each in _typed_runs()])
        return next((str(run.kind) for run in found), None)
    names = {stage.command.split()[-1]: str(kind) for kind, stage in STAGES.items()}
    return names.get(str(ctx.command.name))


def run_filter(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The last condition of a filter: its field, behind ``:`` the words that the field may be."""
    from hdtui.data.columns import RUNS_ON_SCREEN
    from hdtui.data.run_list import VALUES

    del ctx
    before, space, last = incomplete.rpartition(" ")
    minus = "-" if last.startswith("-") else ""
    field, colon, _ = last.removeprefix("-").partition(":")
    found = [
        name for name in RUNS_ON_SCREEN if name == field or (not colon and name.startswith(field))
    ]
    if len(found) == 1:
        found = [f"{found[0]}:{value}" for value in VALUES.get(found[0], ("",))]
    else:
        found = [f"{name}:" for name in found]
    offers = _matching(((f"{minus}{word}", "") for word in found), last)
    return [(f"{before}{space}{word}", about) for word, about in offers]
