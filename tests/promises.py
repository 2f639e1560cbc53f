"""Which tests hold a promise: those of the files that docs/reliability.md names."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"


def named_files() -> list[str]:
    """What the page calls the files, from the project or by the name alone."""
    return sorted(set(re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py)`", PAGE.read_text("utf-8"))))


def files_called(name: str) -> list[Path]:
    """The files that the page may mean by a name; there should be one."""
    return [TESTS.parent / name] if "/" in name else sorted(TESTS.rglob(name))


def promised_files() -> set[Path]:
    """All files of tests that hold a promise."""
    return {path for name in named_files() for path in files_called(name)}
