"""What each kind of run reads, fills and is called, and what a request of one holds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from db.queries.runs import is_run_number
from db.records import Robot, RunKind
from engine.config.base import Config
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import DeploymentConfig, EvaluationConfig
from engine.config.presets import PipelineConfig
from engine.config.robots import GenerationConfig, MutationConfig
from engine.config.teacher import TeacherConfig
from engine.morphology.mjcf import RobotFile
from engine.workers.robot_library import TRAINING, UNSEEN
from engine.workers.run_policies import run_of_folder

PIPELINE = "pipeline"
GENERATED = "generated"
"""What a pipeline says of its robots where no set was named."""
MUTANTS = "mutant"
XML = ".xml"


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


def filled_sets(roles: Sequence[str], into: str) -> dict[str, str]:
    """The names of the sets that a run fills, by role: the first is ``into``."""
    return {role: into if role == roles[0] else f"{into}-{role}" for role in roles}


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


def robot_words(stage: Stage, words: Sequence[str]) -> list[str]:
    """The names in words: single robots may be written in one word, parted by commas."""
    if stage.robots is not Robots.SETS_AND_ROBOTS:
        return list(words)
    return [name for word in words for name in ([word] if word.endswith(XML) else word.split(","))]
