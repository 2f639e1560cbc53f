"""``hdtui db ...``: upgrade, check, back up and restore the workspace's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import DatabaseError
from engine.text import counted
from hdtui.cli.options import Call, grouped_options
from hdtui.cli.output import print_json, safe, say

app = typer.Typer(no_args_is_help=True, help="The workspace's database.")


@app.command("upgrade")
@grouped_options()
def upgrade_command(call: Call) -> None:
    """Bring the database to this program's schema; a copy of an older one is kept."""
    _, database = call.create()
    upgrade = database.upgrade
    if call.json:
        print_json(
            {
                "schema": database.schema(),
                "from_schema": upgrade.from_schema if upgrade else None,
                "copy": upgrade.copy if upgrade else None,
            }
        )
    elif upgrade:
        steps = f"{upgrade.from_schema} to {upgrade.to_schema}"
        print(safe(f"upgraded schema {steps}, copy: {upgrade.copy}"))
    else:
        print(f"schema {database.schema()}, nothing to upgrade")


@app.command("check")
@grouped_options()
def check_command(call: Call) -> None:
    """Read the whole database and say what is wrong with it."""
    _, database = call.existing("is no database")
    problems = database.problems()
    if call.json:
        print_json({"problems": problems})
    else:
        print(safe("\n".join(problems) or "the database is sound"))
    if problems:
        found = counted(len(problems), "problem")
        say(f"hdtui: {found}; restore a backup, or keep what still reads")
        raise typer.Exit(1)


@app.command("backup")
@grouped_options()
def backup_command(
    call: Call, to: Annotated[Path, typer.Argument(help="File to write; must not exist.")]
) -> None:
    """Copy the database while runs go on; `hdtui db restore` puts it back."""
    _, database = call.existing("is no database")
    if to.exists():
        raise DatabaseError(f"{to} exists already; name a file that does not")
    database.backup(to)
    if call.json:
        print_json({"backup": to.absolute(), "size_bytes": to.stat().st_size})
    else:
        print(safe(f"{to}: {to.stat().st_size} bytes"))


@app.command("restore")
@grouped_options()
def restore_command(
    call: Call, copy: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")]
) -> None:
    """Put a backup in the database's place; what was there is kept beside it."""
    from engine.workers.commands import restore
    from engine.workers.workspace import Workspace

    workspace = Workspace(call.folder)
    workspace.check_writable()
    kept = restore(workspace, copy)
    if call.json:
        print_json({"restored": copy.absolute(), "kept": kept})
    else:
        before = f"; the database of before is kept as {kept}" if kept else ""
        print(safe(f"restored {copy}{before}"))
