"""Run a deployed MLP with numpy alone: Python 3.8 and numpy 1.17, or newer.

A deployed policy is ``NAME.npz`` (arrays) beside ``NAME.json`` (what goes in and comes out, by
name). This file may be copied anywhere, as ``hdtui deploy --out`` does; it imports nothing of
hdtui::

    from runtime import load_deployed

    action = load_deployed("NAME.npz").means(observation).clip(-1, 1)
"""

# Robots' own computers run older Pythons than hdtui does: no annotation may be evaluated here.
from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

FORMAT = "hdtui-deployed-mlp"
FORMAT_VERSION = 2
LARGEST_BYTES = 2**28
"""No robot's policy is larger, in its file or unpacked; a published one is under a megabyte."""

_BAD_ARCHIVE = (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


class DeployedFileError(Exception):
    """The file is missing, damaged or not a deployed policy."""


class DeployedMLP:
    """One robot's policy: (N, L, F) observations to (N, L, J) action means; L limbs, head first.

    ``arrays`` holds ``input_weight`` (L * F, D), ``input_bias`` (D,), any number of
    ``hidden_weight_K``, ``hidden_bias_K``, ``output_weight`` (D, L * J), ``output_bias`` (L * J,),
    ``observation_low`` and ``observation_high`` (F,) that observations are clipped to and, where
    terrain is seen, ``terrain_weight_K`` and ``terrain_bias_K``.
    """

    def __init__(self, arrays: dict[str, Array], document: dict[str, Any]) -> None:
        self.document = document
        limbs = len(document["input"]["limbs"])
        self._output_shape = (limbs, document["output"]["joint_slots"])
        self._low = np.tile(arrays["observation_low"], limbs)
        self._high = np.tile(arrays["observation_high"], limbs)
        self._input = (arrays["input_weight"], arrays["input_bias"])
        self._terrain = _layers(arrays, "terrain")
        self._hidden = _layers(arrays, "hidden")
        self._output = (arrays["output_weight"], arrays["output_bias"])

    @property
    def sees_terrain(self) -> bool:
        """Whether terrain heights are an input."""
        return bool(self._terrain)

    def means(self, observation: Any, terrain: Any = None) -> Array:
        """Action means (N, L, J) of observations (N, L, F) and terrain heights (N, P).

        Lists are taken as numpy takes them. An observation alone, (L, F) or flat, is N = 1, and
        rows may be flat, (N, L * F), as hdtui's Gymnasium environments give them.

        Raises:
            ValueError: an input has another shape or type than the JSON says or is not finite,
                or terrain is missing or not seen.
        """
        flat, heights = checked_inputs(self.document, observation, terrain)
        clipped = np.minimum(np.maximum(flat, self._low), self._high)
        features = clipped @ self._input[0]
        features += self._input[1]
        np.maximum(features, 0.0, out=features)
        if heights is not None:
            features = np.concatenate([features, _relu_layers(self._terrain, heights)], axis=1)
        features = _relu_layers(self._hidden, features)
        output: Array = features @ self._output[0]
        output += self._output[1]
        return output.reshape(len(flat), *self._output_shape)


def checked_inputs(
    document: Mapping[str, Any], observation: Any, terrain: Any
) -> tuple[Array, Array | None]:
    """Observations (N, L * F) and terrain heights (N, P) or None, as the JSON describes them.

    Raises:
        ValueError: one has another shape or type, is not finite, is missing or is not seen.
    """
    flat = _checked("observation", observation, document["input"]["shape"][1:])
    if document["terrain"] is None:
        if terrain is not None:
            raise ValueError("terrain was given, but this policy's JSON says that it sees none")
        return flat, None
    if terrain is None:
        raise ValueError("this policy sees terrain, but none was given")
    heights = _checked("terrain", terrain, document["terrain"]["shape"][1:])
    if len(heights) != len(flat):
        raise ValueError(f"terrain has {len(heights)} rows, expected as many as {len(flat)} seen")
    return flat, heights


def _checked(name: str, given: Any, shape: list[int]) -> Array:
    """Finite float32 numbers as flat rows: one row of ``shape``, or many, flat or not."""
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} is no array of numbers ({error})") from error
    own, size = tuple(shape), _size(shape)
    expected = f"(N, {', '.join(map(str, own))})" + (f" or ({size},)" if len(own) > 1 else "")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {array.dtype}, expected float32 numbers {expected}")
    alone = array.shape in (own, (size,))
    if not alone and array.shape[1:] not in (own, (size,)):
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    if not np.isfinite(array).all():
        where = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise ValueError(f"{name} holds {array[where]} at {where}, expected finite numbers")
    return array.reshape(1 if alone else len(array), size)


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= int(length)
    return size


def load_deployed(path: Path | str) -> DeployedMLP:
    """The policy of ``NAME.npz`` (or its ``NAME.json`` beside it).

    Raises:
        DeployedFileError: a file is missing, damaged or does not fit the other.
    """
    path = Path(path)
    if path.suffix == ".onnx" or path.name.endswith(".onnx.json"):
        raise DeployedFileError(f"{path}: an ONNX policy, which runs in ONNX runtime; name an .npz")
    path = path.with_suffix(".npz") if path.suffix in ("", ".json", ".npz") else path
    document = load_document(path)
    content = read_content(path, document)
    try:
        arrays = _arrays(content)
        found = {name: list(array.shape) for name, array in sorted(arrays.items())}
        if found != document["arrays"]:
            raise ValueError(f"holds arrays {found}, but its JSON promises {document['arrays']}")
        policy = DeployedMLP(arrays, document)
        if (document["terrain"] is not None) != policy.sees_terrain:
            raise ValueError("only one of arrays and JSON knows of terrain")
        act_once(policy, document)
    except (*_BAD_ARCHIVE, KeyError, TypeError, AttributeError) as error:
        raise DeployedFileError(
            f"{path}: not a policy that its JSON describes ({type(error).__name__}: {error})"
        ) from error
    return policy


def json_path(path: Path) -> Path:
    """Where the JSON of a deployed policy lies: each format has its own."""
    return path.with_suffix(".onnx.json" if path.suffix == ".onnx" else ".json")


def act_once(policy: Any, document: Mapping[str, Any]) -> None:
    """Act on zeros, so that a policy of other shapes or without numbers is refused as it loads.

    Raises:
        ValueError: it gives other actions than the JSON describes.
    """
    terrain = document["terrain"]
    inputs = [document["input"]] + ([] if terrain is None else [terrain])
    means = policy.means(*(np.zeros([1, *one["shape"][1:]], np.float32) for one in inputs))
    if list(means.shape[1:]) != document["output"]["shape"][1:] or not np.isfinite(means).all():
        raise ValueError(f"gives actions of shape {means.shape}, or actions that are no numbers")


def read_content(path: Path, document: dict[str, Any]) -> bytes:
    """The bytes of a policy's file, which are those that its JSON was written for.

    Raises:
        DeployedFileError: the file is missing or holds other bytes.
    """
    content = _read(path)
    try:
        expected = document["content"]["sha256"]
    except (KeyError, TypeError) as error:
        raise DeployedFileError(f"{json_path(path)}: names no content.sha256") from error
    if sha256_of(content) != expected:
        raise DeployedFileError(
            f"{path}: holds other bytes than its JSON was written for; damaged or another robot's:"
            " deploy the student again, or copy both files anew"
        )
    return content


def _read(path: Path) -> bytes:
    """A file's content; what is no file, or larger than any policy, is not opened."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DeployedFileError(f"{path}: no regular file; not read")
        with path.open("rb") as file:  # a size is not believed: some files have none
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise DeployedFileError(f"{path}: not readable ({error.strerror})") from error
    if len(content) > LARGEST_BYTES:
        raise DeployedFileError(f"{path}: over {LARGEST_BYTES} bytes, larger than any policy")
    return content


def sha256_of(content: bytes) -> str:
    """SHA-256 as it stands in a policy's JSON."""
    return hashlib.sha256(content).hexdigest()


def load_document(path: Path | str) -> dict[str, Any]:
    """The JSON beside a deployed policy: ``NAME.json``, or ``NAME.onnx.json`` of an ONNX file.

    Raises:
        DeployedFileError: it is missing or no description of a deployed policy.
    """
    beside = json_path(Path(path))
    try:
        document = json.loads(_read(beside).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DeployedFileError(f"{beside}: not readable ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DeployedFileError(f"{beside}: does not describe a deployed policy")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise DeployedFileError(
            f"{beside}: describes version {version}, expected {FORMAT_VERSION};"
            " deploy the student again"
        )
    return dict(document)


def _arrays(content: bytes) -> dict[str, Array]:
    """A policy's finite arrays by name, out of the bytes of its npz file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST_BYTES:
            raise ValueError("unpacks to more than any policy holds")
        stored = {Path(name).stem: _array(archive, name) for name in archive.namelist()}
    with np.errstate(all="ignore"):
        arrays = _unpacked(stored)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return arrays


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {array.dtype}, expected numbers")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def _unpacked(stored: dict[str, Array]) -> dict[str, Array]:
    """Weights from their high and low bytes and the scale of each row; all else as it is."""
    arrays = {name: array for name, array in stored.items() if "." not in name}
    for name in {name.partition(".")[0] for name in stored} - set(arrays):
        high, low, scale = (stored[f"{name}.{part}"] for part in ("high", "low", "scale"))
        arrays[name] = (256 * high + low) * scale
    return arrays


def _layers(arrays: dict[str, Array], name: str) -> list[tuple[Array, Array]]:
    count = sum(key.startswith(f"{name}_weight_") for key in arrays)
    return [(arrays[f"{name}_weight_{k}"], arrays[f"{name}_bias_{k}"]) for k in range(count)]


def _relu_layers(layers: list[tuple[Array, Array]], features: Array) -> Array:
    for weight, bias in layers:
        features = features @ weight
        features += bias
        np.maximum(features, 0.0, out=features)
    return features
