"""Default classes of a robot file, and the values the family fixes that no file may change.

Files come as people and programs publish them and as MuJoCo saves a model again: with motors as
``<general>``, angles in radians, and the main default class by its name.
"""

from collections.abc import Mapping

from lxml import etree

from engine.morphology.xml_reading import (
    MAX_SHOWN,
    RejectedError,
    check_attributes,
    check_children,
    numbers,
)

Attributes = dict[str, str]

_LEAVES = ("motor", "general", "joint", "site", "geom")
_MAIN = ("", "main")
"""Names of the class that everything without one belongs to: MuJoCo writes the second."""
_SETTINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "compiler": {
        "angle": ("degree", "radian"),
        "coordinate": ("local",),
        "inertiafromgeom": ("auto", "true"),
        "autolimits": ("true", "false"),
    },
    "option": {"timestep": ("0.005",)},
    "flag": {"filterparent": ("enable", "disable")},
}
"""Values that settings may have; which of the last two a file has, no robot here depends on."""

HINGE = {"type": "hinge", "limited": "true", "solimplimit": "0 0.99 0.01"}
ROOT = {"type": "free", "damping": "0", "stiffness": "0", "armature": "0", "limited": "false"}
GEOM = {"condim": "3", "friction": "0.7 0.1 0.1"}
MOTOR = {"ctrlrange": "-1 1", "ctrllimited": "true"}

STRAY = ("damping", "stiffness", "armature", "gear")
"""Attributes that some published files put on a default class itself, where nothing reads them."""

_IMPLIED: dict[str, Attributes] = {
    "joint": {"type": "hinge", "damping": "0", "stiffness": "0", "armature": "0"},
    "geom": {"type": "sphere", "condim": "3", "friction": "1 0.005 0.0001", "density": "1000"},
    "motor": {},
    "general": {},
}
"""What MuJoCo takes where a file says nothing."""


class Defaults:
    """Effective attributes of elements: implied, main default, class, own, the last one wins."""

    def __init__(self, root: etree._Element) -> None:
        self.in_radians = _in_radians(root)
        self._classes: dict[str, dict[str, Attributes]] = {name: {} for name in _MAIN}
        for element in root.findall("default"):
            self._read(element, "")

    def _read(self, element: etree._Element, parent: str, nested: bool = False) -> None:
        check_children(element, (*_LEAVES, "default"), "default")
        name = element.get("class", "") if nested else ""
        if nested and name in self._classes:
            raise RejectedError(f"default class {name[:MAX_SHOWN]!r} has no name of its own")
        check_attributes(element, ("class", *STRAY), "default")
        values = {tag: dict(own) for tag, own in self._classes[parent].items()}
        for child in element:
            if child.tag != "default":
                own = {str(key): str(value) for key, value in child.attrib.items()}
                values.setdefault(str(child.tag), {}).update(own)
        self._classes[name] = values
        if not nested:
            self._classes["main"] = values
        for child in element.findall("default"):
            self._read(child, name, nested=True)

    def attributes(self, element: etree._Element, what: str) -> Attributes:
        """All attributes of ``element`` as MuJoCo would see them, its class resolved."""
        tag = str(element.tag)
        name = element.get("class", "")
        if name not in self._classes:
            raise RejectedError(f"{what}: default class {name[:MAX_SHOWN]!r} does not exist")
        own = {str(key): str(value) for key, value in element.attrib.items() if key != "class"}
        inherited = self._classes[name].get(tag, {})
        if tag == "motor":  # a motor is a general actuator, and MuJoCo keeps one default for both
            inherited = {**self._classes[name].get("general", {}), **inherited}
        return {**_IMPLIED.get(tag, {}), **inherited, **own}


def check_fixed(
    attributes: Attributes, fixed: Mapping[str, str], free: tuple[str, ...], what: str
) -> None:
    """Refuse attributes that differ from what the family fixes, or that it does not know."""
    for key, expected in fixed.items():
        found = attributes.get(key, "")
        if not _same(found, expected, f"{what}: {key}"):
            raise RejectedError(
                f"{what}: {key} is {found[:MAX_SHOWN]!r}, the family fixes {expected!r}"
            )
    for key in attributes:
        if key not in fixed and key not in free:
            raise RejectedError(
                f"{what}: attribute {key[:MAX_SHOWN]!r} is not accepted, "
                "it overrides what the family fixes"
            )


def _same(found: str, expected: str, what: str) -> bool:
    if found == expected:
        return True
    if expected[0].isalpha() or not found:
        return False
    count = len(expected.split())
    return numbers(found, (count,), what) == numbers(expected, (count,), what)


def check_settings(root: etree._Element) -> None:
    """Refuse simulator settings other than those every robot of the family has."""
    for tag in ("compiler", "size", "option"):
        for element in root.findall(tag):
            for part in element.iter():
                _check_setting(part)


def _in_radians(root: etree._Element) -> bool:
    """Whether the file's angles are radians; MuJoCo takes degrees where it says nothing."""
    said = [element.get("angle") for element in root.findall("compiler")]
    return [angle for angle in said if angle is not None][-1:] == ["radian"]


def _check_setting(element: etree._Element) -> None:
    tag = str(element.tag)
    if tag == "size":
        check_attributes(element, ("njmax", "nconmax", "memory"), "size")
        return
    if tag not in _SETTINGS:
        raise RejectedError(f"element <{tag[:MAX_SHOWN]}> is not accepted")
    allowed = _SETTINGS[tag]
    check_attributes(element, allowed, tag)
    for key, values in allowed.items():
        found = element.get(key)
        if found is not None and not any(_same(found, value, f"{tag} {key}") for value in values):
            expected = " or ".join(map(repr, values))
            raise RejectedError(
                f"{tag}: {key} is {found[:MAX_SHOWN]!r}, the family fixes {expected}"
            )
