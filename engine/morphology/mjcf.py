"""Robots as MJCF files: parsed strictly, written exactly.

A file is accepted when everything in it that physics knows is part of ``Morphology`` or has the
value the family fixes. Cameras, lights, materials, sensors, sites and contact excludes do not
matter to a body: they are passed over here and written anew from the family's template.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import RobotError
from engine.files import write_text
from engine.morphology.family import UNIMAL
from engine.morphology.metadata import check_metadata, write_metadata
from engine.morphology.mjcf_reading import parse_limbs
from engine.morphology.mjcf_writing import write_robot
from engine.morphology.tree import Morphology
from engine.morphology.xml_reading import (
    RejectedError,
    parse_json,
    parse_xml,
    read_file,
    shown,
)

__all__ = [
    "check_name",
    "load_robot",
    "load_robots",
    "parse_robot",
    "save_robot",
    "write_robot",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)


def check_name(name: str) -> str:
    """The name back, if it can be a file name that stays in its folder; else RobotError."""
    if not _NAME.fullmatch(name):
        raise RobotError(
            f"{name[:128]!r} cannot be a robot's name: letters, digits and . _ + - only, "
            "starting with a letter or digit, at most 128"
        )
    return name


def parse_robot(
    xml: bytes, name: str, metadata: Mapping[str, Any] | None = None, source: str | None = None
) -> Morphology:
    """A robot from MJCF text and, where there is one, its metadata.

    Errors name ``source`` (or ``name``) and the reason: RobotError. Without metadata the symmetric
    pairs are found from the shape.
    """
    check_name(name)
    try:
        root = parse_xml(xml)
        limbs = parse_limbs(root)
        pairs, lineage = check_metadata(limbs, metadata)
    except RejectedError as reason:
        raise RobotError(f"{source or name}: {reason}") from reason
    return Morphology(name, limbs, pairs, UNIMAL.name, lineage)


def load_robot(path: Path | str) -> Morphology:
    """The robot of an XML file, named after it, with ``../metadata/NAME.json`` if that exists."""
    path = Path(path)
    if path.suffix != ".xml":
        raise RobotError(f"{shown(path)}: is no robot file, expected a name ending in .xml")
    xml = read_file(path)
    beside = path.absolute().parent.parent / "metadata" / f"{path.stem}.json"
    metadata = None
    if beside.is_symlink() or beside.exists():
        try:
            metadata = parse_json(read_file(beside))
        except RejectedError as reason:
            raise RobotError(f"{shown(beside)}: {reason}") from reason
    return parse_robot(xml, path.stem, metadata, source=shown(path))


def load_robots(folder: Path | str) -> list[Morphology]:
    """All robots of a folder (its ``xml`` folder where there is one), ordered by name."""
    folder = Path(folder)
    xml_folder = folder / "xml" if (folder / "xml").is_dir() else folder
    if not xml_folder.is_dir():
        raise RobotError(f"{shown(folder)}: is no folder of robots")
    paths = sorted(xml_folder.glob("*.xml"))
    if not paths:
        raise RobotError(f"{shown(xml_folder)}: holds no robot files (*.xml)")
    return [load_robot(path) for path in paths]


def save_robot(morphology: Morphology, folder: Path | str) -> Path:
    """Write ``xml/NAME.xml`` and ``metadata/NAME.json`` in ``folder``; returns the XML's path.

    Each is complete or as it was before.
    """
    name = check_name(morphology.name)
    folder = Path(folder)
    path, beside = folder / "xml" / f"{name}.xml", folder / "metadata" / f"{name}.json"
    for target, text in ((path, write_robot(morphology)), (beside, write_metadata(morphology))):
        if target.is_symlink():
            raise RobotError(f"{shown(target)}: is a symbolic link, it is not written through")
        write_text(target, text)
    return path
