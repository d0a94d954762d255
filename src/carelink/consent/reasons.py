"""Reason codes: closed, frozen once released. Sentences for people are in `carelink.consent.sentences`.

The order below is the conflict order: it decides only which reason is named first, never the effect
(suppression and death outrank guardians, guardians outrank consent, consent outranks content, content
outranks caps, caps outrank time).
"""

from __future__ import annotations

from enum import StrEnum, unique

__all__ = ["ReasonCode"]


@unique
class ReasonCode(StrEnum):
    """Why a rule did not permit."""

    # The gate itself could not judge.
    RULE_FAILED = "RULE_FAILED"
    RULE_UNKNOWN = "RULE_UNKNOWN"
    POLICY_MISSING = "POLICY_MISSING"
    POLICY_NOT_IN_FORCE = "POLICY_NOT_IN_FORCE"
    FACT_UNKNOWN = "FACT_UNKNOWN"
    FACT_STALE = "FACT_STALE"
    STORE_RESTORED = "STORE_RESTORED"
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    LOG_UNPUBLISHED = "LOG_UNPUBLISHED"
    # How far this deployment may reach.
    MODE_SANDBOX = "MODE_SANDBOX"
    MODE_TEAM = "MODE_TEAM"
    CHANNEL_UNAVAILABLE = "CHANNEL_UNAVAILABLE"
    PLUGIN_VETO = "PLUGIN_VETO"
    # The person and the address.
    SUBJECT_ERASED = "SUBJECT_ERASED"
    SUBJECT_DECEASED = "SUBJECT_DECEASED"
    SUBJECT_MERGED = "SUBJECT_MERGED"
    RECIPIENT_UNAVAILABLE = "RECIPIENT_UNAVAILABLE"
    SUPPRESSED = "SUPPRESSED"
    OPTED_OUT = "OPTED_OUT"
    CONTACT_MISSING = "CONTACT_MISSING"
    CONTACT_INVALID = "CONTACT_INVALID"
    CONTACT_STALE = "CONTACT_STALE"
    # Guardians and family.
    AGE_UNKNOWN = "AGE_UNKNOWN"
    GUARDIAN_REQUIRED = "GUARDIAN_REQUIRED"
    MINOR_EXCLUDED = "MINOR_EXCLUDED"
    DISCLOSURE_DENIED = "DISCLOSURE_DENIED"
    # Consent.
    NO_CONSENT = "NO_CONSENT"
    WITHDRAWN = "WITHDRAWN"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    CONSENT_NOT_YET_VALID = "CONSENT_NOT_YET_VALID"
    PURPOSE_MISMATCH = "PURPOSE_MISMATCH"
    # Content.
    CONTENT_UNREVIEWED = "CONTENT_UNREVIEWED"
    CONTENT_WITHDRAWN = "CONTENT_WITHDRAWN"
    CONTENT_EXPIRED = "CONTENT_EXPIRED"
    # Caps and time.
    CAP_EXCEEDED = "CAP_EXCEEDED"
    GAP_TOO_SHORT = "GAP_TOO_SHORT"
    TOO_LATE = "TOO_LATE"
    TOO_EARLY = "TOO_EARLY"
    ZONE_UNKNOWN = "ZONE_UNKNOWN"
    QUIET_HOURS = "QUIET_HOURS"

    @property
    def rank(self) -> int:
        """Place in the conflict order; smaller is named first."""
        return _RANK[self]


_RANK = {code: place for place, code in enumerate(ReasonCode)}
