"""Braille in pictures: dots are drawn, for the fonts of most readers lack these letters."""

import html
import re

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
