"""The launch form as data: settings from the schemas, what differs, what is wrong, the command."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from db.queries.runs import get_run, list_runs
from db.records import NewRun, Run, RunKind
from engine.config.base import Config
from engine.config.overrides import validated, with_settings
from engine.config.robots import MutationConfig
from engine.errors import ConfigError
from hdtui.formatting import setting
from hdtui.services.inherited import fitted
from hdtui.services.known_runs import (
    Known,
    free_set_name,
    inputs_problem,
    new_set_problem,
    policy_file_word,
    robots_problem,
    run_number,
)
from hdtui.services.settings_schema import (
    SettingRow,
    differences,
    faults,
    flat,
    nearest_preset,
    parsed_or_text,
    plain,
    setting_rows,
    start_of,
    value_at,
    with_values,
)

if TYPE_CHECKING:
    from db.session import Database

STAGES = (
    *("pipeline", "generation", "teacher", "mutation"),
    *("collection", "student", "evaluation", "deployment"),
)
_COMMANDS = {
    "pipeline": "pipeline",
    "generation": "robots generate",
    "teacher": "teach",
    "mutation": "robots mutate",
    "collection": "collect",
    "student": "distill",
    "evaluation": "evaluate",
    "deployment": "deploy",
}
_INPUT_KINDS: Mapping[str, tuple[RunKind, ...]] = {
    "collection": (RunKind.TEACHER,),
    "student": (RunKind.COLLECTION,),
    "evaluation": (RunKind.TEACHER, RunKind.STUDENT, RunKind.DEPLOYMENT),
    "deployment": (RunKind.STUDENT,),
}
NEEDS_INPUT = tuple(_INPUT_KINDS)
NO_ROBOTS = ("generation", "student")
ONE_SET = ("pipeline", "mutation")
NEW_SET = ("generation", "mutation")
"""Stages that fill a robot set, which the form names in ``into``; it names the run as well."""
GENERATED = "generated"
BASELINES = ("random", "zero")
TOP_FIELDS: Mapping[str, str] = {
    "name": "name",
    "preset": "preset",
    "study": "study",
    "from": "inputs",
    "robots": "robots",
    "into": "into",
}
"""Rows above the settings, and the field of the form that each shows."""


def read_clone(database: "Database", run_id: int) -> Run:
    """The run to clone, with those of its inputs that its form names.

    Raises:
        RunError: There is no such run.
        ConfigError: Its settings are not valid in this version.
    """
    run = get_run(database, run_id)
    stage = str(run.kind)
    validated(type(start_of(stage, "quick")), dict(run.config), f"run {run_id} cannot be cloned:")
    kinds = _INPUT_KINDS.get(stage, ())
    read = {each.id for each in list_runs(database, ids=run.inputs) if each.kind in kinds}
    return replace(run, inputs=tuple(each for each in run.inputs if each in read))


@dataclass
class LaunchForm:
    """What the user asked for so far; raw texts are kept until they are valid.

    ``runs`` are those of the workspace, of which a stage's inputs decide some settings.
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
    opened_with: dict[str, str] = field(init=False)
    opened_on: Run | None = field(init=False)
    filled_in: bool = field(init=False)

    def __post_init__(self) -> None:
        self.opened_with = {key: self.top(key) for key in TOP_FIELDS}
        self.opened_on = self.clone
        self.filled_in = self.clone is not None

    @property
    def top_keys(self) -> list[str]:
        """The rows above the settings that this stage has."""
        stage = self.stage
        return [
            *(["name"] if stage not in {*NEW_SET, "pipeline"} else []),
            "preset",
            "study",
            *(["from"] if stage in NEEDS_INPUT else []),
            *(["robots"] if stage not in NO_ROBOTS else []),
            *(["into"] if stage in NEW_SET else []),
        ]

    def top(self, key: str) -> str:
        """The text of one of the upper rows."""
        return str(getattr(self, TOP_FIELDS[key]))

    def set_top(self, key: str, text: str) -> None:
        """Change one of the upper rows."""
        setattr(self, TOP_FIELDS[key], text)

    def take_preset(self, name: str) -> str:
        """Start from a preset, no more from a run; the sentence that says so."""
        left, self.clone, self.preset = self.clone, None, name
        if left is None:
            return f"preset {name}"
        return f"preset {name} takes the place of run {left.id}; u brings the run back"

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
        numbers = [int(word) for word in self._run_words() if word.isdecimal()]

        def find(wanted: Sequence[int]) -> list[Run]:
            return [self.runs[number] for number in wanted if number in self.runs]

        return fitted(self.stage, start, find, numbers)

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

    def problems(self, known: Known | None = None) -> dict[str, str]:
        """What is wrong, by key; sets and runs are looked up where the workspace is known."""
        stage = self.stage
        robots, inputs = self.robots.split(), self.inputs.split()
        found: dict[str, str | None] = {}
        if stage in _INPUT_KINDS and not (self._policy_files() and not inputs):
            found["from"] = inputs_problem(
                known,
                inputs,
                _INPUT_KINDS[stage],
                many=stage == "evaluation",
                baselines=BASELINES if stage == "evaluation" else (),
            )
        if stage not in NO_ROBOTS and not (stage == "pipeline" and robots in ([], [GENERATED])):
            found["robots"] = robots_problem(known, robots, many=stage not in ONE_SET)
        if stage in NEW_SET:
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

    def rows(self, open_sections: set[str]) -> list[SettingRow]:
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
        """The name of a run that is given none: a clone's is that of its run, with its own seed."""
        if self.stage in NEW_SET:
            return self.into
        try:
            seed = int(getattr(self.config(), "seed", 1))
        except ConfigError:
            seed = self.clone.seed if self.clone else 1
        if self.clone is not None:
            return _name_with_seed(self.clone, seed)
        what = "-".join(self._robot_sets()) or "-".join(self._run_words())
        return f"{self.preset}-{what}-s{seed}"

    def command(self) -> str:
        """The command that does the same."""
        words = ["hdtui", *_COMMANDS[self.stage].split(), *self._subject_words()]
        name = self.name.strip() or (self.automatic_name if self.clone else "")
        if name and "name" in self.top_keys:
            words += ["--name", name]
        if self.study.strip():
            words += ["--study", self.study.strip()]
        for key, value in self._against_preset().items():
            words += self._setting_words(key, value)
        # A deployment takes seconds: its command waits for the files.
        return shlex.join([*words, *([] if self.stage == "deployment" else ["--detach"])])

    def _subject_words(self) -> list[str]:
        """What the stage reads and fills, and its preset."""
        robots = [name for name in self.robots.split() if name != GENERATED]
        preset = ["--preset", self.preset]
        if self.stage in NEW_SET:
            return [*(robots if self.stage == "mutation" else []), "--into", self.into or "SET"]
        if self.stage == "student":
            return [*self.inputs.split()[:1], *preset]
        options = [word for name in robots for word in ("--robots", name)]
        if self.stage == "evaluation":
            named = [*self.inputs.split(), *map(policy_file_word, self._policy_files())]
            return [*(word for policy in named for word in ("--policy", policy)), *preset, *options]
        if self.stage == "deployment":
            return [*self.inputs.split()[:1], *(w for name in robots for w in ("--robot", name))]
        return [*self.inputs.split()[:1], *preset, *options]

    def _setting_words(self, key: str, value: str) -> list[str]:
        """A setting as the stage's command takes it."""
        if self.stage == "generation":
            option = {"train_count": "--count", "unseen_count": "--unseen", "seed": "--seed"}[key]
            return [option, value]
        return ["--set", f"{key}={value}"]

    def _against_preset(self) -> dict[str, str]:
        """Settings that differ from what the command starts from."""
        if self.clone is None and self.stage not in NEW_SET:
            return {key: plain(value) for key, value in self.changes().items()}
        try:
            mine = self.config()
        except ConfigError:
            return dict(self.raw)
        if self.stage == "generation":  # its command has no presets, and defaults of its own
            return {key: plain(value) for key, value in flat(mine).items()}
        preset = self._fitted(start_of(self.stage, self.preset))
        start = MutationConfig() if self.stage == "mutation" else preset
        return {key: plain(value) for key, value in differences(start, mine).items()}

    def _robot_sets(self) -> tuple[str, ...]:
        return tuple(self.robots.split()) if self.stage not in NO_ROBOTS else ()

    def _run_words(self) -> list[str]:
        return [word for word in self.inputs.split() if word not in BASELINES]

    def _policy_files(self) -> list[Mapping[str, Any]]:
        """Files that a cloned evaluation judged besides runs."""
        return list(self.clone.extra.get("files", ())) if self.clone else []

    def new_run(self) -> NewRun:
        """The run to queue.

        Raises:
            ConfigError: A value is not valid.
            UsageError: An input is no number.
        """
        config = self.config()
        return NewRun(
            kind=RunKind(self.stage),
            name=(self.name.strip() if "name" in self.top_keys else "") or self.automatic_name,
            config=config.model_dump(mode="json"),
            seed=int(getattr(config, "seed", 1)),
            inputs=tuple(map(run_number, self._run_words())),
            robot_sets=self._robot_sets(),
            group=self.study.strip() or None,
            device=str(getattr(config, "device", "cpu")),
            extra=self._extra(),
        )

    def _extra(self) -> dict[str, object]:
        """What a run of this stage must know besides its settings."""
        if self.stage == "generation":
            return {"training_set": self.into, "unseen_set": f"{self.into}-unseen"}
        if self.stage == "mutation":
            return {"mutant_set": self.into}
        if self.stage != "evaluation":
            return {}
        baselines = [word for word in self.inputs.split() if word in BASELINES]
        files = self._policy_files()
        return {"baselines": baselines, **({"files": files} if files else {})}

    def take_defaults(self, known: Known) -> None:
        """Fill robots and inputs with what was used last, once, where they are empty."""
        self.runs = known.by_number or {}
        if self.filled_in:
            return
        self.filled_in = known.by_number is not None
        for key, value in self._defaults(known).items():
            self.opened_with[key] = value
            if not self.top(key):
                self.set_top(key, value)

    def _defaults(self, known: Known) -> dict[str, str]:
        kinds = _INPUT_KINDS.get(self.stage, ())
        newest = known.newest(kinds) if kinds else None
        found = {"from": str(newest.id)} if newest is not None else {}
        if self.stage == "pipeline":
            found["robots"] = GENERATED
        elif self.stage not in NO_ROBOTS:
            used = [name for run in known.runs for name in run.robot_sets]
            found["robots"] = (
                newest.robot_sets[0] if newest and newest.robot_sets else ""
            ) or next(iter([*used, *known.sets]), "")
        if self.stage in NEW_SET:
            robots = self.robots or found.get("robots", "")
            into = f"{robots.split()[0]}-mutants" if robots.split() else "generated"
            found["into"] = free_set_name(known, into)
        return found


def form_of_clone(run: Run) -> LaunchForm:
    """A form that starts from a run's settings, robots, inputs and study."""
    stage = str(run.kind)
    baselines = [str(word) for word in run.extra.get("baselines", ())]
    filled = run.extra.get("training_set") or run.extra.get("mutant_set") or ""
    return LaunchForm(
        stage=stage,
        preset=nearest_preset(stage, dict(run.config), run.name),
        robots=" ".join(run.robot_sets) if stage not in NO_ROBOTS else "",
        inputs=" ".join([*map(str, run.inputs), *baselines]) if stage in NEEDS_INPUT else "",
        into=f"{filled}-2" if filled else "",
        study=run.group or "",
        clone=run,
    )


def _name_with_seed(run: Run, seed: int) -> str:
    """The run's name, its seed replaced or added where it is another."""
    if seed == run.seed:
        return run.name
    return f"{run.name.removesuffix(f'-s{run.seed}')}-s{seed}"
