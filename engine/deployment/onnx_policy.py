"""A deployed ONNX file as it runs elsewhere, so that evaluation can judge it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.deployment.runtime import act_once, checked_inputs
from engine.errors import DeploymentError

Array = npt.NDArray[np.float32]


class OnnxPolicy:
    """One robot's policy in ONNX runtime, on one thread: a file's content, its path and its JSON.

    Raises:
        DeploymentError: ONNX runtime is not installed or cannot read the content, a weight is not
            finite, or the policy is not the one that the JSON describes.
    """

    def __init__(self, content: bytes, path: Path, document: Mapping[str, Any]) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 (an optional extra)
        except ImportError as error:
            raise DeploymentError(
                f"{path}: running ONNX files needs onnxruntime; install hdtui[deploy], or deploy"
                " with format=npz"
            ) from error
        self.document = document
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        _check_weights(content, path)
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            act_once(self, document)
        # Its errors have no common base but Exception.
        except Exception as error:
            raise DeploymentError(f"{path}: not a readable ONNX file ({error})") from error

    def means(self, observation: Any, terrain: Any = None) -> Array:
        """Action means (N, L, J) of observations (N, L, F) and terrain heights (N, P).

        Takes and refuses what ``DeployedMLP.means`` does.

        Raises:
            ValueError: an input does not fit the JSON or is not finite.
        """
        flat, heights = checked_inputs(self.document, observation, terrain)
        limbs = len(self.document["input"]["limbs"])
        inputs = {"observation": flat.reshape(len(flat), limbs, flat.shape[1] // limbs)}
        if heights is not None:
            inputs["terrain"] = heights
        (means,) = self._session.run(["action_mean"], inputs)
        return np.asarray(means, np.float32)


def _check_weights(content: bytes, path: Path) -> None:
    """See that every weight is finite, by name.

    Raises:
        DeploymentError: One is not.
    """
    try:
        import onnx  # noqa: PLC0415 (an optional extra)
    except ImportError:
        return
    try:
        weights = onnx.load_from_string(content).graph.initializer
        arrays = {weight.name: onnx.numpy_helper.to_array(weight) for weight in weights}
    # Damaged content raises errors of several libraries.
    except Exception as error:
        raise DeploymentError(f"{path}: not a readable ONNX file ({error})") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DeploymentError(f"{path}: {name} holds numbers that are not finite")
