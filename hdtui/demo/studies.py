"""Studies of the demo: one that is finished and one at work, on made-up runs and returns."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from db.queries.evaluations import insert_episodes, set_policies
from db.queries.studies import put_study
from db.records import Run, RunKind, RunState, StoredStudy
from db.session import Database
from engine.config.study import StudyConfig, load_study
from engine.events import Episode
from engine.morphology.tree import Morphology
from engine.random import generator
from engine.workers.studies.graph import Graph, Node, expand
from hdtui.demo.runs import MUTANT_SET, TRAINING_SET, UNSEEN_SET, blank, working

PRESET = "laptop"
_SETS = {"training": TRAINING_SET, "unseen": UNSEEN_SET}
_EPISODES = 8
_TOOK = {
    RunKind.TEACHER: 1_432,
    RunKind.MUTATION: 9,
    RunKind.COLLECTION: 96,
    RunKind.STUDENT: 296,
    RunKind.EVALUATION: 131,
}
_DONE: Mapping[RunKind, tuple[float, str, float, str]] = {
    RunKind.TEACHER: (5.3e6, "steps", 2_260.0, "sampled_return"),
    RunKind.MUTATION: (12.0, "robots", 12.0, "mutants"),
    RunKind.COLLECTION: (192_000.0, "samples", 192_000.0, "samples"),
    RunKind.STUDENT: (5_200.0, "gradient steps", 0.0112, "loss"),
    RunKind.EVALUATION: (80.0, "episodes", 0.95, "ratio"),
}
"""How much a run does, in what, and what it results in."""
_LEVELS = {
    "network=reinforced": (0.66, 0.48),
    "network=distilled": (0.95, 0.72),
    "network=transformer": (0.96, 0.74),
    "robots=1": (0.90, 0.42),
    "robots=2": (0.92, 0.55),
    "robots=4": (0.94, 0.66),
    "robots=10": (0.95, 0.74),
}
"""What a setting keeps of its teacher's return on trained and on unseen robots; made up."""


@dataclass(frozen=True)
class DemoStudy:
    """A study with its runs by place."""

    study: StudyConfig
    graph: Graph
    runs: Mapping[str, Run]
    created_at: datetime


def demo_studies(now: datetime, between: int) -> list[DemoStudy]:
    """The studies; their runs that have ended are numbered from 1.

    So many numbers are left ``between`` them and those that have not.
    """
    finished = _made("rl-against-distilled", now - timedelta(hours=26), first=1)
    at_work = _made("distillation-robots", now - timedelta(hours=11), first=len(finished.runs) + 1)
    unfinished = _unfinished(at_work, now)
    ended = [run.id for run in at_work.runs.values() if run.id not in unfinished]
    places = {number: len(finished.runs) + place for place, number in enumerate(ended, start=1)}
    first = len(finished.runs) + len(ended) + between + 1
    places |= {number: first + place for place, number in enumerate(unfinished)}
    return [finished, _renumbered(at_work, places, unfinished)]


def learning_speed(run: Run) -> float:
    """How fast a student of the demo learns: faster from more robots, and not alike by seed."""
    found = re.search(r"robots=(\d+)", run.name)
    return 5.0 if found is None else 4.0 + math.log2(int(found[1])) + 0.3 * (run.seed % 3)


def _made(name: str, start: datetime, first: int) -> DemoStudy:
    """A built-in study whose runs have all finished, numbered from ``first``."""
    changes = {"name": f"demo-{name}", "preset": PRESET, "seeds": 3, "robots": _SETS}
    study = load_study(name, changes)
    graph = expand(study, {each: each for each in _SETS.values()})
    names = graph.names(study.name)
    numbers: dict[str, int] = {}
    runs: dict[str, Run] = {}
    for node in graph.nodes.values():
        numbers[node.recipe] = first + len(numbers)
        inputs = [*node.reads, *(each.maker for each in node.robots if each.maker)]
        run = _finished(node, numbers[node.recipe], f"demo {names[node.recipe]}", start)
        runs[node.place] = replace(
            run, inputs=tuple(numbers[each] for each in inputs), group=study.name
        )
        start = run.ended_at or start
    return DemoStudy(study, graph, runs, next(iter(runs.values())).created_at)


def _finished(node: Node, number: int, name: str, start: datetime) -> Run:
    total, unit, result, result_kind = _DONE[node.kind]
    config = node.config.model_dump(mode="json")
    seed = int(config.get("seed", 1))
    end = start + timedelta(seconds=_TOOK[node.kind] / 2)  # two work at once
    sets = [each.set_name or MUTANT_SET for each in node.robots]
    shown = result + 40.0 * seed if node.kind is RunKind.TEACHER else result
    return replace(
        blank(number, node.kind, name, start, PRESET),
        config=config,
        seed=seed,
        robot_sets=tuple(dict.fromkeys(sets)),
        state=RunState.FINISHED,
        attempt=1,
        started_at=start,
        ended_at=end,
        reported_at=end,
        worked_s=float(_TOOK[node.kind]),
        done=total,
        total=total,
        unit=unit,
        exit_code=0,
        result=shown,
        result_kind=result_kind,
        result_text=f"demo: {result_kind.replace('_', ' ')} {shown:g}",
        checkpoint_step=int(total) if node.kind in (RunKind.TEACHER, RunKind.STUDENT) else None,
    )


def _unfinished(made: DemoStudy, now: datetime) -> dict[int, Run]:
    """The runs of the last seed that have not finished: a student at work, the others wait."""
    last = made.study.seeds[-1]
    cells = [cell for cell in made.graph.cells if cell.seed == last][1:]
    by_recipe = {node.recipe: made.runs[node.place] for node in made.graph.nodes.values()}
    found = {}
    for place, cell in enumerate(cells):
        for recipe in (cell.judged, cell.evaluation):
            run = by_recipe[recipe]
            open_run = replace(
                blank(run.id, run.kind, run.name, run.created_at, PRESET),
                config=run.config,
                seed=run.seed,
                robot_sets=run.robot_sets,
                inputs=run.inputs,
                group=run.group,
            )
            if place == 0 and run.kind is RunKind.STUDENT:
                open_run = replace(
                    working(open_run, now - timedelta(minutes=3)),
                    reported_at=now,
                    report_gap_s=600.0,
                    done=3_224.0,
                    total=5_200.0,
                    unit="gradient steps",
                    rate=17.4,
                )
            found[run.id] = open_run
    return found


def _renumbered(
    made: DemoStudy, numbers: Mapping[int, int], instead: Mapping[int, Run]
) -> DemoStudy:
    runs = {}
    for place, ended in made.runs.items():
        run = instead.get(ended.id, ended)
        number = numbers[ended.id]
        inputs = tuple(numbers[each] for each in run.inputs)
        runs[place] = replace(run, id=number, folder=f"runs/{number}", inputs=inputs)
    return replace(made, runs=runs)


def write_studies(
    database: Database, studies: Sequence[DemoStudy], robots: Sequence[Morphology]
) -> None:
    """Write the studies down, and what their evaluations found on the robots that learned."""
    for each in studies:
        stored = StoredStudy(
            each.study.name,
            each.study.model_dump(mode="json"),
            {place: run.id for place, run in each.runs.items()},
            frozenset(run.id for run in each.runs.values()),
            "demo",
            each.created_at.astimezone(UTC).isoformat(),
        )
        with database.write() as session:
            put_study(session, stored, instead_of=None)
        by_recipe = {node.recipe: each.runs[node.place] for node in each.graph.nodes.values()}
        for cell in each.graph.cells:
            evaluation = by_recipe[cell.evaluation]
            if evaluation.state is RunState.FINISHED:
                label, judged = cell.combination.label, by_recipe[cell.judged]
                _write_returns(database, evaluation.id, judged, label, cell.seed, robots)


def _write_returns(
    database: Database,
    run_id: int,
    judged: Run,
    label: str,
    seed: int,
    robots: Sequence[Morphology],
) -> None:
    episodes = []
    for place, robot in enumerate(robots):
        unseen = place == len(robots) - 1
        level = (600 + 260 * robot.num_joints) * _LEVELS[label][unseen]
        luck = float(generator(seed, "demo seed").normal(1.0, 0.02))
        own = float(generator(run_id, f"demo robot {place}").normal(1.0, 0.02))
        random = generator(run_id, f"demo episodes {place}")
        for number in range(_EPISODES):
            value = level * luck * own * float(random.normal(1.0, 0.03))
            episodes.append(
                Episode(
                    policy=str(judged.kind),
                    robot_digest=robot.digest,
                    task="flat",
                    seed=7,
                    episode=number,
                    episode_return=value,
                    length=1_000,
                    terminated=False,
                    distance_m=value / 50,
                    mean_speed_m_s=value / 1_000,
                    energy_j=40.0 * robot.num_joints,
                )
            )
    with database.write() as session:
        insert_episodes(session, run_id, episodes)
        set_policies(session, run_id, {str(judged.kind): judged.id})
