"""The list of runs: read, looked into by filters, sorted, grouped."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from db.queries.evaluations import mean_returns
from db.queries.metrics import last_values
from db.queries.runs import list_pipelines, list_runs
from db.records import Pipeline, Run, RunKind, RunState
from engine.statistics import Interval, interval
from hdtui.formatting import episode_return, printable
from hdtui.services.filters import Filter, Value
from hdtui.services.known_robots import Ancestry
from hdtui.services.runs import views
from hdtui.services.states import RunView, elapsed_s

if TYPE_CHECKING:
    from db.session import Database

FIELDS = (
    *("id", "kind", "name", "state", "return", "ratio", "unseen", "result", "took", "steps"),
    *("progress", "started", "created", "seed", "tag", "note", "pipeline", "preset", "study"),
    *("robots", "host", "device", "attempt", "archived"),
)
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
_RETURN_WORDS = ("return ", "mean return")
"""The words of results that are mean returns begin so."""


@dataclass(frozen=True)
class Judged:
    """What an evaluation says of a policy; None where it had no such robots.

    ``on_trained`` and ``unseen`` are mean returns, ``ratio`` is student over teacher on the
    robots that both were trained on.
    """

    on_trained: float | None = None
    ratio: float | None = None
    unseen: float | None = None

    def over(self, older: "Judged") -> "Judged":
        """This, with what only an older evaluation knows."""
        return Judged(
            self.on_trained if self.on_trained is not None else older.on_trained,
            self.ratio if self.ratio is not None else older.ratio,
            self.unseen if self.unseen is not None else older.unseen,
        )


@dataclass(frozen=True)
class RunsFacts:
    """All runs, newest first, with what their rows and filters need."""

    views: tuple[RunView, ...]
    pipelines: Mapping[int, Pipeline]
    now: datetime
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    judged: Mapping[int, Judged] = field(default_factory=dict)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Columns, metrics and configuration keys that filters, sorting and columns know, once."""
        names = {name: None for values in self.metrics.values() for name in values}
        settings = (key for each in self.views[:200] for key in flat_config(each.run.config))
        return tuple(dict.fromkeys((*FIELDS, *names, *settings)))


class RunsReader:
    """Reads the list; last values of ended runs' metrics and finished evaluations are kept."""

    def __init__(self) -> None:
        self._metrics: dict[int, tuple[int, Mapping[str, float]]] = {}
        self._evaluations: dict[int, tuple[int, Mapping[int, Judged]]] = {}

    def read(self, database: "Database", host: str, now: datetime, archived: bool) -> RunsFacts:
        """The runs of the workspace with the last values of their metrics."""
        runs = list_runs(database, archived=archived)
        pipelines = {pipeline.id: pipeline for pipeline in list_pipelines(database)}
        metrics = self._last_values(database, runs)
        judged = self._judged(database, runs)
        return RunsFacts(tuple(views(database, runs, host, now)), pipelines, now, metrics, judged)

    def _last_values(
        self, database: "Database", runs: Sequence[Run]
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

    def _judged(self, database: "Database", runs: Sequence[Run]) -> dict[int, Judged]:
        """What the newest evaluations say of each policy; new evaluations are read at once."""
        kept = self._evaluations
        attempts = {run.id: run.attempt for run in runs if _is_finished_evaluation(run)}
        fresh = [key for key, attempt in attempts.items() if kept.get(key, (-1,))[0] != attempt]
        if fresh:
            found = mean_returns(database, fresh)
            ancestry = Ancestry(database) if found else None
            for key in fresh:
                judged = judge(ancestry, found[key]) if ancestry and key in found else {}
                kept[key] = attempts[key], judged
        newest: dict[int, Judged] = {}
        for key in sorted(attempts):
            for run_id, judged_now in kept[key][1].items():
                newest[run_id] = judged_now.over(newest.get(run_id, Judged()))
        return newest


def _is_finished_evaluation(run: Run) -> bool:
    return run.kind is RunKind.EVALUATION and run.state is RunState.FINISHED


def judge(ancestry: Ancestry, returns: Mapping[int, Mapping[str, float]]) -> dict[int, Judged]:
    """What one evaluation says of each of its policies; ``returns`` is by run and robot."""
    judged = {}
    for run_id in returns.keys() & ancestry.runs.keys():
        run, found = ancestry.runs[run_id], returns[run_id]
        trained, known = ancestry.trained_on(run), ancestry.known_to(run)
        judged[run_id] = Judged(
            _mean([value for digest, value in found.items() if digest in trained]),
            _ratio(ancestry, run, returns),
            _mean([value for digest, value in found.items() if digest not in known]),
        )
    return judged


def _ratio(
    ancestry: Ancestry, run: Run, returns: Mapping[int, Mapping[str, float]]
) -> float | None:
    """Its return over that of its teachers, on the robots that they were trained on."""
    own, teachers = 0.0, 0.0
    for teacher in ancestry.teachers(run):
        beside = returns.get(teacher.id, {}) if teacher.id != run.id else {}
        for digest in beside.keys() & returns[run.id].keys() & ancestry.trained_on(teacher):
            own += returns[run.id][digest]
            teachers += beside[digest]
    return own / teachers if teachers > 0 else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def flat_config(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flat_config(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def field_value(facts: RunsFacts, each: RunView, name: str) -> Value:
    """The value of a column, metric or setting of a run; None where unknown."""
    run = each.run
    simple = _SIMPLE.get(name)
    if simple is not None:
        return simple(facts, each)
    metric = facts.metrics.get(run.id, {}).get(name)
    if metric is not None:
        return metric
    setting: Any = run.config
    for part in name.split("."):
        setting = setting.get(part) if isinstance(setting, Mapping) else None
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    if setting is None or isinstance(setting, str | int | float):
        return setting
    return str(setting)


def _pipeline(facts: RunsFacts, each: RunView) -> Pipeline | None:
    return facts.pipelines.get(each.run.pipeline) if each.run.pipeline is not None else None


def _preset(facts: RunsFacts, each: RunView) -> Value:
    pipeline = _pipeline(facts, each)
    return pipeline.preset if pipeline else None


def mean_return(facts: RunsFacts, each: RunView) -> float | None:
    """The mean return that a run reached; losses, ratios and counts are none.

    A student's is that of the newest evaluation on robots it was trained on, else the last one
    that it measured itself.
    """
    run = each.run
    if run.kind is RunKind.TEACHER:
        return run.result
    judged = facts.judged.get(run.id, Judged()).on_trained
    own = facts.metrics.get(run.id, {}).get("return_train")
    told = run.result if (run.result_text or "").startswith(_RETURN_WORDS) else None
    return next((value for value in (judged, own, told) if value is not None), None)


_SIMPLE: Mapping[str, Callable[[RunsFacts, RunView], Value]] = {
    "": lambda facts, each: (each.run.name, each.run.note or "", *each.run.tags),
    "id": lambda facts, each: each.run.id,
    "kind": lambda facts, each: str(each.run.kind),
    "name": lambda facts, each: each.run.name,
    "state": lambda facts, each: each.shown,
    "return": mean_return,
    "ratio": lambda facts, each: facts.judged.get(each.run.id, Judged()).ratio,
    "unseen": lambda facts, each: facts.judged.get(each.run.id, Judged()).unseen,
    "result": lambda facts, each: each.run.result,
    "took": lambda facts, each: elapsed_s(each.run, facts.now),
    "steps": lambda facts, each: each.run.done,
    "progress": lambda facts, each: each.run.progress,
    "started": lambda facts, each: each.run.started_at,
    "created": lambda facts, each: each.run.created_at,
    "seed": lambda facts, each: each.run.seed,
    "tag": lambda facts, each: each.run.tags,
    "note": lambda facts, each: each.run.note,
    "pipeline": lambda facts, each: each.run.pipeline,
    "preset": _preset,
    "study": lambda facts, each: each.run.group,
    "robots": lambda facts, each: each.run.robot_sets,
    "host": lambda facts, each: each.run.host,
    "device": lambda facts, each: each.run.device,
    "attempt": lambda facts, each: each.run.attempt,
    "archived": lambda facts, each: "yes" if each.run.archived else "no",
}


def passing(facts: RunsFacts, wanted: Filter) -> list[RunView]:
    """The runs that pass a filter."""
    return [
        each
        for each in facts.views
        if wanted.passes(lambda name, each=each: field_value(facts, each, name))  # type: ignore[misc]
    ]


def sorted_runs(
    facts: RunsFacts, shown: Sequence[RunView], key: str, descending: bool
) -> list[RunView]:
    """Sorted by a field's number or text; unknown values come last either way."""
    known: list[tuple[Any, RunView]] = []
    unknown: list[RunView] = []
    for each in shown:
        value = field_value(facts, each, key)
        if value is None or value == "":
            unknown.append(each)
        else:
            known.append((_sortable(value), each))
    known.sort(key=lambda item: (item[0], item[1].run.id), reverse=descending)
    return [each for _, each in known] + unknown


def descends_first(shown: Sequence[RunView], key: str) -> bool:
    """Whether sorting begins with the highest: not by texts, nor where less is better."""
    if key == "result":
        kinds = {each.run.kind for each in shown if each.run.result is not None}
        return kinds != {RunKind.STUDENT}  # theirs is a held-out loss
    low = key.lower()
    return key not in _TEXTS and "loss" not in low and "kl" not in low


def _sortable(value: Value) -> tuple[int, float, str]:
    if isinstance(value, datetime):
        return (0, value.timestamp(), "")
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, value if isinstance(value, str) else " ".join(value or ()))


def first_queued(database: "Database") -> int | None:
    """The run that was queued last, of a pipeline its first one; None where there is no run."""
    newest = next(iter(list_runs(database, limit=1)), None)
    if newest is None or newest.pipeline is None:
        return newest.id if newest else None
    return list_runs(database, pipeline=newest.pipeline, newest_first=False, limit=1)[0].id


def best_sentence(facts: RunsFacts, shown: int) -> str:
    """Why a filter leaves nothing: how many there are and the best return among them."""
    returns = [mean_return(facts, each) for each in facts.views]
    known = [value for value in returns if value is not None]
    best = f"; the best return of {len(known)} is {episode_return(max(known))}" if known else ""
    return f"{len(facts.views) - shown} runs do not pass{best}"


@dataclass(frozen=True)
class Archiving:
    """The question before several runs are archived, or brought ``back`` where all are."""

    run_ids: tuple[int, ...]
    back: bool
    sentences: tuple[str, ...]


def read_archiving(database: "Database", run_ids: Sequence[int]) -> Archiving:
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
        """The mean result with its interval; None where kinds differ or nothing was reached."""
        results = [each.run.result for each in self.views if each.run.result is not None]
        kinds = {each.run.kind for each in self.views}
        return interval(results) if results and len(kinds) == 1 else None


def grouped_runs(facts: RunsFacts, shown: Sequence[RunView], by: str) -> list[RunGroup]:
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


def _group_key(facts: RunsFacts, each: RunView, by: str) -> str:
    if by == "pipeline":
        pipeline = _pipeline(facts, each)
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
