"""Distilling by robot against distilling by sample, for ``hdtui bench distillation``."""

from typing import Any

from engine.distillation.benchmark import benchmark_distillation


def run() -> dict[str, Any]:
    """Samples per CPU-second of both, their agreement, and the share of the matrix-product rate."""
    return dict(benchmark_distillation())
