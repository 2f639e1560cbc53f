"""Compare folders of expert data byte by byte."""

from pathlib import Path


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path in the folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
