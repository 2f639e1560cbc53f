"""How the processes of one training run meet: sums of gradients, sums of statistics, one decision.

A star of pipes around the first process, and one piece of shared memory for what is large. Unlike a
network collective it needs no port, adds in a fixed order (same seed, same numbers), and a process
that dies closes its pipe, so nobody waits for the dead.
"""

import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import SimulationError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
_READY = b"."
_ABANDON = b"abandon"


class AbandonedError(Exception):
    """The first process has given the iteration up, between two steps; go back to its start."""


class Exchange(Protocol):
    """What a process sees of the others; all processes call the same methods in the same order."""

    rank: int
    processes: int

    def sum_vector(self, vector: Float32) -> None:
        """Replace a long vector by its sum over all processes, in place."""
        ...

    def sum_statistics(self, statistics: Float64) -> Float64:
        """The sum of a short array over all processes."""
        ...

    def gather(self, content: bytes) -> list[bytes]:
        """Everybody's content by rank, on the first process; an empty list elsewhere."""
        ...

    def announce(self, decision: dict[str, Any] | None) -> dict[str, Any]:
        """The first process's decision (JSON), on every process."""
        ...

    def abandon(self) -> None:
        """Give the iteration up: on the first process for all, elsewhere after it has been heard.

        On every process that hears of it any other call raises AbandonedError first.
        """
        ...


class SingleProcess:
    """The exchange of a run with one process."""

    rank = 0
    processes = 1

    def sum_vector(self, vector: Float32) -> None:
        """Nothing to add."""

    def sum_statistics(self, statistics: Float64) -> Float64:
        """The statistics themselves."""
        return statistics

    def gather(self, content: bytes) -> list[bytes]:
        """The one content there is."""
        return [content]

    def announce(self, decision: dict[str, Any] | None) -> dict[str, Any]:
        """The decision itself."""
        return decision or {}

    def abandon(self) -> None:
        """Nobody to tell."""


class SharedSlots:
    """One float32 vector a process in memory that all processes of a run see: (P, size)."""

    def __init__(self, path: Path, processes: int, size: int) -> None:
        self.vectors: Float32 = np.memmap(path, np.float32, "r+", shape=(processes, size))


class Hub:
    """The first process's end: adds up and answers."""

    rank = 0

    def __init__(self, connections: Sequence[Connection], slots: SharedSlots) -> None:
        self._connections = connections
        self._slots = slots
        self.processes = len(connections) + 1

    def sum_vector(self, vector: Float32) -> None:
        """Add every process's vector in order of rank, then let everybody read the sum."""
        for connection in self._connections:
            self._receive(connection)
        # Floating-point sums depend on their order: by rank, never by who came first, a run gives
        # the same bits again.
        for rank in range(1, self.processes):
            vector += self._slots.vectors[rank, : len(vector)]
        self._slots.vectors[0, : len(vector)] = vector
        self._send(_READY)

    def sum_statistics(self, statistics: Float64) -> Float64:
        """The sum over all processes."""
        total = statistics.copy()
        for connection in self._connections:
            total += np.frombuffer(self._receive(connection)).reshape(total.shape)
        self._send(total.tobytes())
        return total

    def gather(self, content: bytes) -> list[bytes]:
        """Everybody's content by rank."""
        return [content, *(self._receive(connection) for connection in self._connections)]

    def announce(self, decision: dict[str, Any] | None) -> dict[str, Any]:
        """Tell everybody."""
        self._send(json.dumps(decision).encode())
        return decision or {}

    def abandon(self) -> None:
        """Tell everybody, and throw away what they said before they heard it."""
        self._send(_ABANDON)
        for connection in self._connections:
            while self._receive(connection) != _ABANDON:
                pass

    def _send(self, content: bytes) -> None:
        for connection in self._connections:
            connection.send_bytes(content)

    def _receive(self, connection: Connection) -> bytes:
        try:
            return connection.recv_bytes()
        except (EOFError, ConnectionError) as error:
            # A pipe ends with its process whatever ended it, so no clock has to guess who is dead.
            rank = self._connections.index(connection) + 1
            raise SimulationError(
                f"training process {rank} of {self.processes} died; the log holds its last words,"
                " and `hdtui runs resume` continues from the last checkpoint"
            ) from error


class Spoke:
    """Another process's end."""

    def __init__(
        self, rank: int, processes: int, connection: Connection, slots: SharedSlots
    ) -> None:
        self.rank = rank
        self.processes = processes
        self._connection = connection
        self._slots = slots

    def sum_vector(self, vector: Float32) -> None:
        """Show the vector, wait for the sum."""
        self._slots.vectors[self.rank, : len(vector)] = vector
        self._connection.send_bytes(_READY)
        self._receive()
        vector[:] = self._slots.vectors[0, : len(vector)]

    def sum_statistics(self, statistics: Float64) -> Float64:
        """The sum over all processes."""
        self._connection.send_bytes(statistics.tobytes())
        return np.frombuffer(self._receive()).reshape(statistics.shape)

    def gather(self, content: bytes) -> list[bytes]:
        """Hand the content in."""
        self._connection.send_bytes(content)
        return []

    def announce(self, decision: dict[str, Any] | None) -> dict[str, Any]:
        """Hear the decision."""
        heard: dict[str, Any] = json.loads(self._receive())
        return heard

    def abandon(self) -> None:
        """Say that it has been heard."""
        self._connection.send_bytes(_ABANDON)

    def listen(self) -> None:
        """AbandonedError where the first process has given the iteration up."""
        if self._connection.poll():
            self._receive()

    def _receive(self) -> bytes:
        content = self._connection.recv_bytes()
        if content == _ABANDON:
            raise AbandonedError
        return content
