"""FHIR R4 Consent: what a patient agreed to, took back, or said no to.

A permit becomes a grant exactly as wide as it is written. Where a part of it narrows the permit in a way that carelink
cannot keep (to an actor, a document, an action), the whole is refused: the rest would be wider than what was agreed.
A deny is never refused for that reason: it is taken whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from carelink.interop.fhirjson import BadError, Node, Reading
from carelink.interop.fhirparts import EXTENSIONS, flagged, patient_reference
from carelink.interop.records import Fault, GrantRecord
from carelink.interop.words import is_evidence, is_notice, is_scope
from carelink.model.moment import Instant
from carelink.model.scope import ANY
from carelink.vault.personal import Personal
from carelink.vocabulary import GrantState, RecipientRole

__all__ = ["consent"]

_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_REASONS: Final = {"TREAT": "care", "HMARKT": "marketing", "HRESCH": "research"}
_SCOPES: Final = frozenset({"patient-privacy", "research"})
_NARROWER: Final = ("actor", "action", "securityLabel", "class", "code", "dataPeriod", "data")
_TYPES: Final = "permit or deny, or a policyRule OPTIN or OPTOUT"
_DRAFTS: Final = ("draft", "proposed")
_ENDED: Final = {"inactive": GrantState.EXPIRED, "entered-in-error": GrantState.REVOKED}


def consent(node: Node, reading: Reading, channels: Sequence[str]) -> Iterator[GrantRecord]:
    """Grants and withdrawals that a Consent says.

    Args:
        node: the resource.
        reading: where notes go.
        channels: channel kinds of a Consent that does not name its own; with none, such a one is refused.

    Raises:
        BadError: something is missing, malformed, or cannot be kept as it is meant.
    """
    status, scopes = node.text("status"), node.node("scope")
    if scopes is not None and node.codes("scope") and not _SCOPES.intersection(node.codes("scope")):
        reading.note(Fault.OTHER_MATTER, "Consent.scope")
        return
    if status in _DRAFTS:
        reading.note(Fault.DRAFT, "Consent.status")
        return
    if status not in ("active", "rejected", *_ENDED):
        raise BadError(Fault.BAD_VALUE if status else Fault.MISSING, "Consent.status")
    root = node.node("provision")
    if root is None:
        raise BadError(Fault.MISSING, "Consent.provision")
    permits, denies = _provisions(node, root, reading)
    maker = _Maker(node, reading, channels)
    # What is denied comes first: whatever is wrong with the rest, it must not be lost. A consent that no longer holds
    # takes what it denied with it; what that had ended comes back by no means.
    for provision in denies if status not in _ENDED else ():
        yield maker.deny(provision)
    for provision in permits:
        yield from maker.permit(provision, status, denies)


def _provisions(node: Node, root: Node, reading: Reading) -> tuple[list[Node], list[Node]]:
    """Provisions that permit and provisions that deny. The root may leave its type to the policy rule, and may be no
    more than a frame around its parts.
    """
    nested, kind = root.nodes("provision"), root.text("type")
    if any(part.nodes("provision") for part in nested):
        raise BadError(Fault.UNSUPPORTED, "Consent.provision.provision.provision")
    if not kind:
        rules = node.codes("policyRule")
        kind = "permit" if "OPTIN" in rules else "deny" if "OPTOUT" in rules else ""
    found: dict[str, list[Node]] = {"permit": [], "deny": []}
    for part in nested:
        if part.text("type") not in found:
            raise BadError(Fault.BAD_VALUE if part.text("type") else Fault.MISSING, f"{part.path}.type", _TYPES)
        found[part.text("type")].append(part)
    if nested and not root.nodes("purpose"):
        if kind == "permit" and not found["permit"]:
            reading.note(Fault.UNSUPPORTED, root.path, "there is no consent to everything; what it denies was taken")
        return found["permit"], found["deny"]
    if kind not in found:
        raise BadError(Fault.BAD_VALUE if kind else Fault.MISSING, "Consent.provision.type", _TYPES)
    found[kind].insert(0, root)
    return found["permit"], found["deny"]


class _Maker:
    """Makes records of one Consent's provisions."""

    def __init__(self, node: Node, reading: Reading, channels: Sequence[str]) -> None:
        self._node, self._reading = node, reading
        self._patient = patient_reference(node, "patient")
        self._evidence = _evidence(node)
        named = [item.text("valueCode") for item in node.extensions(f"{EXTENSIONS}/channel")]
        self._named, self._channels = tuple(named), tuple(named or channels)
        if not is_scope(self._channels, "channels"):
            raise BadError(Fault.BAD_VALUE, "Consent.extension.channel", "sms, email, chat or task")
        notice = node.extension(f"{EXTENSIONS}/notice")
        self._notice = "" if notice is None else notice.text("valueString")
        if not is_notice(self._notice):
            raise BadError(Fault.BAD_VALUE, "Consent.extension.notice", "letters, digits, _ . -")

    def permit(self, provision: Node, status: str, denies: Sequence[Node]) -> Iterator[GrantRecord]:
        """A grant, less what a nested provision denies."""
        for key in _NARROWER:
            if provision.has(key):
                raise BadError(Fault.UNSUPPORTED, f"{provision.path}.{key}", "the grant would be wider than it")
        if not self._channels:
            raise BadError(Fault.MISSING, "Consent.extension.channel", "or say which with --channels")
        denied = {word for part in denies for word in _purposes(part)}
        granted = _purposes(provision)
        if not granted:
            raise BadError(Fault.MISSING, f"{provision.path}.purpose", "there is no consent to everything")
        purposes = tuple(word for word in granted if word not in denied and ANY not in denied)
        if any(no.startswith(f"{yes}.") or yes.startswith(f"{no}.") for yes in purposes for no in denied):
            raise BadError(Fault.UNSUPPORTED, provision.path, "a part of a family is denied: permit the others by name")
        if purposes:
            yield self._permitted(provision, purposes, status)

    def _permitted(self, provision: Node, purposes: tuple[str, ...], status: str) -> GrantRecord:
        days, period = self._reading.days, provision.node("period")
        since = None if period is None else period.start("start", days)
        until = None if period is None else period.end("end", days)
        since = since if since is not None else self._node.start("dateTime", days)
        if since is not None and until is not None and until <= since:
            raise BadError(Fault.BAD_DATE, f"{provision.path}.period", "it ends before it begins")
        state, ended = self._ended(status)
        return self._record(
            purposes, self._channels, state, ended, since=since, until=until, refusal=status == "rejected"
        )

    def deny(self, provision: Node) -> GrantRecord:
        """A withdrawal of everything given before that meets it."""
        for key in _NARROWER:
            if provision.has(key):
                self._reading.note(Fault.UNSUPPORTED, f"{provision.path}.{key}", "the deny was taken whole")
        period = provision.node("period")
        at = None if period is None else period.start("start", self._reading.days)
        at = at if at is not None else self._node.start("dateTime", self._reading.days)
        purposes, channels = _purposes(provision) or (ANY,), self._named or (ANY,)
        return self._record(purposes, channels, GrantState.WITHDRAWN, at, refusal=True)

    def _ended(self, status: str) -> tuple[GrantState, Instant | None]:
        """Whether the consent holds; if not, how and when it ended: said outright, or else when it was last changed."""
        if status == "active":
            return GrantState.GIVEN, None
        said, meta = self._node.extension(f"{EXTENSIONS}/ended"), self._node.node("meta")
        at = None if said is None else said.start("valueDateTime", self._reading.days)
        state = _ENDED.get(status, GrantState.WITHDRAWN)
        if at is not None and state is GrantState.EXPIRED:
            state = GrantState.WITHDRAWN
        if at is None and meta is not None:
            at = meta.start("lastUpdated", self._reading.days)
        return state, at

    def _record(
        self,
        purposes: tuple[str, ...],
        channels: tuple[str, ...],
        state: GrantState,
        ended: Instant | None,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        refusal: bool = False,
    ) -> GrantRecord:
        return GrantRecord(
            patient=self._patient,
            purposes=purposes,
            channels=channels,
            by=_role(self._node),
            since=since,
            until=until,
            separate=flagged(self._node, "separate"),
            notice=self._notice,
            evidence=Personal(self._evidence),
            state=state,
            ended_at=ended,
            refusal=refusal,
            source=self._reading.source,
        )


def _purposes(provision: Node) -> tuple[str, ...]:
    found = []
    for coding in provision.nodes("purpose"):
        code, system = coding.text("code"), coding.text("system")
        word = code if system == f"{EXTENSIONS}/purpose" else _REASONS.get(code, "") if system == _ACT_REASON else ""
        if not word or word == ANY or not is_scope((word,), "purposes"):
            raise BadError(Fault.BAD_VALUE, coding.path, "see docs/reference/fhir.md")
        found.append(word)
    return tuple(dict.fromkeys(found))


def _role(node: Node) -> RecipientRole:
    """Who agreed: as carelink's own extension says, else a guardian if a RelatedPerson performed it."""
    by = node.extension(f"{EXTENSIONS}/by")
    if by is not None:
        if by.text("valueCode") not in ("self", "guardian"):
            raise BadError(Fault.BAD_VALUE, "Consent.extension.by", "self or guardian")
        return RecipientRole(by.text("valueCode"))
    performers = [item.text("reference") for item in node.nodes("performer")]
    related = any("RelatedPerson/" in text for text in performers)
    return RecipientRole.GUARDIAN if related else RecipientRole.SELF


def _evidence(node: Node) -> str:
    """Where the proof lies: the source document, else its title or address."""
    reference, attachment = node.node("sourceReference"), node.node("sourceAttachment")
    found = "" if reference is None else reference.text("reference") or reference.text("display")
    if not found and attachment is not None:
        found = attachment.text("title") or attachment.text("url")
    if not found:
        raise BadError(Fault.MISSING, "Consent.source", "a grant needs a reference to its evidence")
    if not is_evidence(found):
        raise BadError(Fault.BAD_VALUE, "Consent.source", "at most 500 characters")
    return found
