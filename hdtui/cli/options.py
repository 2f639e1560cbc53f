"""Options that many commands share, each declared once, and the workspace they open."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from engine.errors import DatabaseError, RunError, UsageError
from hdtui.cli import completion
from hdtui.cli.home import home_folder
from hdtui.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from db.session import Database
    from engine.workers.workspace import Workspace

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Workspace folder; else HDTUI_HOME, else the user data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of every random choice.")
]
NoSeed = Annotated[
    int | None, typer.Option("--seed", help="No effect: nothing here is drawn by chance.")
]
NoHome = Annotated[
    Path | None, typer.Option("--home", help="No effect: no workspace is read or written.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting; `hdtui settings STAGE` lists them.",
        autocompletion=completion.settings,
    ),
]


def _readable(path: Path | None) -> Path | None:
    """A file of settings that can be opened.

    Raises:
        UsageError: It cannot.
    """
    if path is not None:
        from engine.files import check_file

        try:
            check_file(path)
        except OSError as error:
            raise UsageError(f"--config {path}: cannot be read: {error.strerror}") from error
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Settings from a TOML file.", metavar="FILE.toml", callback=_readable
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach/--follow", help="Return at once, or follow until the end.")
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset", help="smoke, quick, laptop or paper.", autocompletion=completion.presets
    ),
]
DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option("--device", help="Where networks run; auto is a GPU where there is one."),
]
Name = Annotated[str | None, typer.Option("--name", help="A name for the run.")]
Study = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="NAME",
        help="Study that the run belongs to; study:NAME finds it.",
        autocompletion=completion.studies,
    ),
]
AllowedRoles = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-role",
        metavar="ROLE",
        help="Learn from a set that is not for training: unseen, or none for one without a role.",
        autocompletion=completion.words("unseen", "none"),
    ),
]


@dataclass(frozen=True)
class Call:
    """What every command takes: where the workspace is, whether a script asks, and a seed.

    Raises:
        WorkspaceError: Its methods: the folder cannot be entered.
        DatabaseError: The database is corrupt or newer than this program.
    """

    home: Home = None
    json: Json = False
    seed: NoSeed = None

    @property
    def usual_seed(self) -> int:
        """The seed, 1 where none was given."""
        return 1 if self.seed is None else self.seed

    @property
    def folder(self) -> Path:
        return home_folder(self.home)

    def create(self) -> tuple[Workspace, Database]:
        """The workspace to write to, created where absent, and its database.

        Raises:
            WorkspaceError: The folder cannot be created or written; nothing was created.
        """
        from db.session import Database
        from engine.workers.workspace import Workspace

        workspace = Workspace(self.folder)
        workspace.check_writable()
        return workspace, Database.open(workspace.home)

    def look(self) -> tuple[Workspace, Database | None]:
        """The workspace to read, and its database or None where nothing was ever written.

        Whoever looks brings back a supervisor that work waits for; a sentence says where that
        fails.
        """
        from db.session import Database
        from engine.workers.supervision import attend
        from engine.workers.workspace import Workspace

        workspace = Workspace(self.folder)
        if not workspace.database_exists():
            return workspace, None
        database = Database.open(workspace.home, create=False)
        try:
            if attend(database):
                say("Runs waited without a supervisor; another is started.")
        except (RunError, DatabaseError) as error:
            say(str(error))
        return workspace, database

    def existing(self, what: str = "are no runs") -> tuple[Workspace, Database]:
        """The workspace and its database, which must exist; where they do not, there ``what``.

        Raises:
            RunError: Nothing was ever run in this workspace.
        """
        workspace, database = self.look()
        if database is None:
            raise RunError(
                f"{no_workspace(workspace.home)}, so there {what}; "
                "start one with `hdtui pipeline --preset quick`, or name another with --home"
            )
        return workspace, database


def no_workspace(home: Path) -> str:
    """The words for a folder in which nothing was ever run."""
    return f"{home}: no workspace here yet"


def grouped_options(
    defaults: Mapping[str, Any] | None = None, **annotations: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function that takes ``Call`` and other dataclasses of options.

    The command has an option for each of their fields, behind its own. ``annotations`` say a field
    otherwise, None leaves it out; ``defaults`` are other defaults of fields.
    """
    changed = defaults or {}

    def grouped(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        groups: dict[str, Any] = {}
        parameters: list[inspect.Parameter] = []
        options: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if not is_dataclass(parameter.annotation):
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            groups[parameter.name] = group = parameter.annotation
            hints = get_type_hints(group, include_extras=True) | annotations
            options[:0] = [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=changed.get(field.name, field.default),
                    annotation=hints[field.name],
                )
                for field in fields(group)
                if hints[field.name] is not None
            ]

        @functools.wraps(function)
        def command(**given: Any) -> None:
            values = {
                name: group(
                    **{
                        each.name: given.pop(each.name)
                        for each in fields(group)
                        if each.name in given
                    }
                )
                for name, group in groups.items()
            }
            function(**values, **given)

        # What the parser of the command line reads; it would follow __wrapped__ to the function.
        del command.__wrapped__
        taken = [*parameters, *options]
        command.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in taken}
        return command

    return grouped


def known_name(value: str, known: Collection[str], what: str) -> str:
    """``value`` where it is one of ``known``.

    Raises:
        UsageError: It is not; the sentence lists what there is.
    """
    if value not in known:
        raise UsageError(f"there is no {what} {value!r}; choose from {', '.join(known)}")
    return value
