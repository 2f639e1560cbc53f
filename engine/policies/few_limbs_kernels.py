"""The Triton kernels of ``few_limbs``: one program an environment and head."""

import triton
import triton.language as tl


@triton.jit
def forward_kernel(
    projected,
    out,
    first,
    limbs,
    stride,
    scale,
    width: tl.constexpr,
    head_width: tl.constexpr,
    tile: tl.constexpr,
):
    """Softmax(Q K^T) V of one environment's limbs."""
    environment = tl.program_id(0)
    head = tl.program_id(1)
    limb = tl.arange(0, tile)
    column = tl.arange(0, head_width)
    row = (tl.load(first + environment) + limb * stride).to(tl.int64)
    there = limb < tl.load(limbs + environment)
    place = row[:, None] * (3 * width) + head * head_width + column[None, :]
    query = tl.load(projected + place, mask=there[:, None], other=0.0)
    key = tl.load(projected + place + width, mask=there[:, None], other=0.0)
    value = tl.load(projected + place + 2 * width, mask=there[:, None], other=0.0)
    scores = tl.dot(query, tl.trans(key)) * scale
    scores = tl.where(there[None, :], scores, -1.0e30)
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = weights / tl.sum(weights, 1)[:, None]
    mixed = tl.dot(weights.to(value.dtype), value)
    target = out + row[:, None] * width + head * head_width + column[None, :]
    tl.store(target, mixed.to(out.dtype.element_ty), mask=there[:, None])


@triton.jit
def backward_kernel(
    projected,
    gradient,
    result,
    first,
    limbs,
    stride,
    scale,
    width: tl.constexpr,
    head_width: tl.constexpr,
    tile: tl.constexpr,
):
    """Gradients of queries, keys and values of one environment's limbs."""
    environment = tl.program_id(0)
    head = tl.program_id(1)
    limb = tl.arange(0, tile)
    column = tl.arange(0, head_width)
    row = (tl.load(first + environment) + limb * stride).to(tl.int64)
    there = limb < tl.load(limbs + environment)
    place = row[:, None] * (3 * width) + head * head_width + column[None, :]
    query = tl.load(projected + place, mask=there[:, None], other=0.0)
    key = tl.load(projected + place + width, mask=there[:, None], other=0.0)
    value = tl.load(projected + place + 2 * width, mask=there[:, None], other=0.0)
    source = gradient + row[:, None] * width + head * head_width + column[None, :]
    mixed_gradient = tl.load(source, mask=there[:, None], other=0.0).to(query.dtype)
    scores = tl.dot(query, tl.trans(key)) * scale
    scores = tl.where(there[None, :], scores, -1.0e30)
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = weights / tl.sum(weights, 1)[:, None]
    weights = tl.where(there[:, None], weights, 0.0)
    value_gradient = tl.dot(tl.trans(weights).to(query.dtype), mixed_gradient)
    weight_gradient = tl.dot(mixed_gradient, tl.trans(value))
    inner = tl.sum(weight_gradient * weights, 1)[:, None]
    score_gradient = (weights * (weight_gradient - inner) * scale).to(query.dtype)
    query_gradient = tl.dot(score_gradient, key)
    key_gradient = tl.dot(tl.trans(score_gradient), query)
    kind = result.dtype.element_ty
    tl.store(result + place, query_gradient.to(kind), mask=there[:, None])
    tl.store(result + place + width, key_gradient.to(kind), mask=there[:, None])
    tl.store(result + place + 2 * width, value_gradient.to(kind), mask=there[:, None])
