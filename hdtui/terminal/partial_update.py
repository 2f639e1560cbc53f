"""What a partial update sends: the cells that changed, from the first of them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.control import Control
from textual._compositor import ChopsUpdate

if TYPE_CHECKING:
    from rich.console import Console


class ChangedCells(ChopsUpdate):
    """Spans of lines as they are; Textual's own begin each at the left edge of its widget.

    A robot in the middle of an empty picture, or a number at the end of a row, costs a third less.
    """

    @classmethod
    def of(cls, update: ChopsUpdate) -> ChangedCells:
        """The same update, sent as spans."""
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """The update as text for the terminal; every piece says where it stands."""
        sequences: list[str] = []
        for row, start, end in self.spans:
            for right, (left, strip) in zip(
                self.chop_ends[row], self.chops[row].items(), strict=False
            ):
                first, last = max(left, start), min(right, end)
                if strip is None or first >= last:
                    continue
                whole = (first, last) == (left, right)
                changed = strip if whole else strip.crop(first - left, last - left)
                sequences.append(Control.move_to(first, row).segment.text)
                sequences.append(changed.render(console))
        return "".join(sequences)
