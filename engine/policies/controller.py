"""What every policy is: read the robots once, then act on packed observations many times."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.errors import ConfigError, RobotError
from engine.morphology.packing import Packing

DEVICE_PARAMETERS = 500_000
"""From so many parameters on a network is worth a device: smaller ones wait for its launches."""
Encoding = Any
"""What a controller computes once per robot (attention maps, weights), opaque outside it."""


def known_classes(context: Tensor | None) -> Tensor:
    """The transformed context back; RobotError where a robot has none, as it has no classes."""
    if context is None:
        raise RobotError(
            "a robot has joints of no class of the transformed context, which this network reads;"
            " networks of the raw context can drive it"
        )
    return context


@dataclass(frozen=True)
class BucketContext:
    """Static facts of the robots of one limb count, in packed order (R, L, ...)."""

    robots: tuple[int, ...]
    context: Tensor | None  # (R, L, 53) transformed, normalised; None where a robot has none
    raw_context: Tensor  # (R, L, 35) raw, not normalised
    normalized_raw_context: Tensor  # (R, L, 35) raw, normalised to about [-1, 1]
    joint_mask: Tensor  # (R, L, J) bool

    @property
    def transformed(self) -> Tensor:
        """The transformed context: (R, L, 53).

        Raises:
            RobotError: A robot has none, as its joints are of no class.
        """
        return known_classes(self.context)


@dataclass(frozen=True)
class RobotBatch:
    """Robots as a network sees them: one ``BucketContext`` per bucket of their packing."""

    limb_counts: tuple[int, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    buckets: tuple[BucketContext, ...]

    def packing(self, per_robot: int) -> Packing:
        """The packing of these robots with ``per_robot`` samples each."""
        return Packing(self.limb_counts, per_robot)


class Controller(Protocol):
    """A policy: pure in its parameters, with the observation moments among its buffers.

    ``observation`` is packed and raw (rows, 17), as environments give it; each controller
    normalises by its own moments. ``terrain`` is (E, 1410) or None. Means are (rows, J);
    entries without a hinge are zero. Padding inside a network must never change a result.
    """

    def encode(self, robots: RobotBatch) -> Encoding:
        """All that depends on the robots alone; gradients flow through it."""
        ...

    def mean(
        self, encoding: Encoding, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """Action means of packed observations: (rows, 17) -> (rows, J)."""
        ...


def choose_device(name: str, parameters: Callable[[], int]) -> tuple[torch.device, str]:
    """The device that a setting means here, and why.

    ``auto`` is CUDA where there is one and the network has parameters enough to keep it busy, else
    the CPU.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    if name != "auto":
        device = select_device(name)
        return device, f"{device_name(device)}, as set"
    if not torch.cuda.is_available():
        return torch.device("cpu"), f"{device_name(torch.device('cpu'))}: torch sees no CUDA device"
    count = parameters()
    device = torch.device("cuda" if count >= DEVICE_PARAMETERS else "cpu")
    return device, f"{device_name(device)} for a network of {count:,} parameters"


def parameters_of(network: torch.nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def device_name(device: torch.device) -> str:
    """What a device is called."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type


def select_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if available else "cpu"
    if name == "cuda" and not available:
        raise ConfigError(
            f"device: found cuda, but torch {torch.__version__} sees no CUDA device here; expected"
            " auto or cpu, or a torch with CUDA (make setup TORCH=...)"
        )
    return torch.device(name)
