"""``hdtui screenshots``: pictures of the main screens, taken from the demo without a terminal."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import HdtuiError, UsageError
from engine.text import counted
from hdtui.bench.svg_braille import with_drawn_dots
from hdtui.cli import completion
from hdtui.cli.options import Call, NoHome, grouped_options, known_name
from hdtui.cli.output import print_json, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from textual.pilot import Pilot

_FONT = "DejaVu Sans Mono"
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Shot:
    """A screen: the keys that lead there from the one before, and a word that shows it is full."""

    name: str
    keys: tuple[str, ...]
    word: str
    wait_s: float = 1.0


PICTURE = "braille"
"""Stands for any braille letter: a curve or a robot is drawn."""
SHOTS = (
    Shot("home", (), "Machine"),
    Shot("run", ("enter",), PICTURE),
    Shot("runs", ("2",), "demo-laptop-s3"),
    Shot("robots", ("3", "j"), PICTURE),
    Shot("watch", ("4",), PICTURE, 3.0),
    Shot("compare", ("2", "slash", *"kind:teacher", "enter", "asterisk", "c"), PICTURE),
    Shot("efficiency", ("6",), "MACs"),
    Shot("studies", ("7",), "begun"),
    Shot("study", ("enter",), PICTURE),
    Shot("launch", ("1", "1", "n"), "Same as"),
)


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
            autocompletion=completion.words(*(shot.name for shot in SHOTS)),
        ),
    ] = "",
    theme: Annotated[str, typer.Option("--theme", help="Colours of the pictures.")] = "dark",
    size: Annotated[str, typer.Option("--size", help="Columns x rows.")] = "100x30",
) -> None:
    """Draw the main screens of the demo as SVG, and as PNG where cairosvg is installed."""
    from db.address import URL_VARIABLE
    from hdtui.demo.world import build

    os.environ.pop(URL_VARIABLE, None)
    known = [shot.name for shot in SHOTS]
    names = (
        [known_name(name.strip(), known, "screen") for name in only.split(",")] if only else known
    )
    if not re.fullmatch(r"[1-9]\d{0,2}x[1-9]\d{0,2}", size, re.ASCII):
        raise UsageError(f"--size {size}: expected columns x rows, such as 80x24")
    columns, _, rows = size.partition("x")
    cells = (int(columns), int(rows))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="hdtui-demo-") as folder:
        home = Path(folder) / "demo"
        build(home)
        converter = _converter()

        def keep(name: str, svg: str) -> None:
            _write(out / f"{name}.svg", svg, converter)

        asyncio.run(take(home, names, theme, cells, keep))
    kinds = "SVG and PNG" if converter else "SVG; `pip install cairosvg` adds PNG"
    say(f"{counted(len(names), 'screen')} in {out}: {kinds}")
    if call.json:
        print_json({"folder": out.absolute(), "screens": names})


async def take(
    home: Path,
    names: Sequence[str],
    theme: str,
    size: tuple[int, int],
    keep: Callable[[str, str], None],
) -> None:
    """Give the name and the SVG of each named screen of the workspace to ``keep``."""
    from hdtui.app import CockpitApp

    app = CockpitApp(home, readonly=True, theme=theme)
    async with app.run_test(size=size) as pilot:
        for shot in SHOTS:
            if shot.name in names:
                await pilot.press(*shot.keys)
                await _until(pilot, shot.word)
                await pilot.pause(shot.wait_s)
                keep(shot.name, app.export_screenshot(title=f"hdtui, demo: {shot.name}"))
    app.cockpit.store.close()


def _write(path: Path, svg: str, converter: ModuleType | None) -> None:
    svg = with_drawn_dots(svg)
    path.write_text(svg, encoding="utf-8")
    if converter is not None:
        drawn = svg.replace("Fira Code", _FONT).encode()
        converter.svg2png(bytestring=drawn, write_to=str(path.with_suffix(".png")))


async def _until(pilot: Pilot[Any], word: str) -> None:
    for _ in range(round(_PATIENCE_S / 0.1)):
        strips = pilot.app.screen._compositor.render_strips()
        shown = "".join(strip.text for strip in strips)
        if word in shown or (word == PICTURE and any("⠁" <= each <= "⣿" for each in shown)):
            return
        await pilot.pause(0.1)
    raise HdtuiError(f"the screen never showed {word!r}")


def _converter() -> ModuleType | None:
    try:
        return import_module("cairosvg")
    except (ImportError, OSError):  # the package, or the library it stands on
        return None
