"""A robot's metadata file: degrees of freedom, limb count, symmetric pairs, and its lineage."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.morphology.tree import Limb, Lineage, Morphology
from engine.morphology.xml_reading import MAX_SHOWN, RejectedError

MIRROR_TOLERANCE_M = 0.0151
"""Published files round every position to 2 decimals, and a limb's is the sum of two."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OPERATION = re.compile(r"[a-z_]{1,40}", re.ASCII)

Pairs = tuple[tuple[int, int], ...]


def check_metadata(
    limbs: tuple[Limb, ...], metadata: Mapping[str, Any] | None
) -> tuple[Pairs, Lineage | None]:
    """Symmetric pairs and lineage; metadata must agree with the body it describes.

    Raises RejectedError naming the entry that contradicts the XML.
    """
    if metadata is None:
        return mirrored_pairs(limbs), None
    if not isinstance(metadata, Mapping):
        raise RejectedError("metadata is not a JSON object")
    num_joints = sum(joint is not None for limb in limbs for joint in limb.joints)
    for key, found in (("dof", num_joints), ("num_limbs", len(limbs) - 1)):
        claimed = metadata.get(key)
        if type(claimed) is not int or claimed != found:
            raise RejectedError(f"metadata says {key} {_short(claimed)}, the XML has {found}")
    pairs = _parse_pairs(limbs, metadata.get("symmetric_limbs"))
    left_out = set(mirrored_pairs(limbs)) - {(min(pair), max(pair)) for pair in pairs}
    if left_out:
        raise RejectedError(f"metadata does not pair the mirrored limbs {sorted(left_out)}")
    return pairs, _parse_lineage(metadata)


def write_metadata(morphology: Morphology) -> str:
    """The metadata file's text, in the published form; lineage is added where there is one."""
    document: dict[str, Any] = {
        "symmetric_limbs": [list(pair) for pair in morphology.symmetric_pairs],
        "dof": morphology.num_joints,
        "num_limbs": morphology.num_limbs - 1,
    }
    if morphology.lineage is not None:
        document["lineage"] = {
            "parent_digest": morphology.lineage.parent_digest,
            "operations": list(morphology.lineage.operations),
            "seed": morphology.lineage.seed,
        }
    return json.dumps(document, indent=2)


def is_mirror(first: Limb, second: Limb) -> bool:
    """Whether two limbs mirror each other in the xz plane, up to the files' rounding.

    Published variants of robots change one limb's radius or density and pair it still.
    """
    if first.end_m is None or second.end_m is None:
        return False
    mine = np.array([first.position_m, first.start_m, first.end_m])
    other = np.array([second.position_m, second.start_m, second.end_m]) * (1.0, -1.0, 1.0)
    return bool(np.all(np.abs(mine - other) <= MIRROR_TOLERANCE_M))


def mirrored_pairs(limbs: tuple[Limb, ...]) -> Pairs:
    """Identifiers of limbs that mirror each other, found from the shape, in ascending order."""
    partner: dict[int, int] = {}
    for row, limb in enumerate(limbs):
        for other in range(row + 1, len(limbs)):
            mirrored_parents = partner.get(limb.parent) == limbs[other].parent
            siblings = limb.parent == limbs[other].parent and limb.parent not in partner
            if row in partner or other in partner or not (mirrored_parents or siblings):
                continue
            off_plane = limb.end_m is not None and _leaves_plane(limb)
            if (mirrored_parents or off_plane) and is_mirror(limb, limbs[other]):
                partner[row], partner[other] = other, row
    pairs = {
        tuple(sorted((limbs[row].identifier, limbs[other].identifier)))
        for row, other in partner.items()
    }
    return tuple((first, second) for first, second in sorted(pairs))


def _leaves_plane(limb: Limb) -> bool:
    end = limb.end_m or limb.start_m
    return abs(end[1] - limb.start_m[1]) > MIRROR_TOLERANCE_M


def _parse_pairs(limbs: tuple[Limb, ...], claimed: Any) -> Pairs:
    by_identifier = {limb.identifier: limb for limb in limbs[1:]}
    if not isinstance(claimed, list):
        raise RejectedError(
            f"metadata symmetric_limbs is {_short(claimed)}, expected a list of pairs"
        )
    seen: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for pair in claimed:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(type(identifier) is int for identifier in pair)
        ):
            raise RejectedError(
                f"metadata symmetric_limbs has {_short(pair)}, expected two numbers"
            )
        first, second = pair
        if not {first, second} <= by_identifier.keys() or first == second or {first, second} & seen:
            raise RejectedError(
                f"metadata pairs limbs {first} and {second}: expected two limbs in no other pair"
            )
        if not is_mirror(by_identifier[first], by_identifier[second]):
            raise RejectedError(
                f"metadata pairs limbs {first} and {second}, which are no mirror images"
            )
        seen |= {first, second}
        pairs.append((first, second))
    return tuple(pairs)


def _parse_lineage(metadata: Mapping[str, Any]) -> Lineage | None:
    claimed = metadata.get("lineage")
    if claimed is None:
        return None
    if not isinstance(claimed, Mapping):
        raise RejectedError("metadata lineage is not an object")
    parent, operations, seed = (claimed.get(key) for key in ("parent_digest", "operations", "seed"))
    if not (
        (parent is None or (isinstance(parent, str) and _DIGEST.fullmatch(parent)))
        and isinstance(operations, list)
        and all(isinstance(name, str) and _OPERATION.fullmatch(name) for name in operations)
        and type(seed) is int
        and abs(seed) < 2**63
    ):
        raise RejectedError(f"metadata lineage is {_short(claimed)}")
    return Lineage(parent, tuple(operations), seed)


def _short(value: Any) -> str:
    return repr(value)[:MAX_SHOWN]
