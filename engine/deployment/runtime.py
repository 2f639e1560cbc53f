"""Run a deployed MLP with numpy alone.

A deployed policy is ``NAME.npz`` (arrays) beside ``NAME.json`` (what goes in and comes out, by
name). This file may be copied anywhere; it imports nothing of hdtui.
"""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "hdtui-deployed-mlp"
FORMAT_VERSION = 2

Array = npt.NDArray[np.float32]
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
        slots = document["output"]["joint_slots"]
        self._output_shape = (-1, limbs, slots)
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

    def means(self, observation: Array, terrain: Array | None = None) -> Array:
        """Action means (N, L, J) of observations (N, L, F) and terrain heights (N, P)."""
        flat = observation.reshape(len(observation), -1)
        clipped = np.minimum(np.maximum(flat, self._low), self._high)
        features = clipped @ self._input[0]
        features += self._input[1]
        np.maximum(features, 0.0, out=features)
        if self._terrain:
            if terrain is None:
                raise ValueError("this policy sees terrain, but none was given")
            features = np.concatenate([features, _relu_layers(self._terrain, terrain)], axis=1)
        features = _relu_layers(self._hidden, features)
        output: Array = features @ self._output[0]
        output += self._output[1]
        return output.reshape(self._output_shape)


def load_deployed(path: Path | str) -> DeployedMLP:
    """The policy of ``NAME.npz`` (or its ``NAME.json`` beside it).

    Raises:
        DeployedFileError: a file is missing, damaged or does not fit the other.
    """
    path = Path(path).with_suffix(".npz")
    document = load_document(path)
    content = read_content(path, document)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            stored = {Path(name).stem: _array(archive, name) for name in archive.namelist()}
        arrays = _unpacked(stored)
        found = {name: list(array.shape) for name, array in sorted(arrays.items())}
        if found != document["arrays"]:
            raise ValueError(f"holds arrays {found}, but its JSON promises {document['arrays']}")
        policy = DeployedMLP(arrays, document)
        _try(policy, document)
    except (*_BAD_ARCHIVE, KeyError, TypeError, AttributeError) as error:
        raise DeployedFileError(
            f"{path}: not a policy that its JSON describes ({type(error).__name__}: {error})"
        ) from error
    return policy


def json_path(path: Path) -> Path:
    """Where the JSON of a deployed policy lies: each format has its own."""
    return path.with_suffix(".onnx.json" if path.suffix == ".onnx" else ".json")


def _try(policy: DeployedMLP, document: dict[str, Any]) -> None:
    """Act once, so that a policy of other shapes or without numbers is refused as it loads."""
    sees_terrain = document["terrain"] is not None
    if sees_terrain != policy.sees_terrain:
        raise ValueError(f"terrain: the JSON says {sees_terrain}, the arrays {not sees_terrain}")
    inputs = [document["input"], *([document["terrain"]] if sees_terrain else [])]
    means = policy.means(*(np.zeros((1, *one["shape"][1:]), np.float32) for one in inputs))
    if list(means.shape[1:]) != document["output"]["shape"][1:] or not np.isfinite(means).all():
        raise ValueError(f"gives actions of shape {means.shape}, or actions that are no numbers")


def read_content(path: Path, document: dict[str, Any]) -> bytes:
    """The bytes of a policy's file, which are those that its JSON was written for.

    Raises:
        DeployedFileError: the file is missing or holds other bytes.
    """
    try:
        content = path.read_bytes()
        expected = document["content"]["sha256"]
    except OSError as error:
        raise DeployedFileError(f"{path}: not readable ({error.strerror})") from error
    except (KeyError, TypeError) as error:
        raise DeployedFileError(f"{json_path(path)}: names no content.sha256") from error
    if sha256_of(content) != expected:
        raise DeployedFileError(
            f"{path}: holds other bytes than its JSON was written for; damaged or another robot's:"
            " deploy the student again, or copy both files anew"
        )
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
        document = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
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


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
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
