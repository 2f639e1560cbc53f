"""One action of a base MLP in the runtimes it is deployed to, for timing side by side."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.deployment.folding import Arrays, plain_arrays
from engine.deployment.runtime import DeployedMLP
from engine.policies.base_mlp import BaseMLP


def deployed_steps(module: BaseMLP) -> Mapping[str, Callable[[], object]]:
    """Steps of batch 1 by runtime: ``numpy``, and ``onnx`` where its packages are installed."""
    arrays = plain_arrays(module)
    limbs, slots = module.output_shape
    width = len(arrays["observation_low"])
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(1, limbs, width)).astype(np.float32)
    terrain = None
    if module.terrain is not None:
        points = arrays["terrain_weight_0"].shape[0]
        terrain = rng.normal(size=(1, points)).astype(np.float32)
    document: dict[str, Any] = {
        "input": {"limbs": [""] * limbs, "shape": [1, limbs, width]},
        "output": {"joint_slots": slots},
        "terrain": None if terrain is None else {"shape": [1, terrain.shape[1]]},
    }
    policy = DeployedMLP(arrays, document)
    steps: dict[str, Callable[[], object]] = {"numpy": lambda: policy.means(observation, terrain)}
    onnx_step = _onnx_step(arrays, document, observation, terrain)
    return steps if onnx_step is None else {**steps, "onnx": onnx_step}


def _onnx_step(
    arrays: Arrays,
    document: dict[str, Any],
    observation: np.ndarray,
    terrain: np.ndarray | None,
) -> Callable[[], object] | None:
    try:
        import onnxruntime  # noqa: PLC0415 (an optional extra)

        from engine.deployment.onnx_export import onnx_model  # noqa: PLC0415
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_model(arrays, document), options, providers=["CPUExecutionProvider"]
    )
    inputs = {"observation": observation}
    if terrain is not None:
        inputs["terrain"] = terrain
    return lambda: session.run(None, inputs)
