"""The launch form as data: settings from the schemas, what differs, what is wrong, the command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.queries.runs import get_run
from db.records import Run, RunKind
from engine.config.overrides import differences, flat, plain, with_settings
from engine.config.robots import MutationConfig
from engine.errors import ConfigError
from engine.workers.inherited import found_in, starting_config
from engine.workers.new_runs import clone_name, request_of
from engine.workers.policy_files import PRETRAINED
from engine.workers.robot_library import TRAINING, UNSEEN, set_names
from engine.workers.stages import (
    GENERATED,
    PIPELINE,
    STAGES,
    Robots,
    Stage,
    StageRequest,
    filled_sets,
    policies_of,
)
from hdtui.data.form_choices import (
    FormChoices,
    free_set_name,
    inputs_problem,
    new_set_problem,
    robots_problem,
)
from hdtui.data.settings import (
    FormRow,
    faults,
    nearest_preset,
    parsed_or_text,
    setting_rows,
    start_of,
    value_at,
    with_values,
)
from hdtui.formatting import setting, words_of

if TYPE_CHECKING:
    from db.session import Database
    from engine.config.base import Config

STAGE_NAMES = tuple(map(str, STAGES))
TOP_FIELDS: Mapping[str, str] = {
    "name": "name",
    "preset": "preset",
    "study": "study",
    "from": "inputs",
    "robots": "robots",
    "into": "into",
}
"""Rows above the settings, and the field of the form that each shows."""


def read_clone(database: Database, run_id: int) -> RunForm:
    """A form that starts from a run: its settings, robots, inputs and study.

    Raises:
        RunError: There is no such run.
        ConfigError: Its settings are not valid in this version.
    """
    run = get_run(database, run_id)
    return form_of_clone(run, request_of(run, found_in(database), set_names(database)))


@dataclass
class RunForm:
    """What the user asked for so far; raw texts are kept until they are valid.

    ``runs`` are those of the workspace in ``home``; a stage's inputs decide some settings. ``role``
    is that of the robots a generation makes; ``allowed_roles`` were confirmed for the robots.
    ``opened_with`` holds what its upper rows showed first, and ``opened_on`` the run it cloned.
    """

    stage: str = "teacher"
    preset: str = "quick"
    robots: str = ""
    inputs: str = ""
    into: str = ""
    name: str = ""
    study: str = ""
    raw: dict[str, str] = field(default_factory=dict)
    clone: Run | None = None
    runs: Mapping[int, Run] = field(default_factory=dict)
    home: Path = Path()
    role: str = TRAINING
    allowed_roles: frozenset[str] = frozenset()
    opened_with: dict[str, str] = field(init=False)
    opened_on: Run | None = field(init=False)
    filled_in: bool = field(init=False)

    def __post_init__(self) -> None:
        self.opened_with = {key: self.top(key) for key in TOP_FIELDS}
        self.opened_on = self.clone
        self.filled_in = self.clone is not None

    @property
    def kind(self) -> Stage:
        return STAGES[self.stage]

    @property
    def top_keys(self) -> list[str]:
        """The rows above the settings that this stage has."""
        kind = self.kind
        return [
            *([] if kind.fills or self.stage == PIPELINE else ["name"]),
            "preset",
            "study",
            *(["from"] if kind.reads else []),
            *([] if kind.robots is Robots.NONE else ["robots"]),
            *(["into"] if kind.fills else []),
        ]

    def top(self, key: str) -> str:
        return str(getattr(self, TOP_FIELDS[key]))

    def set_top(self, key: str, text: str) -> None:
        setattr(self, TOP_FIELDS[key], text)
        if key == "robots":  # a word for other robots is none for these
            self.allowed_roles = frozenset()

    def take_preset(self, name: str) -> str:
        """Start from a preset, no more from a run; the sentence that says so."""
        left, self.clone, self.preset = self.clone, None, name
        if left is None:
            return f"preset {name}"
        return f"preset {name} takes the place of run {left.id}; u brings the run back"

    def takes_many(self, key: str) -> bool:
        """Whether a row may hold several words."""
        if key == "from":
            return bool(self.kind.baselines)
        return self.kind.robots in (Robots.SETS, Robots.SETS_AND_ROBOTS)

    def offers(self, key: str, known: FormChoices) -> list[tuple[str, str]]:
        """What the workspace has for a row, and what each is: runs, or sets and robots."""
        if key == "from":
            runs = known.usable(self.kind.reads)
            baselines = [(word, "a policy to compare with") for word in self.kind.baselines]
            pretrained = [
                (word, f"a {kind} that comes with hdtui")
                for word, kind in PRETRAINED.items()
                if kind in self.kind.reads
            ]
            found = [(str(run.id), f"{run.kind} {run.name}") for run in runs]
            return [*found, *pretrained, *baselines]
        own = [(GENERATED, "new robots")] if self.stage == PIPELINE else []
        single = known.robots if self.kind.robots is Robots.SETS_AND_ROBOTS else ()
        sets = known.offered_sets(self.kind)
        return [
            *own,
            *((name, known.about_sets.get(name, "")) for name in sets),
            *((name, "a robot") for name in single),
        ]

    def undo(self, key: str) -> bool:
        """Take the change of a row back; False where it was as it is."""
        if key not in TOP_FIELDS:
            return self.raw.pop(key, None) is not None
        before = self.top(key), self.clone
        self.set_top(key, self.opened_with[key])
        if key == "preset":
            self.clone = self.opened_on
        return before != (self.top(key), self.clone)

    def start(self) -> Config:
        """The settings that changes are applied to: the preset's, or those of the cloned run."""
        start = start_of(self.stage, self.preset)
        if self.clone is not None:
            return type(start).model_validate(dict(self.clone.config))
        return self._fitted(start)

    def _fitted(self, start: Config) -> Config:
        """A preset as its command takes it, after the runs that the stage reads."""
        numbers = policies_of(words_of(self.inputs), self.home)[0]

        def find(wanted: Sequence[int]) -> list[Run]:
            return [self.runs[number] for number in wanted if number in self.runs]

        return starting_config(start, find, numbers)

    def base(self) -> Config:
        """What stands beside the settings: the start, with what follows from changed names.

        A changed name itself stands beside the name that it replaces.
        """
        start = self.start()
        chosen = {key: value for key, value in self.changes().items() if key in start.NAMING}
        try:
            named = start.renamed(chosen)
        except ConfigError:
            return start
        base: Config = with_values(named, {key: value_at(start, key) for key in chosen})
        return base

    @property
    def base_label(self) -> str:
        """What the column of base values is called."""
        return f"run {self.clone.id}" if self.clone else self.preset

    def changes(self) -> dict[str, Any]:
        """The changed settings, their texts read as values."""
        start = self.start()
        return {key: parsed_or_text(start, key, text) for key, text in self.raw.items()}

    def problems(self, known: FormChoices | None = None) -> dict[str, str]:
        """What is wrong, by key; sets and runs are looked up where the workspace is known."""
        kind = self.kind
        robots = words_of(self.robots)
        found: dict[str, str | None] = {}
        if kind.reads:
            found["from"] = inputs_problem(known, words_of(self.inputs), kind)
        if kind.robots is not Robots.NONE and not (
            self.stage == PIPELINE and robots in ([], [GENERATED])
        ):
            found["robots"] = robots_problem(known, robots, kind)
        if kind.fills:
            found["into"] = new_set_problem(known, self.into)
        wrong = {key: sentence for key, sentence in found.items() if sentence is not None}
        try:
            self.config()
        except ConfigError as error:
            wrong |= faults(error, type(self.start()), self.raw)
        return wrong

    def config(self) -> Config:
        """The settings with all changes.

        Raises:
            ConfigError: A value is not valid.
        """
        return with_settings(self.start(), self.changes(), "")

    def rows(self, open_sections: set[str]) -> list[FormRow]:
        """Settings in order; those of closed sections are counted in their section."""
        return list(setting_rows(self.base(), self.raw, "", 0, open_sections))

    def set_value(self, key: str, text: str) -> None:
        """Change a setting; the base value takes the change back."""
        base_value = value_at(self.base(), key)
        if text.strip() in {setting(base_value), plain(base_value)}:
            self.raw.pop(key, None)
        else:
            self.raw[key] = text.strip()

    @property
    def automatic_name(self) -> str:
        """The name of a clone that is given none: its run's, with what differs from it."""
        if self.clone is None:
            return ""
        try:
            return clone_name(self.clone, self._request(name=self.clone.name))
        except ConfigError:
            return self.clone.name

    def command(self) -> str:
        kind = self.kind
        words = ["hdtui", *kind.command.split(), *self._subject_words()]
        name = self.name.strip() or self.automatic_name
        if name and "name" in self.top_keys:
            words += ["--name", name]
        if self.study.strip():
            words += ["--study", self.study.strip()]
        words += [word for role in sorted(self.allowed_roles) for word in ("--allow-role", role)]
        for key, value in self._against_preset().items():
            words += self._setting_words(key, value)
        # A deployment takes seconds: its command waits for the files.
        return shlex.join([*words, *([] if self.stage == RunKind.DEPLOYMENT else ["--detach"])])

    def _subject_words(self) -> list[str]:
        """What the stage reads and fills, its preset and its robots."""
        kind = self.kind
        inputs = words_of(self.inputs) if kind.reads else []
        if kind.baselines:
            inputs = [word for policy in inputs for word in ("--policy", policy)]
        option = [kind.robots_option] if kind.robots_option else []
        robots = [word for name in self._robot_words() for word in (*option, name)]
        preset = ["--preset", self.preset] if kind.has_presets else []
        return [*inputs, *preset, *robots, *(["--into", self.into or "SET"] if kind.fills else [])]

    def _setting_words(self, key: str, value: str) -> list[str]:
        """A setting as the stage's command takes it."""
        if self.stage != RunKind.GENERATION:
            return ["--set", f"{key}={value}"]
        if key == "seed":
            return ["--seed", value]
        if self.role == UNSEEN:
            return ["--role", UNSEEN, "--count", value] if key == "unseen_count" else []
        return ["--count" if key == "train_count" else "--unseen", value]

    def _against_preset(self) -> dict[str, str]:
        """Settings that differ from what the command starts from."""
        if self.clone is None and self.kind.has_presets:
            return {key: plain(value) for key, value in self.changes().items()}
        try:
            mine = self.config()
        except ConfigError:
            return dict(self.raw)
        if self.stage == RunKind.GENERATION:  # its command has defaults of its own
            return {key: plain(value) for key, value in flat(mine).items()}
        preset = self._fitted(start_of(self.stage, self.preset))
        start = MutationConfig() if self.stage == RunKind.MUTATION else preset
        return {key: plain(value) for key, value in differences(start, mine).items()}

    def _robot_words(self) -> list[str]:
        if self.kind.robots is Robots.NONE:
            return []
        return [word for word in words_of(self.robots) if word != GENERATED]

    @property
    def length(self) -> float | None:
        """The control steps of a teacher; None of other stages, and while a setting is wrong."""
        try:
            return float(getattr(self.config(), "total_env_steps", 0)) or None
        except ConfigError:
            return None

    def request(self) -> StageRequest:
        """The run to queue.

        Raises:
            ConfigError: A value is not valid.
        """
        own_name = self.name.strip() if "name" in self.top_keys else ""
        named = bool(self.kind.fills)
        return self._request(name=own_name or ("" if named else self.automatic_name))

    def _request(self, name: str) -> StageRequest:
        kind, words = self.kind, words_of(self.inputs) if self.kind.reads else []
        inputs, baselines, files = policies_of(words, self.home)
        return StageRequest(
            kind=RunKind(self.stage),
            config=self.config(),
            preset=self.preset if kind.has_presets else "",
            name=name,
            study=self.study.strip(),
            inputs=inputs,
            baselines=baselines,
            policy_files=files,
            robots=tuple(self._robot_words()),
            fills=self._filled_sets(),
            allowed_roles=self.allowed_roles,
        )

    def _filled_sets(self) -> dict[str, str]:
        """The sets that are made, by the roles of their robots."""
        return filled_sets([UNSEEN] if self.role == UNSEEN else self.kind.fills, self.into)

    def take_defaults(self, known: FormChoices) -> None:
        """Fill robots and inputs with what was used last, once, where they are empty."""
        self.runs, self.home = known.by_number or {}, known.home
        if self.filled_in:
            return
        self.filled_in = known.by_number is not None
        for key, value in self._defaults(known).items():
            self.opened_with[key] = value
            if not self.top(key):
                self.set_top(key, value)

    def _defaults(self, known: FormChoices) -> dict[str, str]:
        kind = self.kind
        newest = known.newest(kind.reads) if kind.reads else None
        found = {"from": str(newest.id)} if newest is not None else {}
        if self.stage == PIPELINE:
            found["robots"] = GENERATED
        elif kind.robots is not Robots.NONE:
            used = [
                name
                for run in (*([newest] if newest else []), *known.runs)
                for name in run.robot_sets
            ]
            offered = known.offered_sets(kind)
            found["robots"] = next((name for name in (*used, *offered) if name in offered), "")
        if kind.fills:
            robots = (self.robots or found.get("robots", "")).split()
            into = f"{robots[0]}-mutants" if robots else GENERATED
            found["into"] = free_set_name(known, into)
        return found


def form_of_clone(run: Run, request: StageRequest) -> RunForm:
    """A form that starts from a run's settings, robots, inputs and study."""
    stage = str(run.kind)
    policies = [*map(str, request.inputs), *request.baselines, *map(str, request.policy_files)]
    role, into = next(iter(request.fills.items()), (TRAINING, ""))
    return RunForm(
        stage=stage,
        preset=nearest_preset(stage, dict(run.config), run.name),
        robots=shlex.join(request.robots),
        inputs=shlex.join(policies),
        into=into,
        study=request.study,
        clone=run,
        role=role if stage == RunKind.GENERATION else TRAINING,
    )
