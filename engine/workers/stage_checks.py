"""What is asked before a run is queued, whoever asks for it: each check raises one sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.queries.robots import get_robot, list_robots, list_sets
from db.queries.runs import get_run
from db.records import Robot, Run, RunKind
from db.session import Database
from engine.config.base import TaskConfig
from engine.config.network import NetworkConfig
from engine.errors import ConfigError, RobotError, UsageError
from engine.files import expanded
from engine.morphology.mjcf import RobotFile, read_robot_file
from engine.text import counted
from engine.workers.devices import check_devices
from engine.workers.drivable import bodies, check_drivable, networks_of
from engine.workers.inherited import ONE_PER_ROBOT, Find, found_in, learned_ground
from engine.workers.policy_files import written_knowledge
from engine.workers.robot_library import BUILT_IN_SETS, check_set_name, learning_robots, resolve_set
from engine.workers.robot_roles import check_roles
from engine.workers.run_policies import policy_problem
from engine.workers.stages import XML, Robots, Stage, StageRequest, robot_words
from engine.workers.workspace import Workspace

_MAKES = {
    RunKind.TEACHER: "`hdtui teach --robots SET`",
    RunKind.COLLECTION: "`hdtui collect TEACHER --robots SET`",
    RunKind.STUDENT: "`hdtui distill COLLECTION`",
}
"""Commands whose runs are the inputs of others."""


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


def checked(database: Database, request: StageRequest) -> Asked:
    """What the words of a request stand for, once every check has passed.

    Raises:
        RunError: There is no run of a number.
        UsageError: A word names no set or robot.
    """
    inputs = tuple(get_run(database, number) for number in request.inputs)
    _check_inputs(request, inputs)
    known_by_file = request.adopted is not None and not request.robots
    sets, single = ([], []) if known_by_file else robots_of(database, request.stage, request.robots)
    asked = Asked(database, request, inputs, tuple(sets), tuple(single))
    for check in CHECKS:
        check(asked)
    return asked


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
    if stage.reads and not words and request.adopted is None:
        raise UsageError(f"{stage.command} reads a {wanted}; name the number of its run")
    if len(inputs) > 1 and not stage.baselines:
        raise UsageError(f"{stage.command} reads one {wanted}, found {len(inputs)}")


def _check_ground(asked: Asked) -> None:
    """Policies act on the kind of ground that they learned to see."""
    task = getattr(asked.request.config, "task", None)
    if isinstance(task, TaskConfig):
        check_ground(found_in(asked.database), asked.request.inputs, task)


def check_ground(find: Find, inputs: Sequence[int], task: TaskConfig) -> None:
    """See that policies can act on a task: some grounds are seen as heights, others are not.

    Raises:
        UsageError: A policy learned with terrain heights and the task has none, or vice versa.
    """
    for run in find(inputs):
        learned = learned_ground(find, run)
        if learned is not None and learned.sees_terrain != task.sees_terrain:
            raise UsageError(
                f"run {run.id} ({run.kind.value} {run.name}) learned on {learned.name} and"
                f" {_sight(learned)}, so it cannot act on {task.name}; leave the task out, or"
                f" choose a policy that learned on {task.name}"
            )


def check_grounds_of_pipeline(learned: TaskConfig, tasks: Mapping[str, TaskConfig]) -> None:
    """See that the later stages of a pipeline are on a ground on which its teacher can act.

    Raises:
        ConfigError: The teacher is to learn with terrain heights and a stage has none, or vice
            versa.
    """
    for stage, task in tasks.items():
        if learned.sees_terrain != task.sees_terrain:
            raise ConfigError(
                f"{stage}.task.name {task.name}: the teacher learns on {learned.name}"
                f" (teacher.task.name) and {_sight(learned)}, so it cannot act on {task.name};"
                " leave it out, or choose one ground for both"
            )


def _sight(task: TaskConfig) -> str:
    return f"{'sees' if task.sees_terrain else 'does not see'} terrain heights"


def _check_device(asked: Asked) -> None:
    """This machine has the device that the settings name; what is adopted needs none."""
    if asked.request.adopted is None:
        check_devices(asked.request.config)


def _check_roles(asked: Asked) -> None:
    """Nothing is fitted to robots that judge policies, unless it is allowed by name."""
    if asked.request.stage.learns and asked.request.adopted is None:
        check_roles(asked.database, asked.sets, asked.request.allowed_roles)


def _check_adopted(asked: Asked) -> None:
    """What a policy that is taken over was trained on says its file, not who takes it over."""
    if asked.request.adopted is None:
        return
    (path,) = map(Path, asked.request.adopted["paths"])
    if asked.request.robots and asked.request.stage.robots is Robots.NONE:
        raise UsageError(
            f"{path} holds a {asked.request.kind}, which is of no robot set; leave --robots out,"
            " what its file says of robots holds"
        )
    proved = written_knowledge(path).trained_on
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


def check_teachers(database: Database, teacher: Run, robots: Sequence[Robot | RobotFile]) -> None:
    """See that a run with one teacher per robot has one for each of these robots.

    Raises:
        UsageError: A robot has none.
    """
    if teacher.config.get("network", {}).get("kind") != ONE_PER_ROBOT:
        return
    known = {one.name for one in list_sets(database, removed=True)}
    names = [name for name in teacher.robot_sets if name in known]
    if not names:  # of a workspace that forgot them: the worker reads them from the policy
        return
    trained = {robot.digest for robot in learning_robots(database, names)}
    missing = [robot for robot in robots if robot.digest not in trained]
    if missing:
        raise UsageError(
            f"{missing[0].name} has no teacher: run {teacher.id} trained one per robot of"
            f" {' '.join(teacher.robot_sets)}; take those alone, without mutants, or train"
            " a universal teacher (network.kind=transformer)"
        )


def check_deployed(
    database: Database, deployment: Run, robots: Sequence[Robot | RobotFile]
) -> None:
    """See that a deployment wrote, or will write, a policy for each of these robots.

    Raises:
        UsageError: A robot has none.
    """
    known = {one.name for one in list_sets(database, removed=True)}
    if not set(deployment.robot_sets) <= known:  # forgotten by the workspace: the worker tells
        return
    covered = {
        robot.digest for name in deployment.robot_sets for robot in list_robots(database, name)
    }
    missing = [robot for robot in robots if robot.digest not in covered]
    if missing:
        raise UsageError(
            f"{missing[0].name} has no policy in run {deployment.id} deployment"
            f" {deployment.name}, which acts for the robots of {' '.join(deployment.robot_sets)};"
            f" deploy the student on it first, or evaluate the student"
        )


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
