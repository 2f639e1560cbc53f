"""Arrays that several processes see: files in memory, and the same of them pinned for a device."""

import mmap
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import SimulationError

Layout = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]
"""Shapes and types of arrays by name; equal layouts lie alike in every process."""


def reserve_memory(needed: int, what: str) -> Path:
    """A file of ``needed`` bytes, in memory where there is room; the caller unlinks it.

    Raises:
        SimulationError: there is no room for it.
    """
    memory = Path("/dev/shm")  # noqa: S108 (mkstemp makes the file, with a name of its own)
    folders = [memory] if memory.is_dir() else []
    for folder in [*folders, Path(tempfile.gettempdir())]:
        descriptor, name = tempfile.mkstemp(prefix="hdtui-", dir=folder)
        try:
            # Without a reservation a full /dev/shm would kill the process at the first write.
            os.posix_fallocate(descriptor, 0, max(needed, 4))
            return Path(name)
        except OSError:
            Path(name).unlink()
        finally:
            os.close(descriptor)
    raise SimulationError(
        f"no room for {needed / 2**20:.0f} MiB of {what} in /dev/shm or"
        f" {tempfile.gettempdir()}; free some or use fewer processes"
    )


def bytes_of(layout: Layout) -> int:
    """Bytes that the arrays of a layout take, each from the start of a page."""
    return sum(_pages(shape, dtype) for shape, dtype in layout.values())


def _pages(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE


@dataclass(frozen=True)
class SharedArrays:
    """The arrays of a layout in a file that other processes have open as well."""

    arrays: dict[str, npt.NDArray[Any]]
    memory: npt.NDArray[np.uint8]

    @classmethod
    def open(cls, path: Path, layout: Layout) -> "SharedArrays":
        """Map the file; it can be unlinked once everybody has."""
        memory = np.asarray(np.memmap(path, np.uint8, "r+", shape=(bytes_of(layout),)))
        arrays = {}
        start = 0
        for name, (shape, dtype) in layout.items():
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays[name] = memory[start : start + size].view(dtype).reshape(shape)
            start += _pages(shape, dtype)
        return cls(arrays, memory)

    def pin(self) -> bool:
        """Let a CUDA device copy from and to it without a detour; False where it may not.

        A system that does not allow so much locked memory still trains, with slower copies.
        """
        address = self.memory.ctypes.data
        runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        if int(runtime.cudaHostRegister(address, self.memory.nbytes, 0)) == 0:
            return True
        with suppress(RuntimeError):
            # The refusal stays on record, and the next launch would be blamed for it.
            torch.zeros(1, device="cuda").add_(1)
            torch.cuda.synchronize()
        return False
