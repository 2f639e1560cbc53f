"""Files that are complete or absent: write, fsync, rename."""

import hashlib
import os
from pathlib import Path

CHUNK_BYTES = 1 << 20


def write_bytes(path: Path, content: bytes) -> str:
    """Write a file so that it is complete or absent; its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """Write UTF-8 text so that it is complete or absent; its SHA-256."""
    return write_bytes(path, text.encode())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
