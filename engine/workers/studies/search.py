"""A search goes on: what its trials were worth, which are behind, and what is tried next.

Optuna proposes and compares. It is told all trials anew each time, from what their runs measured,
so nothing of it is stored and whoever asks gets the same answer after any kill.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.records import Run, RunState
from db.session import Database
from engine.config.overrides import plain
from engine.config.search import Range
from engine.config.study import TRIAL, Combination, StudyConfig, checked_study, merged
from engine.errors import ConfigError, RunError, UsageError
from engine.text import counted
from engine.workers.commands import request_stop
from engine.workers.studies.results import Result, read_curve, read_results
from engine.workers.studies.running import Plan, begun_study, run_study

if TYPE_CHECKING:
    import optuna

RETURNS = {"teacher": "return", "student": "return_train"}
"""The curve of returns while it trains, by what is searched."""
_FEWEST = 4
"""Trials with a value below which no setting is said to matter."""
_PROPOSALS = 100
"""How many proposals in a row may be no settings that can be run."""
_PERCENT = 100
Results = Mapping[tuple[str, int], Result]
Curve = Sequence[tuple[int, float]]
"""Returns by percent of a training."""


@dataclass(frozen=True)
class Trial:
    """Settings that were tried; ``value`` is its measure over all seeds, None before its end."""

    name: str
    settings: Mapping[str, Any]
    state: RunState
    progress: float
    value: float | None
    runs: tuple[int, ...]
    left_out: bool

    @property
    def label(self) -> str:
        """Its combination of levels."""
        return f"{TRIAL}={self.name}"

    @property
    def open(self) -> bool:
        """Whether it can still end in a value by itself."""
        return self.value is None and not self.left_out and not self.state.ended


def trials(plan: Plan, results: Results) -> list[Trial]:
    """All trials of a search so far, in the order in which they were tried."""
    found = []
    for name, level in plan.study.trials.items():
        cells = [results[f"{TRIAL}={name}", seed] for seed in plan.study.seeds]
        values = [value for cell in cells if (value := _value(plan.study, cell)) is not None]
        states = [cell.state for cell in cells]
        works = [state for state in states if not state.ended]
        unfinished = [state for state in states if state is not RunState.FINISHED]
        found.append(
            Trial(
                name,
                level.settings,
                next(iter((*works, *unfinished)), RunState.FINISHED),
                sum(cell.progress for cell in cells) / len(cells),
                sum(values) / len(values) if len(values) == len(cells) else None,
                tuple(sorted({run.id for cell in cells for run in cell.runs.values()})),
                name in plan.study.search.left_out,
            )
        )
    return found


def _value(study: StudyConfig, cell: Result) -> float | None:
    values = cell.values(study.measured()[0])
    return sum(values.values()) / len(values) if values else None


def best(study: StudyConfig, tried: Sequence[Trial]) -> Trial | None:
    """The best of the trials that have a value, None where none has."""
    known = [each for each in tried if each.value is not None]
    sign = -1.0 if study.measured()[0].smaller_is_better else 1.0
    return max(known, key=lambda each: sign * (each.value or 0.0), default=None)


def best_so_far(study: StudyConfig, tried: Sequence[Trial]) -> str:
    """What a search says, as a sentence."""
    found = best(study, tried)
    known = sum(each.value is not None for each in tried)
    if found is None or found.value is None:
        return f"No trial of {study.search.trials} has a value yet."
    settings = " ".join(f"{key}={plain(value)}" for key, value in found.settings.items())
    return (
        f"Best of {counted(known, 'trial')}: {found.label} with {settings},"
        f" {study.measured()[0].label} {found.value:.4g}. The best of many is lucky as well: run it"
        " with other seeds before you believe the number."
    )


def advance(database: Database, name: str) -> bool:
    """Let a search stop what is behind and try what is next; whether there is more to come.

    Raises:
        UsageError: There is none of this name, or Optuna is not installed.
        RunError: Somebody else let it go on at the same time.
    """
    plan = begun_study(database, name)
    study = plan.study
    if not study.ranges or study.search.paused:
        return False
    if any(not run.state.ended for run in plan.given_up):  # whoever left them out was killed
        _stop(database, plan)
    tried = trials(plan, read_results(database, plan))
    told = _told(study, tried, {each.name: _curve(database, plan, each) for each in tried})
    behind = [each for each in tried if each.open and each.name in told.behind]
    open_ = len([each for each in tried if each.open]) - len(behind)
    room = min(study.search.together - open_, study.search.trials - len(tried))
    proposed = dict(_proposals(study, told.study, len(tried), max(room, 0)))
    if proposed or behind:
        left_out = [*study.search.left_out, *(each.name for each in behind)]
        changes = {
            "factors": {TRIAL: {n: {"settings": settings} for n, settings in proposed.items()}},
            "search": {"left_out": left_out},
        }
        document = merged(study.model_dump(mode="json"), changes)
        # A trial that failed stays so, or a search would never come to its end.
        changed = checked_study(document, f"study {name}")
        run_study(database, changed, resuming=False, instead_of=plan.before)
        _stop(database, begun_study(database, name))
    return open_ + len(proposed) > 0


def _stop(database: Database, plan: Plan) -> None:
    """Stop what was queued for trials that are left out, as far as nobody else reads it."""
    for run in reversed(plan.given_up):
        if run.id in plan.made and not run.state.ended:
            try:
                request_stop(database, run.id)
            except RunError:  # it has ended since
                continue


@dataclass(frozen=True)
class _Told:
    """Optuna's study of all trials, and those that its rule of halving would stop."""

    study: "optuna.Study"
    behind: frozenset[str]


def _told(study: StudyConfig, tried: Sequence[Trial], curves: Mapping[str, Curve]) -> _Told:
    """Tell Optuna all trials in their order; those that have ended before those that work."""
    told = _empty_study(study)
    behind = set()
    for each in sorted(tried, key=lambda each: each.open):
        told.enqueue_trial(dict(each.settings))
        trial = told.ask(fixed_distributions=distributions(study))
        for percent, value in curves.get(each.name, ()):
            trial.report(value, percent)
            if trial.should_prune():
                behind.add(each.name)
                break
        if not each.open:
            told.tell(trial, **_end(each))
    return _Told(told, frozenset(behind))


def _end(trial: Trial) -> dict[str, Any]:
    from optuna.trial import TrialState

    if trial.value is not None:
        return {"values": trial.value}
    return {"state": TrialState.PRUNED if trial.left_out else TrialState.FAIL}


def _empty_study(study: StudyConfig) -> "optuna.Study":
    """Raises: UsageError where Optuna is not installed."""
    try:
        import optuna
    except ImportError:
        raise UsageError(
            f"study {study.name} is a search and needs Optuna: pip install 'hdtui[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = study.search
    # What is proposed depends on how many were tried: never the same twice in a row.
    seed = search.seed * 1000 + len(study.trials)
    samplers = optuna.samplers
    sampler: optuna.samplers.BaseSampler = samplers.RandomSampler(seed=seed)
    if search.sampler == "tpe":
        sampler = samplers.TPESampler(seed=seed, constant_liar=True)
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if search.halving is not None:
        first = max(round(search.halving.first * _PERCENT), 1)
        pruner = optuna.pruners.SuccessiveHalvingPruner(first, search.halving.factor)
    directions = optuna.study.StudyDirection
    smaller = study.measured()[0].smaller_is_better
    direction = directions.MINIMIZE if smaller else directions.MAXIMIZE
    return optuna.create_study(sampler=sampler, pruner=pruner, direction=direction)


def distributions(study: StudyConfig) -> dict[str, Any]:
    """What a search varies, by setting, in Optuna's words."""
    return {each.setting or name: _distribution(each) for name, each in study.ranges.items()}


def _distribution(within: Range) -> Any:
    from optuna import distributions

    if within.integer is not None:
        return distributions.IntDistribution(*within.integer)
    if within.categorical is not None:
        return distributions.CategoricalDistribution(within.categorical)
    bounds = within.uniform or within.log_uniform or (0.0, 0.0)
    return distributions.FloatDistribution(*bounds, log=within.log_uniform is not None)


def _proposals(
    study: StudyConfig, told: "optuna.Study", tried: int, room: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """So many new trials by name; settings that cannot be run are told as failed.

    Raises:
        UsageError: None of many proposals in a row can be run.
    """
    from optuna.trial import TrialState

    within = {each.setting or name: each for name, each in study.ranges.items()}
    for number in range(tried + 1, tried + room + 1):
        for _ in range(_PROPOSALS):
            trial = told.ask(fixed_distributions=distributions(study))
            settings = {key: _readable(value, within[key]) for key, value in trial.params.items()}
            try:
                levels = ((TRIAL, str(number)),)
                combination = Combination(levels, study.route, settings, {})
                study.pipeline(combination, study.seeds[0])
            except ConfigError:
                told.tell(trial, state=TrialState.FAIL)
                continue
            yield str(number), settings
            break
        else:
            raise UsageError(
                f"study {study.name}: {_PROPOSALS} settings within its ranges in a row cannot be"
                " run; narrow the ranges"
            )


def _readable(value: Any, within: Range) -> Any:
    """Four digits of a number that is no whole one: nobody wants to read or repeat more."""
    if not isinstance(value, float) or within.categorical is not None:
        return value
    short = float(f"{value:.4g}")
    return short if within.holds(short) else value


def _curve(database: Database, plan: Plan, trial: Trial) -> Curve:
    """Returns while it trains, by percent of its training; the mean over seeds that came so far."""
    if plan.study.search.halving is None:
        return []
    curves = []
    for cell in plan.graph.cells:
        if cell.combination.label == trial.label:
            own = cell.teacher if plan.study.searched == "teacher" else cell.judged
            run = plan.runs.get(own)
            curves.append({} if run is None else _by_percent(database, run, plan.study.searched))
    common = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return [(x, sum(curve[x] for curve in curves) / len(curves)) for x in common]


def _by_percent(database: Database, run: Run, searched: str) -> dict[int, float]:
    """At each percent of its length that a run has reached, the first value told from then on."""
    if not run.total:
        return {}
    points = read_curve(database, run, RETURNS[searched])
    found: dict[int, float] = {}
    reached = 0
    for step, value in points:
        percent = min(int(step / run.total * _PERCENT), _PERCENT)
        found.update(dict.fromkeys(range(reached + 1, percent + 1), value))
        reached = max(reached, percent)
    return found


def importances(study: StudyConfig, tried: Sequence[Trial]) -> dict[str, float]:
    """How much each setting matters, as shares of 1 (PED-ANOVA); empty where too little is known.

    Raises:
        UsageError: Optuna is not installed.
    """
    known = [each for each in tried if each.value is not None]
    if len(known) < _FEWEST or len({each.value for each in known}) == 1:
        return {}
    told = _told(study, known, {}).study
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    return get_param_importances(told, evaluator=PedAnovaImportanceEvaluator())
