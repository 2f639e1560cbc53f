"""The rule of a verdict: what two settings' differences say, and when they say nothing.

An answer is given at equal cost, over seeds enough, where policies walk at all; anything else is
told as what it is. Pure: numbers in, words out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.evaluation.seeds_and_robots import Scores
from engine.text import counted

EQUAL_BUDGET = 0.05
"""Costs that differ by no more than this share of the larger are alike."""


class Outcome(StrEnum):
    """What a comparison ends in; only the first three are verdicts."""

    HIGHER = "higher"
    LOWER = "lower"
    EQUAL = "equal"
    OPEN = "open"
    NOT_COMPARABLE = "not comparable"
    TOO_SMALL = "too small to judge"
    UNMEASURED = "not measured yet"


VERDICTS = (Outcome.HIGHER, Outcome.LOWER, Outcome.EQUAL)


@dataclass(frozen=True)
class Decision:
    """An outcome and, where it is no verdict, why; ``more_seeds`` would decide, about."""

    outcome: Outcome
    reason: str = ""
    more_seeds: int | None = None


def decide(
    differences: Scores,
    *,
    p_value: float,
    margin: float,
    error: float,
    comparisons: int = 1,
    minimum_seeds: int = 3,
) -> Decision:
    """What differences say; ``error`` is how often any of all comparisons may be a false alarm.

    ``p_value`` is adjusted for all of them. ``margin`` is how far from zero both are still equal,
    in the unit of the differences.
    """
    confidence = 1.0 - error / comparisons
    interval = differences.interval(confidence)
    seeds = differences.seeds
    if interval is None or seeds < minimum_seeds:
        return _open(differences, confidence, margin, max(minimum_seeds - seeds, 1))
    if p_value <= error:
        return Decision(Outcome.HIGHER if differences.mean > 0 else Outcome.LOWER)
    if max(-interval[0], interval[1]) < margin:
        return Decision(Outcome.EQUAL)
    return _open(differences, confidence, margin, 1)


def _open(differences: Scores, confidence: float, margin: float, fewest: int) -> Decision:
    needed = differences.seeds_to_decide(confidence, margin)
    if needed is not None:
        more = max(needed - differences.seeds, fewest)
        return Decision(Outcome.OPEN, f"about {counted(more, 'more seed')} would decide", more)
    if differences.seeds < 2:
        why = f"one seed says nothing of others; at least {counted(fewest, 'more seed')}"
        return Decision(Outcome.OPEN, f"{why} would be needed", fewest)
    return Decision(Outcome.OPEN, "no number of seeds would decide: more robots would be needed")


def unequal_cost(
    one: Mapping[str, float | None], other: Mapping[str, float | None], names: Sequence[str]
) -> str:
    """In what two settings' costs differ by more than 5 %, as the end of a sentence; else empty.

    A cost that only one of them has, or that is not known, is no equal one.
    """
    for name in names:
        a, b = one.get(name), other.get(name)
        words = name.replace("_", " ")
        if a is None and b is None:
            continue
        if a is None or b is None:
            return f"{words}: {_number(a)} against {_number(b)}"
        if abs(a - b) > EQUAL_BUDGET * max(a, b):
            return f"{words}: {_number(a)} against {_number(b)}"
    return ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}"
