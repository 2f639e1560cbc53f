"""The launch form as data: settings from the schemas, what differs, what is wrong, the command."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db.queries.runs import get_run
from db.records import NewRun, Run, RunKind
from engine.config.base import Config
from engine.config.overrides import with_settings
from engine.config.presets import PRESETS, stage_preset
from engine.config.robots import MutationConfig
from engine.errors import ConfigError, UsageError
from engine.workers.library import check_set_name
from hdtui.formatting import setting
from hdtui.services.known_runs import Known
from hdtui.services.settings_schema import (
    SettingRow,
    flat,
    parsed,
    parsed_or_text,
    plain,
    setting_rows,
    value_at,
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
NEW_SET = ("generation", "mutation")
"""Stages that fill a robot set, which the form names in ``into``."""
GENERATED = "generated"
BASELINES = ("random", "zero")


def read_clone(database: "Database", run_id: int) -> Run:
    """The run to clone."""
    return get_run(database, run_id)


@dataclass
class LaunchForm:
    """What the user asked for so far; raw texts are kept until they are valid."""

    stage: str = "teacher"
    preset: str = "quick"
    robots: str = ""
    inputs: str = ""
    into: str = ""
    name: str = ""
    raw: dict[str, str] = field(default_factory=dict)
    clone: Run | None = None

    def base(self) -> Config:
        """The settings that the form starts from: the preset's, or those of the cloned run."""
        start: Config = (
            PRESETS[self.preset]  # type: ignore[index]
            if self.stage == "pipeline"
            else stage_preset(self.stage, self.preset)
        )
        if self.clone is not None and str(self.clone.kind) == self.stage:
            return type(start).model_validate(dict(self.clone.config))
        return start

    @property
    def base_label(self) -> str:
        """What the column of base values is called."""
        cloned = self.clone is not None and str(self.clone.kind) == self.stage
        return f"run {self.clone.id}" if cloned and self.clone else self.preset

    def problems(self) -> dict[str, str]:
        """What is wrong, by key."""
        found: dict[str, str] = {}
        base = self.base()
        for key, text in self.raw.items():
            try:
                with_settings(base, {key: parsed(base, key, text)}, "")
            except ConfigError as error:
                found[key] = str(error).strip()
        if self.stage not in {*NO_ROBOTS, "pipeline"} and not self.robots.strip():
            found["robots"] = "needs a robot set"
        if self.stage in NEW_SET:
            try:
                check_set_name(self.into)
            except UsageError as error:
                found["into"] = str(error) if self.into else "needs the name of the new set"
        if self.stage in _INPUT_KINDS and not self.inputs.strip():
            kinds = " or ".join(str(kind) for kind in _INPUT_KINDS[self.stage])
            found["from"] = f"needs the number of a {kinds}"
        if not found:
            try:
                self.config()
            except ConfigError as error:
                found["name"] = str(error)
        return found

    def config(self) -> Config:
        """The settings with all changes.

        Raises:
            ConfigError: A value is not valid.
        """
        base = self.base()
        changes = {key: parsed(base, key, text) for key, text in self.raw.items()}
        return with_settings(base, changes, "")

    def rows(self, open_sections: set[str]) -> list[SettingRow]:
        """Settings in order; those of closed sections are counted in their section."""
        base = self.base()
        return list(setting_rows(base, self.raw, "", 0, open_sections))

    def set_value(self, key: str, text: str) -> None:
        """Change a setting; the base value takes the change back."""
        base_value = value_at(self.base(), key)
        if text.strip() in {setting(base_value), plain(base_value)}:
            self.raw.pop(key, None)
        else:
            self.raw[key] = text.strip()

    def command(self) -> str:
        """The command that does the same."""
        words = ["hdtui", *_COMMANDS[self.stage].split(), *self._subject_words()]
        if self.name and self.stage not in NEW_SET:
            words += ["--name", self.name]
        for key, value in self._against_preset().items():
            words += self._setting_words(key, value)
        return shlex.join([*words, "--detach"])

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
            policies = [word for policy in self.inputs.split() for word in ("--policy", policy)]
            return [*policies, *preset, *options]
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
            base = self.base()
            return {key: plain(parsed_or_text(base, key, text)) for key, text in self.raw.items()}
        try:
            mine = flat(self.config())
        except ConfigError:
            return dict(self.raw)
        if self.stage == "generation":  # its command has no presets, and defaults of its own
            return {key: plain(value) for key, value in mine.items()}
        start = MutationConfig() if self.stage == "mutation" else None
        preset = flat(start or stage_preset(self.stage, self.preset))
        return {key: plain(value) for key, value in mine.items() if preset.get(key) != value}

    def new_run(self) -> NewRun:
        """The run to queue.

        Raises:
            ConfigError: A value is not valid.
            UsageError: An input is no number.
        """
        config = self.config()
        seed = int(getattr(config, "seed", 1))
        words = self.inputs.split()
        baselines = [word for word in words if word in BASELINES]
        inputs = tuple(_run_number(word) for word in words if word not in BASELINES)
        sets = tuple(self.robots.split()) if self.stage not in NO_ROBOTS else ()
        what = "-".join(sets) or "-".join(map(str, inputs))
        default_name = self.into if self.stage in NEW_SET else f"{self.preset}-{what}-s{seed}"
        return NewRun(
            kind=RunKind(self.stage),
            name=self.name or default_name,
            config=config.model_dump(mode="json"),
            seed=seed,
            inputs=inputs,
            robot_sets=sets,
            device=str(getattr(config, "device", "cpu")),
            extra=self._extra(baselines),
        )

    def _extra(self, baselines: list[str]) -> dict[str, object]:
        """What a run of this stage must know besides its settings."""
        if self.stage == "generation":
            return {"training_set": self.into, "unseen_set": f"{self.into}-unseen"}
        if self.stage == "mutation":
            return {"mutant_set": self.into}
        return {"baselines": baselines} if self.stage == "evaluation" else {}

    def take_defaults(self, known: Known) -> None:
        """Fill robots and inputs with what was used last, where they are empty."""
        kinds = _INPUT_KINDS.get(self.stage, ())
        newest = known.newest(kinds) if kinds else None
        if not self.inputs and newest is not None:
            self.inputs = str(newest.id)
        if self.stage == "pipeline":
            self.robots = self.robots or GENERATED
        elif not self.robots and self.stage not in NO_ROBOTS:
            used = [name for run in known.runs for name in run.robot_sets]
            self.robots = (newest.robot_sets[0] if newest and newest.robot_sets else "") or next(
                iter([*used, *known.sets]), ""
            )
        if not self.into and self.stage in NEW_SET:
            self.into = f"{self.robots.split()[0]}-mutants" if self.robots else "generated"


def _run_number(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(f"from {word}: expected the number of a run")
    return int(word)
