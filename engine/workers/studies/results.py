"""What the runs of a study measured: returns robot by robot, costs, how fast students learned."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from db.queries.evaluations import summaries
from db.queries.metrics import list_series, read_points
from db.records import Run, RunKind, RunState
from db.session import Database
from engine.config.study import Combination, Group, Measure
from engine.evaluation.statistics import RobotReturn, earns
from engine.workers.lineage import Ancestry
from engine.workers.studies.graph import Cell
from engine.workers.studies.running import Plan

Returns = Mapping[str, RobotReturn]
"""By digest of the robot."""
Count = Callable[[str, Mapping[str, Mapping[str, Any]]], Sequence[Mapping[str, Any]]]
"""Gives a row of ``policy``, ``parameters`` and ``macs`` for each of some networks on a task."""
SCALAR = ""
"""Stands for all robots where a measure has one number for a seed."""
_CURVE_POINTS = 4000


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
        return done / len(self.cell.recipes)

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
        counted = self.budget.get("parameters")
        if measure.name == "multiply_adds":
            counted = self.multiply_adds
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
    database: Database, plan: Plan, count: Count | None = None
) -> dict[tuple[str, int], Result]:
    """Every cell by its label and seed, with what its finished runs measured.

    ``count`` counts networks; without it no parameters and multiply-adds are known.
    """
    ancestry = Ancestry(database)
    costs = _costs(plan, count) if count is not None else {}
    wanted = {
        measure.curve for measure in plan.study.measured() if measure.name == "steps_to_reach"
    }
    return {
        (cell.combination.label, cell.seed): _result(
            database, plan, cell, ancestry, costs.get(cell.combination.label, {}), wanted
        )
        for cell in plan.graph.cells
    }


def _result(
    database: Database,
    plan: Plan,
    cell: Cell,
    ancestry: Ancestry,
    cost: Mapping[str, float],
    curves: Iterable[str],
) -> Result:
    runs = {each: plan.runs[each] for each in cell.recipes if each in plan.runs}
    done = {each: run for each, run in runs.items() if run.state is RunState.FINISHED}
    judged = done.get(cell.judged)
    found: dict[str, Any] = {}
    if judged is not None and cell.evaluation in done:
        found["returns"] = _returns(database, ancestry, done[cell.evaluation], judged, judged)
        found["episodes"] = _episodes(done[cell.evaluation])
    if judged is not None and cell.beside in done and cell.teacher in done:
        teacher = done[cell.teacher]
        found["beside"] = _returns(database, ancestry, done[cell.beside], teacher, judged)
    if judged is not None:
        found["curves"] = {name: _curve(database, judged, name) for name in curves}
    return Result(
        cell,
        runs,
        budget=_budget(cell, done, cost.get("parameters")),
        multiply_adds=cost.get("macs"),
        **found,
    )


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


def _curve(database: Database, run: Run, name: str) -> list[tuple[int, float]]:
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


def _costs(plan: Plan, count: Count) -> dict[str, dict[str, float]]:
    """Parameters and multiply-adds of the network that acts, by combination."""
    by_task: dict[str, dict[str, Mapping[str, Any]]] = {}
    for combination in plan.study.combinations():
        task, network = acting_network(plan, combination)
        by_task.setdefault(task, {})[combination.label] = network
    rows = [row for task, networks in by_task.items() for row in count(task, networks)]
    return {
        str(row["policy"]): {"parameters": float(row["parameters"]), "macs": float(row["macs"])}
        for row in rows
    }


def acting_network(plan: Plan, combination: Combination) -> tuple[str, Mapping[str, Any]]:
    """The task and the network of the policy that a combination judges."""
    config = plan.study.pipeline(combination, plan.study.seeds[0])
    stage = config.teacher if combination.route == "teach" else config.student
    return config.teacher.task.name, stage.network.model_dump(mode="json")
