"""Settings of a stage as its schema describes them: fields, choices, limits, texts and values."""

import json
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from engine.config.base import Config
from engine.config.network import SIZE_SENTENCE, NetworkSize
from engine.config.overrides import differences, flat, plain, setting_names
from engine.config.presets import PRESETS, stage_preset
from engine.errors import ConfigError
from hdtui.data.run_filters import quantity
from hdtui.formatting import setting

_TYPE_WORDS: Mapping[Any, str] = {
    bool: "yes or no",
    int: "whole number",
    float: "number",
    types.NoneType: "none",
}
_LIMIT_WORDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


@dataclass(frozen=True)
class FormRow:
    """A setting in the form; a section has no value and counts its settings."""

    key: str
    depth: int
    section: bool
    value: Any = None
    base: Any = None
    num_settings: int = 0
    num_changed: int = 0


@dataclass(frozen=True)
class Setting:
    """What can be said of a setting: ``defaults`` by preset, ``words`` where it is a choice.

    A name that stands for several settings, such as a network's size, has no defaults.
    """

    key: str
    kind: str
    sentence: str
    words: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def default_text(self, preset: str) -> str:
        """A preset's value as ``--set`` takes it."""
        return plain(self.defaults[preset]) if preset in self.defaults else ""


def list_settings(stage: str) -> list[Setting]:
    """Every setting of a stage, or of all of them, in the order of the form."""
    presets = {name: flat(start_of(stage, name)) for name in PRESETS}
    config = type(start_of(stage, "quick"))
    found = []
    for key in setting_names(config):
        info = fields_of(config, key)
        defaults = {str(name): values[key] for name, values in presets.items()}
        words = choices_of(info)
        kind, sentence = _type_text(info.annotation), info.description or ""
        found.append(Setting(key, kind, sentence, words, limits(info), defaults))
    known = {each.key for each in found}
    sizes = get_args(NetworkSize)
    kind = _type_text(NetworkSize)
    named = [key for key in config.NAMING if key not in known]
    return found + [Setting(key, kind, SIZE_SENTENCE, sizes) for key in named]


def start_of(stage: str, preset: str) -> Config:
    """The settings of a preset for a stage, or for all of them."""
    if stage == "pipeline":
        return PRESETS[preset]  # type: ignore[index]
    return stage_preset(stage, preset)


def fields_of(config: type[BaseModel], key: str) -> FieldInfo:
    name, _, rest = key.partition(".")
    info = config.model_fields[name]
    if rest and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
        return fields_of(info.annotation, rest)
    return info


def choices_of(info: FieldInfo) -> tuple[str, ...]:
    annotation = info.annotation
    if get_origin(annotation) is Literal:
        return tuple(str(choice) for choice in get_args(annotation))
    if annotation is bool:
        return ("yes", "no")
    return ()


def limits(info: FieldInfo) -> dict[str, float]:
    """The bounds of a number by the words for them: ``above``, ``at least`` and so on."""
    found = {}
    for rule in info.metadata:
        for name, word in _LIMIT_WORDS.items():
            limit = getattr(rule, name, None)
            if limit is not None:
                found[word] = limit
    return found


def limits_text(info: FieldInfo) -> str:
    """What a setting must be: ``number, above 0, at most 0.1``."""
    bounds = [f"{word} {setting(limit)}" for word, limit in limits(info).items()]
    return ", ".join([_type_text(info.annotation), *bounds])


def _type_text(annotation: Any) -> str:
    if annotation in _TYPE_WORDS:
        return _TYPE_WORDS[annotation]
    if get_origin(annotation) is Literal:
        return "one of " + " ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in {typing.Union, types.UnionType}:
        return " or ".join(_type_text(each) for each in get_args(annotation))
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
        kinds = _type_text(info.annotation)
        if number is not None and "number" in kinds:
            return int(number) if number == int(number) else number
        if kinds == "list":
            return [quantity(word) if quantity(word) is not None else word for word in text.split()]
        return text.strip()


def parsed_or_text(base: Config, key: str, text: str) -> Any:
    """The value a text stands for; the text itself where the schema has no such key."""
    try:
        return parsed(base, key, text)
    except KeyError:
        return text


def setting_rows(
    config: BaseModel, raw: Mapping[str, str], prefix: str, depth: int, opened: set[str]
) -> Iterator[FormRow]:
    """Settings of a configuration in order; those of closed sections are counted in it."""
    fields = type(config).model_fields
    leaves = [name for name in fields if not isinstance(getattr(config, name), BaseModel)]
    for name in leaves:
        key = f"{prefix}{name}"
        base = getattr(config, name)
        yield FormRow(key, depth, False, raw.get(key, setting(base)), base)
    for name in fields:
        if name in leaves:
            continue
        key = f"{prefix}{name}"
        inside = getattr(config, name)
        keys = list(flat(inside, f"{key}."))
        changed = sum(1 for each in keys if each in raw)
        yield FormRow(key, depth, True, num_settings=len(keys), num_changed=changed)
        if key in opened:
            yield from setting_rows(inside, raw, f"{key}.", depth + 1, opened)


def value_at(config: BaseModel, key: str) -> Any:
    return flat(config).get(key)


def with_values(config: BaseModel, values: Mapping[str, Any]) -> Any:
    """``config`` showing other values at dotted keys; they are not checked against each other."""
    update = {key: value for key, value in values.items() if "." not in key}
    for section in {key.partition(".")[0] for key in values if "." in key}:
        inside = {
            key.removeprefix(f"{section}."): value
            for key, value in values.items()
            if key.startswith(f"{section}.")
        }
        update[section] = with_values(getattr(config, section), inside)
    return config.model_copy(update=update)


def nearest_preset(stage: str, document: Mapping[str, Any], name: str) -> str:
    """The preset that settings differ least from; of equals the one that ``name`` begins with."""
    wanted = type(start_of(stage, "quick")).model_validate(document)

    def distance(preset: str) -> tuple[int, bool, bool]:
        changes = len(differences(start_of(stage, preset), wanted))
        return changes, not name.startswith(f"{preset}-"), preset != "quick"

    return min(PRESETS, key=distance)


def faults(error: ConfigError, config: type[Config], changed: Collection[str]) -> dict[str, str]:
    """Sentences by the key that they belong to.

    What is wrong between several settings belongs to the one that its sentence names first.
    """
    known = list(setting_names(config))
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        sentence = str(error).strip()
        return {_named_first(sentence, known, "", changed): sentence}
    found: dict[str, str] = {}
    for each in cause.errors():
        message = each["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        place = ".".join(str(part) for part in each["loc"])
        key = next((key for key in known if f"{place}.".startswith(f"{key}.")), None)
        if key is not None:
            found.setdefault(key, f"{key}: found {each['input']!r}; {message}")
        else:
            found.setdefault(_named_first(message, known, place, changed), message)
    return found


def _named_first(message: str, known: Sequence[str], section: str, changed: Collection[str]) -> str:
    """The setting of a section that a message names first; else the one that changed last."""
    prefix = f"{section}." if section else ""
    places = []
    for key in known:
        if not key.startswith(prefix):
            continue
        for words in {key, key.removeprefix(prefix), key.rpartition(".")[2]}:
            place = re.search(rf"(?<![\w.]){re.escape(words)}(?!\w)", message)
            if place is not None:
                places.append((place.start(), key not in changed, -len(words), key))
    return min(places)[-1] if places else (list(changed) or ["preset"])[-1]
