"""The last look at what goes to the terminal: text from outside may not draw, jump or turn."""

import re
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color

_DRAWING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""Control characters of both sets, turns of direction, what has no width: none takes a cell."""
_HALVES = re.compile("[\ud800-\udfff]")
"""Bytes of file names that are no text; they take a cell, and no terminal can be sent one."""


class DrawnText(LineFilter):
    """Drops characters that terminals obey; lines keep their width, for none of them has any."""

    def apply(self, segments: list[Segment], background: "Color") -> list[Segment]:
        """The same segments without such characters; those of the program itself stay."""
        del background
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment
            if segment.control
            else Segment(_HALVES.sub("?", _DRAWING.sub("", segment.text)), segment.style)
            for segment in segments
        ]
