"""What the runs of a study measured: returns robot by robot, costs, how fast students learned."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from db.queries.evaluations import summaries
from db.queries.metrics import list_series, read_points
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.config.network import NetworkConfig
from engine.config.network_cost import NetworkPart, NetworkQuestion
from engine.config.study import Combination, Group, Measure, StudyConfig
from engine.evaluation.statistics import RobotReturn, earns
from engine.workers.lineage import Ancestry
from engine.workers.studies.graph import Cell
from engine.workers.studies.running import Plan

Returns = Mapping[str, RobotReturn]
"""By digest of the robot."""
CellQuestions = Mapping[tuple[str, int], Mapping[str, NetworkQuestion]]
"""By cell, what is asked of its networks."""
Kept = dict[tuple[str, int], tuple[tuple[tuple[str, int, int], ...], dict[str, Any]]]
"""By cell, the finished runs that it was read from, and what they measured."""
SCALAR = ""
"""Stands for all robots where a measure has one number for a seed."""
_CURVE_POINTS = 4000


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs; ``latency_us`` is None where it was not timed, else ``machine`` did."""

    parameters: int
    macs: int
    latency_us: float | None
    machine: str


@dataclass(frozen=True)
class Result:
    """A cell beside its runs, and what they measured as far as they have finished.

    ``returns`` and ``beside`` are those of the policy and of its teacher, by what the policy knows
    of robots; ``episodes`` is how they were judged, the same text where resets were the same.
    """

    cell: Cell
    runs: Mapping[str, Run]
    returns: Mapping[Group, Returns] = field(default_factory=dict)
    beside: Mapping[Group, Returns] = field(default_factory=dict)
    budget: Mapping[str, float | None] = field(default_factory=dict)
    multiply_adds: float | None = None
    latency_us: float | None = None
    steps_to_earn_back: float | None = None
    timed_on: str = ""
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    episodes: str = ""

    @property
    def state(self) -> RunState:
        """The state of the cell: finished, else that of the run that holds it up."""
        for state in (
            RunState.FAILED,
            RunState.LOST,
            RunState.INTERRUPTED,
            RunState.STOPPED,
            RunState.RUNNING,
            RunState.STARTING,
            RunState.STOPPING,
            RunState.QUEUED,
        ):
            if any(run.state is state for run in self.runs.values()):
                return state
        whole = len(self.runs) == len(self.cell.recipes)
        return RunState.FINISHED if whole else RunState.QUEUED

    @property
    def progress(self) -> float:
        """How much of its runs is done, from 0 to 1, each counting the same."""
        done = sum(
            1.0 if run.state is RunState.FINISHED else run.progress or 0.0
            for run in self.runs.values()
        )
        return done / len(self.cell.recipes) if self.cell.recipes else 1.0

    def values(self, measure: Measure) -> dict[str, float]:
        """The measure by robot, or under ``SCALAR``; empty where it is not measured.

        Means over robots are what is told: of a ratio each robot's return is taken over its
        teacher's mean, which is 1 on average where nothing is lost.
        """
        if measure.name == "return":
            return {digest: own.mean for digest, own in self.returns.get(measure.on, {}).items()}
        if measure.name == "ratio":
            return self._ratios(measure.on)
        if measure.name == "steps_to_reach":
            steps = steps_to_reach(self.curves.get(measure.curve, ()), measure.fraction)
            return {} if steps is None else {SCALAR: float(steps)}
        known = {
            "parameters": self.budget.get("parameters"),
            "multiply_adds": self.multiply_adds,
            "latency": self.latency_us,
            "steps_to_earn_back": self.steps_to_earn_back,
        }
        counted = known[measure.name]
        return {} if counted is None else {SCALAR: counted}

    def _ratios(self, on: Group) -> dict[str, float]:
        own, beside = self.returns.get(on, {}), self.beside.get(on, {})
        common = sorted(own.keys() & beside.keys())
        below = [beside[digest] for digest in common]
        if not earns(below):
            return {}
        average = sum(each.mean for each in below) / len(below)
        return {digest: own[digest].mean / average for digest in common}


def steps_to_reach(points: Sequence[tuple[int, float]], fraction: float) -> int | None:
    """The first step at which a curve has made this share of its whole change, first to last value.

    It may rise (returns) or fall (losses). None of fewer than three points, or of a curve that
    ends where it began.
    """
    if len(points) < 3:
        return None
    first, last = points[0][1], points[-1][1]
    if first == last:
        return None
    return next(
        (step for step, value in points if (value - first) / (last - first) >= fraction), None
    )


def read_results(
    database: Database,
    plan: Plan,
    costs: "Mapping[tuple[str, int], CellCost] | None" = None,
    kept: Kept | None = None,
) -> dict[tuple[str, int], Result]:
    """Every cell by its label and seed, with what its finished runs measured.

    Cells without ``costs`` have no parameters, multiply-adds and latencies. ``kept`` holds, from
    one reading to the next, what cells measured whose finished runs are the same: only the others
    are read.
    """
    kept = {} if kept is None else kept
    curves = {
        measure.curve for measure in plan.study.measured() if measure.name == "steps_to_reach"
    }
    ancestry: Ancestry | None = None
    results = {}
    for cell in plan.graph.cells:
        key = cell.combination.label, cell.seed
        runs = {each: plan.runs[each] for each in cell.recipes if each in plan.runs}
        done = {each: run for each, run in runs.items() if run.state is RunState.FINISHED}
        known_by = tuple((each, run.id, run.attempt) for each, run in sorted(done.items()))
        if key not in kept or kept[key][0] != known_by:
            ancestry = ancestry or Ancestry(database)
            kept[key] = known_by, _measured(database, cell, done, ancestry, curves)
        results[key] = _result(cell, runs, done, kept[key][1], (costs or {}).get(key))
    return results


def _result(
    cell: Cell,
    runs: Mapping[str, Run],
    done: Mapping[str, Run],
    measured: Mapping[str, Any],
    cost: "CellCost | None",
) -> Result:
    if cost is None:
        return Result(cell, runs, budget=_budget(cell, done, None), **measured)
    return Result(
        cell,
        runs,
        budget=_budget(cell, done, float(cost.own.parameters)),
        multiply_adds=float(cost.own.macs),
        latency_us=cost.own.latency_us,
        timed_on=cost.own.machine,
        steps_to_earn_back=cost.steps_to_earn_back,
        **measured,
    )


def _measured(
    database: Database,
    cell: Cell,
    done: Mapping[str, Run],
    ancestry: Ancestry,
    curves: Iterable[str],
) -> dict[str, Any]:
    """What finished runs of a cell say, as fields of its result."""
    judged = done.get(cell.judged)
    found: dict[str, Any] = {}
    if judged is not None and cell.evaluation in done:
        found["returns"] = _returns(database, ancestry, done[cell.evaluation], judged, judged)
        found["episodes"] = _episodes(done[cell.evaluation])
    if judged is not None and cell.beside in done and cell.teacher in done:
        teacher = done[cell.teacher]
        found["beside"] = _returns(database, ancestry, done[cell.beside], teacher, judged)
    if judged is not None:
        found["curves"] = {name: read_curve(database, judged, name) for name in curves}
    return found


def _returns(
    database: Database, ancestry: Ancestry, evaluation: Run, policy: Run, judged: Run
) -> dict[Group, Returns]:
    """A policy's returns by what the judged one knows of the robots."""
    trained, known = ancestry.trained_on(judged), ancestry.known_to(judged)
    every = {
        each.robot_digest: RobotReturn(each.mean_return, each.std_return, each.episodes)
        for each in summaries(database, evaluation.id)
        if each.policy_run_id == policy.id
    }
    return {
        "trained": {digest: own for digest, own in every.items() if digest in trained},
        "unseen": {digest: own for digest, own in every.items() if digest not in known},
    }


def _episodes(evaluation: Run) -> str:
    keys = ("seed", "task", "episodes", "deterministic")
    return json.dumps({key: evaluation.config.get(key) for key in keys}, sort_keys=True)


def read_curve(database: Database, run: Run, name: str) -> list[tuple[int, float]]:
    """A run's own curve of this name as steps and values; empty where it has none."""
    for series in list_series(database, run.id):
        if series.name == name and series.robot_digest is None:
            points = read_points(database, series.id, max_points=_CURVE_POINTS)
            return list(zip(points.step, points.value, strict=True))
    return []


def _budget(
    cell: Cell, done: Mapping[str, Run], parameters: float | None
) -> dict[str, float | None]:
    """What a cell cost: control steps of its teacher, samples, gradient steps, size."""
    teacher, student = done.get(cell.teacher), done.get(cell.judged)
    collection = done.get(cell.collection)
    distilled = student is not None and student.kind is RunKind.STUDENT
    return {
        "control_steps": None if teacher is None else teacher.done,
        "samples": None if collection is None else collection.result,
        "gradient_steps": student.done if student is not None and distilled else None,
        "parameters": parameters,
    }


@dataclass(frozen=True)
class CellCost:
    """What the network of a cell costs, and after how many steps writing a base MLP is earned back.

    That is the time of writing over what a step of the teacher takes longer than one of the MLP;
    None where it takes none longer, or nothing was timed.
    """

    own: NetworkCost
    writing: NetworkCost | None = None
    taught: NetworkCost | None = None
    written: NetworkCost | None = None

    @property
    def steps_to_earn_back(self) -> float | None:
        if self.writing is None or self.taught is None or self.written is None:
            return None
        times = self.writing.latency_us, self.taught.latency_us, self.written.latency_us
        writing, taught, written = times
        if writing is None or taught is None or written is None or taught <= written:
            return None
        return writing / (taught - written)


def asked_of_cells(study: StudyConfig, cells: Sequence[Cell]) -> CellQuestions:
    """What is asked of the networks of cells, by label and seed."""
    return {
        (cell.combination.label, cell.seed): cost_questions(study, cell.combination, cell.seed)
        for cell in cells
    }


def cell_costs(
    asked: CellQuestions, answers: Mapping[NetworkQuestion, NetworkCost]
) -> dict[tuple[str, int], CellCost]:
    """What acts in each cell costs, of those whose every question has an answer."""
    return {
        key: CellCost(**{name: answers[question] for name, question in own.items()})
        for key, own in asked.items()
        if all(question in answers for question in own.values())
    }


def cost_questions(
    study: StudyConfig, combination: Combination, seed: int
) -> dict[str, NetworkQuestion]:
    """What is asked of the networks of a cell: its ``own``, and what earning back is made of."""
    names = {measure.name for measure in study.measured()}
    config = study.pipeline(combination, seed)
    timed = names & {"latency", "steps_to_earn_back"}

    def question(network: NetworkConfig, part: NetworkPart = "acting") -> NetworkQuestion:
        return NetworkQuestion(
            task=config.teacher.task.name,
            network=network,
            limbs=combination.limbs,
            part=part,
            timing=seed if timed else None,
        )

    taught, written = question(config.teacher.network), question(config.student.network)
    if combination.route == "teach":
        return {"own": taught}
    if combination.route == "distil":
        return {"own": written}
    writing = question(config.student.network, "writing")
    if "steps_to_earn_back" not in names:
        return {"own": writing}
    return {"own": writing, "writing": writing, "taught": taught, "written": written}
