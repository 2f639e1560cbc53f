"""What each kind of run reads, fills, checks and is called: the one place that builds them."""

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from db.queries.robots import get_robot, list_robots, list_sets
from db.queries.runs import get_run, insert_event, is_run_number
from db.records import NewRun, Robot, Run, RunKind
from db.session import Database
from engine.config.base import Config, TaskConfig
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import DeploymentConfig, EvaluationConfig
from engine.config.network import NetworkConfig
from engine.config.overrides import differences, plain, validated
from engine.config.presets import PipelineConfig
from engine.config.robots import GenerationConfig, MutationConfig
from engine.config.teacher import TeacherConfig
from engine.errors import RobotError, UsageError
from engine.files import expanded
from engine.morphology.mjcf import RobotFile, read_robot_file
from engine.text import counted
from engine.workers import commands
from engine.workers.devices import check_devices
from engine.workers.drivable import bodies, check_drivable, networks_of
from engine.workers.inherited import (
    Find,
    check_deployed,
    check_ground,
    check_teachers,
    found_in,
)
from engine.workers.policy_files import (
    TRAINED_ON,
    find_policy_files,
    named_path,
    training_robots,
)
from engine.workers.robot_library import (
    BUILT_IN_SETS,
    FILLED_SETS,
    TRAINING,
    UNSEEN,
    add_files,
    check_filled_sets,
    check_set_name,
    learning_robots,
    marked_set,
    resolve_set,
)
from engine.workers.robot_roles import check_roles, overlaps
from engine.workers.run_policies import policy_problem, run_of_folder
from engine.workers.workspace import Workspace

PIPELINE = "pipeline"
MUTANTS = "mutant"
XML = ".xml"
_DIFFERENCES_NAMED = 2


class Robots(Enum):
    """Which robots a stage is given."""

    NONE = 0
    ONE_SET = 1
    SETS = 2
    SETS_AND_ROBOTS = 3


@dataclass(frozen=True)
class Stage:
    """A kind of run, and the command that queues one.

    ``reads`` are the kinds of its inputs; a stage with ``baselines`` takes several, files as well.
    ``learns`` says that something is fitted to its robots, ``fills`` the roles of sets it makes.
    """

    command: str
    config: type[Config]
    reads: tuple[RunKind, ...] = ()
    baselines: tuple[str, ...] = ()
    robots: Robots = Robots.NONE
    learns: bool = False
    fills: tuple[str, ...] = ()
    robots_option: str = "--robots"
    has_presets: bool = True


POLICY_KINDS = (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT)
"""Runs that leave a policy, which evaluations judge."""
STAGES: Mapping[str, Stage] = {
    PIPELINE: Stage("pipeline", PipelineConfig, robots=Robots.ONE_SET, learns=True),
    RunKind.GENERATION: Stage(
        "robots generate", GenerationConfig, fills=(TRAINING, UNSEEN), has_presets=False
    ),
    RunKind.TEACHER: Stage("teach", TeacherConfig, robots=Robots.SETS, learns=True),
    RunKind.MUTATION: Stage(
        "robots mutate",
        MutationConfig,
        robots=Robots.ONE_SET,
        learns=True,
        fills=(MUTANTS,),
        robots_option="",
        has_presets=False,
    ),
    RunKind.COLLECTION: Stage(
        "collect", CollectionConfig, (RunKind.TEACHER,), robots=Robots.SETS, learns=True
    ),
    RunKind.STUDENT: Stage("distill", StudentConfig, (RunKind.COLLECTION,)),
    RunKind.EVALUATION: Stage(
        "evaluate",
        EvaluationConfig,
        POLICY_KINDS,
        baselines=("random", "zero"),
        robots=Robots.SETS_AND_ROBOTS,
    ),
    RunKind.DEPLOYMENT: Stage(
        "deploy",
        DeploymentConfig,
        (RunKind.STUDENT,),
        robots=Robots.SETS_AND_ROBOTS,
        robots_option="--robot",
    ),
}
_MAKES = {
    RunKind.TEACHER: "`hdtui teach --robots SET`",
    RunKind.COLLECTION: "`hdtui collect TEACHER --robots SET`",
    RunKind.STUDENT: "`hdtui distill COLLECTION`",
}
"""Commands whose runs are the inputs of others."""


@dataclass(frozen=True)
class StageRequest:
    """What somebody asks for, from whatever door: all that a run of a stage depends on.

    ``robots`` are names of sets, and of robots or XML files where the stage takes those;
    ``fills`` names a new set for each role; ``allowed_roles`` are those of sets that may be learnt
    from although they are not for training. ``preset`` only names the run: ``config`` is whole.
    """

    kind: RunKind
    config: Config
    preset: str = ""
    name: str = ""
    study: str = ""
    inputs: tuple[int, ...] = ()
    baselines: tuple[str, ...] = ()
    policy_files: tuple[Path, ...] = ()
    robots: tuple[str, ...] = ()
    fills: Mapping[str, str] = field(default_factory=dict)
    adopted: Mapping[str, Any] | None = None
    allowed_roles: Collection[str] = ()

    @property
    def stage(self) -> Stage:
        """What is known of its kind."""
        return STAGES[self.kind]

    @property
    def seed(self) -> int:
        """The seed of its settings; every stage has one."""
        return int(getattr(self.config, "seed"))  # noqa: B009 -- Config itself has none


@dataclass(frozen=True)
class Asked:
    """A request beside what its words stand for, as checks look at it."""

    database: Database
    request: StageRequest
    inputs: tuple[Run, ...]
    sets: tuple[str, ...]
    single: tuple[Robot | RobotFile, ...]

    def robots(self) -> list[Robot | RobotFile]:
        """All robots that the run acts on."""
        if self.request.stage.learns:
            return [*learning_robots(self.database, self.sets)]
        of_sets = [robot for name in self.sets for robot in list_robots(self.database, name)]
        return [*of_sets, *self.single]


def queue_stage(database: Database, request: StageRequest) -> Run:
    """Queue a run of a stage and see that somebody starts it.

    What is worth a warning stands among its events.

    Raises:
        HdtuiError: An input, a set, a robot, a file or a setting cannot be used; nothing is queued.
    """
    run = commands.queue(database, new_run(database, request))
    warn(database, run)
    return run


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
    asked = _asked(database, request)
    for check in CHECKS:
        check(asked)
    workspace = Workspace(database.home)
    single = [
        robot if isinstance(robot, Robot) else add_files(database, workspace, [robot])[0]
        for robot in asked.single
    ]
    sets = (*asked.sets, *([marked_set(database, single).name] if single else []))
    made = replace(request, name=request.name or run_name(request, asked.sets, asked.single))
    if request.adopted is not None:
        (path,) = map(Path, request.adopted["paths"])
        made = replace(made, adopted={**request.adopted, TRAINED_ON: sorted(training_robots(path))})
    new = built_run(made, sets, _policy_files(asked))
    check_filled_sets(database, new)
    return new


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


def run_name(
    request: StageRequest, sets: Sequence[str], single: Sequence[Robot | RobotFile] = ()
) -> str:
    """The name of a run that is given none: preset, what it reads, its robots, its seed.

    What fills a set is called after it.
    """
    if request.fills:
        return next(iter(request.fills.values()))
    files = [path.stem for path in request.policy_files]
    reads = "-".join([*map(str, request.inputs), *request.baselines, *files])
    some = [single[0].name] if len(single) == 1 else [f"{len(single)}-robots"] if single else []
    robots = "-".join([*sets, *some])
    what = "-on-".join(word for word in (reads, robots) if word)
    return "-".join(word for word in (request.preset, what, f"s{request.seed}") if word)


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


def filled_sets(roles: Sequence[str], into: str) -> dict[str, str]:
    """The names of the sets that a run fills, by role: the first is ``into``."""
    return {role: into if role == roles[0] else f"{into}-{role}" for role in roles}


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


def _in_order(find: Find, numbers: Sequence[int]) -> list[Run]:
    found = {run.id: run for run in find(numbers)}
    return [found[number] for number in numbers if number in found]


def _asked(database: Database, request: StageRequest) -> Asked:
    """What the words of a request stand for.

    Raises:
        RunError: There is no run of a number.
        UsageError: A word names no set or robot.
    """
    inputs = tuple(get_run(database, number) for number in request.inputs)
    _check_inputs(request, inputs)
    known_by_file = request.adopted is not None and not request.robots
    sets, single = ([], []) if known_by_file else robots_of(database, request.stage, request.robots)
    return Asked(database, request, inputs, tuple(sets), tuple(single))


def policies_of(
    words: Sequence[str], home: Path
) -> tuple[tuple[int, ...], tuple[str, ...], tuple[Path, ...]]:
    """The runs, by number or folder in a workspace, the baselines and the files that words name."""
    inputs: list[int] = []
    baselines: list[str] = []
    files: list[Path] = []
    for word in words:
        if word in STAGES[RunKind.EVALUATION].baselines:
            baselines.append(word)
        elif is_run_number(word):
            inputs.append(int(word))
        elif (number := run_of_folder(home, word)) is not None:
            inputs.append(number)
        else:
            files.append(Path(word))
    return tuple(inputs), tuple(baselines), tuple(files)


def robots_of(
    database: Database, stage: Stage, words: Sequence[str]
) -> tuple[list[str], list[Robot | RobotFile]]:
    """The sets and the single robots that words stand for.

    Raises:
        MorphologyError: An XML file is no robot.
        UsageError: A word names neither or stands there twice, or there are too many or none.
    """
    if stage.robots is Robots.NONE:
        return [], []
    names = [word for word in robot_words(stage, words) if word]
    if not names:
        raise UsageError("no robots are named; name a set or robots, comma-separated")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named more than once")
    workspace = Workspace(database.home)
    if stage.robots is not Robots.SETS_AND_ROBOTS:
        if stage.robots is Robots.ONE_SET and len(names) > 1:
            raise UsageError(f"{stage.command} takes one robot set, found {' '.join(names)}")
        for name in names:
            resolve_set(database, workspace, name)
        return names, []
    known = {one.name for one in list_sets(database)} | set(BUILT_IN_SETS)
    sets = [name for name in names if name in known]
    for name in sets:
        resolve_set(database, workspace, name)
    return sets, [_robot(database, name) for name in names if name not in known]


def robot_words(stage: Stage, words: Sequence[str]) -> list[str]:
    """The names in words: single robots may be written in one word, parted by commas."""
    if stage.robots is not Robots.SETS_AND_ROBOTS:
        return list(words)
    return [name for word in words for name in ([word] if word.endswith(XML) else word.split(","))]


def _robot(database: Database, name: str) -> Robot | RobotFile:
    if name.endswith(XML):
        return read_robot_file(expanded(Path(name), "--robot"))
    try:
        return get_robot(database, name)
    except RobotError as error:
        raise UsageError(
            f"{str(error).rstrip('.')}, nor a set of that name; `hdtui robots list` shows the sets,"
            " `hdtui robots list SET` its robots"
        ) from error


def input_problem(run: Run, kinds: Sequence[RunKind]) -> str | None:
    """Why a run cannot be an input of these kinds, None where it can."""
    if run.kind not in kinds:
        wanted = " or ".join(kind.value for kind in kinds)
        return (
            f"run {run.id} is a {run.kind.value}, expected a {wanted}; {_MAKES[kinds[0]]} makes one"
        )
    return policy_problem(run)


def _check_inputs(request: StageRequest, inputs: Sequence[Run]) -> None:
    """See that the inputs are there, of the right kind, once, and as many as the stage reads."""
    stage = request.stage
    for run in inputs:
        problem = input_problem(run, stage.reads)
        if problem is not None:
            raise UsageError(problem)
    words = [*map(str, request.inputs), *request.baselines, *map(str, request.policy_files)]
    for word in words:
        if words.count(word) > 1:
            raise UsageError(f"{word} is named more than once")
    unknown = [word for word in request.baselines if word not in stage.baselines]
    if unknown:
        raise UsageError(f"there is no baseline {unknown[0]}; there are {stage.baselines}")
    wanted = " or ".join(stage.reads)
    if stage.reads and not words:
        raise UsageError(f"{stage.command} reads a {wanted}; name the number of its run")
    if len(inputs) > 1 and not stage.baselines:
        raise UsageError(f"{stage.command} reads one {wanted}, found {len(inputs)}")


def _check_ground(asked: Asked) -> None:
    """Policies act on the kind of ground that they learned to see."""
    task = getattr(asked.request.config, "task", None)
    if isinstance(task, TaskConfig):
        check_ground(found_in(asked.database), asked.request.inputs, task)


def _check_device(asked: Asked) -> None:
    """This machine has the device that the settings name; what is adopted needs none."""
    if asked.request.adopted is None:
        check_devices(asked.request.config)


def _check_roles(asked: Asked) -> None:
    """Nothing is fitted to robots that judge policies, unless it is allowed by name."""
    if asked.request.stage.learns and asked.request.adopted is None:
        check_roles(asked.database, asked.sets, asked.request.allowed_roles)


def _check_adopted(asked: Asked) -> None:
    """What a teacher that is taken over was trained on says its file, not who takes it over."""
    if asked.request.adopted is None:
        return
    (path,) = map(Path, asked.request.adopted["paths"])
    proved = training_robots(path)
    robots = {robot.digest for robot in asked.robots()}
    if not robots <= proved:
        sets = " ".join(asked.sets)
        raise UsageError(
            f"{path} was trained on {counted(len(proved), 'robot')} and knows"
            f" {len(robots & proved)} of the {len(robots)} of {sets}; leave --robots out, and what"
            " its file says holds, or name sets of robots that it was trained on"
        )


def _check_policies_know_robots(asked: Asked) -> None:
    """A policy of single robots acts for those alone."""
    for policy in asked.inputs:
        if policy.kind is RunKind.TEACHER:
            check_teachers(asked.database, policy, asked.robots())
        if policy.kind is RunKind.DEPLOYMENT:
            check_deployed(asked.database, policy, asked.robots())


def _check_drivable(asked: Asked) -> None:
    """What learns or acts can read the bodies of its robots."""
    request, database = asked.request, asked.database
    networks = networks_of(asked.inputs, request.policy_files)
    learner = getattr(request.config, "network", None)
    if isinstance(learner, NetworkConfig) and request.adopted is None:
        networks[f"this {request.kind}"] = learner
    known = {one.name for one in list_sets(database, removed=True)}  # others are still to be filled
    read = [name for run in asked.inputs for name in run.robot_sets if name in known]
    collected = [] if request.stage.robots is not Robots.NONE else learning_robots(database, read)
    check_drivable(networks, bodies(Workspace(database.home), [*asked.robots(), *collected]))


def _check_names_of_files(asked: Asked) -> None:
    """Deployed files are named after robots, so those of one name are one robot."""
    if asked.request.kind is not RunKind.DEPLOYMENT:
        return
    digests: dict[str, str] = {}
    for robot in asked.robots():
        if digests.setdefault(robot.name, robot.digest) != robot.digest:
            raise UsageError(
                f"--robot: two robots are named {robot.name}, {digests[robot.name][:7]} and"
                f" {robot.digest[:7]}, and files are named after robots; deploy them one by one"
            )


def _check_new_sets(asked: Asked) -> None:
    """New sets have names that a command line takes."""
    stage, fills = asked.request.stage, asked.request.fills
    if stage.fills and not fills:
        raise UsageError(f"{stage.command} needs the name of the new set")
    for name in fills.values():
        check_set_name(name)


def _policy_files(asked: Asked) -> list[dict[str, Any]]:
    """The policy files of a request as its run keeps them, checked and hashed."""
    if not asked.request.policy_files:
        return []
    task = getattr(asked.request.config, "task").name  # noqa: B009 -- only evaluations take files
    digests = {robot.digest for robot in asked.robots()}
    found = find_policy_files(asked.request.policy_files, task, digests)
    return [file.document() for file in found]


CHECKS: tuple[Callable[[Asked], None], ...] = (
    _check_ground,
    _check_roles,
    _check_adopted,
    _check_policies_know_robots,
    _check_drivable,
    _check_names_of_files,
    _check_new_sets,
    _check_device,
)
"""What is looked at before a run is queued, whoever asks for it; each raises one sentence."""
