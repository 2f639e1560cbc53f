"""A deployed ONNX file as it runs elsewhere, so that evaluation can judge it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import DeploymentError

Array = npt.NDArray[np.float32]


class OnnxPolicy:
    """One robot's policy in ONNX runtime, on one thread: a file's content and its path.

    Raises:
        DeploymentError: ONNX runtime is not installed, or cannot read the content.
    """

    def __init__(self, content: bytes, path: Path) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 (an optional extra)
        except ImportError as error:
            raise DeploymentError(
                f"{path}: running ONNX files needs onnxruntime; install hdtui[deploy], or deploy"
                " with format=npz"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        # Its errors have no common base but Exception.
        except Exception as error:
            raise DeploymentError(f"{path}: not a readable ONNX file ({error})") from error

    def means(self, observation: Array, terrain: Array | None = None) -> Array:
        """Action means (N, L, J) of observations (N, L, F) and terrain heights (N, P)."""
        inputs = {"observation": observation}
        if terrain is not None:
            inputs["terrain"] = terrain
        (means,) = self._session.run(["action_mean"], inputs)
        return np.asarray(means, np.float32)
