"""What commands print: JSON documents or tables on stdout, everything else on stderr."""

import codecs
import io
import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from engine.errors import HdtuiError, UsageError
from engine.text import clause
from hdtui.formatting import printable

_REPLACE = "hdtui-letters"


def document(value: Any) -> Any:
    """``value`` as plain JSON types: records become objects, times ISO 8601.

    JSON has no numbers that are not finite: they become the texts NaN, Infinity and -Infinity,
    which ``float`` of Python and ``Number`` of JavaScript read.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return document(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): document(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [document(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if isinstance(value, Path) else value


def print_json(value: Any) -> None:
    """One JSON document on stdout; in ASCII, so that no name in it can draw on a terminal."""
    print(json.dumps(document(value), indent=2, allow_nan=False))


def replace_what_cannot_be_written() -> None:
    """Letters for what the encoding of stdout and stderr lacks: ``...`` for an ellipsis."""
    codecs.register_error(_REPLACE, _in_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_REPLACE)


def _in_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from hdtui.widgets.ascii import ascii_text  # only where something lacks

    return ascii_text(error.object[error.start : error.end]), error.end


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(safe(text), file=sys.stderr, flush=True)


def refuse(error: HdtuiError, json: bool = False) -> int:
    """Say what is wrong, in one sentence on stderr; the exit code: 2 for wrong use, else 1.

    With ``json`` it is a document on stdout as well. Commands print theirs last of all, so an error
    that leaves one means that none was printed.
    """
    code = 2 if isinstance(error, UsageError) else 1
    say(f"hdtui: {clause(str(error))}")
    if json:
        print_failure(error, code)
    return code


def print_failure(error: Exception, exit_code: int, **facts: Any) -> None:
    """The document of a command that failed: kind of error, sentence, exit code; then ``facts``."""
    name = type(error).__name__.removesuffix("Error")
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    told = {"kind": kind, "message": clause(str(error)), "exit_code": exit_code}
    print_json({"error": told, **facts})


def safe(text: str) -> str:
    """Lines that cannot draw on a terminal: control characters become dots, tabs spaces."""
    return "\n".join(printable(line) for line in text.expandtabs().split("\n"))


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], max_width: int | None = None
) -> None:
    """Columns padded to their widest cell; columns of numbers to the right.

    Lines longer than ``max_width`` end in an ellipsis.
    """
    cells = [[printable(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    right = [
        all(_is_number(row[column]) for row in cells[1:]) and len(cells) > 1
        for column in range(len(headings))
    ]
    for row in cells:
        line = "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        line = line.rstrip()
        print(line if max_width is None or len(line) <= max_width else f"{line[: max_width - 1]}…")


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none, so that nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _is_number(text: str) -> bool:
    return not text or text == "·" or text.lstrip("-")[:1].isdigit()
