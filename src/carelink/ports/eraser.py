"""The eraser contract: whoever keeps copies that were derived from carelink's data removes one person's on request.

A search index, a report, a message provider's history, a data warehouse: each registers an eraser through the hook
`carelink_erasers`. It is asked before the keys go, and again, without identifiers, as long as it has not settled.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Protocol, runtime_checkable

import attrs

from carelink.model.ids import PatientId
from carelink.vault.personal import Personal

__all__ = ["CopyResult", "EraseOrder", "EraseReport", "Eraser"]


@unique
class CopyResult(StrEnum):
    """What an eraser came to. FAILED is what carelink writes for one that raised."""

    ERASED = "erased"
    NOTHING = "nothing"
    PENDING = "pending"
    FAILED = "failed"


@attrs.frozen(kw_only=True, repr=False)
class EraseOrder:
    """Whose copies to remove.

    Attributes:
        patient: the record's id; `records` has it and those merged into it.
        identifiers: as `system|value`; empty where the keys are gone already: an eraser that was not settled by then
            has to find its copies by `records`.
        addresses: canonical phone numbers, email addresses and chat accounts; empty likewise.
    """

    patient: PatientId
    records: tuple[PatientId, ...]
    identifiers: tuple[Personal[str], ...] = ()
    addresses: tuple[Personal[str], ...] = ()


@attrs.frozen(kw_only=True)
class EraseReport:
    """What an eraser did: `pending` is asked again. `count`: copies removed."""

    result: CopyResult
    count: int = 0


@runtime_checkable
class Eraser(Protocol):
    """Removes one person's copies from one place. May be called again for the same person after a crash."""

    @property
    def name(self) -> str:
        """`[a-z0-9-]{1,32}`, unique."""

    def erase(self, order: EraseOrder, /) -> EraseReport:
        """Remove the copies. An exception is written down as failed, and does not hold up the erasure."""
