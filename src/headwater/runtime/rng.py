"""Randomness: tokens that never repeat, and jitter."""

import os
import random
from typing import Protocol


class Rng(Protocol):
    """The only way to be random."""

    def token(self) -> bytes:
        """Return 16 bytes that no one else has drawn."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a number in ``[low, high]``."""
        ...

    def below(self, bound: int) -> int:
        """Return an integer in ``[0, bound)``."""
        ...


class SystemRng:
    """Tokens from the operating system, jitter from a generator seeded by it."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def token(self) -> bytes:
        """Return 16 bytes from the operating system."""
        return os.urandom(16)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in ``[low, high]``."""
        return self._random.uniform(low, high)

    def below(self, bound: int) -> int:
        """Return an integer in ``[0, bound)``."""
        return self._random.randrange(bound)


class SeededRng:
    """Everything from one seed, tokens included: for simulations."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self) -> bytes:
        """Return the next 16 bytes."""
        return self._random.randbytes(16)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in ``[low, high]``."""
        return self._random.uniform(low, high)

    def below(self, bound: int) -> int:
        """Return an integer in ``[0, bound)``."""
        return self._random.randrange(bound)
