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
    names = {"input": "input", "output": "output"}
    names |= {f"hidden.{index}": f"hidden_{index}" for index in range(len(module.hidden))}
    if module.terrain is not None:
        names |= {"terrain.0": "terrain_0", "terrain.2": "terrain_1"}
    for target, source in names.items():
        kind, _, index = source.partition("_")
        suffix = f"_{index}" if index else ""
        state[f"{target}.weight"] = arrays[f"{kind}_weight{suffix}"].T
        state[f"{target}.bias"] = arrays[f"{kind}_bias{suffix}"]
    module.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    )
