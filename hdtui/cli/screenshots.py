"""``hdtui screenshots``: pictures of the main screens, taken from the demo without a terminal."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import UsageError
from engine.text import counted
from hdtui.bench.screenshots import SHOTS, draw_screens
from hdtui.cli import completion
from hdtui.cli.options import Call, NoHome, grouped_options, known_name
from hdtui.cli.output import print_json, say

SCREENS = [shot.name for shot in SHOTS]


@grouped_options(home=NoHome)
def screenshots_command(
    call: Call,
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="NAME,...",
            help="Some screens alone.",
            autocompletion=completion.words(*SCREENS),
        ),
    ] = "",
    theme: Annotated[str, typer.Option("--theme", help="Colours of the pictures.")] = "dark",
    size: Annotated[str, typer.Option("--size", help="Columns x rows.")] = "100x30",
) -> None:
    """Draw the main screens of the demo as SVG, and as PNG where cairosvg is installed."""
    from db.address import URL_VARIABLE

    os.environ.pop(URL_VARIABLE, None)
    names = (
        [known_name(name.strip(), SCREENS, "screen") for name in only.split(",")]
        if only
        else SCREENS
    )
    if not re.fullmatch(r"[1-9]\d{0,2}x[1-9]\d{0,2}", size, re.ASCII):
        raise UsageError(f"--size {size}: expected columns x rows, such as 80x24")
    columns, _, rows = size.partition("x")
    cells = (int(columns), int(rows))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made: {error.strerror}") from error
    as_png = draw_screens(out, names, theme, cells)
    kinds = "SVG and PNG" if as_png else "SVG; `pip install cairosvg` adds PNG"
    say(f"{counted(len(names), 'screen')} in {out}: {kinds}")
    if call.json:
        print_json({"folder": out.absolute(), "screens": names})
