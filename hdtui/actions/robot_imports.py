"""Robots from a folder into a set, the same from a command and from the cockpit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.records import RobotSet
from engine.errors import InvalidRobotsError
from engine.morphology.context import missing_class
from engine.morphology.mjcf import Refusal, RobotFolder, read_folder
from engine.morphology.validity import outside_space
from engine.text import counted
from engine.workers.robot_library import TRAINING, check_set_name, folder_set_name, import_files
from hdtui.formatting import printable

if TYPE_CHECKING:
    from pathlib import Path

    from db.session import Database
    from engine.workers.workspace import Workspace

_NAMED = 10
_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Imported:
    """What came of a folder: its set, and all that somebody should know of its files."""

    set: RobotSet
    refused: tuple[Refusal, ...]
    """Files that are no valid robots and were left out."""
    renamed: Mapping[str, str]
    """Names of files that no robot can have, and what their robots are called."""
    outside: Mapping[str, Sequence[str]]
    """By robot, the numbers that lie outside the design space."""
    without_classes: Mapping[str, str]
    """By robot, why it has no transformed context: only policies of the raw one can drive it."""

    def notes(self) -> Iterator[str]:
        """A sentence for whatever is unusual, then the files that were left out."""
        if self.renamed:
            old, new = next(iter(self.renamed.items()))
            count = counted(len(self.renamed), "file")
            yield f"{count} had a name that no robot can have, such as {old!r}, now {new}"
        if self.outside:
            name, numbers = next(iter(self.outside.items()))
            count = counted(len(self.outside), "robot lies", "robots lie")
            yield f"{count} outside the design space, such as {name} ({numbers[0]})"
        if self.without_classes:
            name, reason = next(iter(self.without_classes.items()))
            yield (
                f"{len(self.without_classes)} of them can be driven by policies of the raw context"
                f" alone, such as {name}: {reason} of the transformed context"
            )
        if self.refused:
            yield f"{counted(len(self.refused), 'file')} left out:"
            yield from (f"  {refusal.reason}" for refusal in self.refused[:_NAMED])
            if len(self.refused) > _NAMED:
                yield f"  and {len(self.refused) - _NAMED} more"


def refusal_sentences(error: InvalidRobotsError) -> list[str]:
    """What a dialog says of refused files: how many, which, and why the first one is."""
    names = [printable(refusal.path.name) for refusal in error.refused]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    what = counted(len(names), "file is no valid robot", "files are no robots")
    reason = error.refused[0].reason.removeprefix(f"{error.refused[0].path}: ")
    return [
        f"{what}: {', '.join(names[:_NAMES_SHOWN])}{more}.",
        f"{names[0]}: {printable(reason)}.",
    ]


def read_robots_of(folder: Path, set_name: str | None, skip_invalid: bool) -> RobotFolder:
    """The robots of a folder that may be imported; nothing is changed by reading them.

    Raises:
        InvalidRobotsError: Files are no valid robots, and those are not to be left out.
        UsageError: A set cannot be named so.
    """
    check_set_name(set_name or folder_set_name(folder))
    found = read_folder(folder)
    if found.refused and not (skip_invalid and found.files):
        try:
            found.all_valid()
        except InvalidRobotsError as error:
            advice = f"; --skip-invalid imports the other {error.num_valid}" * bool(found.files)
            raise InvalidRobotsError(
                f"{error}\nnothing was imported{advice}", error.refused, error.num_valid
            ) from error
    return found


def import_read(
    database: Database,
    workspace: Workspace,
    found: RobotFolder,
    set_name: str | None,
    role: str = TRAINING,
) -> Imported:
    """Put robots that were read into the library and into a set of theirs.

    Raises:
        UsageError: The set exists with other robots.
        RobotError: The library has one of the bodies under the same name from another file.
    """
    name = set_name or folder_set_name(found.path)
    made = import_files(database, workspace, found.files, name, role)
    robots = [file.robot for file in found.files]
    missing = {robot.name: missing_class(robot) for robot in robots}
    return Imported(
        set=made,
        refused=found.refused,
        renamed=found.renamed,
        outside=outside_space(robots),
        without_classes={name: reason for name, reason in missing.items() if reason},
    )
