"""The authoriser contract: a hospital's own say on who opens what. It can only refuse: what the role table does not
allow stays refused whatever an authoriser says (P10). Registered through the hook `carelink_authorisers`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

from carelink.model.access import Actor, DataKind
from carelink.model.ids import PatientId

__all__ = ["AccessQuestion", "Authoriser"]


@attrs.frozen(kw_only=True)
class AccessQuestion:
    """May this actor open this?

    Attributes:
        patient: None where what is opened is of no single patient.
        minor: the patient is under 18, as far as is known.
        approved: an approval for this actor and patient is in force.
        restricted: what is done with the patient's data is restricted.
    """

    actor: Actor
    what: DataKind
    patient: PatientId | None
    minor: bool
    approved: bool
    restricted: bool


@runtime_checkable
class Authoriser(Protocol):
    """Answers at each opening, in process: keep it quick."""

    @property
    def name(self) -> str:
        """`[a-z0-9-]{1,32}`, unique."""

    def allows(self, question: AccessQuestion, /) -> bool:
        """Whether it has nothing against it. Anything but True refuses, and so does an exception (P2)."""
