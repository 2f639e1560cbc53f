"""What evaluations in the database say about the claims of the paper, over seeds."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.queries.evaluations import summaries
from db.records import EpisodeSummary, Run, RunKind, RunState
from engine.evaluation.robot_groups import Knowledge, robot_groups
from engine.evaluation.statistics import surely_positive
from engine.workers.lineage import Ancestry
from hdtui.services.claims import (
    Claim,
    KeptReturn,
    behind_claim,
    difference_claim,
    kept_claim,
    size_claim,
)
from hdtui.services.run_list import without_seeds

if TYPE_CHECKING:
    from db.session import Database

Ratios = Mapping[str, float | None]
_PIPELINE_PREFIX = re.compile(r"^pipeline\d+-")


@dataclass(frozen=True)
class Evidence:
    """Students over their teachers with and without mutants, and HN-RL over students.

    ``weak`` are evaluations beside a teacher that earns nothing for sure: without a ratio.
    """

    with_mutants: tuple[KeptReturn, ...]
    without_mutants: tuple[KeptReturn, ...]
    reinforced: tuple[KeptReturn, ...]
    weak: tuple[KeptReturn, ...] = ()


def claims(evidence: Evidence, parameters: Ratios, macs: Ratios) -> list[Claim]:
    """The claims as rows; ``parameters`` and ``macs`` are transformer over base MLP by task."""
    kept = evidence.with_mutants or evidence.without_mutants or evidence.weak
    return [
        size_claim("parameters: flat var. obst.", (6, 14), parameters),
        size_claim("MACs: flat var. obst.", (67, 160), macs),
        kept_claim("student = teacher, trained", "train", kept),
        kept_claim("student = teacher, unseen", "unseen", kept),
        difference_claim(
            "mutants help unseen robots", evidence.with_mutants, evidence.without_mutants
        ),
        behind_claim("HN by RL behind distilled", "train", evidence.reinforced),
    ]


def read_evidence(database: "Database") -> Evidence:
    """Return ratios of evaluations that hold both policies, one a student.

    Where runs of several settings were evaluated, those of the setting with most seeds count, the
    newest of them where there are several: an interval is over seeds, not over settings.
    """
    ancestry = Ancestry(database)
    by_evaluation: dict[int, list[EpisodeSummary]] = {}
    for each in summaries(database):
        by_evaluation.setdefault(each.run_id, []).append(each)
    kept: dict[int, KeptReturn] = {}
    reinforced: dict[int, KeptReturn] = {}
    for evaluation_id in sorted(by_evaluation):
        evaluation = ancestry.runs.get(evaluation_id)
        if evaluation is None or evaluation.archived or evaluation.state is not RunState.FINISHED:
            continue
        returns = _returns(ancestry, by_evaluation[evaluation_id])
        for student, other in _pairs(ancestry, returns):
            if _is_hypernetwork(other):
                behind = _ratios(ancestry, other, student, returns)
                before = reinforced.get(other.id)
                reinforced[other.id] = KeptReturn(other.id, evaluation_id, behind).after(before)
            elif other in ancestry.teachers(student):
                ratios = _ratios(ancestry, student, other, returns)
                before = kept.get(student.id)
                kept[student.id] = KeptReturn(student.id, evaluation_id, ratios).after(before)
    mutated = {run_id for run_id in kept if _has_mutants(ancestry, ancestry.runs[run_id])}
    return Evidence(
        _most_seeds(ancestry, (each for key, each in kept.items() if key in mutated)),
        _most_seeds(ancestry, (each for key, each in kept.items() if key not in mutated)),
        _most_seeds(ancestry, reinforced.values()),
        tuple(each for each in kept.values() if not each.ratios),
    )


def _returns(ancestry: Ancestry, found: Sequence[EpisodeSummary]) -> dict[int, dict[str, float]]:
    """Mean return by policy run and robot."""
    returns: dict[int, dict[str, float]] = {}
    for each in found:
        if each.policy_run_id is not None and each.policy_run_id in ancestry.runs:
            returns.setdefault(each.policy_run_id, {})[each.robot_digest] = each.mean_return
    return returns


def _pairs(ancestry: Ancestry, run_ids: Iterable[int]) -> list[tuple[Run, Run]]:
    """Students and the teachers evaluated beside them."""
    runs = [ancestry.runs[run_id] for run_id in run_ids]
    return [
        (student, teacher)
        for student in runs
        if student.kind is RunKind.STUDENT
        for teacher in runs
        if teacher.kind is RunKind.TEACHER
    ]


def _ratios(
    ancestry: Ancestry, over: Run, reference: Run, returns: Mapping[int, Mapping[str, float]]
) -> dict[str, float]:
    """Mean return of one policy over that of another, by group of robots both were judged on."""
    above, below = returns[over.id], returns[reference.id]
    common = above.keys() & below.keys()
    knowledge = [
        Knowledge(ancestry.trained_on(run), ancestry.known_to(run)) for run in (over, reference)
    ]
    return {
        group: sum(above[each] for each in digests) / sum(below[each] for each in digests)
        for group, digests in robot_groups(common, knowledge).items()
        if group != "robots" and surely_positive([below[digest] for digest in digests])
    }


def _is_hypernetwork(run: Run) -> bool:
    network = run.config.get("network")
    return isinstance(network, Mapping) and network.get("kind") == "hypernetwork"


def _has_mutants(ancestry: Ancestry, run: Run) -> bool:
    """Whether a student learned from mutants: made by a run behind it, or put into its sets."""
    made = any(each.kind is RunKind.MUTATION for each in ancestry.ancestors(run))
    return made or ancestry.met_children(run)


def _most_seeds(ancestry: Ancestry, found: Iterable[KeptReturn]) -> tuple[KeptReturn, ...]:
    settings: dict[str, list[KeptReturn]] = {}
    for each in found:
        if each.ratios:
            run = ancestry.runs[each.student_id]
            settings.setdefault(_setting(ancestry, run), []).append(each)
    groups = sorted(settings.values(), key=lambda group: (len(group), group[-1].evaluation_id))
    return tuple(groups[-1]) if groups else ()


def _setting(ancestry: Ancestry, run: Run) -> str:
    """What runs that differ by their seeds alone have in common, ancestors included."""
    chain = [
        [
            str(each.kind),
            without_seeds(each.config),
            [_PIPELINE_PREFIX.sub("", name) for name in each.robot_sets],
        ]
        for each in ancestry.ancestors(run)
    ]
    return json.dumps(sorted(chain, key=lambda link: str(link[0])), sort_keys=True)
