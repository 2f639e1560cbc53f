"""``hdtui screenshots``: pictures of the main screens, taken from the demo without a terminal."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from textual.pilot import Pilot

from engine.errors import HdtuiError
from hdtui.app import CockpitApp
from hdtui.cli.output import say
from hdtui.services.demo.world import build

SIZE = (100, 30)
_FONT = "DejaVu Sans Mono"
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Shot:
    """A screen: the keys that lead there from the one before, and a word that shows it is full."""

    name: str
    keys: tuple[str, ...]
    word: str
    wait_s: float = 1.0


SHOTS = (
    Shot("home", (), "Machine"),
    Shot("runs", ("2",), "demo-laptop-s3"),
    Shot("run", ("1", "home", "enter"), "a 29"),
    Shot("robots", ("3", "j"), "teacher "),
    Shot("watch", ("4",), "KiB/s", 4.0),
    Shot("compare", ("2", "asterisk", "c"), "mean", 2.0),
    Shot("efficiency", ("6",), "MACs", 2.0),
    Shot("launch", ("1", "n"), "Same as"),
)


def screenshots_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    only: Annotated[str, typer.Option("--only", help="Names, parted by commas.")] = "",
    theme: Annotated[str, typer.Option("--theme", help="Colours of the pictures.")] = "dark",
) -> None:
    """Draw the main screens of the demo as SVG, and as PNG where cairosvg is installed."""
    from db.session import URL_VARIABLE

    os.environ.pop(URL_VARIABLE, None)
    out.mkdir(parents=True, exist_ok=True)
    names = only.split(",") if only else [shot.name for shot in SHOTS]
    with tempfile.TemporaryDirectory(prefix="hdtui-demo-") as folder:
        home = Path(folder) / "demo"
        build(home)
        pictures = asyncio.run(take(home, names, theme))
    converter = _converter()
    for name, svg in pictures.items():
        path = out / f"{name}.svg"
        path.write_text(svg)
        if converter is not None:
            converter.svg2png(
                bytestring=svg.replace("Fira Code", _FONT).encode(),
                write_to=str(path.with_suffix(".png")),
            )
    kinds = "SVG and PNG" if converter else "SVG; `pip install cairosvg` adds PNG"
    say(f"{len(pictures)} screens in {out}: {kinds}")


async def take(home: Path, names: Sequence[str], theme: str) -> dict[str, str]:
    """The SVG of each named screen of the workspace."""
    app = CockpitApp(home, readonly=True, theme=theme)
    pictures = {}
    async with app.run_test(size=SIZE) as pilot:
        for shot in SHOTS:
            if shot.name in names:
                await pilot.press(*shot.keys)
                await _until(pilot, shot.word)
                await pilot.pause(shot.wait_s)
                pictures[shot.name] = app.export_screenshot(title=f"hdtui, demo: {shot.name}")
    app.cockpit.store.close()
    return pictures


async def _until(pilot: Pilot[Any], word: str) -> None:
    for _ in range(round(_PATIENCE_S / 0.1)):
        strips = pilot.app.screen._compositor.render_strips()
        if word in "\n".join(strip.text for strip in strips):
            return
        await pilot.pause(0.1)
    raise HdtuiError(f"the screen never showed {word!r}")


def _converter() -> ModuleType | None:
    try:
        return import_module("cairosvg")
    except (ImportError, OSError):  # the package, or the library it stands on
        return None
