"""How the learning rate moves: after the KL, or warm-up and cosine decay."""

import math

_STEP = 1.5


def adapted_rate(rate: float, kl: float, target_kl: float, limits: tuple[float, float]) -> float:
    """Lower the rate above twice the target, raise it below half of it, within ``limits``."""
    if kl > 2.0 * target_kl:
        rate /= _STEP
    elif kl < 0.5 * target_kl:
        rate *= _STEP
    return min(max(rate, limits[0]), limits[1])


def cosine_rate(top_rate: float, iteration: int, warmup_iterations: int, iterations: int) -> float:
    """Linear warm-up to ``top_rate``, then half a cosine down to zero at ``iterations``."""
    if iteration < warmup_iterations:
        return top_rate * (iteration + 1) / warmup_iterations
    rest = max(iterations - warmup_iterations, 1)
    share = min((iteration - warmup_iterations) / rest, 1.0)
    return 0.5 * top_rate * (1.0 + math.cos(math.pi * share))
