"""The deployed MLP as an ONNX graph, for runtimes that are not numpy."""

import json
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto, NodeProto

from engine.deployment.folding import Arrays
from engine.deployment.storage import Stored, stored

_OPSET = 17
_IR_VERSION = 8
_METADATA_KEY = "hdtui"


def onnx_model(arrays: Arrays, document: dict[str, Any]) -> bytes:
    """A checked model: ``observation`` (N, L, F) and ``terrain`` (N, P) to ``action_mean``."""
    limbs, width = document["input"]["shape"][1:]
    slots = document["output"]["joint_slots"]
    inputs = [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["N", limbs, width])]
    if document["terrain"] is not None:
        points = document["terrain"]["shape"][1]
        inputs.append(helper.make_tensor_value_info("terrain", TensorProto.FLOAT, ["N", points]))
    output = helper.make_tensor_value_info("action_mean", TensorProto.FLOAT, ["N", limbs, slots])
    members = stored(arrays)
    constants = [numpy_helper.from_array(array, name) for name, array in members.items()]
    shape = np.array([-1, limbs, slots], dtype=np.int64)
    graph = helper.make_graph(
        [*_unpacking(members), *_nodes(arrays)],
        "base_mlp",
        inputs,
        [output],
        [*constants, numpy_helper.from_array(shape, "action_shape")],
    )
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="hdtui"
    )
    model.ir_version = _IR_VERSION
    helper.set_model_props(model, {_METADATA_KEY: json.dumps(document)})
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _unpacking(members: Stored) -> list[NodeProto]:
    """Weights from the parts they are stored in; runtimes do this once, as they load the graph."""
    packed = [name.removesuffix(".scale") for name in members if name.endswith(".scale")]
    if not packed:
        return []
    nodes = [helper.make_node("Constant", [], ["byte"], value_float=256.0)]
    for name in packed:
        high, low = f"{name}.high", f"{name}.low"
        nodes += [
            helper.make_node("Cast", [high], [f"{high}.float"], to=TensorProto.FLOAT),
            helper.make_node("Cast", [low], [f"{low}.float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{high}.float", "byte"], [f"{high}.shifted"]),
            helper.make_node("Add", [f"{high}.shifted", f"{low}.float"], [f"{name}.whole"]),
            helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
        ]
    return nodes


def _nodes(arrays: Arrays) -> list[NodeProto]:
    nodes = [
        helper.make_node("Max", ["observation", "observation_low"], ["above_low"]),
        helper.make_node("Min", ["above_low", "observation_high"], ["clipped"]),
        helper.make_node("Flatten", ["clipped"], ["flat"], axis=1),
        *_layer("flat", "features", "input_weight", "input_bias"),
    ]
    last = "features"
    terrain = _count(arrays, "terrain")
    if terrain:
        nodes += _layers("terrain", terrain, "terrain")
        joined = [last, f"terrain_out_{terrain - 1}"]
        nodes.append(helper.make_node("Concat", joined, ["joined"], axis=1))
        last = "joined"
    hidden = _count(arrays, "hidden")
    nodes += _layers("hidden", hidden, last)
    if hidden:
        last = f"hidden_out_{hidden - 1}"
    nodes += [
        helper.make_node("Gemm", [last, "output_weight", "output_bias"], ["flat_means"]),
        helper.make_node("Reshape", ["flat_means", "action_shape"], ["action_mean"]),
    ]
    return nodes


def _layers(name: str, count: int, source: str) -> list[NodeProto]:
    nodes = []
    for index in range(count):
        target = f"{name}_out_{index}"
        nodes += _layer(source, target, f"{name}_weight_{index}", f"{name}_bias_{index}")
        source = target
    return nodes


def _layer(source: str, target: str, weight: str, bias: str) -> list[NodeProto]:
    return [
        helper.make_node("Gemm", [source, weight, bias], [f"{target}_linear"]),
        helper.make_node("Relu", [f"{target}_linear"], [target]),
    ]


def _count(arrays: Arrays, name: str) -> int:
    return sum(key.startswith(f"{name}_weight_") for key in arrays)
