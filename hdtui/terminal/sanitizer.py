"""The last look at what goes to the terminal: text from outside may not draw, jump or turn."""

from __future__ import annotations

import re
from codecs import lookup
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

from hdtui.widgets.ascii import ascii_cells

if TYPE_CHECKING:
    from textual.color import Color

_DRAWING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""Control characters of both sets, turns of direction, what has no width: none takes a cell."""
_HALVES = re.compile("[\ud800-\udfff]")
"""Bytes of file names that are no text; they take a cell, and no terminal can be sent one."""


class DrawnText(LineFilter):
    """Drops characters that terminals obey; lines keep their width, for none of them has any.

    A terminal of another encoding than UTF-8 is sent letters for what it lacks.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding
        self._lacks_nothing = lookup(encoding).name == "utf-8"

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments without such characters; those of the program itself stay."""
        del background
        if self._lacks_nothing and all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(self._drawn(segment.text), segment.style)
            for segment in segments
        ]

    def _drawn(self, text: str) -> str:
        text = _HALVES.sub("?", _DRAWING.sub("", text))
        return text if self._lacks_nothing else ascii_cells(text, self._encoding)
