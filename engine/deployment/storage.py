"""A deployed policy's arrays as they lie in its file, which stays under a megabyte.

At the published size a policy that sees terrain has 0.3 million weights, 1.2 MB as float32. Where
plain numbers would be too many bytes, each weight is a whole number of 24 bits times a scale that
its row shares: within 2^-23 of the row's largest weight, about what float32 sums lose as well.
Rows belong to inputs, so that what is large in its unit (folded moments) has a scale of its own.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.deployment.folding import Arrays

Stored = dict[str, npt.NDArray[Any]]

PLAIN = "float32"
PACKED = (
    "each weight NAME as NAME.high (int16), NAME.low (uint8) and NAME.scale (float32, one a row):"
    " NAME = (256 * NAME.high + NAME.low) * NAME.scale, exact in float32; all else as float32"
)
_LARGEST_PLAIN_BYTES = 900_000
_LARGEST_INTEGER = 2**23 - 1
_LEAST_EXPONENT = -100
"""Rows of weights below 2^-100 share its scale: a smaller one would leave float32's range."""


def is_packed(arrays: Arrays) -> bool:
    """Whether a file holds these weights in three bytes each, as four would be too many."""
    return sum(array.nbytes for array in arrays.values()) > _LARGEST_PLAIN_BYTES


def storage(arrays: Arrays) -> str:
    """How a file stores its arrays, in words for its JSON."""
    return PACKED if is_packed(arrays) else PLAIN


def storable(arrays: Arrays) -> Arrays:
    """The arrays as they come back from a file: weights rounded where they are packed."""
    if not is_packed(arrays):
        return arrays
    return {
        name: unpacked(*packed(array)) if _is_weight(name) else array
        for name, array in arrays.items()
    }


def stored(arrays: Arrays) -> Stored:
    """The arrays that lie in a file, by name; of storable ones nothing is lost."""
    if not is_packed(arrays):
        return dict(arrays)
    members: Stored = {}
    for name, array in arrays.items():
        if _is_weight(name):
            for part, member in _parts(array).items():
                members[f"{name}.{part}"] = member
        else:
            members[name] = array
    return members


def npz_content(arrays: Arrays) -> bytes:
    """The bytes of an npz file; ``runtime.load_deployed`` gives back exactly storable arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **stored(arrays))
    return buffer.getvalue()


def packed(
    weight: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """High bytes (N, M), low byte (N, M) and scale (N, 1), a power of two, of finite (N, M)."""
    largest = np.abs(weight).max(axis=1, keepdims=True)
    exponent = np.maximum(np.frexp(largest)[1], _LEAST_EXPONENT) - 23
    whole = np.rint(np.ldexp(weight, -exponent)).astype(np.int32)
    whole = np.clip(whole, -_LARGEST_INTEGER, _LARGEST_INTEGER)
    scale = np.ldexp(np.float32(1.0), exponent).astype(np.float32)
    return (whole >> 8).astype(np.int16), (whole & 255).astype(np.uint8), scale


def unpacked(
    high: npt.NDArray[np.int16], low: npt.NDArray[np.uint8], scale: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Weights (N, M): the inverse of ``packed``."""
    weight: npt.NDArray[np.float32] = (high * np.float32(256.0) + low) * scale
    return weight


def _parts(weight: npt.NDArray[np.float32]) -> Stored:
    high, low, scale = packed(weight)
    return {"high": high, "low": low, "scale": scale}


def _is_weight(name: str) -> bool:
    return "_weight" in name
