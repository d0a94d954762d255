"""Who opens personal data, in which role, which kind of it, and what for.

Sources: ISO 22600 and ISO 27789 in outline (user, subject of care, function, purpose), HL7 v3 PurposeOfUse, and
未成年人网络保护条例 36 (approval before staff look at minors' data).
"""

from __future__ import annotations

from enum import StrEnum, unique

import attrs

from carelink.errors import InvalidInputError
from carelink.model.ids import is_ref

__all__ = ["AccessAction", "Actor", "DataKind", "Finding", "PurposeOfUse", "Refusal", "Right", "Role"]


@unique
class Role(StrEnum):
    """What somebody is to the deployment."""

    OPERATOR = "operator"
    CLINICIAN = "clinician"
    COMPLIANCE = "compliance"
    AUDITOR = "auditor"
    SERVICE = "service"


@unique
class PurposeOfUse(StrEnum):
    """What somebody opens data for. EMERGENCY breaks the glass: it opens, and somebody has to review it."""

    TREATMENT = "treatment"
    OPERATIONS = "operations"
    RIGHTS = "rights"
    AUDIT = "audit"
    BREACH = "breach"
    EMERGENCY = "emergency"


@unique
class DataKind(StrEnum):
    """Which kind of data: recorded decisions and history (coarse, under a pseudonym), the whole log; identity,
    addresses, consents with their evidence, and the whole record.
    """

    DECISION = "decision"
    HISTORY = "history"
    LOG = "log"
    IDENTITY = "identity"
    CONTACT = "contact"
    CONSENT = "consent"
    RECORD = "record"


@unique
class AccessAction(StrEnum):
    """What was done about access: approved beforehand, refused, reviewed afterwards."""

    APPROVED = "approved"
    DENIED = "denied"
    REVIEWED = "reviewed"


@unique
class Finding(StrEnum):
    """What a review of an opening in an emergency found."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


@unique
class Right(StrEnum):
    """What a person may ask for."""

    ACCESS = "access"
    COPY = "copy"
    EXPORT = "export"
    CORRECT = "correct"
    RESTRICT = "restrict"
    UNRESTRICT = "unrestrict"
    ERASE = "erase"


@unique
class Refusal(StrEnum):
    """Why a request is refused."""

    IDENTITY = "identity"
    OTHERS = "others"
    LEGAL_DUTY = "legal_duty"
    NOT_HELD = "not_held"
    CORRECT = "correct"
    REPEATED = "repeated"


@attrs.frozen(kw_only=True)
class Actor:
    """Who acts, as entries know them.

    Attributes:
        ref: pseudonym of the person or service, 32 hex digits: a keyed hash of the name, which is not kept.
        roles: what they are, at least one.
        purpose: what they do it for.
    """

    ref: str
    roles: tuple[Role, ...]
    purpose: PurposeOfUse

    def __attrs_post_init__(self) -> None:
        if not is_ref(self.ref) or not self.roles:
            raise InvalidInputError("an actor has a pseudonym and at least one role", hint="make one with `as_actor`")
