"""CUDA graphs: the hundreds of small kernels of a step are launched as one.

What is captured must read and write the same memory each time, so callers copy what changes into
tensors that stay. On a CPU, or where graphs are turned off, a function is just called.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")
_WARM_UP_CALLS = 3
"""Before a capture: libraries choose their kernels, compilers compile, workspaces are allocated."""


class Replay(Generic[Result]):
    """A function without arguments that is captured on its first call and replayed from then on.

    Its result is the same tensors each time, with new numbers. ``warm_up`` is called instead of
    ``function`` before the capture, where running the function has effects.
    """

    def __init__(
        self,
        function: Callable[[], Result],
        *,
        enabled: bool,
        warm_up: Callable[[], object] | None = None,
    ) -> None:
        self._function = function
        self._warm_up = warm_up or function
        self._enabled = enabled
        self._kept: tuple[torch.cuda.CUDAGraph, Result] | None = None

    def __call__(self) -> Result:
        """The function's result."""
        if not self._enabled:
            return self._function()
        graph, result = self._captured()
        graph.replay()
        return result

    def prepare(self) -> None:
        """Capture it now, unless it is captured."""
        self._captured()

    def _captured(self) -> tuple[torch.cuda.CUDAGraph, Result]:
        if self._kept is None:
            self._kept = self._capture()
        return self._kept

    def _capture(self) -> tuple[torch.cuda.CUDAGraph, Result]:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_CALLS):
                self._warm_up()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._function()
        return graph, result
