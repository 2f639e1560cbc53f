"""Studies as documents: what is asked, how far it is, what it says, and what it will take."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from db.queries.runs import list_runs
from db.queries.settings import get_setting, set_setting
from db.records import Run, RunKind, RunState
from engine.config.network_cost import NetworkQuestion
from engine.config.study import Measure, StudyConfig
from engine.text import counted
from engine.workers.slots import read_slots
from engine.workers.studies.graph import Graph, Node
from engine.workers.studies.recipes import current_version
from engine.workers.studies.results import (
    CellQuestions,
    NetworkCost,
    Result,
    asked_of_cells,
    cell_costs,
    read_results,
)
from engine.workers.studies.running import Plan
from engine.workers.studies.search import best, best_so_far, importances, trials
from engine.workers.studies.verdict import Answer, Verdict, judge
from engine.workers.workspace import Workspace
from hdtui.data.child_tool import run_tool
from hdtui.formatting import duration, size

if TYPE_CHECKING:
    from db.session import Database

COSTS = "network costs"
"""The setting under which a workspace remembers what was counted for its studies."""
GEOMETRIC = 8.0
"""Numbers whose largest is so many times the smallest stand on a logarithmic axis."""
Results = Mapping[tuple[str, int], Result]
_LENGTHS: Mapping[RunKind, tuple[str, ...]] = {
    RunKind.GENERATION: ("train_count",),
    RunKind.TEACHER: ("total_env_steps",),
    RunKind.COLLECTION: ("samples_per_robot",),
    RunKind.STUDENT: ("epochs",),
    RunKind.EVALUATION: ("episodes",),
}
"""Settings that a run's time grows with, by kind."""


def counted_networks(
    database: "Database",
    questions: Collection[NetworkQuestion],
    given_up: Callable[[], bool] | None = None,
) -> dict[NetworkQuestion, NetworkCost]:
    """What networks cost: as the workspace remembers, else counted by a child that loads torch.

    Raises:
        HdtuiError: The child failed; its last line says why. Or it was given up and is killed.
    """
    found = known_networks(database, questions)
    missing = [question for question in questions if question not in found]
    if missing:
        asked = [question.model_dump(mode="json") for question in missing]
        told = run_tool("network-costs", {"questions": asked}, given_up)
        rows = [{**row, "machine": told["machine"]} for row in told["rows"]]
        found |= {each: NetworkCost(**row) for each, row in zip(missing, rows, strict=True)}
        if not database.readonly:
            fresh = {_key(each): row for each, row in zip(missing, rows, strict=True)}
            set_setting(database, COSTS, {**(get_setting(database, COSTS) or {}), **fresh})
    return found


def known_networks(
    database: "Database", questions: Iterable[NetworkQuestion]
) -> dict[NetworkQuestion, NetworkCost]:
    """What the workspace remembers that networks cost."""
    known = get_setting(database, COSTS) or {}
    keys = {question: _key(question) for question in questions}
    return {question: NetworkCost(**known[key]) for question, key in keys.items() if key in known}


def _key(question: NetworkQuestion) -> str:
    """A network's name among what was counted; another version may build it otherwise."""
    text = f"{current_version()} {question.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def measured(database: "Database", plan: Plan) -> Results:
    """What the study's finished runs measured, with the sizes of its networks where they count."""
    asked = asked_networks(plan.study, plan.graph)
    answers = counted_networks(database, questions_of(asked)) if asked else {}
    return read_results(database, plan, cell_costs(asked, answers))


def asked_networks(study: StudyConfig, graph: Graph) -> CellQuestions:
    """What is asked of the networks of a study; nothing where their costs say nothing."""
    names = {measure.name for measure in study.measured()}
    costs = {"parameters", "multiply_adds", "latency", "steps_to_earn_back"}
    sized = names & costs or ("parameters" in study.equal and _networks_differ(study))
    return asked_of_cells(study, graph.cells) if sized else {}


def questions_of(asked: CellQuestions) -> list[NetworkQuestion]:
    """All that is asked, equal questions once."""
    return list(dict.fromkeys(question for own in asked.values() for question in own.values()))


def _networks_differ(study: StudyConfig) -> bool:
    """Whether combinations act with networks that are not alike: then sizes have to be counted."""
    found = []
    for combination in study.combinations():
        config = study.pipeline(combination, study.seeds[0])
        network = (config.teacher if combination.route == "teach" else config.student).network
        if network not in found:
            found.append(network)
    return len(found) > 1


def is_geometric(numbers: Sequence[float]) -> bool:
    """Whether numbers lie so far apart that they stand on a logarithmic axis."""
    return min(numbers) > 0 and max(numbers) >= GEOMETRIC * min(numbers)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A study's graph for scripts: its runs by name, which are there, which are to be made."""
    names = plan.graph.names(plan.study.name)
    nodes = [
        {
            "name": names[node.recipe],
            "kind": node.kind,
            "recipe": node.recipe,
            "reads": list(dict.fromkeys([*node.reads, *(r.maker for r in node.robots if r.maker)])),
            "run": plan.runs[node.recipe].id if node.recipe in plan.runs else None,
            "state": plan.runs[node.recipe].state if node.recipe in plan.runs else None,
            "reused": node.recipe in plan.runs and plan.runs[node.recipe].id not in plan.made,
        }
        for node in plan.graph.nodes.values()
    ]
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "preset": plan.study.preset,
        "seeds": plan.study.seeds,
        "combinations": [each.label for each in plan.study.combinations()],
        "graph": nodes,
    }


def status_document(plan: Plan, results: Results) -> dict[str, Any]:
    """Every cell with its state, its runs and what it measured so far."""
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "preset": plan.study.preset,
        "seeds": plan.study.seeds,
        "finished": not plan.missing and not plan.unfinished and not trials_left(plan.study),
        "cells": [_cell_document(plan.study, result) for result in results.values()],
        **({"search": search_document(plan, results)} if plan.study.ranges else {}),
    }


def trials_left(study: StudyConfig) -> int:
    """How many trials a search has still to ask for; none of any other study."""
    return study.search.trials - len(study.trials) if study.ranges else 0


def search_document(plan: Plan, results: Results) -> dict[str, Any]:
    """A search for scripts: its best settings so far, how much each matters, and every trial."""
    study = plan.study
    tried = trials(plan, results)
    found = best(study, tried)
    return {
        "measure": study.measured()[0].label,
        "trials_wanted": study.search.trials,
        "paused": study.search.paused,
        "best": None if found is None else {"trial": found.name, "settings": found.settings},
        "sentence": best_so_far(study, tried),
        "importance": importances(study, tried),
        "trials": [
            {**asdict(each), "state": "left out" if each.left_out else str(each.state)}
            for each in tried
        ],
    }


def _cell_document(study: StudyConfig, result: Result) -> dict[str, Any]:
    return {
        "cell": result.cell.combination.label,
        "seed": result.cell.seed,
        "state": result.state,
        "progress": result.progress,
        "runs": sorted({run.id for run in result.runs.values()}),
        "values": {measure.label: value_of(result, measure) for measure in study.measured()},
        "budget": result.budget,
    }


def value_of(result: Result, measure: Measure) -> float | None:
    """A cell's measure, the mean over its robots; None where it is not measured."""
    values = result.values(measure)
    return sum(values.values()) / len(values) if values else None


def verdict_of(plan: Plan, results: Results) -> Verdict:
    """The verdict on what has been measured so far."""
    return judge(plan.study, results)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict for scripts."""
    return {
        "verdict": verdict.sentence,
        "answered": verdict.answered,
        "answers": [_answer_document(answer) for answer in verdict.answers],
    }


def _answer_document(answer: Answer) -> dict[str, Any]:
    compared = answer.comparison
    return {
        "cell": compared.cell,
        "against": compared.against,
        "measure": compared.measure.label,
        "outcome": answer.decision.outcome,
        "expected": compared.expected,
        "reason": answer.decision.reason or None,
        "more_seeds": answer.decision.more_seeds,
        "sentence": answer.sentence,
        "first": answer.first and asdict(answer.first),
        "second": answer.second and asdict(answer.second),
        "difference": answer.difference and asdict(answer.difference),
        "p_value": answer.p_value,
        "adjusted_p_value": answer.adjusted_p_value,
        "probability_of_improvement": answer.improvement,
        "wins": answer.wins,
        "seeds": answer.seeds,
        "robots": answer.robots,
        "runs": answer.runs,
    }


@dataclass(frozen=True)
class Estimate:
    """Seconds and bytes that runs will take; ``unknown`` kinds have no run to learn from."""

    seconds: float
    num_bytes: float
    slots: int
    unknown: tuple[str, ...]


def estimate_words(found: Estimate | None) -> str:
    """Time and space in a sentence, or why there is none; of a workspace that is not there, too."""
    if found is None:
        return "no run here yet tells how long it takes"
    slots = counted(found.slots, "slot")
    room = f"about {duration(found.seconds)} on {slots}, {size(found.num_bytes)}"
    if not found.unknown:
        return room
    kinds = ", ".join(found.unknown)
    if not found.seconds:
        return f"no {kinds} has finished here yet to tell how long it takes"
    return f"{room}, not counting {kinds}, of which none has finished here yet"


def estimate(database: "Database", missing: Sequence[Node]) -> Estimate:
    """What is still to be made takes as long as the last runs of its kind, scaled by its length."""
    past: dict[RunKind, list[Run]] = {}
    for run in list_runs(database, states=[RunState.FINISHED], archived=True, limit=200):
        past.setdefault(run.kind, []).append(run)
    workspace = Workspace(database.home)
    weights = {
        kind: median(_folder_bytes(workspace, run) for run in runs[:5])
        for kind, runs in past.items()
        if any(node.kind is kind for node in missing)
    }
    seconds = num_bytes = 0.0
    for node in missing:
        if node.kind in past:
            factors = [(run, _length(node) / _length_of(run)) for run in past[node.kind]]
            seconds += median(_seconds(run) * factor for run, factor in factors)
            num_bytes += weights[node.kind]
    unknown = {str(node.kind) for node in missing if node.kind not in past}
    slots = read_slots(database)
    return Estimate(seconds / max(slots, 1), num_bytes, slots, tuple(sorted(unknown)))


def _length(node: Node) -> float:
    return _product(node.config.model_dump(mode="json"), node.kind)


def _length_of(run: Run) -> float:
    return _product(run.config, run.kind)


def _product(config: Mapping[str, Any], kind: RunKind) -> float:
    length = 1.0
    for key in _LENGTHS.get(kind, ()):
        length *= float(config.get(key) or 1)
    return length


def _seconds(run: Run) -> float:
    if run.started_at is None or run.ended_at is None:
        return run.worked_s
    return max((run.ended_at - run.started_at).total_seconds(), run.worked_s)


def _folder_bytes(workspace: Workspace, run: Run) -> int:
    folder = workspace.run_folder(run.id)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
