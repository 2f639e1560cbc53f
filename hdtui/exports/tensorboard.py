"""Curves as TensorBoard event files.

The format is small and has been stable since 2015: TFRecord frames (length, masked CRC-32C, data,
masked CRC-32C) around ``tensorflow.Event`` messages. Writing it takes less than depending on a
writer, of which all light ones load torch.
"""

import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from db.queries.robots import list_robots
from db.queries.runs import get_run
from db.records import Run
from db.session import Database
from hdtui.exports.formats import DataTable

FILE_NAME = "events.out.tfevents.{seconds:010d}.hdtui"
_VERSION = b"brain.Event:2"
_MASK = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_LARGEST_FLOAT = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


@dataclass(frozen=True)
class Scalar:
    """One point of a curve; ``time_s`` is Unix time."""

    tag: str
    step: int
    value: float
    time_s: float


def events_path(out: Path, run: Run) -> Path:
    """Where a run's events go: a folder named after it, a file named after when it was queued.

    Both stay the same however often it is resumed, so a later export replaces an earlier one.
    """
    name = re.sub(r"[^\w.-]+", "-", run.name).strip("-.")[:100]
    return out / f"{run.id}-{name}" / FILE_NAME.format(seconds=int(run.created_at.timestamp()))


def run_scalars(
    database: Database, run_id: int, table: DataTable
) -> tuple[float, Iterator[Scalar]]:
    """Unix time of the run's start, and the points of its ``metrics_table``.

    A point's time is that of the start plus the seconds of work it took; robots stand under the
    metric by name.
    """
    run = get_run(database, run_id)
    started = run.started_at or run.created_at
    names = {robot.digest: robot.name for robot in list_robots(database)}
    start_s = float(started.timestamp())

    def scalars() -> Iterator[Scalar]:
        for _, metric, digest, step, _, wall_s, value in table.rows:
            tag = metric if digest is None else f"{metric}/{names.get(digest, digest[:12])}"
            yield Scalar(tag, step, value, start_s + wall_s)

    return start_s, scalars()


def write_events(file: BinaryIO, scalars: Iterable[Scalar], started_s: float) -> int:
    """Write a version record and one event per point; how many points."""
    file.write(_framed(_double(1, started_s) + _bytes(3, _VERSION)))
    count = 0
    for scalar in scalars:
        value = _bytes(1, scalar.tag.encode()) + _float(2, scalar.value)
        summary = _bytes(5, _bytes(1, value))
        step = _key(2, _VARINT) + _varint(scalar.step)
        file.write(_framed(_double(1, scalar.time_s) + step + summary))
        count += 1
    return count


def _framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checks = (struct.pack("<I", _masked_crc(part)) for part in (length, data))
    return length + next(checks) + data + next(checks)


def _masked_crc(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _table() -> Iterator[int]:
    for byte in range(256):
        entry = byte
        for _ in range(8):
            entry = entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0)
        yield entry


_TABLE = tuple(_table())


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _double(field: int, value: float) -> bytes:
    return _key(field, _DOUBLE) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    if abs(value) > _LARGEST_FLOAT:  # beyond 32 bits: infinite, as a cast makes it
        value = math.copysign(math.inf, value)
    return _key(field, _FLOAT) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(value)) + value
