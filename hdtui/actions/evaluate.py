"""Queue an evaluation of chosen policies on chosen robots, with an estimate and its command."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import get_args

from db.queries.robots import get_robot, list_robots, list_sets
from db.queries.runs import get_run, list_runs
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.config.base import TaskName
from engine.config.evaluation import EvaluationConfig
from engine.config.overrides import with_settings
from engine.config.presets import stage_preset
from engine.errors import RobotError, UsageError
from engine.text import counted
from engine.workers.inherited import found_in, starting_config
from engine.workers.lineage import Ancestry
from engine.workers.policy_files import PRETRAINED
from engine.workers.robot_library import BUILT_IN_SETS
from engine.workers.run_policies import acts
from engine.workers.stages import STAGES, StageRequest
from hdtui.actions.queueing import queue
from hdtui.formatting import duration
from hdtui.messages import Answer

TASKS: tuple[TaskName, ...] = get_args(TaskName)
POLICY_KINDS = STAGES[RunKind.EVALUATION].reads
NAMED_POLICIES = (*STAGES[RunKind.EVALUATION].baselines, *PRETRAINED)
"""Policies of no run here: the baselines, and those that come with hdtui."""
PRESET = "laptop"
"""What the command starts from where no preset is named, and so the dialog."""
_POLICIES_SHOWN = 8
_DIGEST_LETTERS = 12


@dataclass(frozen=True)
class EvaluationRequest:
    """What the dialog asks for: numbers of runs and policies' names, robots by name or digest."""

    policies: tuple[int | str, ...]
    robots: tuple[str, ...]
    task: TaskName = "flat"
    episodes: int = 16
    seed: int = 7

    @property
    def runs(self) -> tuple[int, ...]:
        """The runs among the policies."""
        return tuple(policy for policy in self.policies if isinstance(policy, int))

    @property
    def num_episodes(self) -> int:
        """Episodes of all policies on all robots."""
        return len(self.policies) * len(self.robots) * self.episodes


@dataclass(frozen=True)
class Choices:
    """Policies that can be evaluated, deployments last, else newest first, and their past costs.

    ``robots`` are words that name the robots to evaluate on, as the command takes them; ``task`` is
    the ground that the first policy learned on, ``first`` those that are chosen at first.
    """

    policies: tuple[Run, ...]
    seconds_per_episode: float | None
    num_like_runs: int
    robots: tuple[str, ...] = ()
    task: TaskName = "flat"
    first: tuple[int, ...] = ()

    @property
    def start(self) -> EvaluationRequest:
        """What the dialog begins with: those of the first policies that can be evaluated."""
        known = [run.id for run in self.policies]
        policies = [policy for policy in self.first if policy in known] or known[:1]
        return EvaluationRequest(tuple(policies), self.robots, self.task)


def can_be_evaluated(run: Run) -> bool:
    """Whether a run is a policy now: finished, or past a checkpoint."""
    return run.kind in POLICY_KINDS and acts(run)


def can_be_watched(run: Run) -> bool:
    """Whether there may be recorded episodes of a run."""
    return run.kind in (*POLICY_KINDS, RunKind.EVALUATION)


def policy_text(run: Run) -> str:
    """A policy in a list, with the checkpoint that is read where it has not finished."""
    at = "" if run.state is RunState.FINISHED else f" at {run.checkpoint_step or 0:,} steps"
    return f"{run.id} {run.kind}{at}"


def read_choices(
    database: Database, first: Sequence[int], robots: Sequence[tuple[str, str]] = ()
) -> Choices:
    """Policies of runs, those of ``first`` before the others; ``robots`` by digest and name."""
    runs = list_runs(database, archived=True)
    policies = [
        run for run in runs if can_be_evaluated(run) and (not run.archived or run.id in first)
    ]
    # A deployment acts on its own robots alone: what acts on any stands before it.
    policies.sort(key=lambda run: (run.id not in first, run.kind is RunKind.DEPLOYMENT, -run.id))
    costs = [
        run.took_s / run.total
        for run in runs
        if run.kind is RunKind.EVALUATION
        and run.state is RunState.FINISHED
        and not run.archived
        and run.took_s is not None
        and run.total
    ]
    return Choices(
        policies=tuple(policies[:_POLICIES_SHOWN]),
        seconds_per_episode=median(costs) if costs else None,
        num_like_runs=len(costs),
        robots=tuple(_robot_word(database, digest, name) for digest, name in robots),
        task=_config(database, [run.id for run in policies[:1]]).task.name,
        first=tuple(first),
    )


def read_offer(database: Database, run_id: int, marked: Sequence[str]) -> Choices:
    """Choices with the policy of a run first, on the marked robots, else on those of the run.

    A run that is no policy stands for those that it reads.
    """
    run = get_run(database, run_id)
    policies = (run_id,) if run.kind in POLICY_KINDS else tuple(run.inputs)
    robots = list_robots(database)
    if marked:
        robots = [robot for robot in robots if robot.digest in marked]
    else:
        known = {one.name for one in list_sets(database, removed=True)}
        sets = [name for name in run.robot_sets if name in known]
        robots = list_robots(database, sets[0]) if sets else []
    names = [*{robot.digest: robot.name for robot in robots}.items()]
    return replace(read_choices(database, policies, names), first=(run_id,))


def _config(database: Database, inputs: Sequence[int]) -> EvaluationConfig:
    """The settings that an evaluation of these runs starts from."""
    start = starting_config(stage_preset("evaluation", PRESET), found_in(database), inputs)
    if not isinstance(start, EvaluationConfig):
        raise TypeError("the preset of an evaluation holds another stage's settings")
    return start


def _robot_word(database: Database, digest: str, name: str) -> str:
    """How a command names a robot: its name, where that means it alone; else its digest."""
    sets = {one.name for one in list_sets(database)} | set(BUILT_IN_SETS)
    try:
        means_it = get_robot(database, name).digest == digest
    except RobotError:
        means_it = False
    plain = means_it and name not in sets and "," not in name and not name.endswith(".xml")
    return name if plain else digest[:_DIGEST_LETTERS]


def estimate_text(wanted: EvaluationRequest, choices: Choices) -> str:
    """How many episodes, and how long they took in past runs."""
    words = counted(wanted.num_episodes, "episode")
    if choices.seconds_per_episode is None:
        return f"{words}; no past evaluation tells how long they take"
    took = duration(choices.seconds_per_episode * wanted.num_episodes)
    return f"{words}, about {took}, from {counted(choices.num_like_runs, 'past run')}"


def missing_text(wanted: EvaluationRequest) -> str:
    """What has to be chosen first, empty where everything is."""
    if not wanted.policies:
        return "space ticks a policy first"
    return "" if wanted.robots else "space marks robots in Robots (3) first"


def command_text(wanted: EvaluationRequest) -> str:
    """The command that does the same."""
    policies = [word for policy in wanted.policies for word in ("--policy", str(policy))]
    rest = f"--task {wanted.task} --episodes {wanted.episodes} --seed {wanted.seed} --detach"
    robots = shlex.join(["--robots", ",".join(wanted.robots)])
    return f"hdtui evaluate {shlex.join(policies)} {robots} {rest}"


def evaluation_request(database: Database, wanted: EvaluationRequest) -> StageRequest:
    """What the dialog asks for as the command of its words asks for it."""
    named = [policy for policy in wanted.policies if isinstance(policy, str)]
    settings = {"task.name": wanted.task, "episodes": wanted.episodes, "seed": wanted.seed}
    return StageRequest(
        RunKind.EVALUATION,
        with_settings(_config(database, wanted.runs), settings, ""),
        PRESET,
        inputs=wanted.runs,
        baselines=tuple(policy for policy in named if policy not in PRETRAINED),
        policy_files=tuple(Path(policy) for policy in named if policy in PRETRAINED),
        robots=wanted.robots,
    )


def queue_evaluation(database: Database, wanted: EvaluationRequest, of: str = "") -> Answer:
    """Queue it on a set of the marked robots.

    Raises:
        UsageError: No policy or no robot is chosen, or a policy cannot act on the ground.
    """
    if not wanted.policies or not wanted.robots:
        raise UsageError("Nothing to evaluate: choose at least one policy and one robot.")
    what = f"{counted(wanted.num_episodes, 'episode')} on {counted(len(wanted.robots), 'robot')}"
    return queue(database, evaluation_request(database, wanted), f": {what}{of}")


def record_robot(
    database: Database, wanted: EvaluationRequest, of_run: int | None = None
) -> Answer:
    """Queue an episode of policies on a robot, to watch.

    Where ``wanted`` names no policies, they are those of a run: its own with its teacher's, or
    those that it reads; and without a run those of the latest student.

    Raises:
        UsageError: There is no such policy yet.
    """
    if not wanted.policies:
        wanted = _around(database, wanted.robots, of_run)
    return queue_evaluation(database, wanted, f", of {' and '.join(map(str, wanted.policies))}")


def _around(database: Database, robots: Sequence[str], run_id: int | None) -> EvaluationRequest:
    """An episode of the policies around a run on robots, as their settings ask for it."""
    policies = policies_of(database, run_id)
    choices = read_choices(database, policies, [(robot, "") for robot in robots])
    return replace(choices.start, robots=tuple(robots), episodes=1)


def policies_of(database: Database, run_id: int | None) -> tuple[int, ...]:
    """Teacher and student that belong together: those around a run, else the latest ones.

    Raises:
        UsageError: None of them has a policy yet.
    """
    if run_id is None:
        choices = read_choices(database, ())
        # What is still at work is evaluated where it is named, not by itself.
        latest = sorted(
            choices.policies,
            key=lambda run: (run.state is not RunState.FINISHED, run.kind is RunKind.TEACHER),
        )
        if not latest:
            words = "No teacher or student has a policy yet; start the quick pipeline first."
            raise UsageError(words)
        run_id = latest[0].id
    around = Ancestry(database).ancestors(get_run(database, run_id))
    usable = [run for run in around if can_be_evaluated(run)]
    found = [next((run.id for run in usable if run.kind is kind), None) for kind in POLICY_KINDS]
    if not any(found):
        raise UsageError(f"No teacher or student of {run_id} has a policy yet: nothing to record.")
    return tuple(policy for policy in found if policy is not None)
