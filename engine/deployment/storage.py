"""A deployed policy's arrays as an npz file that stays under a megabyte where terrain is seen.

At the published size a policy that sees terrain has 0.3 million weights, 1.2 MB as plain float32.
The bytes of random mantissas do not compress, those of signs and exponents do once they lie side
by side; with the last bits of a mantissa rounded away 0.95 MB are left at most. Rounding by
2^-21 moves actions by less than float32 sums do, and deployment checks it for every file.
"""

import io

import numpy as np
import numpy.typing as npt

from engine.deployment.folding import Arrays

_ROUNDED_BITS = 3
PLAIN = "float32"
PLANES = (
    "uint8, compressed: array[k] holds byte k of each float32, lowest first:"
    " np.ascontiguousarray(np.moveaxis(array, 0, -1)).view('<f4')[..., 0]"
)


def sees_terrain(arrays: Arrays) -> bool:
    """Whether a policy has a terrain encoder, a third of its weights."""
    return "terrain_weight_0" in arrays


def storable(arrays: Arrays) -> Arrays:
    """The arrays as their file will hold them: weights rounded where terrain is seen."""
    if not sees_terrain(arrays):
        return arrays
    return {name: rounded(array) if "_weight" in name else array for name, array in arrays.items()}


def storage(arrays: Arrays) -> str:
    """How the file stores each array, in words for its JSON."""
    return PLANES if sees_terrain(arrays) else PLAIN


def npz_content(arrays: Arrays) -> bytes:
    """The bytes of the file; ``runtime.load_deployed`` gives back exactly these arrays."""
    buffer = io.BytesIO()
    if sees_terrain(arrays):
        planes = {name: byte_planes(array) for name, array in arrays.items()}
        np.savez_compressed(buffer, allow_pickle=False, **planes)
    else:
        np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def rounded(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The nearest numbers whose last mantissa bits are zero."""
    half = np.uint32(1 << (_ROUNDED_BITS - 1))
    kept = np.uint32(0xFFFFFFFF ^ ((1 << _ROUNDED_BITS) - 1))
    return ((np.ascontiguousarray(array).view(np.uint32) + half) & kept).view(np.float32)


def byte_planes(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The four bytes of each number apart: (...) float32 -> (4, ...) uint8, lowest first."""
    in_bytes = array.astype("<f4")[..., np.newaxis].view(np.uint8)
    return np.ascontiguousarray(np.moveaxis(in_bytes, -1, 0))
