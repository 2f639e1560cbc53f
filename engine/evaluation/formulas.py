"""Closed formulas of size and cost, written from the papers' layer widths, not from our modules.

L limbs, F observation columns, C raw and T transformed context columns, J joint slots, P heights.
``linear`` is one layer: weights a * b and biases b; a * b multiply-adds a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.config.base import TaskName
from engine.environments.terrain_observation import TERRAIN_POINTS
from engine.morphology.family import UNIMAL

_EMBEDDING = 128
_TERRAIN = 64
_MLP = 256


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one action."""

    parameters: int
    macs: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs)

    def on_rows(self, rows: int) -> "Cost":
        """The same weights applied to several rows."""
        return Cost(self.parameters, self.macs * rows)

    def times(self, count: int) -> "Cost":
        """Several layers with weights of their own."""
        return Cost(self.parameters * count, self.macs * count)


@dataclass(frozen=True)
class _Trunk:
    layers: int
    feedforward: int


_TRANSFORMERS = {"flat": _Trunk(5, 1024), "terrain": _Trunk(5, 1024)}
_COMPRESSED_TRANSFORMERS = {"flat": _Trunk(1, 256), "terrain": _Trunk(2, 128)}
_COMPRESSED_MODUMORPH = _Trunk(1, 128)
_DECODER_LAYERS: dict[TaskName, int] = {"flat": 0, "incline": 0, "variable": 1, "obstacles": 2}


def closed_form(policy: str, task: TaskName, limbs: int) -> Cost:
    """Parameters and multiply-adds of a policy of published size with ``limbs`` limb slots."""
    ground = "terrain" if _points(task) else "flat"
    if policy == "transformer":
        return _transformer(task, limbs, _TRANSFORMERS[ground])
    if policy == "transformer-compressed":
        return _transformer(task, limbs, _COMPRESSED_TRANSFORMERS[ground])
    if policy == "modumorph":
        return _modumorph(task, limbs, _TRANSFORMERS[ground])
    if policy == "modumorph-compressed":
        return _modumorph(task, limbs, _COMPRESSED_MODUMORPH)
    if policy == "mlp":
        return _mlp(limbs * _described(), limbs, task, hidden=1)
    return _mlp(
        limbs * UNIMAL.observation_layout.width, limbs, task, hidden=2 if _points(task) else 1
    )


def linear(fan_in: int, fan_out: int) -> Cost:
    """One layer with bias on one row."""
    return Cost(fan_in * fan_out + fan_out, fan_in * fan_out)


def _chain(widths: Sequence[int]) -> Cost:
    return sum((linear(a, b) for a, b in pairwise(widths)), Cost(0, 0))


def _norm(width: int) -> Cost:
    return Cost(2 * width, 0)


def _points(task: TaskName) -> int:
    return TERRAIN_POINTS if task in ("variable", "obstacles") else 0


def _terrain(task: TaskName) -> Cost:
    return _chain([_points(task), _TERRAIN, _TERRAIN]) if _points(task) else Cost(0, 0)


def _described() -> int:
    """Columns of a limb that carries its raw context."""
    return UNIMAL.observation_layout.width + UNIMAL.raw_context_layout.width


def _decoder(task: TaskName) -> list[int]:
    joined = _EMBEDDING + (_TERRAIN if _points(task) else 0)
    return [joined, *[_TERRAIN] * _DECODER_LAYERS[task], UNIMAL.joint_slots]


def _attention_products(limbs: int) -> Cost:
    """Scores and mixture: every limb with every limb, whatever the number of heads."""
    return Cost(0, 2 * limbs * limbs * _EMBEDDING)


def _feedforward(trunk: _Trunk) -> Cost:
    return _chain([_EMBEDDING, trunk.feedforward, _EMBEDDING])


def _transformer(task: TaskName, limbs: int, trunk: _Trunk) -> Cost:
    per_row = linear(_EMBEDDING, _EMBEDDING).times(4) + _feedforward(trunk)
    layer = per_row.on_rows(limbs) + _attention_products(limbs) + _norm(_EMBEDDING).times(2)
    embedding = linear(_described(), _EMBEDDING).on_rows(limbs)
    decoder = _chain(_decoder(task)).on_rows(limbs)
    return embedding + layer.times(trunk.layers) + decoder + _terrain(task)


def _modumorph(task: TaskName, limbs: int, trunk: _Trunk) -> Cost:
    """Weights written per limb are work but no parameters; their heads are parameters."""
    context = UNIMAL.context_layout.width
    shapes = [(_described(), _EMBEDDING), *pairwise(_decoder(task))]
    hypernetwork = _chain([context, _EMBEDDING, _EMBEDDING])
    for fan_in, fan_out in shapes:
        hypernetwork += linear(_EMBEDDING, fan_in * fan_out) + linear(_EMBEDDING, fan_out)
    written = Cost(0, sum(fan_in * fan_out for fan_in, fan_out in shapes))
    attention_context = _chain([context, *[_EMBEDDING] * 3])
    per_row = linear(_EMBEDDING, _EMBEDDING).times(4) + _feedforward(trunk)
    layer = per_row.on_rows(limbs) + _attention_products(limbs) + _norm(_EMBEDDING).times(3)
    rows = (hypernetwork + written + attention_context).on_rows(limbs)
    return rows + layer.times(trunk.layers) + _terrain(task)


def _mlp(fan_in: int, limbs: int, task: TaskName, hidden: int) -> Cost:
    """Input layer, ``hidden`` layers of which the first sees the terrain too, output layer."""
    joined = _MLP + (_TERRAIN if _points(task) else 0)
    widths = [joined, *[_MLP] * hidden, limbs * UNIMAL.joint_slots]
    return linear(fan_in, _MLP) + _chain(widths) + _terrain(task)
