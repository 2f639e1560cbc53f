"""Robots as MJCF files: parsed strictly, written exactly.

A file is accepted when everything in it that hdtui simulates is part of ``Morphology`` or has the
value the family fixes. Cameras, lights, materials, sensors, sites and contact excludes do not
matter to a body here: they stay in the file, which is kept beside the body as it came.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidRobotsError, RobotError
from engine.files import write_bytes
from engine.morphology.family import UNIMAL
from engine.morphology.metadata import check_metadata, write_metadata
from engine.morphology.mjcf_reading import check_kind, parse_limbs
from engine.morphology.mjcf_writing import write_robot
from engine.morphology.tree import Morphology
from engine.morphology.xml_reading import (
    RejectedError,
    parse_json,
    parse_xml,
    read_file,
    refuse_other_files,
    shown,
)

__all__ = [
    "RobotFile",
    "RobotFolder",
    "check_name",
    "load_robot",
    "load_robots",
    "own_file",
    "parse_robot",
    "read_folder",
    "read_robot_file",
    "save_file",
    "save_robot",
    "write_robot",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+", re.ASCII)
_LONGEST_NAME = 128
_REFUSALS_NAMED = 10


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
        check_kind(root)
        refuse_other_files(root)
        limbs = parse_limbs(root)
        pairs, lineage = check_metadata(limbs, metadata)
    except RejectedError as reason:
        raise RobotError(f"{source or name}: {reason}") from reason
    return Morphology(name, limbs, pairs, UNIMAL.name, lineage)


@dataclass(frozen=True)
class RobotFile:
    """A robot with the text of its file and its metadata; ``path`` is None for one of our own."""

    robot: Morphology
    xml: bytes
    metadata: bytes
    path: Path | None = None

    @property
    def name(self) -> str:
        """The robot's name."""
        return self.robot.name

    @property
    def digest(self) -> str:
        """The body's digest."""
        return self.robot.digest


@dataclass(frozen=True)
class Refusal:
    """A file of a folder that is no valid robot, and why; the reason names the file."""

    path: Path
    reason: str


@dataclass(frozen=True)
class RobotFolder:
    """What a folder holds: its robots by name, and the files that are none."""

    path: Path
    files: tuple[RobotFile, ...]
    refused: tuple[Refusal, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """Names of files that no robot can have, and what their robots are called instead."""
        stems = ((file.path.stem, file.robot.name) for file in self.files if file.path)
        return {_readable(stem): name for stem, name in stems if stem != name}

    def all_valid(self) -> tuple[RobotFile, ...]:
        """The robots, where every file is one.

        Raises:
            InvalidRobotsError: Files are refused; it holds them and names the first of them.
        """
        if self.refused:
            raise InvalidRobotsError(self._refusal(), self.refused, len(self.files))
        return self.files

    def _refusal(self) -> str:
        count, total = len(self.refused), len(self.refused) + len(self.files)
        verb = "is" if count == 1 else "are"
        what = "the only file is" if total == 1 else f"{count} of {total} files {verb}"
        named = "".join(f"\n  {refusal.reason}" for refusal in self.refused[:_REFUSALS_NAMED])
        more = count - _REFUSALS_NAMED
        rest = f"\n  and {more} more" if more > 0 else ""
        return f"{shown(self.path)}: {what} refused:{named}{rest}"


def own_file(robot: Morphology) -> RobotFile:
    """The file of a robot that came from no file: its body with the physics that hdtui trains."""
    return RobotFile(robot, write_robot(robot).encode(), write_metadata(robot).encode())


def safe_name(stem: str) -> str:
    """A robot's name made from a file's: accents go, and what is no letter, digit or . _ + - is -.

    ``Früher Käfer (2)`` is ``Fruher-Kafer-2``. A name that can be a robot's stays as it is.
    """
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", stem)
        if not unicodedata.combining(letter)
    )
    # Each run of other letters is one dash, and none stands at an end where none stood before.
    name = _UNSAFE.sub("-", plain).lstrip("._+-")
    if _UNSAFE.search(plain[-1:]):
        name = name.rstrip("-")
    return name[:_LONGEST_NAME] or "robot"


def read_robot_file(path: Path | str, tree: Path | None = None) -> RobotFile:
    """The robot of an XML file, named after it, with ``../metadata/NAME.json`` if that exists.

    Links are followed where they end inside ``tree``, and refused without one.

    Raises:
        RobotError: The file is missing, too large, a link that is not followed, or no valid robot.
    """
    path = Path(path)
    if path.suffix != ".xml":
        raise RobotError(f"{shown(path)}: is no robot file, expected a name ending in .xml")
    xml = read_file(path, tree)
    beside = path.absolute().parent.parent / "metadata" / f"{path.stem}.json"
    metadata, written = None, None
    try:
        described = beside.is_symlink() or beside.exists()
    except OSError as error:
        raise RobotError(f"{shown(beside)}: cannot be read: {error.strerror}") from error
    if described:
        written = read_file(beside, tree)
        try:
            metadata = parse_json(written)
        except RejectedError as reason:
            raise RobotError(f"{shown(beside)}: {reason}") from reason
    robot = parse_robot(xml, safe_name(path.stem), metadata, source=shown(path))
    return RobotFile(robot, xml, written or write_metadata(robot).encode(), path)


def load_robot(path: Path | str) -> Morphology:
    """The robot of an XML file, without the file."""
    return read_robot_file(path).robot


def read_folder(folder: Path | str) -> RobotFolder:
    """All robots of a folder (its ``xml`` folder where there is one), and what is refused there.

    Links are followed inside the folder's own tree.

    Raises:
        RobotError: It is no folder, or holds no robot files.
    """
    folder = Path(folder)
    tree = folder.resolve()
    if tree.name == "xml":  # its metadata stand beside it
        tree = tree.parent
    xml_folder = folder / "xml" if (folder / "xml").is_dir() else folder
    if not xml_folder.is_dir():
        raise RobotError(f"{shown(folder)}: is no folder of robots")
    try:
        paths = sorted(path for path in xml_folder.iterdir() if path.suffix == ".xml")
    except OSError as error:
        raise RobotError(f"{shown(xml_folder)}: cannot be read: {error.strerror}") from error
    if not paths:
        raise RobotError(f"{shown(xml_folder)}: holds no robot files (*.xml)")
    files: dict[str, RobotFile] = {}
    refused = []
    for path in sorted(paths, key=lambda path: (path.stem != safe_name(path.stem), path)):
        try:
            file = read_robot_file(path, tree)
            if (other := files.get(file.robot.name)) is not None:
                raise RobotError(
                    f"{shown(path)}: its robot would be named {file.robot.name}, as that of"
                    f" {shown(other.path or path)}; rename one of them"
                )
            files[file.robot.name] = file
        except RobotError as error:
            refused.append(Refusal(path, str(error)))
    refused.sort(key=lambda refusal: refusal.path)
    by_path = sorted(files.values(), key=lambda file: str(file.path))
    return RobotFolder(folder, tuple(by_path), tuple(refused))


def load_robots(folder: Path | str) -> list[Morphology]:
    """The robots of a folder in which every file is one, ordered by name.

    Raises:
        RobotError: It is no folder, holds no robot files, or one that is not valid.
    """
    return [file.robot for file in read_folder(folder).all_valid()]


def _readable(stem: str) -> str:
    return stem.encode(errors="backslashreplace").decode()


def save_robot(morphology: Morphology, folder: Path | str) -> Path:
    """Write ``xml/NAME.xml`` and ``metadata/NAME.json`` in ``folder``; returns the XML's path.

    Each is complete or as it was before.
    """
    xml, metadata = write_robot(morphology).encode(), write_metadata(morphology).encode()
    return save_file(check_name(morphology.name), xml, metadata, folder)


def save_file(name: str, xml: bytes, metadata: bytes, folder: Path | str) -> Path:
    """Write a robot's file and metadata, whatever they hold, as ``save_robot`` does."""
    folder = Path(folder)
    path, beside = folder / "xml" / f"{name}.xml", folder / "metadata" / f"{name}.json"
    for target, content in ((path, xml), (beside, metadata)):
        if target.is_symlink():
            raise RobotError(f"{shown(target)}: is a symbolic link, it is not written through")
        write_bytes(target, content)
    return path
