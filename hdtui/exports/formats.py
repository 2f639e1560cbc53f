"""Text that other programs read: tables as CSV, Markdown, LaTeX; settings as TOML."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_UNITS = {"m_s": "m/s", "kg": "kg", "us": "µs", "s": "s", "m": "m", "j": "J"}
"""How the end of a name is written behind its words; longer ends first."""
_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class DataTable:
    """Rows of plain values under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.headings, row, strict=True)) for row in self.rows]

    def numeric(self) -> list[bool]:
        """Which columns hold numbers alone: they stand to the right."""
        columns = list(zip(*self.rows, strict=True))
        return [all(isinstance(cell, int | float | None) for cell in own) for own in columns] or [
            False
        ] * len(self.headings)


def as_csv(table: DataTable) -> str:
    """Comma-separated values with a line of headings (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.headings)
    writer.writerows([[_plain(cell) for cell in row] for row in table.rows])
    return text.getvalue()


def as_markdown(table: DataTable) -> str:
    """A Markdown table; numbers with six digits."""
    lines = [table.headings, tuple("---:" if each else "---" for each in table.numeric())]
    lines += [tuple(_short(cell) for cell in row) for row in table.rows]
    cells = (
        [_one_line(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in line]
        for line in lines
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def as_latex(table: DataTable) -> str:
    """A tabular with booktabs' rules; headings in words and units, numbers with six digits."""
    places = "".join("r" if each else "l" for each in table.numeric())
    lines = [[heading(name) for name in table.headings]]
    lines += [[_short(cell) for cell in row] for row in table.rows]
    first, *rows = (" & ".join(_latex(cell) for cell in line) + r" \\" for line in lines)
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{places}}}",
            "\\toprule",
            first,
            "\\midrule",
            *rows,
            "\\bottomrule",
            "\\end{tabular}\n",
        ]
    )


WRITERS: Mapping[str, Callable[[DataTable], str]] = {
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}


def as_toml(document: Mapping[str, Any], section: Sequence[str] = ()) -> str:
    """A document as TOML, its mappings as sections; what is None is left out."""
    known = {_toml_key(key): value for key, value in document.items() if value is not None}
    plain = {key: value for key, value in known.items() if not isinstance(value, Mapping)}
    nested = {key: value for key, value in known.items() if key not in plain}
    lines = [f"[{'.'.join(section)}]"] if section and (plain or not nested) else []
    lines += [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for key, value in nested.items():
        lines += ["", as_toml(value, (*section, key)).rstrip("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        known = {key: each for key, each in value.items() if each is not None}
        items = (f"{_toml_key(key)} = {_toml(each)}" for key, each in known.items())
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value if each is not None)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def heading(name: str) -> str:
    """The words of a column's name and its unit: ``mass_kg`` is mass (kg)."""
    for end, unit in _UNITS.items():
        if name.endswith(f"_{end}"):
            return f"{heading(name.removesuffix(f'_{end}'))} ({unit})"
    return name.removeprefix("num_").replace("_", " ")


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return str(value.value if isinstance(value, Enum) else value)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _plain(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _one_line(text))
