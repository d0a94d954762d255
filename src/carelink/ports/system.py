"""Clock, entropy, signer: what only `carelink.system` and the key folder may reach."""

from __future__ import annotations

from typing import Protocol

from carelink.model.moment import Instant, Micros

__all__ = ["Clock", "Entropy", "Signer"]


class Clock(Protocol):
    """Time, passed in."""

    def now(self) -> Instant:
        """Wall time now."""

    def monotonic(self) -> Micros:
        """A clock that never jumps, from an arbitrary start. Tells a stepped wall clock from a slow one."""


class Entropy(Protocol):
    """Randomness, passed in."""

    def __call__(self, length: int, /) -> bytes:
        """So many unpredictable bytes."""


class Signer(Protocol):
    """Signs checkpoints (Ed25519)."""

    @property
    def name(self) -> str:
        """Key name of the signed note, equal to the log's origin."""

    @property
    def public_key(self) -> bytes:
        """Raw public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of the message."""
