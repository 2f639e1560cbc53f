"""What the workspace's studies say about the claims of the paper: their verdicts, where they count.

A study counts that asks what the built-in one of that question asks, of runs of the declared
published setting; its preset, seeds and robots are its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from db.queries.studies import list_studies
from db.records import RunKind, StoredStudy
from db.session import Database
from engine.config.study import Comparison, Measure, StudyConfig, load_study
from engine.errors import HdtuiError
from engine.evaluation.decision import VERDICTS, Outcome
from engine.workers.lineage import Ancestry
from engine.workers.studies.results import Result, read_results
from engine.workers.studies.running import Plan, begun_study
from engine.workers.studies.verdict import Answer, judge
from hdtui.data.claims import Claim, Reason, Verdict
from hdtui.data.published import REINFORCED, chain_departure, departure


@dataclass(frozen=True)
class _Question:
    """Which comparison of which built-in study a claim is, and what it has to end in."""

    study: str
    cell: str
    against: str
    measure: Measure
    holds: tuple[Outcome, ...]
    target: str
    inverse: bool = False
    """Whether the claim is told as the second over the first."""


_KEPT = (Outcome.EQUAL, Outcome.HIGHER)
_QUESTIONS: Mapping[str, _Question] = {
    "student = teacher, trained": _Question(
        "rl-against-distilled",
        "network=distilled",
        "network=transformer",
        Measure(on="trained"),
        _KEPT,
        "about 1",
    ),
    "student = teacher, unseen": _Question(
        "held-out", "policy=student", "policy=teacher", Measure(on="unseen"), _KEPT, "about 1"
    ),
    "mutants help unseen robots": _Question(
        "distillation-robots",
        "robots=10",
        "robots=1",
        Measure(on="unseen"),
        (Outcome.HIGHER,),
        "above 1",
    ),
    "HN by RL behind distilled": _Question(
        "rl-against-distilled",
        "network=distilled",
        "network=reinforced",
        Measure(on="trained"),
        (Outcome.HIGHER,),
        "below 1",
        inverse=True,
    ),
}


@dataclass(frozen=True)
class StudyClaims:
    """Claims that a study gives a verdict on, and why other studies that ask do not, by claim."""

    judged: Mapping[str, Claim]
    why_not: Mapping[str, Reason]


NO_STUDIES = StudyClaims({}, {})


def read_study_claims(database: Database, ancestry: Ancestry) -> StudyClaims:
    """The claims that this workspace's studies judge: of several studies the one of most seeds."""
    judged: dict[str, Claim] = {}
    why_not: dict[str, Reason] = {}
    seeds: dict[str, int] = {}
    for stored, asked in _asking(list_studies(database)):
        plan, results = _read(database, stored)
        if plan is None:
            continue
        for name, question in asked.items():
            answer = _answer(plan, results, question)
            if answer is None:
                continue
            departs = _departure(ancestry, plan, results, answer)
            if departs:
                words = f"study {stored.name} asks this, but {departs}"
                why_not.setdefault(name, Reason("not as published", words))
            elif answer.decision.outcome not in VERDICTS:
                words = f"study {stored.name}: {answer.sentence}"
                why_not.setdefault(name, Reason(f"study {answer.decision.outcome}", words))
            elif len(answer.seeds) > seeds.get(name, 0):
                seeds[name] = len(answer.seeds)
                judged[name] = _claim(name, question, stored, answer)
    return StudyClaims(judged, why_not)


def _asking(
    studies: Sequence[StoredStudy],
) -> Iterator[tuple[StoredStudy, Mapping[str, _Question]]]:
    """Studies, the newest first, that are built-in ones but for preset, seeds and robots."""
    for stored in studies:
        asked = {
            name: question
            for name, question in _QUESTIONS.items()
            if _is(stored, load_study(question.study))
        }
        if asked:
            yield stored, asked


def _is(stored: StoredStudy, built_in: StudyConfig) -> bool:
    declared = built_in.model_dump(mode="json")
    # Keys that a study of an earlier version lacks had no other value then.
    return all(
        stored.document.get(key, declared[key]) == declared[key]
        for key in ("factors", "compare", "equal", "rule", "route", "trained")
    )


def _read(
    database: Database, stored: StoredStudy
) -> tuple[Plan | None, Mapping[tuple[str, int], Result]]:
    """A study beside what it measured; None where it cannot be read any more."""
    try:
        plan = begun_study(database, stored.name)
    except HdtuiError:  # a robot set it names is gone, or a setting
        return None, {}
    return plan, read_results(database, plan)


def _answer(
    plan: Plan, results: Mapping[tuple[str, int], Result], question: _Question
) -> Answer | None:
    for answer in judge(plan.study, results).answers:
        compared: Comparison = answer.comparison
        if (compared.cell, compared.against) == (question.cell, question.against) and (
            compared.measure == question.measure
        ):
            return answer
    return None


def _departure(
    ancestry: Ancestry, plan: Plan, results: Mapping[tuple[str, int], Result], answer: Answer
) -> str:
    """In what a run behind an answer is not of the declared setting, as the end of a sentence."""
    for label in (answer.comparison.cell, answer.comparison.against):
        for seed in answer.seeds:
            cell = results[label, seed].cell
            judged, evaluation = plan.runs[cell.judged], plan.runs[cell.evaluation]
            network = judged.config.get("network", {})
            if judged.kind is RunKind.TEACHER and network.get("kind") == "hypernetwork":
                words = departure(judged, REINFORCED)
            else:
                words = chain_departure(ancestry, evaluation, judged)
            if words:
                return words
    return ""


def _claim(name: str, question: _Question, stored: StoredStudy, answer: Answer) -> Claim:
    """A verdict as a claim: the ratio of both means, and the interval of their difference."""
    holds = answer.decision.outcome in question.holds
    first, second, difference = answer.first, answer.second, answer.difference
    ratio = ""
    figures: tuple[float, ...] = ()
    if first is not None and second is not None and difference is not None:
        over, under = first.mean.value, second.mean.value
        if question.inverse:
            over, under = under, over
        ratio, figures = f"{over / under:.2f}", (over / under,)
        ends = (difference.low, difference.high)
        if None not in ends:
            base = first.mean.value if question.inverse else second.mean.value
            sign = -1.0 if question.inverse else 1.0
            low, high = sorted(1 + sign * (end or 0.0) / base for end in ends)
            ratio = f"{ratio} [{low:.2f}, {high:.2f}]"
    return Claim(
        name,
        question.target,
        f"{ratio} n {len(answer.seeds)}",
        Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED,
        answer.runs,
        figures,
        study=stored.name,
        reason=f"study {stored.name}: {answer.sentence}",
    )
