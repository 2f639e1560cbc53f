"""Dots become characters and colours: braille, half blocks or ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from hdtui.canvas.painter import EMPTY, Owners

if TYPE_CHECKING:
    from collections.abc import Sequence

Codes = npt.NDArray[np.uint32]
Inks = npt.NDArray[np.int8]

NUM_HUES = 6
PLAIN, MUTED, HEAD, FIRST_HUE = 0, 1, 2, 3
SPACE = ord(" ")
JUMP_CELLS = 6
"""From so many equal cells on a jump is cheaper; a braille cell takes three bytes."""

_BRAILLE_BITS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], dtype=np.uint32)
_HALF_BLOCKS = np.array([SPACE, ord("▀"), ord("▄"), ord("█")], dtype=np.uint32)


def limb_ink(pair: int, far: bool) -> int:
    """The ink of a limb: mirrored limbs share a hue, the far one has its dim form."""
    return FIRST_HUE + 2 * ((pair - 1) % NUM_HUES) + int(far)


class Span(NamedTuple):
    """Cells ``start`` up to ``end`` of a row."""

    row: int
    start: int
    end: int


@dataclass(frozen=True)
class Frame:
    """A picture as cells: code points and inks, both (rows, columns)."""

    codes: Codes
    inks: Inks

    @classmethod
    def blank(cls, width: int, height: int) -> Frame:
        """Spaces."""
        shape = (max(0, height), max(0, width))
        return cls(np.full(shape, SPACE, dtype=np.uint32), np.zeros(shape, dtype=np.int8))

    def text(self, row: int) -> str:
        """The characters of a row."""
        return str(self.codes[row].tobytes(), "utf-32-le")

    def runs(self, row: int) -> list[tuple[str, int]]:
        """A row as pieces of one ink each; spaces join the piece before them."""
        text, inks = self.text(row), self.inks[row].tolist()
        pieces: list[tuple[str, int]] = []
        start, current = 0, PLAIN
        for column, ink in enumerate(inks):
            if ink == current or text[column] == " ":
                continue
            if current != PLAIN:
                pieces.append((text[start:column], current))
                start = column
            current = ink
        pieces.append((text[start:], current))
        return pieces

    def lines(self) -> list[str]:
        """All rows as text."""
        return [self.text(row) for row in range(len(self.codes))]

    def changes(self, previous: Frame | None) -> list[Span]:
        """The spans that differ from ``previous``, left to right and down.

        A few equal cells between two that differ are sent with them: to jump over them costs more.
        """
        if previous is None or previous.codes.shape != self.codes.shape:
            height, width = self.codes.shape
            return [Span(row, 0, width) for row in range(height)]
        differs = self.codes != previous.codes
        differs |= (self.inks != previous.inks) & (self.codes != SPACE)
        spans = []
        for row in np.flatnonzero(differs.any(axis=1)).tolist():
            columns = np.flatnonzero(differs[row])
            parts = np.split(columns, np.flatnonzero(np.diff(columns) > JUMP_CELLS) + 1)
            spans += [Span(row, int(part[0]), int(part[-1]) + 1) for part in parts]
        return spans


def cell_owners(owners: Owners, cell: tuple[int, int], preference: npt.NDArray[np.int64]) -> Owners:
    """Who has most samples in each cell of ``cell`` = (rows, columns) samples: (rows, columns).

    ``preference`` ranks who wins a tie, first is best; it must name every owner once.
    """
    down, across = cell
    height, width = owners.shape[0] // down, owners.shape[1] // across
    count = len(preference)
    rank = np.empty(count, dtype=np.int64)
    rank[preference] = np.arange(count)
    row, column = np.nonzero(owners != EMPTY)
    where = (row // down) * width + column // across
    votes = np.bincount(where * count + rank[owners[row, column]], minlength=height * width * count)
    votes = votes.reshape(height, width, count)
    winner = preference[votes.argmax(axis=2)]
    return np.where(votes.any(axis=2), winner, EMPTY).astype(np.int16)


def braille_codes(owners: Owners) -> Codes:
    """Braille of 2 x 4 dots a cell; a real space where there is none."""
    height, width = owners.shape[0] // 4, owners.shape[1] // 2
    dots = (owners != EMPTY).reshape(height, 4, width, 2)
    bits = np.einsum("hawb,ab->hw", dots, _BRAILLE_BITS, dtype=np.uint32, casting="unsafe")
    return np.where(bits > 0, bits + 0x2800, SPACE).astype(np.uint32)


def half_block_codes(owners: Owners) -> Codes:
    """Half blocks, 1 x 2 dots a cell."""
    dots = (owners != EMPTY).reshape(owners.shape[0] // 2, 2, owners.shape[1]).astype(np.uint32)
    codes: Codes = _HALF_BLOCKS[dots[:, 0] + 2 * dots[:, 1]]
    return codes


def letter_codes(owners: Owners, letters: Sequence[str]) -> Codes:
    """One letter a cell, by owner."""
    table = np.array([*(ord(letter) for letter in letters), SPACE], dtype=np.uint32)
    codes: Codes = table[owners]
    return codes


def without_single_cells(inks: Inks) -> Inks:
    """Inks where a coloured cell between two others of other inks takes a neighbour's.

    Even columns first, then odd ones: two such cells side by side do not swap.
    """
    merged = inks.copy()
    for parity in (0, 1):
        left, right = np.roll(merged, 1, axis=1), np.roll(merged, -1, axis=1)
        left[:, 0], right[:, -1] = PLAIN, PLAIN
        single = (merged != PLAIN) & (merged != left) & (merged != right)
        single[:, 1 - parity :: 2] = False
        neighbour = np.where(left != PLAIN, left, right)
        take = single & (neighbour != PLAIN)
        merged[take] = neighbour[take]
    return merged
