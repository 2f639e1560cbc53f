"""What a study says: each comparison's answer with all that it rests on, or why there is none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.config.study import Comparison, Measure, StudyConfig
from engine.evaluation.decision import VERDICTS, Decision, Outcome, decide, unequal_cost
from engine.evaluation.seeds_and_robots import (
    Scores,
    holm,
    paired,
    probability_of_improvement,
)
from engine.evaluation.statistics import ABOUT_NOTHING, Estimate
from engine.text import counted
from engine.workers.studies.results import Result

Results = Mapping[tuple[str, int], Result]
_TOO_SMALL_PRESET = "smoke"


@dataclass(frozen=True)
class Summary:
    """One side of a comparison, or a combination by itself: mean and interquartile mean."""

    mean: Estimate
    interquartile_mean: Estimate
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Answer:
    """What a comparison says. Numbers are None where nothing was measured."""

    comparison: Comparison
    decision: Decision
    first: Summary | None = None
    second: Summary | None = None
    difference: Estimate | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    improvement: float | None = None
    """How likely the first earns more on a robot than the second."""
    wins: tuple[int, int] | None = None
    """On how many robots the first's mean over seeds is higher, and of how many."""
    seeds: tuple[int, ...] = ()
    robots: int = 0
    runs: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """The answer for people, in one sentence."""
        compared, outcome = self.comparison, self.decision.outcome
        both = f"{compared.cell} and {compared.against}"
        if self.first is None or self.second is None:
            return f"{compared.measure.label}: {outcome} for {both}{_because(self.decision)}."
        numbers = f"{_number(self.first.mean.value)} against {_number(self.second.mean.value)}"
        if outcome not in VERDICTS:
            basis = self._basis() if outcome is Outcome.OPEN else ""
            return (
                f"{compared.measure.label}: {outcome} for {both}, {numbers}{basis}"
                f"{_because(self.decision)}."
            )
        words = f"{compared.cell} is {outcome} than {compared.against}"
        if outcome is Outcome.EQUAL:
            words = f"{both} are equal within {compared.margin:.0%}"
        return f"{compared.measure.label}: {words}, {numbers}{self._basis()}{self._expected()}."

    def _basis(self) -> str:
        if self.comparison.measure.counted or self.difference is None:
            return ""
        low, high = self.difference.low, self.difference.high
        interval = "" if low is None or high is None else f" [{_signed(low)}, {_signed(high)}]"
        robots = f" and {counted(self.robots, 'robot')}" if self.robots > 1 else ""
        over = f"{counted(len(self.seeds), 'seed')}{robots}"
        return f", difference {_signed(self.difference.value)}{interval} over {over}"

    def _expected(self) -> str:
        expected = self.comparison.expected
        if expected is None:
            return ""
        return (
            "; as expected" if expected == self.decision.outcome else f"; {expected} was expected"
        )


@dataclass(frozen=True)
class Verdict:
    """All answers of a study; ``answered`` says that each of them is a verdict."""

    answers: tuple[Answer, ...]

    @property
    def answered(self) -> bool:
        """Whether every comparison has a verdict."""
        outcomes = [answer.decision.outcome for answer in self.answers]
        return bool(outcomes) and all(each in VERDICTS for each in outcomes)

    @property
    def sentence(self) -> str:
        """All answers, one sentence each."""
        return " ".join(answer.sentence for answer in self.answers)


def judge(study: StudyConfig, results: Results) -> Verdict:
    """The verdict on what has been measured so far."""
    comparisons = study.comparisons()
    matched = [_matched(study, results, comparison) for comparison in comparisons]
    chance = [each.differences.p_value() for each in matched if each.by_chance]
    adjusted = iter(holm(chance))
    by_chance = max(len(chance), 1)
    answers = [_answer(study, each, adjusted, by_chance) for each in matched]
    return Verdict(tuple(answers))


def summary(study: StudyConfig, results: Results, label: str, measure: Measure) -> Summary | None:
    """A combination's measure over its finished seeds; None where it has none."""
    scores = scores_of(study, results, label, measure)
    return None if scores is None else _summary(scores, study.rule.confidence)


def scores_of(study: StudyConfig, results: Results, label: str, measure: Measure) -> Scores | None:
    """A combination's measure by seed and robot; None where no seed has it."""
    by_seed = [own for seed in study.seeds if (own := results[label, seed].values(measure))]
    return paired(by_seed, by_seed)[0] if by_seed else None


@dataclass(frozen=True)
class _Matched:
    """A comparison's numbers, seed by seed, and why they cannot be compared where they cannot."""

    comparison: Comparison
    first: Scores
    second: Scores
    differences: Scores
    seeds: tuple[int, ...]
    runs: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]
    problem: Decision | None

    @property
    def by_chance(self) -> bool:
        """Whether it is one of those among which a false alarm could be."""
        return (
            self.problem is None
            and bool(self.differences.by_seed)
            and not self.comparison.measure.counted
        )


def _matched(study: StudyConfig, results: Results, comparison: Comparison) -> _Matched:
    measure = comparison.measure
    pairs = [
        (seed, results[comparison.cell, seed], results[comparison.against, seed])
        for seed in study.seeds
    ]
    values = [
        (seed, one, two, one.values(measure), two.values(measure)) for seed, one, two in pairs
    ]
    values = [each for each in values if each[3].keys() & each[4].keys()]
    first, second, differences = paired(
        [own for *_, own, _ in values], [other for *_, other in values]
    )
    both = [result for _, one, two, _, _ in values for result in (one, two)]
    names = tuple(tuple(sorted(own.keys() & other.keys())) for *_, own, other in values)
    return _Matched(
        comparison,
        first,
        second,
        differences,
        tuple(seed for seed, *_ in values),
        tuple(sorted({run.id for result in both for run in result.runs.values()})),
        names,
        _problem(study, measure, pairs, [each[:3] for each in values], (first, second)),
    )


def _problem(
    study: StudyConfig,
    measure: Measure,
    pairs: Sequence[tuple[int, Result, Result]],
    measured: Sequence[tuple[int, Result, Result]],
    scores: tuple[Scores, Scores],
) -> Decision | None:
    """Why two combinations cannot be judged, None where they can."""
    if study.preset == _TOO_SMALL_PRESET:
        return Decision(Outcome.TOO_SMALL, f"preset {_TOO_SMALL_PRESET} learns nothing")
    if not measured:
        return _unmeasured(measure, pairs)
    for seed, one, two in measured:
        if measure.name in ("return", "ratio") and one.episodes != two.episodes:
            return Decision(Outcome.NOT_COMPARABLE, f"seed {seed} was judged by other episodes")
        words = unequal_cost(one.budget, two.budget, study.equal)
        if words and not measure.counted:
            return Decision(Outcome.NOT_COMPARABLE, f"of seed {seed} they cost unequal {words}")
    if measure.name == "return" and max(each.mean for each in scores) < ABOUT_NOTHING:
        return Decision(Outcome.TOO_SMALL, "both earn about nothing")
    return None


def _unmeasured(measure: Measure, pairs: Sequence[tuple[int, Result, Result]]) -> Decision:
    judged = [result for _, *both in pairs for result in both if result.returns and result.beside]
    if measure.name == "ratio" and judged:
        return Decision(Outcome.TOO_SMALL, "the teacher earns about nothing")
    return Decision(Outcome.UNMEASURED)


def _answer(study: StudyConfig, found: _Matched, adjusted: Iterator[float], many: int) -> Answer:
    confidence = study.rule.confidence
    comparison, differences = found.comparison, found.differences
    if not differences.by_seed:
        return Answer(comparison, found.problem or Decision(Outcome.UNMEASURED))
    p_value = adjusted_p = None
    margin = comparison.margin * abs(found.second.mean)
    if found.problem is not None:
        decision = found.problem
    elif comparison.measure.counted:
        decision = _exact(differences.mean, margin)
    else:
        p_value, adjusted_p = differences.p_value(), next(adjusted)
        decision = decide(
            differences,
            p_value=adjusted_p,
            margin=margin,
            error=1.0 - confidence,
            comparisons=many,
            minimum_seeds=study.rule.minimum_seeds,
        )
    scalar = found.first.by_seed[0].size == 1
    return Answer(
        comparison,
        decision,
        _summary(found.first, confidence),
        _summary(found.second, confidence),
        differences.mean_estimate(confidence),
        p_value,
        adjusted_p,
        probability_of_improvement(found.first, found.second),
        None if scalar else _wins(found),
        found.seeds,
        len({name for names in found.names for name in names}),
        found.runs,
    )


def _exact(difference: float, margin: float) -> Decision:
    """What was counted is no matter of chance."""
    if abs(difference) <= margin:
        return Decision(Outcome.EQUAL)
    return Decision(Outcome.HIGHER if difference > 0 else Outcome.LOWER)


def _wins(found: _Matched) -> tuple[int, int]:
    """On how many robots the mean difference over seeds is above zero."""
    by_robot: dict[str, list[float]] = {}
    for names, values in zip(found.names, found.differences.by_seed, strict=True):
        for name, value in zip(names, values, strict=True):
            by_robot.setdefault(name, []).append(float(value))
    return sum(sum(values) > 0 for values in by_robot.values()), len(by_robot)


def _summary(scores: Scores, confidence: float) -> Summary:
    return Summary(
        scores.mean_estimate(confidence),
        scores.interquartile_estimate(confidence),
        tuple(float(values.mean()) for values in scores.by_seed),
    )


def _because(decision: Decision) -> str:
    if not decision.reason:
        return ""
    return f": {decision.reason}" if decision.outcome is Outcome.OPEN else f", as {decision.reason}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{_number(abs(value))}"
