"""The claims of the paper as rows: target, our figure with its interval and runs, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from engine.statistics import Interval, interval

NEEDED_SEEDS = 3
_ABOUT = 0.05


class Verdict(StrEnum):
    """What our figures say about a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class Claim:
    """A claim, its target in words, our figure in words, where it comes from, and the verdict."""

    name: str
    target: str
    here: str
    verdict: Verdict
    runs: tuple[int, ...] = ()
    figures: tuple[float, ...] = ()
    over_seeds: Interval | None = None
    reason: str = ""
    """Why it could not be judged, or what the study says that judges it, as a sentence."""
    study: str = ""
    """The study whose verdict this is; empty where runs of the declared setting speak."""


class Reason(NamedTuple):
    """Why a claim is not judged: a few words, and a sentence that names runs."""

    here: str
    sentence: str


NO_RUN = Reason("no run", "")


@dataclass(frozen=True)
class KeptReturn:
    """Student over teacher of one student run, by group of robots (``train``, ``unseen``).

    ``evaluations`` says which evaluation a group's ratio is from; ``evaluation_id`` is the newest.
    """

    student_id: int
    evaluation_id: int
    ratios: Mapping[str, float]
    evaluations: Mapping[str, int] = field(default_factory=dict)

    def after(self, before: KeptReturn | None) -> KeptReturn:
        """These ratios, and those of an earlier evaluation for the groups that this one lacks."""
        ratios, evaluations = dict(self.ratios), dict.fromkeys(self.ratios, self.evaluation_id)
        if before is not None:
            ratios = {**before.ratios, **ratios}
            evaluations = {**before.evaluations, **evaluations}
        return replace(self, ratios=ratios, evaluations=evaluations)

    def source(self, group: str) -> int:
        """The evaluation that a group's ratio is from."""
        return self.evaluations.get(group, self.evaluation_id)


def size_claim(name: str, published: tuple[int, int], ratios: Mapping[str, float | None]) -> Claim:
    """Is the transformer so many times larger than the base MLP, task by task?

    A ratio is reproduced where it, rounded to a whole number, lies within one of the published
    range.
    """
    low, high = published
    target = f"{low} to {high}x"
    known = {task: value for task, value in ratios.items() if value is not None}
    if len(known) < len(ratios):
        missing = " ".join(task for task in ratios if task not in known)
        here = f"not counted: {missing}" if known else "not counted"
        return Claim(name, target, here, Verdict.NOT_MEASURED)
    holds = all(low - 1 <= round(value) <= high + 1 for value in known.values())
    words = "  ".join(f"{value:.1f}" for value in known.values())
    verdict = Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED
    return Claim(name, target, words, verdict, figures=tuple(known.values()))


_WEAK = "teacher earns about 0"
_GROUPS = {"train": "trained", "unseen": "unseen"}


def kept_claim(
    name: str, group: str, found: Sequence[KeptReturn], why: Reason | None = None
) -> Claim:
    """Does the student keep the teacher's return on these robots, over three seeds or more?"""
    target = "about 1"
    measured = [each for each in found if group in each.ratios]
    if not measured:
        runs = tuple(each.evaluation_id for each in found)
        if not found:
            return unmeasured(name, target, why)
        last = f"evaluation {runs[-1]} exists, but its teacher earns about nothing"
        words = _WEAK
        if any(each.ratios for each in found):
            last, words = f"{last} on {_GROUPS[group]} robots, or it judged none", "no such robots"
        return replace(unmeasured(name, target, Reason(words, last)), runs=runs)
    return _ratio_claim(name, target, group, measured, lambda over: over.mean >= 1 - _ABOUT)


def behind_claim(
    name: str, group: str, found: Sequence[KeptReturn], why: Reason | None = None
) -> Claim:
    """Does the hypernetwork trained by reinforcement earn less than the distilled one?"""
    target = "below 1"
    measured = [each for each in found if group in each.ratios]
    if not measured:
        return unmeasured(name, target, why)
    return _ratio_claim(
        name, target, group, measured, lambda over: bool(over.bounds and over.bounds[1] < 1)
    )


def _ratio_claim(
    name: str,
    target: str,
    group: str,
    measured: Sequence[KeptReturn],
    holds: Callable[[Interval], bool],
) -> Claim:
    """What ratios on a group of robots say; nothing below three seeds."""
    ratios = tuple(each.ratios[group] for each in measured)
    runs = tuple(each.source(group) for each in measured)
    over_seeds = interval(ratios)
    here, verdict = interval_text(over_seeds), Verdict.NOT_REPRODUCED
    if over_seeds.count < NEEDED_SEEDS:
        here, verdict = f"{here}, needs {NEEDED_SEEDS}", Verdict.NOT_MEASURED
    elif holds(over_seeds):
        verdict = Verdict.REPRODUCED
    return Claim(name, target, here, verdict, runs, ratios, over_seeds)


def interval_text(found: Interval) -> str:
    """A ratio with its interval and the number of seeds: 0.99 [0.97, 1.00] n 3."""
    if found.bounds is None:
        return f"{found.mean:.2f}  n {found.count}"
    low, high = found.bounds
    return f"{found.mean:.2f} [{low:.2f}, {high:.2f}] n {found.count}"


def difference_claim(
    name: str,
    with_mutants: Sequence[KeptReturn],
    without: Sequence[KeptReturn],
    why: Reason | None = None,
) -> Claim:
    """Do students distilled with mutants keep more on unseen robots than those without?"""
    target = "above 0"
    first = [each.ratios["unseen"] for each in with_mutants if "unseen" in each.ratios]
    second = [each.ratios["unseen"] for each in without if "unseen" in each.ratios]
    judged = [each for each in (*with_mutants, *without) if "unseen" in each.ratios]
    runs = tuple(each.source("unseen") for each in judged)
    if not first or not second:
        missing = "with" if not first else "without"
        why = why or Reason(f"no run {missing} mutants", "")
        return replace(unmeasured(name, target, why), runs=runs)
    gain = interval(first).mean - interval(second).mean
    fewest = min(len(first), len(second))
    words = f"{gain:+.2f}  n {fewest}"
    if fewest < NEEDED_SEEDS:
        return Claim(name, target, f"{words}, needs {NEEDED_SEEDS}", Verdict.NOT_MEASURED, runs)
    # Above zero for every pairing of seeds: a small number of seeds allows no finer statement.
    holds = min(first) > max(second)
    verdict = Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED
    return Claim(name, target, words, verdict, runs, (gain,))


def unmeasured(name: str, target: str, why: Reason | None = None) -> Claim:
    """A claim that no run speaks about, and why not those that are nearest to it."""
    here, sentence = why or NO_RUN
    return Claim(name, target, here, Verdict.NOT_MEASURED, reason=sentence)


def claim_document(claim: Claim) -> dict[str, Any]:
    """A claim for scripts; ``interval`` is 95 % over seeds, null where there is none."""
    found = claim.over_seeds
    return {
        "claim": claim.name,
        "target": claim.target,
        "here": claim.here,
        "figure": found.mean if found else None,
        "figures": claim.figures,
        "interval": found.bounds if found else None,
        "seeds": found.count if found else None,
        "runs": claim.runs,
        "verdict": str(claim.verdict),
        "study": claim.study or None,
        "reason": claim.reason or None,
    }
