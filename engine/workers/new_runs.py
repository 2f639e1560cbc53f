"""Runs as they are queued, built from what somebody asks for: the one place that makes them."""

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from db.queries.runs import insert_event
from db.records import NewRun, Robot, Run
from db.session import Database
from engine.config.overrides import differences, plain, validated
from engine.workers import commands
from engine.workers.adoption import adopted_run, adoptions
from engine.workers.inherited import Find
from engine.workers.policy_files import (
    KNOWN,
    TRAINED_ON,
    find_policy_files,
    named_path,
    written_knowledge,
)
from engine.workers.robot_library import (
    BUILT_IN_SETS,
    FILLED_SETS,
    UNSEEN,
    add_files,
    check_filled_sets,
    marked_set,
)
from engine.workers.robot_roles import overlaps
from engine.workers.stage_checks import Asked, checked, robots_of
from engine.workers.stages import STAGES, Stage, StageRequest, filled_sets, run_name
from engine.workers.workspace import Workspace

_DIFFERENCES_NAMED = 2


def queue_stage(database: Database, request: StageRequest) -> Run:
    """Queue a run of a stage and see that somebody starts it.

    What is worth a warning stands among its events. A policy's file that a stage reads as a run is
    taken over first.

    Raises:
        HdtuiError: An input, a set, a robot, a file or a setting cannot be used; it is not queued.
    """
    if request.policy_files and not request.stage.baselines:
        files = adoptions(request.policy_files, request.stage.reads)
        read = taken_over(database, files, request.stage, request.robots)
        request = replace(request, inputs=(*request.inputs, *read), policy_files=())
    run = commands.queue(database, new_run(database, request))
    warn(database, run)
    return run


def taken_over(
    database: Database, requests: Sequence[StageRequest], stage: Stage, robots: Sequence[str]
) -> tuple[int, ...]:
    """The numbers of the runs that took policies' files over, queued where there are none.

    A stage of ``robots`` is to read them; for robots that are not there nothing is taken over.

    Raises:
        HdtuiError: As ``robots_of``, or a file cannot be taken over.
    """
    robots_of(database, stage, robots)
    return tuple(
        (adopted_run(database, each) or queue_stage(database, each)).id for each in requests
    )


def warn(database: Database, run: Run) -> None:
    """Write down what is worth a warning about a queued run."""
    if STAGES[run.kind].learns:
        sentences = overlaps(database, run.robot_sets)
        with database.write() as session:
            for sentence in sentences.values():
                insert_event(session, run.id, "warning", "robots", sentence)


def new_run(database: Database, request: StageRequest) -> NewRun:
    """The run that a request asks for; what single robots need is written into the library.

    Raises:
        HdtuiError: An input, a set, a robot, a file or a setting cannot be used.
    """
    asked = checked(database, request)
    workspace = Workspace(database.home)
    single = [
        robot if isinstance(robot, Robot) else add_files(database, workspace, [robot])[0]
        for robot in asked.single
    ]
    sets = (*asked.sets, *([marked_set(database, single).name] if single else []))
    made = replace(request, name=request.name or run_name(request, asked.sets, asked.single))
    if request.adopted is not None:
        (path,) = map(Path, request.adopted["paths"])
        knowledge = written_knowledge(path)
        met = {TRAINED_ON: sorted(knowledge.trained_on), KNOWN: sorted(knowledge.known)}
        made = replace(made, adopted={**request.adopted, **met})
    new = built_run(made, sets, _policy_files(asked))
    check_filled_sets(database, new)
    return new


def _policy_files(asked: Asked) -> list[dict[str, Any]]:
    """The policy files of a request as its run keeps them, checked and hashed."""
    if not asked.request.policy_files:
        return []
    task = getattr(asked.request.config, "task").name  # noqa: B009 -- only evaluations take files
    digests = {robot.digest for robot in asked.robots()}
    found = find_policy_files(asked.request.policy_files, task, digests)
    return [file.document() for file in found]


def built_run(
    request: StageRequest,
    sets: Sequence[str] = (),
    files: Sequence[Mapping[str, Any]] = (),
    pipeline: int | None = None,
) -> NewRun:
    """A request as a run, nothing looked up: ``sets`` are those that its robots stand for."""
    extra: dict[str, Any] = {
        f"{role}_set": name
        for role, name in request.fills.items()
        if role != UNSEEN or getattr(request.config, FILLED_SETS["unseen_set"])
    }
    if request.stage.baselines:
        extra["baselines"] = list(request.baselines)
    if files:
        extra["files"] = [dict(file) for file in files]
    if request.adopted is not None:
        extra["file"] = dict(request.adopted)
    return NewRun(
        kind=request.kind,
        name=request.name or run_name(request, sets),
        config=request.config.model_dump(mode="json"),
        seed=request.seed,
        inputs=request.inputs,
        robot_sets=tuple(dict.fromkeys(sets)),
        pipeline=pipeline,
        group=request.study or None,
        device=str(getattr(request.config, "device", "cpu")),
        extra=extra,
    )


def request_of(run: Run, find: Find, known_sets: Collection[str] = ()) -> StageRequest:
    """What a run was asked for, to ask for it again; sets that it filled get a name not yet known.

    A teacher that was taken over from a file is asked for as one that trains with its settings.

    Raises:
        ConfigError: Its settings are not valid in this version.
    """
    stage = STAGES[run.kind]
    return StageRequest(
        kind=run.kind,
        config=validated(stage.config, dict(run.config), f"run {run.id} cannot be cloned:"),
        name=run.name,
        study=run.group or "",
        inputs=tuple(each.id for each in _in_order(find, run.inputs) if each.kind in stage.reads),
        baselines=tuple(map(str, run.extra.get("baselines", ()))),
        policy_files=tuple(named_path(file) for file in run.extra.get("files", ())),
        robots=run.robot_sets,
        fills=_filled_anew(run, known_sets),
    )


def _filled_anew(run: Run, known_sets: Collection[str]) -> dict[str, str]:
    """Sets for a run that does what this one did, named after its own and not among these."""
    roles: Sequence[str] = STAGES[run.kind].fills
    if roles and f"{roles[0]}_set" not in run.extra:  # a generation of unseen robots alone
        roles = [role for role in roles if f"{role}_set" in run.extra]
    if not roles:
        return {}
    own = run.extra[f"{roles[0]}_set"]
    anew = (filled_sets(roles, f"{own}-{number}") for number in itertools.count(2))
    return next(fills for fills in anew if not set(fills.values()) & {*known_sets, *BUILT_IN_SETS})


def _in_order(find: Find, numbers: Sequence[int]) -> list[Run]:
    found = {run.id: run for run in find(numbers)}
    return [found[number] for number in numbers if number in found]


def clone_name(run: Run, request: StageRequest) -> str:
    """The name of a run that was asked for like another: what differs stands in it, then the seed.

    Two settings are named, more are counted; a setting that the name tells already is replaced.
    """
    try:
        before = request.stage.config.model_validate(dict(run.config))
    except ValidationError:
        return run.name
    changed = differences(before, request.config)
    changed = {key: value for key, value in changed.items() if key.rpartition(".")[2] != "seed"}
    name = run.name.removesuffix(f"-s{run.seed}")
    for key, value in list(changed.items())[:_DIFFERENCES_NAMED]:
        leaf = key.rpartition(".")[2]
        name = re.sub(rf"-{leaf}=.*?(?=-[a-z_]+=|-on-|-of-|$)", "", name)
        name += f"-{leaf}={plain(value)}"
    if len(changed) > _DIFFERENCES_NAMED:
        name += f"-and-{len(changed) - _DIFFERENCES_NAMED}-more"
    if request.robots != run.robot_sets and request.robots:
        name += f"-on-{'-'.join(request.robots)}"
    if request.inputs and not set(request.inputs) <= set(run.inputs):
        name += f"-of-{'-'.join(map(str, request.inputs))}"
    if name != run.name or request.seed != run.seed:
        name += f"-s{request.seed}"
    return name
