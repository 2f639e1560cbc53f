"""Run a deployed MLP with numpy alone.

A deployed policy is ``NAME.npz`` (arrays) beside ``NAME.json`` (what goes in and comes out, by
name). This file may be copied anywhere; it imports nothing of hdtui.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "hdtui-deployed-mlp"
FORMAT_VERSION = 1

Array = npt.NDArray[np.float32]


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
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            stored = {Path(name).stem: _array(archive, name) for name in archive.namelist()}
        arrays = _unpacked(stored)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DeployedFileError(f"{path}: not a readable npz file ({error})") from error
    found = {name: list(array.shape) for name, array in sorted(arrays.items())}
    if found != document.get("arrays"):
        raise DeployedFileError(
            f"{path}: holds arrays {found}, but its JSON promises {document.get('arrays')}"
        )
    return DeployedMLP(arrays, document)


def load_document(path: Path | str) -> dict[str, Any]:
    """The JSON beside a deployed policy.

    Raises:
        DeployedFileError: it is missing or no description of a deployed policy.
    """
    beside = Path(path).with_suffix(".json")
    try:
        document = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeployedFileError(f"{beside}: not readable ({error})") from error
    known = isinstance(document, dict) and document.get("format") == FORMAT
    if not known or document.get("format_version") != FORMAT_VERSION:
        raise DeployedFileError(f"{beside}: does not describe a deployed policy of this version")
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
