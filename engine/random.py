"""One seed becomes named, independent generators: nothing draws from a global source."""

import hashlib

import numpy as np


def seed_sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    """The seed sequence of a named use of ``seed``; other names give independent streams."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32).tolist()
    return np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, *words])


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator (PCG64) for a named use of ``seed``, e.g. ``generator(1, "reset", digest)``."""
    return np.random.Generator(np.random.PCG64(seed_sequence(seed, *names)))


def torch_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for a torch generator, from a named use of ``seed``."""
    word = seed_sequence(seed, *names).generate_state(1, dtype=np.uint64)[0]
    return int(word) & (2**63 - 1)
