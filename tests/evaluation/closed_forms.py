"""Closed formulas of size and cost, written from the papers' layer widths, not from our modules.

L limbs, F observation columns, C raw and T transformed context columns, J joint slots, P heights.
``linear`` is one layer: weights a * b and biases b; a * b multiply-adds a row.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

from engine.config.base import TERRAIN_TASKS, TaskName
from engine.config.network import NetworkConfig
from engine.environments.terrain_observation import TERRAIN_POINTS
from engine.evaluation.efficiency import Cost
from engine.morphology.family import UNIMAL

_EMBEDDING = 128
_TERRAIN = 64
_MLP = 256


@dataclass(frozen=True)
class Terms:
    """A cost that is added up."""

    parameters: int
    macs: int

    def __add__(self, other: "Terms") -> "Terms":
        return Terms(self.parameters + other.parameters, self.macs + other.macs)

    def on_rows(self, rows: int) -> "Terms":
        """The same weights applied to several rows."""
        return Terms(self.parameters, self.macs * rows)

    def times(self, count: int) -> "Terms":
        """Several layers with weights of their own."""
        return Terms(self.parameters * count, self.macs * count)


@dataclass(frozen=True)
class _Trunk:
    """Layer widths of a network over limbs; the defaults are what all published ones share."""

    layers: int
    feedforward: int
    width: int = _EMBEDDING
    generated: bool = False
    context_attention: bool = False
    positions: bool = False


_TRANSFORMERS = {"flat": _Trunk(5, 1024), "terrain": _Trunk(5, 1024)}
_COMPRESSED_TRANSFORMERS = {"flat": _Trunk(1, 256), "terrain": _Trunk(2, 128)}
_MODUMORPH = _Trunk(5, 1024, generated=True, context_attention=True)
_COMPRESSED_MODUMORPH = _Trunk(1, 128, generated=True, context_attention=True)
_DECODER_LAYERS: dict[TaskName, int] = {"flat": 0, "incline": 0, "variable": 1, "obstacles": 2}


def closed_form(policy: str, task: TaskName, limbs: int) -> Cost:
    """Parameters and multiply-adds of a policy of published size with ``limbs`` limb slots."""
    return Cost(*astuple(_published(policy, task, limbs)))


def closed_form_of(network: NetworkConfig, task: TaskName, limbs: int) -> Cost:
    """The same for any network; a hypernetwork's is that of the base MLP it writes."""
    return Cost(*astuple(_of_network(network, task, limbs)))


def _published(policy: str, task: TaskName, limbs: int) -> Terms:
    ground = "terrain" if _points(task) else "flat"
    trunks = {
        "transformer": _TRANSFORMERS[ground],
        "transformer-compressed": _COMPRESSED_TRANSFORMERS[ground],
        "modumorph": _MODUMORPH,
        "modumorph-compressed": _COMPRESSED_MODUMORPH,
    }
    if policy in trunks:
        return _limb_network(task, limbs, trunks[policy])
    if policy == "mlp":
        return _mlp(_described(), limbs, task, _MLP, hidden=1)
    return _mlp(_observed(), limbs, task, _MLP, hidden=2 if _points(task) else 1)


def _of_network(network: NetworkConfig, task: TaskName, limbs: int) -> Terms:
    if network.kind == "hypernetwork":
        return _mlp(_observed(), limbs, task, network.hidden_width, hidden=network.hidden_layers)
    if network.kind in ("multi_mlp", "single_mlp"):
        columns = _described() if network.kind == "multi_mlp" else _observed()
        hidden = network.hidden_layers - 1
        return _mlp(columns, limbs, task, network.hidden_width, hidden=hidden)
    trunk = _Trunk(
        network.layers,
        network.feedforward_width,
        network.width,
        generated=network.kind == "modumorph",
        context_attention=network.attention == "context",
        positions=network.positional_embedding,
    )
    return _limb_network(task, limbs, trunk)


def linear(fan_in: int, fan_out: int) -> Terms:
    """One layer with bias on one row."""
    return Terms(fan_in * fan_out + fan_out, fan_in * fan_out)


def _chain(widths: Sequence[int]) -> Terms:
    return sum((linear(a, b) for a, b in pairwise(widths)), Terms(0, 0))


def _norm(width: int) -> Terms:
    return Terms(2 * width, 0)


def _points(task: TaskName) -> int:
    return TERRAIN_POINTS if task in TERRAIN_TASKS else 0


def _terrain(task: TaskName) -> Terms:
    return _chain([_points(task), _TERRAIN, _TERRAIN]) if _points(task) else Terms(0, 0)


def _observed() -> int:
    return UNIMAL.observation_layout.width


def _described() -> int:
    """Columns of a limb that carries its raw context."""
    return UNIMAL.observation_layout.width + UNIMAL.raw_context_layout.width


def _limb_network(task: TaskName, limbs: int, trunk: _Trunk) -> Terms:
    """Embedding, encoder layers and decoder, each on every limb, and the terrain encoder."""
    width, context = trunk.width, UNIMAL.context_layout.width
    joined = width + (_TERRAIN if _points(task) else 0)
    decoder = [joined, *[_TERRAIN] * _DECODER_LAYERS[task], UNIMAL.joint_slots]
    shapes = [(_described(), width), *pairwise(decoder)]
    rows = _written(shapes) if trunk.generated else _shared(shapes)
    norms = 2
    if trunk.context_attention:
        rows += _chain([context, *[width] * 3])
        norms = 3
    layer = linear(width, width).times(4) + _chain([width, trunk.feedforward, width])
    # Scores and mixture: every limb with every limb, whatever the number of heads.
    products = Terms(0, 2 * limbs * limbs * width)
    layer = layer.on_rows(limbs) + products + _norm(width).times(norms)
    positions = Terms(limbs * width if trunk.positions else 0, 0)
    return rows.on_rows(limbs) + layer.times(trunk.layers) + positions + _terrain(task)


def _shared(shapes: Sequence[tuple[int, int]]) -> Terms:
    return sum((linear(fan_in, fan_out) for fan_in, fan_out in shapes), Terms(0, 0))


def _written(shapes: Sequence[tuple[int, int]]) -> Terms:
    """Weights written per limb are work but no parameters; their heads are parameters."""
    hypernetwork = _chain([UNIMAL.context_layout.width, _EMBEDDING, _EMBEDDING])
    for fan_in, fan_out in shapes:
        hypernetwork += linear(_EMBEDDING, fan_in * fan_out) + linear(_EMBEDDING, fan_out)
    return hypernetwork + Terms(0, sum(fan_in * fan_out for fan_in, fan_out in shapes))


def _mlp(columns: int, limbs: int, task: TaskName, width: int, *, hidden: int) -> Terms:
    """Input layer, ``hidden`` layers of which the first sees the terrain too, output layer."""
    joined = width + (_TERRAIN if _points(task) else 0)
    widths = [joined, *[width] * hidden, limbs * UNIMAL.joint_slots]
    return linear(limbs * columns, width) + _chain(widths) + _terrain(task)
