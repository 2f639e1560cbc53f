"""Fold a robot's base MLP, its moments and its joint mask into the arrays of a plain MLP."""

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import DeploymentError
from engine.morphology.tree import Morphology
from engine.policies.base_mlp import BaseMLP, BaseWeights
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.policy import HypernetworkPolicy, Policy
from engine.policies.robots import robot_batch

Arrays = dict[str, npt.NDArray[np.float32]]
FloatArray = npt.NDArray[np.float64]


def hypernetwork_of(policy: Policy, name: str) -> Hypernetwork:
    """The hypernetwork inside a student.

    Raises:
        DeploymentError: the policy is of another kind and has no base MLP to deploy.
    """
    if not isinstance(policy, HypernetworkPolicy):
        raise DeploymentError(
            f"{name}: only a hypernetwork student writes a base MLP that can be deployed; distil"
            " one with network.kind=hypernetwork"
        )
    return policy.hypernetwork


@torch.inference_mode()
def fold(student: Hypernetwork, robot: Morphology) -> Arrays:
    """The arrays of a robot's deployed MLP, by the names ``runtime.DeployedMLP`` reads."""
    weights = student.encode(robot_batch([robot], "cpu"))
    mean = _float64(student.moments.mean)[0]
    scale = _float64(student.moments.scale())[0]
    input_weight, input_bias = _folded_input(weights, robot.num_limbs, mean, scale)
    mask = robot.joint_mask.reshape(-1)
    arrays: dict[str, FloatArray] = {
        "observation_low": mean - student.moments.clip / scale,
        "observation_high": mean + student.moments.clip / scale,
        "input_weight": input_weight,
        "input_bias": input_bias,
        "output_weight": _float64(weights.outputs[0])[0].T * mask,
        "output_bias": _float64(weights.output_bias[0])[0] * mask,
    }
    for index, (weight, bias) in enumerate(zip(weights.hidden, weights.hidden_bias, strict=True)):
        arrays[f"hidden_weight_{index}"] = _float64(weight)[0]
        arrays[f"hidden_bias_{index}"] = _float64(bias)[0]
    if student.terrain is not None:
        layers = [layer for layer in student.terrain if isinstance(layer, torch.nn.Linear)]
        for index, layer in enumerate(layers):
            arrays[f"terrain_weight_{index}"] = _float64(layer.weight).T
            arrays[f"terrain_bias_{index}"] = _float64(layer.bias)
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def _folded_input(
    weights: BaseWeights, limbs: int, mean: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Input layer on raw observations: standardising and averaging over limbs are linear."""
    weight = _float64(weights.inputs[0])[0] / limbs
    bias = _float64(weights.input_bias)[0]
    scaled = weight * np.tile(scale, limbs)[:, None]
    return scaled, bias - np.tile(mean, limbs) @ scaled


def _float64(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().to(torch.float64).cpu().numpy()
    return array


def load_arrays(module: BaseMLP, arrays: Arrays) -> None:
    """Give a plain torch module the weights of folded arrays."""
    state = {
        "observation_low": arrays["observation_low"],
        "observation_high": arrays["observation_high"],
    }
    for target, source in _array_names(module).items():
        state[f"{target}.weight"] = arrays[source.format("weight")].T
        state[f"{target}.bias"] = arrays[source.format("bias")]
    module.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    )


def plain_arrays(module: BaseMLP) -> Arrays:
    """The arrays of a plain torch module: the inverse of ``load_arrays``."""
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    arrays = {name: state[name] for name in ("observation_low", "observation_high")}
    for target, source in _array_names(module).items():
        arrays[source.format("weight")] = np.ascontiguousarray(state[f"{target}.weight"].T)
        arrays[source.format("bias")] = state[f"{target}.bias"]
    return arrays


def _array_names(module: BaseMLP) -> dict[str, str]:
    """Array names of each torch layer, with a place for ``weight`` or ``bias``."""
    names = {"input": "input_{}", "output": "output_{}"}
    names |= {f"hidden.{index}": f"hidden_{{}}_{index}" for index in range(len(module.hidden))}
    if module.terrain is not None:
        names |= {"terrain.0": "terrain_{}_0", "terrain.2": "terrain_{}_1"}
    return names
