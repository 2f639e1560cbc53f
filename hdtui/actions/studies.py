"""What can be done to studies, by a key or a command: begin, stop, resume, extend, report."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.queries.studies import list_studies
from db.records import RunState
from db.session import Database
from engine.config.overrides import parse_assignment
from engine.config.study import MOST_CELLS, StudyConfig, load_study
from engine.errors import HdtuiError, UsageError
from engine.text import counted
from engine.workers.studies.running import (
    Plan,
    begun_study,
    extended,
    plan_study,
    planned_in_empty_workspace,
    resume_study,
    run_study,
    stop_study,
)
from hdtui.data.store import NoWorkspaceError, Store
from hdtui.data.studies import Estimate, estimate, trials_left
from hdtui.formatting import words_of
from hdtui.messages import Answer


def study_changes(
    *,
    preset: str | None = None,
    seeds: int | None = None,
    name: str | None = None,
    robots: str | None = None,
    unseen: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What is asked for otherwise than a study declares it, as ``load_study`` takes it."""
    sets = {"training": robots, "unseen": unseen}
    changes = {
        "preset": preset,
        "seeds": seeds,
        "name": name,
        "robots": {key: value for key, value in sets.items() if value is not None} or None,
        "settings": settings or None,
    }
    return {key: value for key, value in changes.items() if value is not None}


@dataclass(frozen=True)
class StudyRequest:
    """What a form asks for, as it was typed; what is empty is as the study declares it."""

    study: str = ""
    name: str = ""
    preset: str = ""
    seeds: str = ""
    robots: str = ""
    unseen: str = ""
    settings: str = ""
    fresh: bool = False

    def declared(self) -> StudyConfig:
        """The study that is asked for.

        Raises:
            UsageError: There is no such study, or a word cannot be read.
            ConfigError: A value is not valid.
        """
        if not self.study.strip():
            raise UsageError("choose a study, or type the name of a FILE.toml")
        changes = study_changes(
            preset=self.preset.strip() or None,
            seeds=number_of_seeds(self.seeds) if self.seeds.strip() else None,
            name=self.name.strip() or None,
            robots=self.robots.strip() or None,
            unseen=self.unseen.strip() or None,
            settings=dict(map(parse_assignment, words_of(self.settings))),
        )
        return load_study(self.study.strip(), changes)

    def command(self) -> str:
        """The command that begins the same."""
        words = ["hdtui", "study", "run", self.study.strip() or "NAME"]
        options = (
            ("--name", self.name),
            ("--preset", self.preset),
            ("--seeds", self.seeds),
            ("--robots", self.robots),
            ("--unseen", self.unseen),
        )
        words += [word for key, text in options if text.strip() for word in (key, text.strip())]
        words += [word for each in words_of(self.settings) for word in ("--set", each)]
        return shlex.join([*words, *(["--fresh"] if self.fresh else []), "--detach"])


@dataclass(frozen=True)
class Planned:
    """What a request would do, or the ``problem`` that keeps it from being done."""

    study: StudyConfig | None = None
    plan: Plan | None = None
    estimate: Estimate | None = None
    problem: str = ""

    @property
    def made(self) -> int:
        """How many runs it would queue."""
        return 0 if self.plan is None else len(self.plan.missing)

    @property
    def reused(self) -> int:
        """How many runs it would take that are there."""
        return 0 if self.plan is None else len({run.id for run in self.plan.runs.values()})


def planned(store: Store, wanted: StudyRequest) -> Planned:
    """What a request would do in a workspace, which need not be there."""
    try:
        study = wanted.declared()
    except HdtuiError as error:
        return Planned(problem=str(error))
    try:
        return store.ask(lambda database: _planned_in(database, study, wanted.fresh))
    except NoWorkspaceError:
        pass
    try:
        return Planned(study, planned_in_empty_workspace(study))
    except UsageError as error:
        return Planned(study, problem=str(error))


def _planned_in(database: Database, study: StudyConfig, fresh: bool) -> Planned:
    try:
        plan = plan_study(database, study, fresh=fresh)
    except UsageError as error:
        return Planned(study, problem=str(error))
    return Planned(plan.study, plan, estimate(database, plan.missing))


def free_study_name(database: Database, name: str) -> str:
    """A name that no study of the workspace has: this one, else with a number behind it."""
    taken = {study.name for study in list_studies(database)}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def begin(database: Database, wanted: StudyRequest) -> tuple[str, Answer]:
    """Queue what a study lacks; its name, and the sentence that says so.

    Raises:
        HdtuiError: It cannot be run; nothing was queued.
    """
    plan, made = run_study(database, wanted.declared(), fresh=wanted.fresh)
    return plan.study.name, Answer(queued_sentence(plan, made))


def queued_sentence(plan: Plan, made: int) -> str:
    """How many runs were queued, and how many were there."""
    reused = len({run.id for run in plan.runs.values()}) - made
    return f"study {plan.study.name}: {counted(made, 'run')} queued, {reused} reused"


def stop_warning(database: Database, name: str) -> tuple[str, ...]:
    """What stopping a study means; empty where nothing of it works, waits or is left to ask for."""
    plan = begun_study(database, name)
    active = sum(run.state.active for run in plan.unfinished)
    waiting = sum(run.state is RunState.QUEUED for run in plan.unfinished)
    asks = trials_left(plan.study) if not plan.study.search.paused else 0
    if not active + waiting + asks:
        return ()
    return (
        f"Stop study {name}? {counted(active, 'run')} at work, {waiting} waiting"
        + (f", {counted(asks, 'trial')} left to ask for." if asks else "."),
        "Those at work write a checkpoint and leave; R lets all go on from there. Runs that"
        " another study reads go on.",
        f"Same as hdtui study stop {shlex.quote(name)}",
    )


def stop(database: Database, name: str) -> Answer:
    """Stop the runs of a study that no other study reads."""
    return Answer(stopped_sentence(name, len(stop_study(database, name))))


def stopped_sentence(name: str, number: int) -> str:
    """How many runs of a study were stopped."""
    return f"study {name}: {counted(number, 'run')} stopped or asked to stop"


def resume(database: Database, name: str) -> Answer:
    """Let the runs of a study go on that ended unfinished, and queue those that are missing."""
    plan = begun_study(database, name)
    if plan.missing:
        plan, made = run_study(database, plan.study)
        return Answer(queued_sentence(plan, made))
    left = trials_left(plan.study)
    resumed = resume_study(database, name)
    if left and not plan.unfinished:
        return Answer(f"study {name} goes on, {counted(left, 'trial')} left to ask for")
    if resumed:
        return Answer(f"study {name}: {counted(len(resumed), 'run')} queued again")
    if plan.unfinished:
        return Answer(f"R: study {name} is at work, {counted(len(plan.unfinished), 'run')} left")
    return Answer(f"R: study {name} is finished, E extends it by seeds")


def more_seeds(database: Database, name: str, text: str) -> StudyConfig:
    """A begun study with so many seeds in all.

    Raises:
        UsageError: It is no such number, or no more than the study has.
    """
    seeds = number_of_seeds(text)
    study = extended(database, name, {}, seeds)
    before = len(begun_study(database, name).study.seeds)
    if seeds <= before:
        raise UsageError(f"study {name} has {counted(before, 'seed')} already; expected more")
    return study


def extend(database: Database, name: str, text: str) -> Answer:
    """Run a begun study with so many seeds in all; nothing is repeated.

    Raises:
        UsageError: As ``more_seeds``.
    """
    plan, made = run_study(database, more_seeds(database, name, text))
    return Answer(queued_sentence(plan, made))


def number_of_seeds(text: str) -> int:
    """How many seeds a text asks for.

    Raises:
        UsageError: It is no such number.
    """
    words = text.strip()
    if not (words.isascii() and words.isdigit() and 1 <= int(words[:9]) <= MOST_CELLS):
        raise UsageError(f"seeds: found {text!r}; expected how many, 1 to {MOST_CELLS}")
    return int(words)
