"""Attention among the few limbs of a robot as one CUDA kernel for all environments of a batch.

A robot has at most a dozen limbs, and general attention kernels work in tiles of 64 or 128: here a
tile of 16 holds a robot, robots of all sizes go into one launch, and rows stay where they are. The
general way stays for the CPU, other shapes, and machines without Triton.
"""

import importlib.util
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.morphology.packing import Packing

TILE = 16
"""Most limbs a tile holds; also the least that a tensor core multiplies."""
_HEAD_WIDTHS = (16, 32, 64, 128)


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def few_limbs_kernel_runs(projected: Tensor, packing: Packing, heads: int) -> bool:
    """Whether the kernel computes these: on CUDA, in tf32 or bfloat16, up to 16 limbs."""
    if projected.device.type != "cuda" or not _has_triton():
        return False
    if projected.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest":
        return False
    head_width = projected.shape[-1] // (3 * heads)
    return head_width in _HEAD_WIDTHS and max(packing.limb_counts) <= TILE


def attend_few_limbs(projected: Tensor, packing: Packing, heads: int) -> Tensor:
    """Softmax attention within environments: queries, keys, values (rows, 3 D) -> (rows, D).

    Rows are limb-major, as in ``limb_major``; queries, keys and values hold their heads in turn.
    """
    result: Tensor = _Attention.apply(projected, packing, heads)  # type: ignore[no-untyped-call]
    return result


@lru_cache(maxsize=64)
def _places(packing: Packing, device: torch.device) -> tuple[Tensor, Tensor]:
    """First row and number of limbs of every environment: (E,), (E,)."""
    firsts, limbs = [], []
    for bucket in packing.buckets:
        count, samples = bucket.limb_count, packing.per_robot
        robots = np.arange(len(bucket.robots))[:, None] * (count * samples)
        firsts.append((bucket.row_slice.start + robots + np.arange(samples)).ravel())
        limbs.append(np.full(len(bucket.robots) * samples, count))
    first = torch.from_numpy(np.concatenate(firsts).astype(np.int32)).to(device)
    return first, torch.from_numpy(np.concatenate(limbs).astype(np.int32)).to(device)


class _Attention(torch.autograd.Function):
    """Forward and backward kernel; the backward one computes the attention maps again."""

    @staticmethod
    def forward(context: Any, projected: Tensor, packing: Packing, heads: int) -> Tensor:
        from engine.policies.few_limbs_kernels import forward_kernel  # noqa: PLC0415 (needs Triton)

        projected = projected.contiguous()
        rows, tripled = projected.shape
        width = tripled // 3
        out = projected.new_empty(rows, width)
        first, limbs = _places(packing, projected.device)
        head_width = width // heads
        forward_kernel[(len(first), heads)](
            projected,
            out,
            first,
            limbs,
            packing.per_robot,
            1.0 / math.sqrt(head_width),
            width=width,
            head_width=head_width,
            tile=TILE,
            num_warps=1,
        )
        context.save_for_backward(projected)
        context.packing, context.heads = packing, heads
        return out

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        from engine.policies.few_limbs_kernels import backward_kernel  # noqa: PLC0415

        (projected,) = context.saved_tensors
        packing, heads = context.packing, context.heads
        width = projected.shape[1] // 3
        result = torch.empty_like(projected)
        first, limbs = _places(packing, projected.device)
        head_width = width // heads
        backward_kernel[(len(first), heads)](
            projected,
            gradient.contiguous(),
            result,
            first,
            limbs,
            packing.per_robot,
            1.0 / math.sqrt(head_width),
            width=width,
            head_width=head_width,
            tile=TILE,
            num_warps=1,
        )
        return result, None, None
