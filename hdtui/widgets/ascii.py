"""The cockpit in ASCII: every glyph has a letter, and columns keep their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from hdtui.widgets.lines import Line

_ONE = str.maketrans(
    {
        **dict(zip("∙◦►◄✓▪✗†◊", ".o><+=x!/", strict=True)),
        **dict(zip("│─━┬┴├┤┼┌┐└┘", "|-=+++++++++", strict=True)),
        **dict(zip("▌▏·×↓↑−", ">:.xv^-", strict=True)),
        **dict(zip("█▉▊▋▍▎▐", "#######", strict=True)),
        **dict(zip("▁▂▃▄▅▆▇", "__.-==*", strict=True)),
    }
)
_MANY = {"±": "+-", "…": "...", "→": "->", "≠": "!=", "←": "<-"}


def ascii_text(text: str) -> str:
    """``text`` with a letter for every glyph; what has none becomes ``?``."""
    text = _braille_as_dots(text)
    for glyph, letters in _MANY.items():
        text = text.replace(glyph, letters)
    return "".join(letter if letter.isascii() else "?" for letter in text.translate(_ONE))


def ascii_cells(text: str, encoding: str) -> str:
    """``text`` in as many cells, with a letter for every character that an encoding lacks."""
    return "".join(
        letter if _has(encoding, letter) else ascii_text(letter)[:1].ljust(cell_len(letter), "?")
        for letter in text
    )


def _has(encoding: str, letter: str) -> bool:
    try:
        return bool(letter.encode(encoding))
    except UnicodeEncodeError:
        return False


def ascii_line(spans: Line) -> Line:
    """A line in ASCII; where a glyph grows, the spaces after it shrink."""
    drawn: list[tuple[str, str]] = []
    surplus = 0
    for span in spans:
        text = ascii_text(span.text)
        surplus += len(text) - len(span.text)
        if surplus > 0:
            text, surplus = _shrink(text, surplus)
        drawn.append((text, span.role))
    kind = type(spans[0]) if spans else None
    return tuple(kind(text, role) for text, role in drawn) if kind else ()


def _braille_as_dots(text: str) -> str:
    return "".join(
        " " if letter == "⠀" else "*" if "⠀" < letter <= "⣿" else letter for letter in text
    )


def _shrink(text: str, surplus: int) -> tuple[str, int]:
    """Take up to ``surplus`` spaces out of runs of two and more."""
    while surplus > 0 and "  " in text:
        where = text.index("  ")
        text = text[:where] + text[where + 1 :]
        surplus -= 1
    return text, surplus
