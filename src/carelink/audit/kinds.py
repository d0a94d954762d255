"""Closed words of the log's own: kinds of entries, and the codes only entries use."""

from __future__ import annotations

from enum import StrEnum, unique

__all__ = ["ContentAction", "CredentialAction", "KeyAction", "Kind", "ReleaseCause"]


@unique
class Kind(StrEnum):
    """Kinds of entries in form version 1."""

    GENESIS = "genesis"
    PACK = "pack"
    POLICY = "policy"
    PLUGINS = "plugins"
    MODE = "mode"
    CONTENT = "content"
    SUBJECT = "subject"
    MERGED = "merged"
    CONSENT_GRANTED = "consent_granted"
    CONSENT_ENDED = "consent_ended"
    SUPPRESSION_ADDED = "suppression_added"
    SUPPRESSION_CARRIED = "suppression_carried"
    SUPPRESSION_LIFTED = "suppression_lifted"
    DECISION = "decision"
    CLAIM = "claim"
    HANDOVER = "handover"
    RELEASED = "released"
    RECOVERED = "recovered"
    RECEIPT = "receipt"
    STOPPED = "stopped"
    INBOUND = "inbound"
    OPENED = "opened"
    KEY = "key"
    ERASING = "erasing"
    ERASED = "erased"
    EXPORT = "export"
    RECONCILED = "reconciled"
    WITNESS = "witness"
    SEALED = "sealed"
    CREDENTIAL = "credential"
    ACCESS = "access"
    RIGHTS = "rights"


@unique
class ContentAction(StrEnum):
    """What happened to a template version."""

    REGISTERED = "registered"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    SCREENED = "screened"
    APPROVAL_REFUSED = "approval_refused"
    NUMBERED = "numbered"
    PROVIDER = "provider"


@unique
class CredentialAction(StrEnum):
    """What happened to a credential of a member of staff."""

    REGISTERED = "registered"
    RENEWED = "renewed"
    ENDED = "ended"


@unique
class ReleaseCause(StrEnum):
    """Why a permit ended without an attempt."""

    CLAIM_REFUSED = "claim_refused"
    EXPIRED = "expired"
    LEASE_RAN_OUT = "lease_ran_out"
    STOPPED = "stopped"
    CONTENT_CHANGED = "content_changed"
    ADDRESS_UNREADABLE = "address_unreadable"


@unique
class KeyAction(StrEnum):
    """What happened to a key."""

    CREATED = "created"
    ROTATED = "rotated"
    DESTROYED = "destroyed"
