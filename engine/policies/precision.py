"""In which precision networks compute: float32, TensorFloat-32 products, or bfloat16 products.

Parameters, moments, losses and the optimiser stay float32 whatever is chosen; so do the layers that
read observations and write actions, whose numbers a bfloat16 would round to three digits.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "tf32", "bfloat16"]


def precision_on(device: torch.device, chosen: Literal["auto"] | Precision) -> Precision:
    """What a setting means on a device: ``auto`` is tf32 on CUDA, float32 on the CPU."""
    if chosen != "auto":
        return chosen
    return "tf32" if device.type == "cuda" else "float32"


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute so while the context lasts; on a CPU ``tf32`` is float32."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        # No cache of casts: a replayed graph would read those of the weights it was captured with.
        with torch.autocast(
            device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Where bfloat16 is chosen, float32 for what is computed in here."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
