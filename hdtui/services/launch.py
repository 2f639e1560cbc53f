"""The launch form as data: settings from the schemas, what differs, what is wrong, the command."""

import json
import shlex
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from db.queries.runs import get_run
from db.records import NewRun, Run, RunKind
from engine.config.base import Config
from engine.config.overrides import with_settings
from engine.config.presets import PRESETS, stage_preset
from engine.errors import ConfigError, UsageError
from hdtui.formatting import setting
from hdtui.services.filters import quantity
from hdtui.services.known_runs import Known

if TYPE_CHECKING:
    from db.session import Database

STAGES = ("pipeline", "teacher", "collection", "student", "evaluation", "deployment")
_COMMANDS = {
    "pipeline": "pipeline",
    "teacher": "teach",
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
_TYPE_WORDS: Mapping[Any, str] = {
    bool: "yes or no",
    int: "whole number",
    float: "number",
    types.NoneType: "none",
}
GENERATED = "generated"
BASELINES = ("random", "zero")


def read_clone(database: "Database", run_id: int) -> Run:
    """The run to clone."""
    return get_run(database, run_id)


@dataclass(frozen=True)
class SettingRow:
    """A setting in the form; a section has no value and counts its settings."""

    key: str
    depth: int
    section: bool
    value: Any = None
    base: Any = None
    num_settings: int = 0
    num_changed: int = 0


@dataclass
class LaunchForm:
    """What the user asked for so far; raw texts are kept until they are valid."""

    stage: str = "teacher"
    preset: str = "quick"
    robots: str = ""
    inputs: str = ""
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
        if self.stage not in {"student", "pipeline"} and not self.robots.strip():
            found["robots"] = "needs a robot set"
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
        return list(_rows(base, self.raw, "", 0, open_sections))

    def set_value(self, key: str, text: str) -> None:
        """Change a setting; the base value takes the change back."""
        base_value = _value_at(self.base(), key)
        if text.strip() in {setting(base_value), _plain(base_value)}:
            self.raw.pop(key, None)
        else:
            self.raw[key] = text.strip()

    def command(self) -> str:
        """The command that does the same."""
        words = ["hdtui", _COMMANDS[self.stage]]
        if self.stage == "evaluation":
            for policy in self.inputs.split():
                words += ["--policy", policy]
        elif self.inputs:
            words += self.inputs.split()[:1]
        if self.stage != "deployment":
            words += ["--preset", self.preset]
        option = "--robot" if self.stage == "deployment" else "--robots"
        for robots in self.robots.split():
            if robots != GENERATED and self.stage != "student":
                words += [option, robots]
        if self.name:
            words += ["--name", self.name]
        for key, value in self._against_preset().items():
            words += ["--set", f"{key}={value}"]
        return shlex.join([*words, "--detach"])

    def _against_preset(self) -> dict[str, str]:
        """Settings that differ from the preset, as ``--set`` takes them."""
        if self.clone is None:
            base = self.base()
            return {key: _plain(_parsed_or_text(base, key, text)) for key, text in self.raw.items()}
        try:
            mine = _flat(self.config())
        except ConfigError:
            return dict(self.raw)
        preset = _flat(stage_preset(self.stage, self.preset))
        return {key: _plain(value) for key, value in mine.items() if preset.get(key) != value}

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
        sets = tuple(self.robots.split()) if self.stage != "student" else ()
        what = "-".join(sets) or "-".join(map(str, inputs))
        return NewRun(
            kind=RunKind(self.stage),
            name=self.name or f"{self.preset}-{what}-s{seed}",
            config=config.model_dump(mode="json"),
            seed=seed,
            inputs=inputs,
            robot_sets=sets,
            device=str(getattr(config, "device", "cpu")),
            extra={"baselines": baselines} if self.stage == "evaluation" else {},
        )

    def take_defaults(self, known: Known) -> None:
        """Fill robots and inputs with what was used last, where they are empty."""
        kinds = _INPUT_KINDS.get(self.stage, ())
        newest = known.newest(kinds) if kinds else None
        if not self.inputs and newest is not None:
            self.inputs = str(newest.id)
        if self.stage == "pipeline":
            self.robots = self.robots or GENERATED
        elif not self.robots and self.stage != "student":
            used = [name for run in known.runs for name in run.robot_sets]
            self.robots = (newest.robot_sets[0] if newest and newest.robot_sets else "") or next(
                iter([*used, *known.sets]), ""
            )


def _run_number(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(f"from {word}: expected the number of a run")
    return int(word)


def fields_of(config: type[BaseModel], key: str) -> FieldInfo:
    """The schema of a dotted key."""
    name, _, rest = key.partition(".")
    info = config.model_fields[name]
    if rest and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
        return fields_of(info.annotation, rest)
    return info


def choices_of(info: FieldInfo) -> tuple[str, ...]:
    """The words a setting may be; empty where it is no choice."""
    annotation = info.annotation
    if get_origin(annotation) is Literal:
        return tuple(str(choice) for choice in get_args(annotation))
    if annotation is bool:
        return ("yes", "no")
    return ()


def limits_words(info: FieldInfo) -> str:
    """What a setting must be: ``number, above 0, at most 0.1``."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = [_type_words(info.annotation)]
    for rule in info.metadata:
        for name, word in words.items():
            limit = getattr(rule, name, None)
            if limit is not None:
                found.append(f"{word} {setting(limit)}")
    return ", ".join(found)


def _type_words(annotation: Any) -> str:
    if annotation in _TYPE_WORDS:
        return _TYPE_WORDS[annotation]
    if get_origin(annotation) is Literal:
        return "one of " + " ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in {typing.Union, types.UnionType}:
        return " or ".join(_type_words(each) for each in get_args(annotation))
    return "list" if get_origin(annotation) in {tuple, list} else "text"


def parsed(base: Config, key: str, text: str) -> Any:
    """The value a text stands for in a setting: units as shown, yes and no, none, lists."""
    info = fields_of(type(base), key)
    low = text.strip().lower()
    if info.annotation is bool and low in {"yes", "no", "true", "false"}:
        return low in {"yes", "true"}
    if low in {"none", "null"}:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        number = quantity(text)
        kinds = _type_words(info.annotation)
        if number is not None and "number" in kinds:
            return int(number) if number == int(number) else number
        if kinds == "list":
            return [quantity(word) if quantity(word) is not None else word for word in text.split()]
        return text.strip()


def _parsed_or_text(base: Config, key: str, text: str) -> Any:
    try:
        return parsed(base, key, text)
    except KeyError:
        return text


def _rows(
    config: BaseModel, raw: Mapping[str, str], prefix: str, depth: int, opened: set[str]
) -> Iterator[SettingRow]:
    leaves = [name for name in type(config).model_fields if not _is_section(config, name)]
    for name in leaves:
        key = f"{prefix}{name}"
        base = getattr(config, name)
        yield SettingRow(key, depth, False, raw.get(key, setting(base)), base)
    for name in type(config).model_fields:
        if name in leaves:
            continue
        key = f"{prefix}{name}"
        inside = getattr(config, name)
        keys = list(_flat(inside, f"{key}."))
        changed = sum(1 for each in keys if each in raw)
        yield SettingRow(key, depth, True, num_settings=len(keys), num_changed=changed)
        if key in opened:
            yield from _rows(inside, raw, f"{key}.", depth + 1, opened)


def _is_section(config: BaseModel, name: str) -> bool:
    return isinstance(getattr(config, name), BaseModel)


def _flat(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _value_at(config: BaseModel, key: str) -> Any:
    return _flat(config).get(key)


def _plain(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, default=list)
