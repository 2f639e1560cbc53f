"""Queue an evaluation of chosen policies on chosen robots, with an estimate and its command."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from db.queries.robots import list_robots, list_sets
from db.queries.runs import get_run, list_runs
from db.records import NewRun, Run, RunKind, RunState
from engine.config.base import TaskConfig, TaskName
from engine.config.evaluation import EvaluationConfig
from engine.errors import UsageError
from engine.workers.library import select_into_set
from hdtui.formatting import duration
from hdtui.services.cockpit import Cockpit
from hdtui.services.commands import queue

if TYPE_CHECKING:
    from db.session import Database

TASKS: tuple[TaskName, ...] = ("flat", "variable", "obstacles", "incline")
POLICY_KINDS = (RunKind.TEACHER, RunKind.STUDENT)
_POLICIES_SHOWN = 8


@dataclass(frozen=True)
class Evaluation:
    """What the dialog asks for."""

    policies: tuple[int, ...]
    robots: tuple[str, ...]
    task: TaskName = "flat"
    episodes: int = 16
    seed: int = 7

    @property
    def num_episodes(self) -> int:
        """Episodes of all policies on all robots."""
        return len(self.policies) * len(self.robots) * self.episodes


@dataclass(frozen=True)
class Choices:
    """Policies that can be evaluated, newest first, and what past evaluations took."""

    policies: tuple[Run, ...]
    seconds_per_episode: float | None
    num_like_runs: int


def read_choices(database: "Database", first: Sequence[int]) -> Choices:
    """Finished teachers and students, those of ``first`` before the others."""
    finished = list_runs(database, states=[RunState.FINISHED])
    policies = [run for run in finished if run.kind in POLICY_KINDS]
    policies.sort(key=lambda run: (run.id not in first, -run.id))
    costs = [
        (run.ended_at - run.started_at).total_seconds() / run.total
        for run in finished
        if run.kind is RunKind.EVALUATION and run.started_at and run.ended_at and run.total
    ]
    known = median(costs) if costs else None
    return Choices(tuple(policies[:_POLICIES_SHOWN]), known, len(costs))


def read_offer(
    database: "Database", run_id: int, marked: Sequence[str]
) -> tuple[Choices, list[tuple[str, str]]]:
    """Choices with the policy of a run first, and the robots: the marked ones, else the run's.

    A run that is no policy stands for those that it reads. Robots are digests and names.
    """
    run = get_run(database, run_id)
    policies = (run_id,) if run.kind in POLICY_KINDS else tuple(run.inputs)
    robots = list_robots(database)
    if marked:
        robots = [robot for robot in robots if robot.digest in marked]
    else:
        known = {one.name for one in list_sets(database)}
        sets = [name for name in run.robot_sets if name in known]
        robots = list_robots(database, sets[0]) if sets else []
    choices = read_choices(database, policies)
    return choices, [(robot.digest, robot.name) for robot in robots]


def estimate_words(wanted: Evaluation, choices: Choices) -> str:
    """How many episodes, and how long they took in past runs."""
    words = f"{wanted.num_episodes} episodes"
    if choices.seconds_per_episode is None:
        return f"{words}; no past evaluation tells how long they take"
    took = duration(choices.seconds_per_episode * wanted.num_episodes)
    return f"{words}, about {took}, from {choices.num_like_runs} past runs"


def missing_words(wanted: Evaluation) -> str:
    """What has to be chosen first, empty where everything is."""
    if not wanted.policies:
        return "space ticks a policy first"
    return "" if wanted.robots else "space marks robots in Robots (3) first"


def command_words(wanted: Evaluation, names: Sequence[str]) -> str:
    """The command that does the same."""
    policies = " ".join(f"--policy {policy}" for policy in wanted.policies)
    rest = f"--task {wanted.task} --episodes {wanted.episodes} --seed {wanted.seed}"
    return f"hdtui evaluate {policies} --robots {','.join(names)} {rest} --detach"


def queue_evaluation(cockpit: Cockpit, wanted: Evaluation) -> str:
    """Queue it on a set of the marked robots; the sentence that answers the key.

    Raises:
        UsageError: No policy or no robot is chosen.
    """
    if not wanted.policies or not wanted.robots:
        raise UsageError("Nothing to evaluate: choose at least one policy and one robot.")
    config = EvaluationConfig(
        seed=wanted.seed,
        episodes=wanted.episodes,
        task=TaskConfig(name=wanted.task),
        record_poses=1,
    )
    set_name = cockpit.store.ask(lambda database: _set_of(database, wanted.robots))
    many = "robot" if len(wanted.robots) == 1 else "robots"
    new = NewRun(
        kind=RunKind.EVALUATION,
        name=f"{'-'.join(map(str, wanted.policies))}-on-{len(wanted.robots)}-{many}",
        config=config.model_dump(mode="json"),
        seed=wanted.seed,
        inputs=wanted.policies,
        robot_sets=(set_name,),
        device="cpu",
    )
    run_id = queue(cockpit, new)
    what = f"{wanted.num_episodes} episodes on {len(wanted.robots)} {many}"
    return f"{run_id} evaluation is queued: {what}"


def _set_of(database: "Database", digests: Sequence[str]) -> str:
    """A set with exactly these robots, made where there is none."""
    name = f"marked-{hashlib.sha256(' '.join(sorted(digests)).encode()).hexdigest()[:7]}"
    if name not in [each.name for each in list_sets(database)]:
        select_into_set(database, name, sorted(digests), role=None)
    return name


def record_robot(cockpit: Cockpit, digest: str) -> str:
    """Queue one episode of the latest student and its teacher on a robot, to watch.

    Raises:
        UsageError: No teacher or student has finished.
    """
    choices = cockpit.store.ask(lambda database: read_choices(database, ()))
    chosen: list[int] = []
    for kind in (RunKind.TEACHER, RunKind.STUDENT):
        newest = next((run.id for run in choices.policies if run.kind is kind), None)
        chosen += [newest] if newest is not None else []
    if not chosen:
        raise UsageError("No teacher or student has finished yet; start the quick pipeline first.")
    return queue_evaluation(cockpit, Evaluation(tuple(chosen), (digest,), episodes=1))
