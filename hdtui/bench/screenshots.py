"""Pictures of the main screens, taken from the demo without a terminal; braille dots are drawn.

The fonts of most readers lack braille letters.
"""

from __future__ import annotations

import asyncio
import html
import re
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import HdtuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from textual.pilot import Pilot

_FONT = "DejaVu Sans Mono"
_PATIENCE_S = 60.0
_TEXT = re.compile(
    r'<text class="(?P<class>[^"]*)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)"(?P<rest>[^>]*)>'
    r"(?P<text>[^<]*)</text>"
)
_FIRST, _LAST = "⠁", "⣿"
# Rich's export: a cell is 12.2 by 24.4, its text stands 20 below the top.
_CELL = (12.2, 24.4)
_BASELINE = 20.0
_SIDE = 3.2
_PLACES = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of the dot behind each bit of a braille letter."""


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
    Shot("efficiency", ("6",), "reproduced"),
    Shot("studies", ("7",), "begun"),
    Shot("study", ("enter",), PICTURE),
    Shot("launch", ("1", "1", "n"), "Same as"),
)


def draw_screens(out: Path, names: Sequence[str], theme: str, size: tuple[int, int]) -> bool:
    """Draw named screens of the demo into a folder; whether as PNG too, which takes cairosvg."""
    from hdtui.demo.world import build

    with tempfile.TemporaryDirectory(prefix="hdtui-demo-") as folder:
        home = Path(folder) / "demo"
        build(home)
        converter = _converter()

        def keep(name: str, svg: str) -> None:
            _write(out / f"{name}.svg", svg, converter)

        asyncio.run(_take(home, names, theme, size, keep))
    return converter is not None


async def _take(
    home: Path,
    names: Sequence[str],
    theme: str,
    size: tuple[int, int],
    keep: Callable[[str, str], None],
) -> None:
    """Give the name and the SVG of each named screen of the workspace to ``keep``."""
    from hdtui.app import CockpitApp  # the command's words are completed without it

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


def with_drawn_dots(svg: str) -> str:
    """The picture with squares in place of braille letters, in the colour of their text."""
    return _TEXT.sub(_drawn, svg)


def _drawn(match: re.Match[str]) -> str:
    text = html.unescape(match["text"])
    if not any(_FIRST <= letter <= _LAST for letter in text):
        return match[0]
    left, top = float(match["x"]), float(match["y"]) - _BASELINE
    squares = "".join(
        _squares(ord(letter) - 0x2800, left + place * _CELL[0], top)
        for place, letter in enumerate(text)
        if _FIRST <= letter <= _LAST
    )
    path = f'<path class="{match["class"]}" d="{squares}"/>'
    kept = "".join("\xa0" if _FIRST <= letter <= _LAST else letter for letter in text)
    if not kept.strip("\xa0 "):
        return path
    words = html.escape(kept, quote=False).replace("\xa0", "&#160;")
    start = f'<text class="{match["class"]}" x="{match["x"]}" y="{match["y"]}"{match["rest"]}>'
    return f"{path}{start}{words}</text>"


def _squares(bits: int, left: float, top: float) -> str:
    parts = []
    for bit, (column, row) in enumerate(_PLACES):
        if bits >> bit & 1:
            x = left + (column + 0.5) * _CELL[0] / 2 - _SIDE / 2
            y = top + (row + 0.5) * _CELL[1] / 4 - _SIDE / 2
            parts.append(f"M{x:.1f} {y:.1f}h{_SIDE}v{_SIDE}h-{_SIDE}z")
    return "".join(parts)
