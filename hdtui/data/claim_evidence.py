"""What studies and evaluations in the database say about the claims of the paper, over seeds.

A study's verdict comes first (``hdtui.data.claim_studies``). Else evaluations speak, of which only
runs of the declared published setting speak (``hdtui.data.published``), at equal budgets.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from db.queries.evaluations import summaries
from db.records import EpisodeSummary, Run, RunKind
from db.session import Database
from engine.evaluation.robot_groups import robot_groups
from engine.evaluation.statistics import RobotReturn, kept_ratio
from engine.workers.lineage import Ancestry
from hdtui.data.claim_studies import NO_STUDIES, StudyClaims, read_study_claims
from hdtui.data.claims import (
    Claim,
    KeptReturn,
    Reason,
    Verdict,
    behind_claim,
    difference_claim,
    kept_claim,
    size_claim,
)
from hdtui.data.measured import returns_by_policy, task_of
from hdtui.data.published import REINFORCED, budget, chain_departure, control_steps, departure
from hdtui.data.run_list import without_seeds

Ratios = Mapping[str, float | None]
Returns = Mapping[int, Mapping[str, RobotReturn]]
"""What an evaluation found, by policy run and robot."""


@dataclass(frozen=True)
class Evidence:
    """Students over their teachers with and without mutants, and HN-RL over students.

    ``weak`` are evaluations beside a teacher that earns about nothing: without a ratio. The
    reasons say why no other run speaks: what is nearest to a claim and does not count.
    """

    with_mutants: tuple[KeptReturn, ...]
    without_mutants: tuple[KeptReturn, ...]
    reinforced: tuple[KeptReturn, ...]
    weak: tuple[KeptReturn, ...] = ()
    why_not_kept: Reason | None = None
    why_not_mutants: Reason | None = None
    why_not_reinforced: Reason | None = None
    studies: StudyClaims = NO_STUDIES


@dataclass
class _Found:
    """Ratios by student or HN-RL run, and why those of others do not count, oldest first."""

    kept: dict[int, KeptReturn] = field(default_factory=dict)
    weak: dict[int, KeptReturn] = field(default_factory=dict)
    reinforced: dict[int, KeptReturn] = field(default_factory=dict)
    not_kept: list[tuple[Run, Reason]] = field(default_factory=list)
    not_reinforced: list[tuple[Run, Reason]] = field(default_factory=list)


def claims(evidence: Evidence, parameters: Ratios, macs: Ratios) -> list[Claim]:
    """The claims as rows; ``parameters`` and ``macs`` are transformer over base MLP by task."""
    kept, why = evidence.with_mutants or evidence.weak, evidence.why_not_kept
    with_mutants, without = evidence.with_mutants, evidence.without_mutants
    found = [
        size_claim("parameters: flat var. obst.", (6, 14), parameters),
        size_claim("MACs: flat var. obst.", (67, 160), macs),
        kept_claim("student = teacher, trained", "train", kept, why),
        kept_claim("student = teacher, unseen", "unseen", kept, why),
        difference_claim(
            "mutants help unseen robots", with_mutants, without, evidence.why_not_mutants
        ),
        behind_claim(
            "HN by RL behind distilled", "train", evidence.reinforced, evidence.why_not_reinforced
        ),
    ]
    return [_with_studies(claim, evidence.studies) for claim in found]


def _with_studies(claim: Claim, studies: StudyClaims) -> Claim:
    """A claim as a study judges it; else as runs do, with why no study does where none can."""
    judged, why = studies.judged.get(claim.name), studies.why_not.get(claim.name)
    if judged is not None or why is None or claim.verdict is not Verdict.NOT_MEASURED:
        return judged or claim
    here = claim.here if claim.runs else why.here
    return replace(claim, here=here, reason=why.sentence)


def read_evidence(database: Database) -> Evidence:
    """Return ratios of evaluations that hold both policies, one a student.

    Where runs of several settings count, those of the setting with most seeds speak, of equals
    the one with most control steps, then the newest: an interval is over seeds, not over settings.
    """
    ancestry = Ancestry(database)
    by_evaluation: dict[int, list[EpisodeSummary]] = {}
    for each in summaries(database):
        by_evaluation.setdefault(each.run_id, []).append(each)
    found = _Found()
    for evaluation_id in sorted(by_evaluation):
        evaluation = ancestry.runs.get(evaluation_id)
        if evaluation is not None and not evaluation.archived:
            _take(
                found,
                ancestry,
                evaluation,
                returns_by_policy(ancestry, by_evaluation[evaluation_id]),
            )
    with_mutants, without, why_not_mutants = _equal_groups(ancestry, found.kept)
    bare = [
        _but(each.evaluation_id, _NO_MUTANTS.format(each.student_id), _NOT_PUBLISHED)
        for each in without
    ]
    not_kept = [
        *(
            _alone(f"student {run.id} is evaluated beside no teacher of its own")
            for run in _named(ancestry, RunKind.STUDENT)
        ),
        *(reason for _, reason in found.not_kept),
        *(bare if not with_mutants else ()),
    ]
    not_reinforced = [
        *(
            _alone(f"teacher {run.id}, HN by RL, is evaluated beside no student")
            for run in _named(ancestry, RunKind.TEACHER)
            if _is_hypernetwork(run)
        ),
        *(reason for _, reason in found.not_reinforced),
    ]
    return Evidence(
        with_mutants,
        without,
        _most_seeds(ancestry, found.reinforced.values()),
        tuple(each for key, each in found.weak.items() if key not in found.kept),
        _last(not_kept),
        why_not_mutants or _why_one_is_missing(ancestry, found, with_mutants, not_kept),
        _last(not_reinforced),
        read_study_claims(database, ancestry),
    )


def _why_one_is_missing(
    ancestry: Ancestry, found: _Found, with_mutants: Sequence[KeptReturn], not_kept: list[Reason]
) -> Reason | None:
    """Why there is nothing to compare mutants with: the nearest student that does not count."""
    if not with_mutants:
        return _last(not_kept)
    return _last(
        [reason for student, reason in found.not_kept if not _has_mutants(ancestry, student)]
    )


_NOT_PUBLISHED, _UNEQUAL = "not as published", "unequal budgets"
_WEAK = "teacher earns about 0"
_NO_MUTANTS = "its student {} learned from no mutants"


def _named(ancestry: Ancestry, kind: RunKind) -> list[Run]:
    return [run for run in ancestry.runs.values() if run.kind is kind and not run.archived]


def _last(reasons: Sequence[Reason]) -> Reason | None:
    return reasons[-1] if reasons else None


def _alone(sentence: str) -> Reason:
    return Reason("not evaluated", sentence)


def _but(evaluation_id: int, why: str, here: str) -> Reason:
    return Reason(here, f"evaluation {evaluation_id} exists, but {why}")


def _take(found: _Found, ancestry: Ancestry, evaluation: Run, returns: Returns) -> None:
    """What one evaluation says, of every student and teacher in it."""
    for student, other in _pairs(ancestry, returns):
        reinforced = _is_hypernetwork(other)
        if not reinforced and other not in ancestry.teachers(student):
            continue
        departs = chain_departure(ancestry, evaluation, student)
        why = (_NOT_PUBLISHED, departs) if departs else None
        if reinforced:
            why = why or _unequal(ancestry, student, other)
            first, ratios = other, _ratios(ancestry, other, student, returns)
            counted, sentences = found.reinforced, found.not_reinforced
        else:
            first, ratios = student, _ratios(ancestry, student, other, returns)
            counted, sentences = found.kept, found.not_kept
        kept = KeptReturn(first.id, evaluation.id, ratios)
        if not why and not ratios:
            weak = student if reinforced else other
            why = _WEAK, f"its {weak.kind} {weak.id} earns about nothing"
            if not reinforced:
                found.weak[first.id] = kept
        if why:
            sentences.append((student, _but(evaluation.id, *reversed(why))))
        else:
            counted[first.id] = kept.after(counted.get(first.id))


def _unequal(ancestry: Ancestry, student: Run, reinforced: Run) -> tuple[str, str] | None:
    """Why a hypernetwork trained by RL cannot be compared with a distilled one, in two lengths."""
    departs = departure(reinforced, REINFORCED)
    if departs:
        return _NOT_PUBLISHED, departs
    teachers = ancestry.teachers(student)
    if reinforced.robot_sets not in {each.robot_sets for each in teachers}:
        words = f"teacher {reinforced.id} learned on other robots than the student's teacher"
        return "other robots", words
    own, taught = control_steps(reinforced), sum(control_steps(each) for each in teachers)
    if own == taught:
        return None
    words = f"teacher {reinforced.id} had {own:,.0f} control steps, the student's {taught:,.0f}"
    return _UNEQUAL, words


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


def _ratios(ancestry: Ancestry, over: Run, reference: Run, returns: Returns) -> dict[str, float]:
    """Mean return of one policy over that of another, by group of robots both were judged on."""
    above, below = returns[over.id], returns[reference.id]
    knowledge = [ancestry.knowledge(run) for run in (over, reference)]
    ratios: dict[str, float] = {}
    for group, digests in robot_groups(above.keys() & below.keys(), knowledge).items():
        ratio = kept_ratio(above, {digest: below[digest] for digest in digests})
        if group != "robots" and ratio is not None:
            ratios[group] = ratio
    return ratios


def _is_hypernetwork(run: Run) -> bool:
    network = run.config.get("network")
    kind = network.get("kind") if isinstance(network, Mapping) else None
    return run.kind is RunKind.TEACHER and kind == "hypernetwork"


def _has_mutants(ancestry: Ancestry, run: Run) -> bool:
    """Whether a student learned from mutants: made by a run behind it, or put into its sets."""
    made = any(each.kind is RunKind.MUTATION for each in ancestry.ancestors(run))
    return made or ancestry.met_children(run)


KeptReturns = tuple[KeptReturn, ...]


def _groups(ancestry: Ancestry, found: Iterable[KeptReturn]) -> list[KeptReturns]:
    """Ratios by setting, worst evidence first; of runs with equal seeds the newest counts."""
    settings: dict[str, dict[str, KeptReturn]] = {}
    for each in sorted(found, key=lambda each: each.evaluation_id):
        run = ancestry.runs[each.student_id]
        seeds = str(sorted((str(link.kind), link.seed) for link in ancestry.ancestors(run)))
        settings.setdefault(_setting(ancestry, each), {})[seeds] = each
    groups = [tuple(own.values()) for own in settings.values()]

    def evidence(group: KeptReturns) -> tuple[float, ...]:
        teachers = ancestry.teachers(ancestry.runs[group[0].student_id])
        return (len(group), sum(map(control_steps, teachers)), group[-1].evaluation_id)

    return sorted(groups, key=evidence)


def _most_seeds(ancestry: Ancestry, found: Iterable[KeptReturn]) -> KeptReturns:
    groups = _groups(ancestry, found)
    return groups[-1] if groups else ()


def _equal_groups(
    ancestry: Ancestry, kept: Mapping[int, KeptReturn]
) -> tuple[KeptReturns, KeptReturns, Reason | None]:
    """Students with mutants, those without at an equal budget, and why there is no such pair."""
    mutated = {run_id for run_id in kept if _has_mutants(ancestry, ancestry.runs[run_id])}
    first = _most_seeds(ancestry, (each for key, each in kept.items() if key in mutated))
    others = _groups(ancestry, (each for key, each in kept.items() if key not in mutated))
    if not first or not others:
        return first, others[-1] if others else (), None
    own = budget(ancestry, ancestry.runs[first[-1].student_id])
    why: Reason | None = None
    for group in reversed(others):
        student = ancestry.runs[group[-1].student_id]
        different = own.difference(budget(ancestry, student))
        if not different:
            return first, group, None
        words = f"with and without mutants budgets are unequal: {different}"
        why = why or _but(group[-1].evaluation_id, words, _UNEQUAL)
    return first, (), why


def _setting(ancestry: Ancestry, kept: KeptReturn) -> str:
    """What runs that differ by their seeds alone have in common: ancestors and evaluation."""
    chain = [
        [
            str(each.kind),
            without_seeds(each.config),
            [ancestry.role_of_set(name) for name in each.robot_sets],
        ]
        for each in ancestry.ancestors(ancestry.runs[kept.student_id])
    ]
    judged = ancestry.runs[kept.evaluation_id].config
    how = [task_of(judged), judged.get("episodes"), judged.get("deterministic")]
    ordered = sorted(chain, key=lambda link: str(link[0]))
    return json.dumps([*ordered, how], sort_keys=True)
