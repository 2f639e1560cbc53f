"""Studies as the cockpit shows them: read at every pulse, so what does not change is kept."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from db.queries.studies import get_study, list_studies
from db.records import Run, RunState, StoredStudy
from db.session import Database
from engine.config.network_cost import NetworkQuestion
from engine.config.overrides import plain
from engine.config.study import TRIAL, Combination, Measure, StudyConfig
from engine.errors import HdtuiError
from engine.evaluation.decision import VERDICTS, Decision, Outcome
from engine.workers.studies.results import (
    CellCost,
    CellQuestions,
    Kept,
    NetworkCost,
    Result,
    cell_costs,
    read_results,
)
from engine.workers.studies.running import Plan, declared, plan_of
from engine.workers.studies.search import best_so_far, trials
from engine.workers.studies.verdict import Answer, Summary, Verdict, judge, summary
from hdtui.data import studies
from hdtui.data.studies import Results, is_geometric

if TYPE_CHECKING:
    from engine.workers.studies.graph import Graph

Summaries = Mapping[tuple[str, str], Summary]
"""By combination and measure, over the seeds that have finished."""
CellCosts = Mapping[tuple[str, int], CellCost]
_WORST_FIRST = (RunState.FAILED, RunState.LOST, RunState.INTERRUPTED, RunState.STOPPED)
EYES_FIRST = (
    *_WORST_FIRST,
    RunState.RUNNING,
    RunState.STARTING,
    RunState.STOPPING,
    RunState.QUEUED,
)
"""States of unfinished runs, what needs eyes first."""


@dataclass(frozen=True)
class StudyView:
    """A study that was begun, its runs as they are, and what they say so far.

    ``uncounted`` is what is asked of its networks and nobody counted yet. ``said`` is what a search
    says, empty of any other study.
    """

    plan: Plan
    results: Results
    verdict: Verdict
    summaries: Summaries
    uncounted: tuple[NetworkQuestion, ...] = ()
    said: str = ""

    @property
    def study(self) -> StudyConfig:
        return self.plan.study

    @property
    def runs(self) -> dict[int, Run]:
        """Its runs by number, each once."""
        return {run.id: run for run in self.plan.runs.values()}

    @property
    def states(self) -> Counter[RunState]:
        """How many of its runs are in each state; those of trials that were left out are not."""
        given_up = {run.id for run in self.plan.given_up}
        return Counter(run.state for run in self.runs.values() if run.id not in given_up)

    @property
    def total(self) -> int:
        """How many runs it has that ``states`` tells of, those that were deleted included."""
        return self.states.total() + len(self.plan.missing)

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1: each run counts the same, of a search each trial."""
        if self.study.ranges:
            over = {f"{TRIAL}={name}" for name in self.study.search.left_out}
            tried = sum(
                1.0 if label in over else each.progress for (label, _), each in self.results.items()
            )
            return min(1.0, tried / (len(self.study.seeds) * self.study.search.trials))
        if not self.study.trained:
            return 0.0 if self.uncounted else 1.0
        shares = [
            1.0 if run.state is RunState.FINISHED else run.progress or 0.0
            for run in self.runs.values()
        ]
        return sum(shares) / max(self.total, 1)

    @property
    def state(self) -> RunState:
        """That of the study: at work while a run is, else what holds it up."""
        states = self.states
        if any(state.active for state in states):
            return RunState.RUNNING
        for state in (*_WORST_FIRST, RunState.QUEUED):
            if states[state]:
                return state
        if self.uncounted and not self.study.trained:
            return RunState.QUEUED
        if studies.trials_left(self.study):
            return RunState.STOPPED if self.study.search.paused else RunState.QUEUED
        return RunState.STOPPED if self.plan.missing else RunState.FINISHED

    @property
    def counts(self) -> bool:
        """Whether it tells what follows from networks alone, before any run has finished."""
        return not self.study.trained or any(each.counted for each in self.study.measured())

    def result(self, label: str, seed: int) -> Result:
        """A cell."""
        return self.results[label, seed]

    def summary(self, label: str, measure: Measure) -> Summary | None:
        """A measure of a combination over its finished seeds; None where none has it."""
        return self.summaries.get((label, measure.label))


@dataclass(frozen=True)
class UnreadableStudy:
    """A study that this version cannot read, and why."""

    name: str
    sentence: str


def run_of(result: Result) -> Run | None:
    """The run that a cell stands for: one at work, one that holds it up, or the next to start.

    Of a finished cell it is the evaluation, which gives its value.
    """
    runs = sorted(result.runs.values(), key=lambda run: run.id)
    chosen = [run for run in runs if run.state.active]
    chosen = chosen or [run for run in runs if run.state in _WORST_FIRST]
    chosen = chosen or [run for run in runs if run.state is RunState.QUEUED]
    return chosen[0] if chosen else result.runs.get(result.cell.evaluation)


class StudyReader:
    """Reads studies; keeps their graphs, what finished cells measured, and what that says."""

    def __init__(self) -> None:
        self.costs: dict[NetworkQuestion, NetworkCost] = {}
        self.counting: set[NetworkQuestion] = set()
        """What a child was asked to count: what it cannot, it cannot the next time."""
        self._declared: dict[str, tuple[StoredStudy, StudyConfig, Graph, CellQuestions]] = {}
        self._kept: dict[str, Kept] = {}
        self._judged: dict[str, tuple[Any, Verdict, Summaries]] = {}
        self._lock = threading.Lock()  # of two screens that ask at once

    def read(self, database: Database, name: str) -> StudyView:
        """A study as it is now.

        Raises:
            UsageError: None was begun under this name.
            ConfigError: This version cannot run it any more.
        """
        with self._lock:
            return self._view(database, get_study(database, name))

    def read_all(self, database: Database) -> Sequence[StudyView | UnreadableStudy]:
        """All studies that were begun, the newest first."""
        with self._lock:
            found: list[StudyView | UnreadableStudy] = []
            for stored in list_studies(database):
                try:
                    found.append(self._view(database, stored))
                except HdtuiError as error:
                    found.append(UnreadableStudy(stored.name, str(error)))
            return found

    def keep_costs(self, costs: Mapping[NetworkQuestion, NetworkCost]) -> None:
        """Know costs of networks that a child has counted."""
        self.costs.update(costs)

    def _view(self, database: Database, stored: StoredStudy) -> StudyView:
        name = stored.name
        known = self._declared.get(name)
        if known is None or known[0] != stored:
            study, graph = declared(database, stored)
            known = stored, study, graph, studies.asked_networks(study, graph)
            self._declared[name] = known
            self._kept.pop(name, None)  # recipes name what is kept, and may be others now
        _, study, graph, asked = known
        questions = studies.questions_of(asked)
        if any(question not in self.costs for question in questions):
            self.keep_costs(studies.known_networks(database, questions))
        uncounted = tuple(each for each in questions if each not in self.costs)
        costs = cell_costs(asked, self.costs)
        kept = self._kept.setdefault(name, {})
        plan = plan_of(database, stored, study, graph)
        results = read_results(database, plan, costs, kept)
        verdict, summaries = self._say(study, results, kept, costs, bool(uncounted))
        said = best_so_far(study, trials(plan, results)) if study.ranges else ""
        return StudyView(plan, results, verdict, summaries, uncounted, said)

    def _say(
        self, study: StudyConfig, results: Results, kept: Kept, costs: CellCosts, uncounted: bool
    ) -> tuple[Verdict, Summaries]:
        """What finished runs say: drawn again only when there are others."""
        basis = {key: known_by for key, (known_by, _) in kept.items()}, costs, uncounted
        judged = self._judged.get(study.name)
        if judged is None or judged[0] != basis:
            found = {
                (combination.label, measure.label): own
                for combination in study.combinations()
                for measure in study.measured()
                if (own := summary(study, results, combination.label, measure)) is not None
            }
            verdict = judge(study, results)
            if uncounted and "parameters" in study.equal:
                verdict = Verdict(tuple(map(_until_counted, verdict.answers)))
            judged = basis, verdict, found
            self._judged[study.name] = judged
        return judged[1], judged[2]


def _until_counted(answer: Answer) -> Answer:
    """The answer before it is known whether both networks are of one size: no verdict."""
    if answer.decision.outcome not in VERDICTS or answer.comparison.measure.counted:
        return answer
    waits = Decision(Outcome.UNMEASURED, "the sizes of its networks are not counted yet")
    return replace(answer, decision=waits)


@dataclass(frozen=True)
class Axis:
    """Where the combinations of a study stand beside each other.

    ``places`` are by combination, ``ticks`` the levels of ``factor``. ``groups`` are combinations
    that differ in it alone, ``numbers`` says that its levels are numbers and not names.
    """

    factor: str
    places: Mapping[str, float]
    ticks: tuple[tuple[float, str], ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    numbers: bool = False
    log: bool = False


def axis_of(study: StudyConfig) -> Axis:
    """The factor that a study is drawn against: the first one of numbers, else the first one."""
    combinations = study.combinations()
    varied = {name: levels for name, levels in study.factors.items() if len(levels) > 1}
    if not varied:
        places = {each.label: float(place) for place, each in enumerate(combinations, start=1)}
        ticks = tuple((place, label) for label, place in places.items())
        return Axis("", places, ticks, (("", tuple(places)),))
    values = {
        name: [level.value for level in levels.values() if level.value is not None]
        for name, levels in varied.items()
    }
    numeric = next((name for name in varied if len(values[name]) == len(varied[name])), None)
    factor = numeric or next(iter(varied))
    numbers = values[factor] if numeric else [float(n + 1) for n in range(len(varied[factor]))]
    at = dict(zip(varied[factor], numbers, strict=True))
    groups: dict[str, list[str]] = {}
    for each in combinations:
        groups.setdefault(_others(each, factor), []).append(each.label)
    return Axis(
        factor,
        {each.label: at[dict(each.levels)[factor]] for each in combinations},
        tuple((place, level) for level, place in at.items()),
        tuple((title, tuple(labels)) for title, labels in groups.items()),
        numbers=numeric is not None,
        log=numeric is not None and is_geometric(numbers),
    )


def _others(combination: Combination, factor: str) -> str:
    """The levels of a combination but for that of a factor."""
    return " ".join(f"{name}={level}" for name, level in combination.levels if name != factor)


def short_labels(study: StudyConfig) -> tuple[str, dict[str, str]]:
    """The heading of a study's settings, and what each is called under it.

    One factor stands in the heading, and its levels alone below; trials with what they try.
    """
    combinations: Sequence[Combination] = study.combinations()
    if study.ranges:
        return TRIAL, {each.label: _trial_words(study, each) for each in combinations}
    if len(study.factors) == 1:
        [factor] = study.factors
        return factor, {each.label: each.levels[0][1] for each in combinations}
    return "setting", {each.label: each.label for each in combinations}


def _trial_words(study: StudyConfig, trial: Combination) -> str:
    """The number of a trial and its settings, by the last words of their keys."""
    name = trial.levels[0][1]
    tried = study.trials[name].settings
    return " ".join([name, *(f"{key.rsplit('.', 1)[-1]}={plain(tried[key])}" for key in tried)])
