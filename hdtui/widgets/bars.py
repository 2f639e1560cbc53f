"""Bars and sparklines as text."""

import itertools
import math
from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SPARKS = "▁▂▃▄▅▆▇█"


def progress_line(share: float | None, width: int) -> str:
    """Progress as a heavy line over a light one, ``width`` cells: ━━━───."""
    if share is None or width <= 0:
        return ""
    full = min(width, max(0, int(share * width + 1e-9)))
    return "━" * full + "─" * (width - full)


def block_bar(share: float, width: int) -> str:
    """A quantity as a bar from zero in eighths of a cell, padded to ``width``."""
    eighths = min(width * 8, max(0, round(share * width * 8)))
    whole, part = divmod(eighths, 8)
    bar = "█" * whole + (_EIGHTHS[part] if part else "")
    return bar.ljust(width)


def sparkline(values: Sequence[float], width: int) -> str:
    """The last ``values`` in ``width`` cells, the mean per cell, on their own scale.

    A cell with a value that is not finite has no height: ×.
    """
    if not values or width <= 0:
        return ""
    cells = _means(values, min(width, len(values)))
    known = [cell for cell in cells if math.isfinite(cell)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    spread = high - low

    def spark(cell: float) -> str:
        if not math.isfinite(cell):
            return "×"
        return _SPARKS[min(7, int((cell - low) / spread * 8))] if spread > 0 else _SPARKS[0]

    return "".join(map(spark, cells))


def _means(values: Sequence[float], num_cells: int) -> list[float]:
    edges = [len(values) * cell // num_cells for cell in range(num_cells + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]
