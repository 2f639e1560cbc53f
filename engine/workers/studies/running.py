"""Studies in a workspace: begin, extend, stop, resume; runs of equal recipes are shared.

All runs of a study are queued at once, as a pipeline's are, so it needs no process of its own: the
supervisor starts what can start, and whatever dies is resumed run by run.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from db.machine import boot_id
from db.queries.robots import create_set, list_robots, list_sets, set_digest
from db.queries.runs import get_run, insert_event, insert_run, list_runs
from db.queries.studies import find_study, get_study, list_studies, put_study
from db.records import NewRun, Run, RunKind, RunState, StoredStudy
from db.session import Database
from engine.config.study import TRIAL, StudyConfig, checked_study, merged
from engine.errors import RunError, UsageError
from engine.workers.commands import request_stop, resume
from engine.workers.devices import check_devices
from engine.workers.drivable import bodies, check_drivable
from engine.workers.new_runs import built_run, warn
from engine.workers.observed import observed
from engine.workers.robot_library import (
    BUILT_IN_SETS,
    TRAINING,
    UNSEEN,
    built_in_files,
    resolve_set,
)
from engine.workers.robot_roles import check_roles
from engine.workers.robot_split import Members, fold_sides
from engine.workers.stage_checks import check_grounds_of_pipeline
from engine.workers.stages import StageRequest
from engine.workers.studies.graph import Graph, Node, RobotsOf, expand, fold_name
from engine.workers.studies.recipes import (
    KnownRecipes,
    current_version,
    filled_by,
    set_of_robots,
)
from engine.workers.supervision import ensure_supervisor
from engine.workers.workspace import Workspace

_LETTERS = 8
"""Of a recipe in the name of a set that its run fills."""
_FIXED = ("preset", "route", "trained", "settings", "robots", "ranges")
"""What a study that goes on may not change: its runs would answer two questions."""


@dataclass(frozen=True)
class Plan:
    """A study beside its runs, by recipe; ``missing`` are still to be made, each after its inputs.

    ``made`` are the runs that were queued for it, all others were there.
    """

    study: StudyConfig
    graph: Graph
    runs: Mapping[str, Run]
    missing: tuple[Node, ...]
    made: frozenset[int]
    version: str
    created_at: str
    before: StoredStudy | None = None
    """The study as it was stored when this was planned."""

    @property
    def reused(self) -> list[Run]:
        """The runs of others that the study takes."""
        found = {run.id: run for run in self.runs.values() if run.id not in self.made}
        return [found[number] for number in sorted(found)]

    @property
    def unfinished(self) -> list[Run]:
        """Its runs that are to finish and have not, in the order they were queued."""
        return self._unfinished(wanted=True)

    @property
    def given_up(self) -> list[Run]:
        """Its unfinished runs that only trials need which halving left out."""
        return self._unfinished(wanted=False)

    def _unfinished(self, *, wanted: bool) -> list[Run]:
        left_out = {f"{TRIAL}={name}" for name in self.study.search.left_out}
        kept = [cell for cell in self.graph.cells if cell.combination.label not in left_out]
        needed = set(self.graph.nodes)
        if left_out:
            needed = {each for cell in kept for each in self.graph.behind(cell)}
        found = {run.id: run for each, run in self.runs.items() if (each in needed) == wanted}
        return [found[key] for key in sorted(found) if found[key].state is not RunState.FINISHED]


def plan_study(
    database: Database,
    study: StudyConfig,
    *,
    fresh: bool = False,
    instead_of: StoredStudy | None = None,
) -> Plan:
    """What running a study would do; no run is queued. ``fresh`` takes no run that is there.

    A study that was begun goes on: its seeds and levels stay, new ones join them. ``instead_of`` is
    the study as it was read when ``study`` was made of it, else it is read now.

    Raises:
        UsageError: A robot set is unknown or not to be learnt from, a setting cannot be used here,
            or a study of this name asks something else.
    """
    stored = instead_of or find_study(database, study.name)
    before = None if fresh else stored
    if before is not None:
        study = _continued(before, study)
    _check(database, study)
    created_at = before.created_at if before else datetime.now(UTC).isoformat()
    recipes = KnownRecipes(database)
    graph = expand(study, _known_sets(database, study, recipes))
    usable = {} if fresh else recipes.usable()
    own = _runs_of(database, before, graph) if before else {}
    runs = {each: run for each in graph.nodes if (run := own.get(each) or usable.get(each))}
    missing = tuple(node for each, node in graph.nodes.items() if each not in runs)
    made = before.made if before else frozenset()
    version = before.version if before else current_version()
    return Plan(study, graph, runs, missing, made, version, created_at, stored)


def planned_in_empty_workspace(study: StudyConfig) -> Plan:
    """What running a study would do where nothing was ever run.

    Raises:
        UsageError: It names a robot set that is none of the built-in ones.
    """
    named = [name for name in (study.robots.training, study.robots.unseen) if name in BUILT_IN_SETS]
    robots = {name: [(file, TRAINING) for file in built_in_files(name)] for name in named}
    known = {name: set_of_robots(set_digest(members)) for name, members in robots.items()}
    graph = expand(study, known)
    missing = tuple(graph.nodes.values())
    return Plan(study, graph, {}, missing, frozenset(), current_version(), "")


def begun_study(database: Database, name: str) -> Plan:
    """A study that was begun, beside its runs as they really are.

    Raises:
        UsageError: There is none of this name.
    """
    stored = get_study(database, name)
    return plan_of(database, stored, *declared(database, stored))


def declared(database: Database, stored: StoredStudy) -> tuple[StudyConfig, Graph]:
    """What a study that was begun asks, and its graph; both stay until it is extended.

    Raises:
        ConfigError: This version cannot run it any more.
    """
    study = checked_study(stored.document, f"study {stored.name}")
    return study, expand(study, _known_sets(database, study, KnownRecipes(database)))


def plan_of(database: Database, stored: StoredStudy, study: StudyConfig, graph: Graph) -> Plan:
    """What ``declared`` gave beside the runs as they really are."""
    runs = _runs_of(database, stored, graph)
    missing = tuple(node for each, node in graph.nodes.items() if each not in runs)
    made, version = stored.made, stored.version
    return Plan(study, graph, runs, missing, made, version, stored.created_at, stored)


def run_study(
    database: Database,
    study: StudyConfig,
    *,
    fresh: bool = False,
    resuming: bool = True,
    instead_of: StoredStudy | None = None,
) -> tuple[Plan, int]:
    """Queue what a study lacks and let go on what had stopped; its plan, and how many were queued.

    Without ``resuming`` what has stopped or failed is left as it is. Where the study is no more
    what ``instead_of`` holds, nothing is done.

    Raises:
        UsageError: As ``plan_study``; nothing is queued then.
        RunError: The study was changed while it was planned; nothing is queued.
    """
    plan = plan_study(database, study, fresh=fresh, instead_of=instead_of)
    _create_folds(database, plan.study)
    told = set(plan.before.runs.values()) if plan.before else set()
    writer = _Writer(plan, _taken_names(database))
    names = plan.graph.names(plan.study.name)
    with database.write() as session:
        for node in plan.missing:
            new = writer.new_run(node, names[node.recipe])
            writer.numbers[node.recipe] = insert_run(session, new, boot_id()).id
        queued = {writer.numbers[node.recipe] for node in plan.missing}
        stored = StoredStudy(
            plan.study.name,
            plan.study.model_dump(mode="json"),
            {node.place: writer.numbers[each] for each, node in plan.graph.nodes.items()},
            plan.made | queued,
            plan.version,
            plan.created_at,
        )
        put_study(session, stored, instead_of=plan.before)
        for run in plan.reused:
            if run.id not in told:
                text = f"reused by study {plan.study.name}"
                insert_event(session, run.id, "info", "study", text)
    if queued or plan.study.ranges:
        ensure_supervisor(database)
    for run in list_runs(database, ids=queued) if queued else ():
        if run.kind is RunKind.TEACHER and plan.study.robots.training:
            warn(database, run)
    if resuming:
        resume_study(database, plan.study.name)
    return begun_study(database, plan.study.name), len(queued)


def extended(
    database: Database, name: str, changes: Mapping[str, Any], seeds: int | None = None
) -> StudyConfig:
    """A study that was begun with more seeds, or with what else a document changes.

    Raises:
        UsageError: There is none of this name.
        ConfigError: What is changed is not valid.
    """
    stored = get_study(database, name)
    document = merged(stored.document, changes)
    if seeds is not None:
        document["seeds"] = _more_seeds(stored.document["seeds"], seeds)
    return checked_study({**document, "name": name}, f"study {name}")


def stop_study(database: Database, name: str) -> list[Run]:
    """Stop the runs that were queued for a study and that no other study reads; those stopped.

    Raises:
        UsageError: There is none of this name.
    """
    pause_search(database, name, paused=True)
    plan = begun_study(database, name)
    others = {
        number
        for study in list_studies(database)
        if study.name != name
        for number in study.runs.values()
    }
    stopped = []
    for run in reversed(plan.unfinished):
        if run.id in plan.made - others and not run.state.ended:
            try:
                stopped.append(request_stop(database, run.id))
            except RunError:  # it has ended since
                continue
    return stopped


def resume_study(database: Database, name: str) -> list[Run]:
    """Let the runs of a study go on that ended unfinished, or that wait since a restart; those.

    Raises:
        UsageError: There is none of this name.
        RunError: A run cannot go on.
    """
    pause_search(database, name, paused=False)
    plan = begun_study(database, name)
    resumed = []
    for run in plan.unfinished:
        now = get_run(database, run.id)  # what waited for an earlier one was queued with it
        waits = now.state is RunState.QUEUED and now.queued_boot_id != boot_id()
        ended = now.state.ended or run.state.ended
        if now.state is not RunState.FINISHED and (waits or (ended and not _queued(now))):
            resumed.append(resume(database, run.id))
    return resumed


def pause_search(database: Database, name: str, *, paused: bool) -> None:
    """Let a search ask for no further trials, or for some again; any other study is left alone.

    Raises:
        UsageError: There is none of this name.
        RunError: It was changed at the same time.
    """
    stored = get_study(database, name)
    if not stored.document.get("ranges") or stored.document["search"]["paused"] is paused:
        return
    document = merged(stored.document, {"search": {"paused": paused}})
    with database.write() as session:
        put_study(session, replace(stored, document=document), instead_of=stored)
    if not paused:
        ensure_supervisor(database)


def studies_of(database: Database, run_id: int) -> list[str]:
    """The studies that a run answers for, by name."""
    return sorted(study.name for study in list_studies(database) if run_id in study.runs.values())


def _queued(run: Run) -> bool:
    return run.state is RunState.QUEUED


@dataclass
class _Writer:
    """Requests become runs, each with the numbers and sets of what it reads."""

    plan: Plan
    taken: Collection[str]

    def __post_init__(self) -> None:
        self.numbers = {each: run.id for each, run in self.plan.runs.items()}
        self._filled = {each: dict(filled_by(run)) for each, run in self.plan.runs.items()}

    def new_run(self, node: Node, name: str) -> NewRun:
        makers = [each.maker for each in node.robots if each.maker]
        inputs = tuple(dict.fromkeys(self.numbers[each] for each in (*node.reads, *makers)))
        fills = {role: self._free(node, role) for role in node.fills}
        self._filled[node.recipe] = fills
        request = StageRequest(
            node.kind,
            node.config,
            name=name,
            study=self.plan.study.name,
            inputs=inputs,
            fills=fills,
        )
        return built_run(request, [self._set_name(each) for each in node.robots])

    def _set_name(self, robots: RobotsOf) -> str:
        return robots.set_name or self._filled[robots.maker][robots.role]

    def _free(self, node: Node, role: str) -> str:
        """A name for a set; its recipe makes it the same on every machine, but for a second one."""
        stem = f"{self.plan.study.name}-{role}-{node.recipe[:_LETTERS]}"
        name, number = stem, 1
        while name in self.taken:
            number += 1
            name = f"{stem}-{number}"
        return name


def _taken_names(database: Database) -> set[str]:
    """Names of sets that are there, or that a run is to fill."""
    there = {one.name for one in list_sets(database, removed=True)}
    runs = list_runs(database, archived=True)
    return there.union(*(filled_by(run).values() for run in runs))


def _runs_of(database: Database, stored: StoredStudy, graph: Graph) -> dict[str, Run]:
    """The runs of a study by the recipes that its graph has now; those deleted since are not."""
    found = list_runs(database, ids=set(stored.runs.values()))
    runs = {run.id: run for run in observed(database, found)}
    numbers = {each: stored.runs.get(node.place) for each, node in graph.nodes.items()}
    return {each: runs[number] for each, number in numbers.items() if number in runs}


def _continued(before: StoredStudy, study: StudyConfig) -> StudyConfig:
    """A study with the seeds and levels that it was begun with.

    Raises:
        UsageError: It was begun otherwise.
    """
    earlier = checked_study(before.document, f"study {study.name}")
    for key in _FIXED:
        was, now = getattr(earlier, key), getattr(study, key)
        if was != now:
            raise _another(study.name, key, was, now)
    if not study.ranges and earlier.factors.keys() != study.factors.keys():
        raise _another(study.name, "factors", list(earlier.factors), list(study.factors))
    for factor, levels in earlier.factors.items():
        for name, level in levels.items():
            now = study.factors.get(factor, {}).get(name, level)
            if now != level:
                raise _another(study.name, f"factors.{factor}.{name}", level, now)
    factors = {
        name: {**earlier.factors.get(name, {}), **study.factors.get(name, {})}
        for name in dict.fromkeys([*earlier.factors, *study.factors])
    }
    seeds = tuple(dict.fromkeys([*earlier.seeds, *study.seeds]))
    left_out = tuple(dict.fromkeys([*earlier.search.left_out, *study.search.left_out]))
    search = study.search.model_copy(update={"left_out": left_out})
    changed = {"factors": factors, "seeds": seeds, "search": search}
    return checked_study({**study.model_dump(), **changed}, f"study {study.name}")


def _another(name: str, key: str, was: object, now: object) -> UsageError:
    return UsageError(
        f"a study {name} was begun with {key} {was!s}, found {now!s}; give this one another name"
        " (--name), or begin it anew (--fresh)"
    )


def _more_seeds(seeds: list[int], number: int) -> list[int]:
    """The same seeds and, up to so many in all, the next ones."""
    more = (seed for seed in range(1, len(seeds) + number + 1) if seed not in seeds)
    return [*seeds, *(next(more) for _ in range(number - len(seeds)))]


def _check(database: Database, study: StudyConfig) -> None:
    """Ask of every combination what is asked of every run before it is queued.

    Raises:
        UsageError: It cannot be run.
    """
    if study.ranges and find_spec("optuna") is None:
        raise UsageError(
            f"study {study.name} is a search and needs Optuna: pip install 'hdtui[search]'"
        )
    workspace = Workspace(database.home)
    training = study.robots.training
    for name in (training, study.robots.unseen):
        if name:
            resolve_set(database, workspace, name)
    if training:
        check_roles(database, [training], ())
    if study.robots.folds and not training:
        raise UsageError(
            f"study {study.name} holds out parts of a robot set; name one with --robots SET"
        )
    robots = list_robots(database, training) if training else []
    for combination in study.combinations():
        config = study.pipeline(combination, study.seeds[0])
        check_devices(config)
        tasks = {"collection": config.collection.task, "evaluation": config.evaluation.task}
        check_grounds_of_pipeline(config.teacher.task, tasks)
        networks = {"the teacher": config.teacher.network, "the student": config.student.network}
        check_drivable(networks, bodies(workspace, robots))


def _known_sets(database: Database, study: StudyConfig, recipes: KnownRecipes) -> dict[str, str]:
    """The robot sets that a study names, as recipes know them."""
    if study.robots.folds:
        folds = _folds(database, study)
        return {name: set_of_robots(set_digest(members)) for name, members in folds.items()}
    names = [name for name in (study.robots.training, study.robots.unseen) if name]
    found = {name: recipes.robots(name) for name in names}
    return {name: identity for name, identity in found.items() if identity}


def _folds(database: Database, study: StudyConfig) -> dict[str, Members]:
    """The sets of a study that holds out parts of its robots, by name; empty of any other."""
    robots, found = study.robots, {}
    members = list_robots(database, robots.training) if robots.folds else []
    for fold in range(min(robots.folds, len(study.seeds))):
        sides = fold_sides(members, robots.folds, fold)
        for role, own in zip((TRAINING, UNSEEN), sides, strict=True):
            found[fold_name(robots.training, robots.folds, fold, role)] = own
    return found


def _create_folds(database: Database, study: StudyConfig) -> None:
    for name, members in _folds(database, study).items():
        create_set(database, name, [(robot.id, role) for robot, role in members])
