"""Typed identifiers. All are random; none is derived from a person or an address."""

from __future__ import annotations

import re
from typing import Final, NewType

__all__ = [
    "AddressRef",
    "ContactPointId",
    "CredentialId",
    "DecisionId",
    "GrantId",
    "PatientId",
    "PersonRef",
    "RelatedId",
    "RequestRef",
    "ReservationId",
    "SuppressionId",
    "is_ref",
]

PatientId = NewType("PatientId", str)
"""Row id of a patient in the store: 32 lower-case hex digits. It never enters the log."""

RelatedId = NewType("RelatedId", str)
"""Row id of a guardian or other related person: 32 lower-case hex digits. It never enters the log."""

ContactPointId = NewType("ContactPointId", str)
"""Row id of a contact point: 32 lower-case hex digits. It never enters the log."""

PersonRef = NewType("PersonRef", str)
"""Pseudonym of a person in the log: 32 lower-case hex digits, random, forgotten at erasure."""

AddressRef = NewType("AddressRef", str)
"""Pseudonym of an address in the log: 32 lower-case hex digits, random, forgotten at erasure."""

RequestRef = NewType("RequestRef", str)
"""Keyed hash of a request key: 32 lower-case hex digits."""

DecisionId = NewType("DecisionId", str)
"""Random id of one decision: 32 lower-case hex digits."""

ReservationId = NewType("ReservationId", str)
"""Random id of one reservation, and of the permit that holds it: 32 lower-case hex digits."""

GrantId = NewType("GrantId", str)
"""Random id of one grant: 32 lower-case hex digits."""

SuppressionId = NewType("SuppressionId", str)
"""Random id of one suppression: 32 lower-case hex digits."""

CredentialId = NewType("CredentialId", str)
"""Random id of one credential of a member of staff: 32 lower-case hex digits."""

_REF: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_ref(text: str) -> bool:
    """Whether the text has the form of an identifier above."""
    return _REF.fullmatch(text) is not None
