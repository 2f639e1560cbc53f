"""Settings from outside: ``KEY=VALUE`` words and TOML files become checked configurations."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.base import Config
from engine.errors import ConfigError
from engine.files import parse_json, parse_toml, read_file

ConfigType = TypeVar("ConfigType", bound=Config)
MAX_CONFIG_BYTES = 1_000_000
_WORDS: Mapping[str, bool | None] = {"yes": True, "no": False, "none": None}
"""How settings are written on screens and in their sentences, besides JSON."""
_MAX_SHOWN = 120
"""Characters of a value that a sentence repeats."""


def setting_names(config: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key of a configuration, leaves only."""
    for name, field in config.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_names(annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def parse_assignment(text: str) -> tuple[str, Any]:
    """``key=value`` to (key, value); the value is JSON, yes, no or none, else a string.

    Raises:
        ConfigError: There is no ``=`` or no key.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {text}: expected KEY=VALUE, for example seed=2")
    word = value.strip()
    if word in _WORDS:
        return key.strip(), _WORDS[word]
    try:
        return key.strip(), parse_json(value)
    except json.JSONDecodeError:
        return key.strip(), word
    except ValueError as error:
        raise ConfigError(f"--set {key.strip()}: no value that can be read ({error})") from error


def with_settings(config: ConfigType, settings: Mapping[str, Any], source: str) -> ConfigType:
    """``config`` with dotted ``settings`` applied; ``source`` (``--set``, a file) is for errors.

    Raises:
        ConfigError: A key does not exist or a value is not valid.
    """
    known = list(setting_names(type(config)))
    names = [name for name in config.NAMING if name not in known]
    document = config.renamed(settings).model_dump(mode="json")
    for key, value in settings.items():
        if key in names:
            continue
        if key not in known:
            known += names
            raise ConfigError(f"{source} {key}: there is no such setting{_suggestion(key, known)}")
        *parents, leaf = key.split(".")
        target = document
        for parent in parents:
            target = target[parent]
        target[leaf] = value
    return validated(type(config), document, source)


def with_assignments(config: ConfigType, assignments: Sequence[str]) -> ConfigType:
    """``config`` with ``KEY=VALUE`` words applied, later ones winning.

    Raises:
        ConfigError: A word, key or value is not valid.
    """
    return with_settings(config, dict(map(parse_assignment, assignments)), "--set")


def with_file(config: ConfigType, path: Path) -> ConfigType:
    """``config`` with the settings of a TOML file applied.

    Raises:
        ConfigError: The file cannot be read or holds a key or value that is not valid.
    """
    try:
        settings = dict(flattened(read_toml(path)))
    except RecursionError:
        raise ConfigError(f"{path}: is no configuration: it is nested too deep") from None
    return with_settings(config, settings, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The document of a TOML file from outside.

    Raises:
        ConfigError: The file cannot be read, or is no TOML.
    """
    try:
        return parse_toml(read_file(path, MAX_CONFIG_BYTES))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read as a TOML configuration: {reason}") from error


def validated(config: type[ConfigType], document: Mapping[str, Any], source: str) -> ConfigType:
    """``document`` as a configuration, or one sentence on the first value that is not valid.

    Raises:
        ConfigError: A value is missing, unknown or out of range.
    """
    try:
        return config.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or config.__name__
        message = first["msg"][:1].lower() + first["msg"][1:]
        found = "" if isinstance(first["input"], Mapping) else f"found {_shown(first['input'])}; "
        raise ConfigError(f"{source} {key}: {found}{message}") from error


def _shown(value: Any) -> str:
    """A value that somebody gave, in the length of a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or too many digits
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def flat(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def plain(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, default=list)


def differences(start: Config, wanted: Config) -> dict[str, Any]:
    """The settings that make ``wanted`` of ``start``: first those that name its networks.

    What follows from the names is left out, as applying the names brings it.
    """
    there, here = flat(start), flat(wanted)
    naming = {key: here[key] for key in start.NAMING if key in here and here[key] != there[key]}
    named = flat(start.renamed(naming))
    others = {
        key: value for key, value in here.items() if key not in naming and named[key] != value
    }
    return naming | others


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested tables."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _suggestion(key: str, known: Sequence[str]) -> str:
    by_leaf = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    near = by_leaf or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; the settings are {', '.join(known)}"
