"""The list of runs: read, looked into by filters, sorted, grouped."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any, NamedTuple

from db.queries.evaluations import summaries
from db.queries.metrics import last_values
from db.queries.runs import list_pipelines, list_runs
from db.records import Pipeline, Run, RunKind, RunState
from db.session import Database
from engine.statistics import Interval, interval
from engine.text import counted
from engine.workers.lineage import Ancestry
from hdtui.data.columns import RUNS_ON_SCREEN, RecordColumn, sorted_by
from hdtui.data.measured import (
    COMPARED,
    Basis,
    ColumnName,
    Measured,
    chosen_basis,
    measured_in,
    result_basis,
    trained,
)
from hdtui.data.metric_names import metric_value
from hdtui.data.run_filters import Filter, Value, parse_filter
from hdtui.data.run_states import RunView, elapsed_s
from hdtui.data.run_views import views
from hdtui.formatting import episode_return, printable, setting

VALUES = {
    "kind": tuple(str(kind) for kind in RunKind),
    "state": (
        *("running", "queued", "finished", "failed", "stopped", "lost"),
        *("interrupted", "stalled", "starting", "stopping"),
    ),
    "archived": ("yes", "no"),
}
"""Fields with few values, the usual ones first."""
_TEXTS = ("name", "kind", "state")
_SEEDS = ("seed",)


@dataclass(frozen=True)
class PolicyScores:
    """What the list says of a policy; None where it was not measured as the others of the column.

    ``on_trained`` and ``unseen`` are mean returns, ``ratio`` is student over teacher on the robots
    that both were trained on, ``training`` is the return of a teacher while it learned.
    """

    on_trained: float | None = None
    ratio: float | None = None
    unseen: float | None = None
    training: float | None = None


@dataclass(frozen=True)
class RunList:
    """All runs, newest first, with what their rows and filters need."""

    views: tuple[RunView, ...]
    pipelines: Mapping[int, Pipeline]
    now: datetime
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    judged: Mapping[int, PolicyScores] = field(default_factory=dict)
    """By run, as the columns have it: every column on one basis."""
    apart: Mapping[int, PolicyScores] = field(default_factory=dict)
    """By run its own newest values on any basis: for filters, which compare it with a number."""
    bases: Mapping[str, Basis] = field(default_factory=dict)
    """By column what its values have in common."""

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Columns, metrics and configuration keys that filters, sorting and columns know, once."""
        names = {name: None for values in self.metrics.values() for name in values}
        settings = (key for each in self.views[:200] for key in flat_config(each.run.config))
        return tuple(dict.fromkeys((*RUNS_ON_SCREEN, *names, *settings)))


class RunsReader:
    """Reads the list; last values of ended runs' metrics and finished evaluations are kept."""

    def __init__(self) -> None:
        self._metrics: dict[int, tuple[int, Mapping[str, float]]] = {}
        self._evaluations: dict[int, tuple[int, tuple[Measured, ...]]] = {}

    def read(
        self,
        database: Database,
        now: datetime,
        archived: bool,
        pinned: int | None = None,
    ) -> RunList:
        """The runs of the workspace with the last values of their metrics.

        Columns of returns are on the basis of the ``pinned`` run where it has one.
        """
        runs = list_runs(database, archived=archived)
        pipelines = {pipeline.id: pipeline for pipeline in list_pipelines(database)}
        metrics = self._last_values(database, runs)
        measured = [*self._evaluated(database, runs), *trained(runs)]
        bases = {name: chosen_basis(measured, name, pinned) for name in COMPARED}
        return RunList(
            tuple(views(database, runs, now)),
            pipelines,
            now,
            metrics,
            judged_on(measured, bases),
            judged_on(measured, dict.fromkeys(COMPARED)),
            {name: basis for name, basis in bases.items() if basis is not None},
        )

    def _last_values(
        self, database: Database, runs: Sequence[Run]
    ) -> dict[int, Mapping[str, float]]:
        kept = self._metrics
        ended = {run.id: run.attempt for run in runs if run.state.ended}
        fresh = [run.id for run in runs if kept.get(run.id, (-1,))[0] != ended.get(run.id)]
        values: dict[int, Mapping[str, float]] = dict(last_values(database, fresh))
        for run in runs:
            if run.id not in values:
                values[run.id] = kept[run.id][1]
            elif run.id in ended:
                kept[run.id] = ended[run.id], values[run.id]
        return values

    def _evaluated(self, database: Database, runs: Sequence[Run]) -> list[Measured]:
        """What finished evaluations say of policies, oldest first; new ones are read at once."""
        kept = self._evaluations
        evaluations = {
            run.id: run
            for run in runs
            if run.kind is RunKind.EVALUATION and run.state is RunState.FINISHED
        }
        fresh = [run for key, run in evaluations.items() if kept.get(key, (-1,))[0] != run.attempt]
        ancestry = Ancestry(database) if fresh else None
        for run in fresh:
            if ancestry is not None:
                found = measured_in(ancestry, run, summaries(database, run.id))
                kept[run.id] = run.attempt, tuple(found)
        return [each for key in sorted(evaluations) for each in kept[key][1]]


def judged_on(
    measured: Sequence[Measured], bases: Mapping[ColumnName, Basis | None]
) -> dict[int, PolicyScores]:
    """The newest value of every run in each column, on the column's basis where it has one."""
    newest: dict[int, dict[str, float]] = {}
    for each in measured:
        if bases[each.column] in (None, each.basis):
            newest.setdefault(each.run_id, {})[each.column] = each.value
    return {
        run_id: PolicyScores(
            own.get("return"), own.get("ratio"), own.get("unseen"), own.get("training")
        )
        for run_id, own in newest.items()
    }


def flat_config(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flat_config(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def column_of(name: str) -> RecordColumn:
    """How the list shows a column, a metric or a setting."""
    return RUNS_ON_SCREEN.get(name) or RecordColumn(name, text=partial(_metric_or_setting, name))


def _metric_or_setting(name: str, value: Value) -> str:
    return metric_value(name, value) if isinstance(value, float) else setting(value)


class ListedRun(NamedTuple):
    """A run of the list and the list, which knows more of it than its record: for columns."""

    view: RunView
    facts: RunList

    @property
    def scores(self) -> PolicyScores:
        return self.facts.judged.get(self.view.run.id, PolicyScores())

    @property
    def took_s(self) -> float | None:
        return elapsed_s(self.view.run, self.facts.now)

    @property
    def pipeline(self) -> Pipeline | None:
        """The pipeline that it belongs to."""
        number = self.view.run.pipeline
        return None if number is None else self.facts.pipelines.get(number)

    @property
    def preset(self) -> str | None:
        return self.pipeline.preset if self.pipeline else None


def field_value(facts: RunList, each: RunView, name: str) -> Value:
    """The value of a column, metric or setting of a run; None where unknown."""
    run = each.run
    if not name:
        return run.name, run.note or "", *run.tags
    if name in RUNS_ON_SCREEN:
        column = RUNS_ON_SCREEN[name]
        value: Value = column.listed(ListedRun(each, facts)) if column.listed else column.of(run)
        return value
    metric = facts.metrics.get(run.id, {}).get(name)
    if metric is not None:
        return metric
    found: Any = run.config
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return "yes" if found else "no"
    if found is None or isinstance(found, str | int | float):
        return found
    return str(found)


def passing(facts: RunList, wanted: Filter) -> list[RunView]:
    """The runs that pass a filter; each is compared with the filter's number, not with others."""
    own = replace(facts, judged=facts.apart)
    return [
        each
        for each in facts.views
        if wanted.passes(lambda name, each=each: _filter_value(own, each, name))  # type: ignore[misc]
    ]


def _filter_value(facts: RunList, each: RunView, name: str) -> Value:
    """A run's own value; a return that no evaluation measured is that of its training."""
    value = field_value(facts, each, name)
    return field_value(facts, each, "training") if name == "return" and value is None else value


def filtered_runs(database: Database | None, words: str, *, archived: bool) -> list[Run]:
    """The runs that pass a filter as the screens read it, newest first, as they really are.

    Archived ones only where asked for, here or in the filter. Raises FilterError where the filter
    cannot be read.
    """
    at = datetime.now().astimezone()
    facts = RunList((), {}, at)
    if database is not None:
        facts = RunsReader().read(database, at, archived=True)
    asked = parse_filter(words, facts.fields, VALUES)
    shown = archived or "archived" in asked.fields
    return [each.run for each in passing(facts, asked) if shown or not each.run.archived]


def sorted_runs(
    facts: RunList, shown: Sequence[RunView], key: str, descending: bool
) -> list[RunView]:
    """Sorted by a field's number or text; unknown values come last either way."""

    def place(each: RunView) -> tuple[Any, ...] | None:
        value = field_value(facts, each, key)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return None
        kind = (each.run.result_kind or "") if key == "result" else ""
        return kind, *_sortable(value), each.run.id

    return sorted_by(shown, place, descending)


def descends_first(shown: Sequence[RunView], key: str) -> bool:
    """Whether sorting begins with the highest: not by texts, nor where less is better."""
    if key == "result":
        return {each.run.result_kind for each in shown if each.run.result is not None} != {"loss"}
    low = key.lower()
    return key not in _TEXTS and "loss" not in low and "kl" not in low


def _sortable(value: Value) -> tuple[int, float, str]:
    if isinstance(value, datetime):
        return (0, value.timestamp(), "")
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, value if isinstance(value, str) else " ".join(value or ()))


def first_queued(database: Database) -> int | None:
    """The run that was queued last, of a pipeline its first one; None where there is no run."""
    newest = next(iter(list_runs(database, limit=1)), None)
    if newest is None or newest.pipeline is None:
        return newest.id if newest else None
    return list_runs(database, pipeline=newest.pipeline, newest_first=False, limit=1)[0].id


def best_sentence(facts: RunList, shown: int) -> str:
    """Why a filter leaves nothing: how many there are and the best return among those alike."""
    words = counted(len(facts.views) - shown, "run does not pass", "runs do not pass")
    judged = facts.judged.values()
    for name, returns in (
        ("evaluated", [each.on_trained for each in judged]),
        ("trained", [each.training for each in judged]),
    ):
        known = [value for value in returns if value is not None]
        if known:
            alike = f" of {len(known)} {name} alike" if len(known) > 1 else ""
            return f"{words}; the best return{alike} is {episode_return(max(known))}"
    return words


@dataclass(frozen=True)
class Archiving:
    """The question before several runs are archived, or brought ``back`` where all are."""

    run_ids: tuple[int, ...]
    back: bool
    sentences: tuple[str, ...]


def read_archiving(database: Database, run_ids: Sequence[int]) -> Archiving:
    """What archiving these runs means; those that are gone are left out."""
    runs = list_runs(database, ids=run_ids)
    back = all(run.archived for run in runs)
    names = ", ".join(f"{run.id} {run.kind} {printable(run.name)}" for run in runs[:6])
    more = f" and {len(runs) - 6} more" if len(runs) > 6 else ""
    asked = f"Bring {len(runs)} runs back" if back else f"Archive {len(runs)} runs"
    after = "They stand in the lists again." if back else "archived:yes in the filter shows them."
    return Archiving(tuple(run.id for run in runs), back, (f"{asked}: {names}{more}?", after))


@dataclass(frozen=True)
class RunGroup:
    """Runs that belong together, in the order of the list, with a title and what they reached."""

    key: str
    title: str
    views: tuple[RunView, ...]

    @property
    def over_runs(self) -> Interval | None:
        """The mean result with its interval; None where they are not of one kind and one basis."""
        runs = [each.run for each in self.views if each.run.result is not None]
        alike = {result_basis(run) for run in runs} | {each.run.kind for each in self.views}
        return interval([run.result or 0.0 for run in runs]) if len(alike) == 2 else None


def grouped_runs(facts: RunList, shown: Sequence[RunView], by: str) -> list[RunGroup]:
    """Runs in groups, in the order of their first ones; equal titles are told apart."""
    groups: dict[str, list[RunView]] = {}
    for each in shown:
        groups.setdefault(_group_key(facts, each, by), []).append(each)
    titles = Counter[str]()
    found = []
    for key, views_of in groups.items():
        title = config_without_seed(views_of[0].run) if by == "config" else key
        titles[title] += 1
        if titles[title] > 1:
            title = f"{title}, other settings {titles[title]}"
        found.append(RunGroup(key, title, tuple(views_of)))
    return found


def _group_key(facts: RunList, each: RunView, by: str) -> str:
    if by == "pipeline":
        pipeline = ListedRun(each, facts).pipeline
        if pipeline is None:
            return "no pipeline"
        words = (f"pipeline {pipeline.id}", pipeline.preset, pipeline.robot_set)
        return f"{' · '.join(word for word in words if word)} · seed {pipeline.seed}"
    if by == "study":
        return f"study {each.run.group}" if each.run.group else "no study"
    if by == "config":
        return config_key(each.run)
    return str(field_value(facts, each, by) or "unknown")


def config_key(run: Run) -> str:
    """The same for runs that differ by their seeds alone: kind, robot sets and settings."""
    settings = json.dumps(without_seeds(run.config), sort_keys=True)
    return f"{run.kind} {' '.join(run.robot_sets)} {settings}"


def without_seeds(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its seeds, at any depth."""
    return {
        key: without_seeds(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _SEEDS
    }


def config_without_seed(run: Run) -> str:
    """A title for runs that differ by their seed alone: kind and name without ``-s1``."""
    name = run.name.rsplit("-s", 1)[0] if run.name.rsplit("-s", 1)[-1].isdigit() else run.name
    return f"{run.kind} {name}"
