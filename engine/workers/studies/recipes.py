"""Recipes: the digest of everything that a run's result depends on.

Two runs of one recipe would do the same work, so a study takes one that is there. A set of robots
that a run fills is known by that run's recipe, any other by the digest of its robots.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError

from db.queries.robots import list_sets
from db.queries.runs import list_runs
from db.records import CHECKPOINTS, Run, RunKind, RunState
from db.session import Database
from engine.config.base import Config
from engine.workers.robot_library import FILLED_SETS
from engine.workers.stages import STAGES

_ALONE = ("file", "files", CHECKPOINTS)
"""In ``extra`` of runs that read what no recipe tells: files, and policies not yet finished."""


def current_version() -> str:
    """The version of what computes now."""
    return version("hdtui")


def recipe(
    kind: RunKind,
    config: Config,
    *,
    reads: Sequence[str] = (),
    robots: Sequence[str] = (),
    also: Sequence[str] = (),
    made_by: str | None = None,
) -> str:
    """The recipe of a run: kind, settings (its seed among them), and what it reads, by recipes.

    ``robots`` are what ``set_made_by`` or ``set_of_robots`` say, ``also`` the roles of the sets it
    fills or the baselines it judges, ``made_by`` the version, by default the present one.
    """
    document = [
        str(kind),
        config.model_dump(mode="json"),
        list(reads),
        list(robots),
        list(also),
        made_by or current_version(),
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def set_made_by(maker: str, role: str) -> str:
    """The robots of a role that a run of a recipe makes."""
    return f"{role} of {maker}"


def set_of_robots(digest: str) -> str:
    """Robots that are there already."""
    return f"robots {digest}"


class KnownRecipes:
    """The recipes of all runs and robot sets of a workspace, read once."""

    def __init__(self, database: Database) -> None:
        runs = list_runs(database, archived=True, newest_first=False)
        self._runs = {run.id: run for run in runs}
        self._digests = {one.name: one.digest for one in list_sets(database, removed=True)}
        self._makers = {
            name: (run, role)
            for run in reversed(runs)
            if run.kind.fills_sets
            for role, name in filled_by(run).items()
        }
        self._recipes: dict[int, str | None] = {}

    def robots(self, set_name: str) -> str | None:
        """What a set is to recipes; None where nobody knows it."""
        if set_name in self._makers:
            maker, role = self._makers[set_name]
            own = self.of(maker)
            return None if own is None else set_made_by(own, role)
        digest = self._digests.get(set_name)
        return None if digest is None else set_of_robots(digest)

    def of(self, run: Run) -> str | None:
        """The recipe of a run; None where its result depends on more than recipes tell."""
        if run.id not in self._recipes:
            self._recipes[run.id] = None  # what reads itself has none
            self._recipes[run.id] = self._computed(run)
        return self._recipes[run.id]

    def usable(self) -> dict[str, Run]:
        """By recipe, the run to take: finished ones before those that still wait or work."""
        ranks = {RunState.FINISHED: 2}
        found: dict[str, Run] = {}
        for run in self._runs.values():
            rank = ranks.get(run.state, 0 if run.state.ended else 1)
            own = self.of(run) if rank else None
            if own is not None:
                known = found.get(own)
                if known is None or ranks.get(known.state, 1) < rank:
                    found[own] = run
        return found

    def _computed(self, run: Run) -> str | None:
        if any(run.extra.get(key) for key in _ALONE):
            return None
        stage = STAGES[run.kind]
        inputs = [self._runs.get(number) for number in run.inputs]
        read = [each for each in inputs if each is None or not each.kind.fills_sets]
        reads = [None if each is None else self.of(each) for each in read]
        robots = [self.robots(name) for name in run.robot_sets]
        try:
            config = stage.config.model_validate(dict(run.config))
        except ValidationError:
            return None
        if None in reads or None in robots:
            return None
        also = [*run.extra.get("baselines", ()), *filled_by(run)]
        return recipe(
            run.kind,
            config,
            reads=[each for each in reads if each],
            robots=[each for each in robots if each],
            also=also,
            made_by=run.versions.get("hdtui"),
        )


def filled_by(run: Run) -> Mapping[str, str]:
    """The sets that a run fills, by their roles."""
    roles = [key.removesuffix("_set") for key in FILLED_SETS]
    named: dict[str, Any] = {role: run.extra.get(f"{role}_set") for role in roles}
    return {role: name for role, name in named.items() if isinstance(name, str)}
