"""Untrusted XML and JSON as data: bounded, without entities, networks or other files."""

import errno
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lxml import etree

from engine import files
from engine.errors import RobotError

MAX_FILE_BYTES = 1_000_000
"""A robot of the family takes about 20 kB; nothing larger is read."""

MAX_ATTRIBUTES = 32
"""No element of a robot file has more."""

MAX_NUMBER = 1e6
"""No number of a robot is larger; keeps sums and products finite."""

MAX_SHOWN = 80
"""Characters of a file's text that a message repeats."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FILE_ELEMENTS = {"include", "plugin", "extension", "model", "attach", "frame", "replicate"}


class RejectedError(Exception):
    """A reason why a file is no robot; the caller adds which file."""


def read_file(path: Path, tree: Path | None = None) -> bytes:
    """Bytes of a regular file of bounded size; pipes and devices are refused.

    So are links that lead out of the folder ``tree``, and any link where none is given.
    """
    # Not ``Path.resolve``, which ends in an error of its own where links form a loop.
    found = path if tree is None else Path(os.path.realpath(path))
    if tree is not None and not found.is_relative_to(tree):
        raise RobotError(
            f"{shown(path)}: a symbolic link leads out of {shown(tree)}, which is not followed;"
            " copy the file there"
        )
    try:
        return files.read_file(found, MAX_FILE_BYTES, follow_links=False)
    except OSError as error:
        if error.errno == errno.ELOOP:
            reason = "is a symbolic link, give the file itself"
        elif error.errno == errno.EFBIG:
            reason = f"{error.strerror}, no robot needs that much"
        elif error.errno == errno.EINVAL:
            reason = str(error.strerror)
        else:
            reason = f"cannot be read: {error.strerror}"
        raise RobotError(f"{shown(path)}: {reason}") from error


def shown(path: Path) -> str:
    """A path as a message may show it: names with control characters are quoted."""
    return str(path) if str(path).isprintable() else repr(str(path))


def parse_xml(content: bytes) -> etree._Element:
    """The root element of UTF-8 XML that declares no types or entities."""
    if len(content) > MAX_FILE_BYTES:
        raise RejectedError(f"is larger than {MAX_FILE_BYTES} bytes, no robot needs that much")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RejectedError("is not UTF-8 text") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RejectedError("declares a document type or entities, which robots do not need")
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the header claims: the check above read it as UTF-8
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RejectedError(f"is not well-formed XML: {error}") from error
    return root


def refuse_other_files(root: etree._Element) -> None:
    """Refuse a document that would have to be read together with others: RejectedError."""
    for element in root.iter():
        if not isinstance(element.tag, str):
            raise RejectedError("uses entities, which robots do not need")
        tag = etree.QName(element).localname[:MAX_SHOWN]
        if len(element.attrib) > MAX_ATTRIBUTES:
            raise RejectedError(f"<{tag}> has more than {MAX_ATTRIBUTES} attributes")
        if tag in _FILE_ELEMENTS or element.tag != tag:
            raise RejectedError(f"<{tag}> is not accepted: a robot is one file of its own")
        for attribute in map(str, element.attrib):
            if attribute.startswith("file"):
                raise RejectedError(
                    f"<{tag}> names another file ({attribute[:MAX_SHOWN]}), which is not read"
                )


def parse_json(content: bytes) -> Any:
    """A JSON document."""
    try:
        return files.parse_json(content)
    except ValueError as error:
        raise RejectedError(f"is not JSON: {error}") from error


def numbers(text: str | None, counts: Iterable[int], what: str) -> tuple[float, ...]:
    """The finite numbers of an attribute; their count must be one of ``counts``."""
    counts = tuple(counts)
    if text is None:
        raise RejectedError(f"{what} is missing")
    tokens = text.split()
    if len(tokens) not in counts:
        expected = " or ".join(str(count) for count in counts)
        raise RejectedError(
            f"{what} has {len(tokens)} numbers, expected {expected}: {text[:MAX_SHOWN]!r}"
        )
    return tuple(_number(token, what) for token in tokens)


def _number(token: str, what: str) -> float:
    if token.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        raise RejectedError(f"{what} is not a finite number: {token!r}")
    if not _NUMBER.fullmatch(token):
        raise RejectedError(f"{what} is not a number: {token[:MAX_SHOWN]!r}")
    value = float(token)
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise RejectedError(
            f"{what} is not a finite number below {MAX_NUMBER:g}: {token[:MAX_SHOWN]!r}"
        )
    return value


def check_attributes(element: etree._Element, allowed: Iterable[str], what: str) -> None:
    """Refuse attributes that a robot of the family has no place for."""
    for attribute in map(str, element.attrib):
        if attribute not in set(allowed):
            raise RejectedError(
                f"{what}: attribute {attribute[:MAX_SHOWN]!r} is not accepted; "
                "the robot family fixes what it would override"
            )


def check_children(element: etree._Element, allowed: Iterable[str], what: str) -> None:
    """Refuse elements that a robot of the family has no place for."""
    for child in element:
        tag = str(child.tag)
        if tag not in set(allowed):
            raise RejectedError(f"{what}: element <{tag[:MAX_SHOWN]}> is not accepted")
