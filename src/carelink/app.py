"""`CareLink`: wires store, keys, log, channels and engine together, and gives them verbs. Owns nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs

from carelink.audit.checkpoint import ED25519, NoteVerifier, SignedCheckpoint, VerifierKey
from carelink.audit.export_readme import export_readme
from carelink.channels.dispatcher import Dispatcher
from carelink.channels.registry import Registry
from carelink.consent.policy import Policy
from carelink.content.template import ChannelText, Template
from carelink.content.variables import VariableType
from carelink.engine.access import ROLES, SEALED, Access
from carelink.engine.adoption import Adoption, PluginManifest
from carelink.engine.credentials import Credentials
from carelink.engine.erasure import Erasure, ErasureState
from carelink.engine.inbound import Inbound, InboundResult
from carelink.engine.ledger import GrantOrder, Ledger
from carelink.engine.lifeevents import plan_ended, returned, transferred
from carelink.engine.notary import Notary
from carelink.engine.outcome import Forecast, SendOutcome
from carelink.engine.outreach import Outreach
from carelink.engine.parts import Options, Parts
from carelink.engine.person import read_person
from carelink.engine.recovery import Recovered, recover
from carelink.engine.registration import ContactInput, PatientInput, Registered, Registration
from carelink.engine.replies import Replies, WaitingReply
from carelink.engine.rights import Rights
from carelink.engine.rotation import Rotation
from carelink.engine.safe import Safe
from carelink.engine.screener import Screener
from carelink.engine.stops import Stopped
from carelink.engine.succession import Succeeded, succeed
from carelink.engine.why import Story, why
from carelink.errors import CarelinkError, InvalidInputError, NotFoundError
from carelink.forgetful import forgetful
from carelink.keys.signing import SigningFolder
from carelink.keys.store import KeyStore
from carelink.model.access import Actor, DataKind, PurposeOfUse, Role
from carelink.model.ids import GrantId, PatientId, PersonRef, RequestRef, SuppressionId, is_ref
from carelink.model.moment import Instant, from_datetime
from carelink.model.request import Request
from carelink.model.scope import ANY, EVERY_PLAN, Scope
from carelink.packs.optout_words import bundled_grammar
from carelink.packs.screening_lists import screening_lists
from carelink.ports.channel import Channel, ChannelEvent
from carelink.ports.rows import CredentialRow, PatientRow, TenantRow
from carelink.ports.store import Store
from carelink.ports.system import Clock, Entropy, Signer
from carelink.rights.person import Person
from carelink.settings import Settings
from carelink.stores.closed_logs import put_away
from carelink.stores.head_copy import read_head_copy, write_head_copy
from carelink.stores.logfolder import LogFolder
from carelink.telemetry import logger
from carelink.vault.canonical import canonical_address
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ChannelKind,
    ContactStatus,
    DataClass,
    GrantMethod,
    LifecycleStage,
    Mode,
    ProviderState,
    RecipientRole,
    ReviewRole,
    Standing,
    StopSource,
    word,
)

__all__ = ["CareLink", "Wiring"]

_PAGE: Final = 1000
"""Rows read at a time where all are wanted."""


@attrs.frozen(kw_only=True)
class Wiring:
    """The parts of one deployment, opened. `carelink.home` makes it from a home folder; tests make their own."""

    settings: Settings
    store: Store
    keys: KeyStore
    key_folder: SigningFolder
    log: LogFolder
    registry: Registry
    clock: Clock
    entropy: Entropy


@attrs.frozen
class _NoteSigner:
    """The log's signer, as checkpoints want it: with the note key id of its public key."""

    key: VerifierKey
    signer: Signer

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def key_id(self) -> bytes:
        return self.key.key_id

    def sign(self, message: bytes, /) -> bytes:
        return self.signer.sign(message)


def _manifest(registry: Registry, processors: Mapping[str, tuple[str, Instant | None]]) -> PluginManifest:
    found = registry.manifest()
    plugins = [
        (one.name, one.version, one.digest, [(info.name, info.kind.value, info.local) for info in one.channels])
        for one in found.plugins
    ]
    return PluginManifest.of(found.digest, plugins, processors)


def _instant(moment: datetime | None) -> Instant | None:
    return None if moment is None else from_datetime(moment)


def _texts(given: Mapping[str, str | tuple[str, str]]) -> tuple[ChannelText, ...]:
    """Other text by channel kind, in order of kind."""
    found = []
    for kind, text in sorted(given.items()):
        subject, body = ("", text) if isinstance(text, str) else text
        found.append(ChannelText(kind=word(ChannelKind, kind), subject=subject, body=body))
    return tuple(found)


@forgetful
class CareLink:
    """One tenant's gate, ledger and log.

    Made by `carelink.open`, `carelink.init` or `carelink.in_memory`. Use it as a context manager, or close it.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        tenant = self._tenant()
        self.safe = Safe(wiring.keys, tenant.tenant)
        signer = wiring.key_folder.signer(tenant.origin)
        self.key = VerifierKey(tenant.origin, ED25519, signer.public_key)
        self.notary = Notary(
            store=wiring.store,
            log=wiring.log,
            signer=_NoteSigner(self.key, signer),
            verifier=NoteVerifier(self.key, wiring.key_folder.check_signature),
            clock=wiring.clock,
            read_copy=lambda: read_head_copy(wiring.settings.keys / "head"),
            write_copy=lambda head: write_head_copy(wiring.settings.keys / "head", head),
            put_away=lambda: put_away(wiring.log, wiring.settings.keys / "head"),
            lag=wiring.settings.publish_lag,
        )
        self.parts = Parts(
            store=wiring.store,
            safe=self.safe,
            clock=wiring.clock,
            entropy=wiring.entropy,
            dispatcher=Dispatcher(wiring.registry, wiring.clock),
            publisher=self.notary,
            screener=Screener(lambda: screening_lists(wiring.settings.screening)),
            grammar=bundled_grammar,
            channels={name: (channel.info, channel.capabilities) for name, channel in wiring.registry.channels.items()},
            options=Options(
                region=wiring.settings.region,
                routes=wiring.settings.routes,
                permit_ttl=wiring.settings.permit_ttl,
                unsubscribe=wiring.settings.unsubscribe,
                processors=wiring.settings.processors,
            ),
        )
        self.notary.open()
        self.erasure = Erasure(
            parts=self.parts, keys=wiring.keys, erasers=wiring.registry.erasers, backups=wiring.settings.key_backups
        )
        self.access = Access(
            parts=self.parts,
            table={**ROLES, **wiring.settings.access.opens},
            authorisers=wiring.registry.authorisers,
        )
        self._erase_again()
        self.registration = Registration(self.parts)
        self.ledger = Ledger(self.parts)
        self.adoption = Adoption(self.parts)
        self.credentials = Credentials(self.parts)
        self.rotation = Rotation(self.parts, wiring.keys)
        self._outreach = Outreach(self.parts)
        self._inbound = Inbound(self.parts)
        self.rights = Rights(parts=self.parts, access=self.access, ledger=self.ledger, registration=self.registration)
        self._replies = Replies(self.parts)
        if not self.notary.restored:
            self.adoption.plugins(_manifest(wiring.registry, wiring.settings.processors))

    # -- patients -----------------------------------------------------------------------------------------

    def register(
        self,
        *,
        identifier: str,
        name: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        chat: str | None = None,
        birth_date: date | None = None,
        zone: str = "",
        language: str = "",
        system: str = "mrn",
        stage: str | None = None,
    ) -> PatientId:
        """Register one patient, or update the one who has this identifier.

        Args:
            identifier, system: the hospital's own number of the patient, and what kind of number it is.
            name, birth_date, zone, language, stage: what is known; None or "" where nothing is said.
            phone, email, chat: verified addresses; `chat` is a chat provider's id of the person.

        Raises:
            InvalidInputError: a value is malformed.
        """
        contacts = [
            ContactInput(kind=kind, address=Personal(address), status=ContactStatus.VALID)
            for kind, address in ((AddressKind.PHONE, phone), (AddressKind.EMAIL, email), (AddressKind.CHAT, chat))
            if address is not None
        ]
        given = PatientInput(
            identifiers=((system, Personal(identifier)),),
            name=None if name is None else Personal(name),
            birth_date=None if birth_date is None else Personal(birth_date),
            zone=zone,
            language=language,
            contacts=tuple(contacts),
            stage=None if stage is None else word(LifecycleStage, stage),
        )
        (result,) = self.registration.register([given])
        if result.error is not None:
            raise result.error
        assert result.patient is not None
        return result.patient

    def register_many(self, inputs: Sequence[PatientInput]) -> list[Registered]:
        """Register or update many; a bad one is answered with its error and leaves the rest alone."""
        return self.registration.register(inputs)

    def find(self, identifier: str, *, system: str = "mrn") -> PatientId:
        """The patient with this identifier.

        Raises:
            NotFoundError: nobody has it.
        """
        found = self.registration.find(system, identifier)
        if found is None:
            raise NotFoundError("no patient has this identifier")
        return found

    def patients(self) -> Iterator[PatientRow]:
        """Every patient, in order of id: standing, age band, zone and language, nothing personal. A record that was
        merged into another is left out: the one that goes on stands for both.
        """
        after = ""
        while True:
            with self._wiring.store.reader() as reader:
                page = reader.page_patients(after, _PAGE)
            if not page:
                return
            after = page[-1].id
            yield from (row for row in page if row.standing is not Standing.MERGED)

    def died(self, patient: PatientId) -> None:
        """Record that a patient died: nothing is claimed for them any more.

        Raises:
            NotFoundError: the patient is unknown.
        """
        self.registration.mark(patient, Standing.DECEASED)

    def stage(self, patient: PatientId, stage: str) -> None:
        """Record where a patient stands with the hospital; caps may differ by stage.

        Raises:
            NotFoundError: the patient is unknown.
            InvalidInputError: the stage is unknown.
        """
        self.registration.stage(patient, word(LifecycleStage, stage))

    def transferred(self, patient: PatientId) -> Stopped:
        """Record that another hospital treats the patient now: care and promotion stop; what is owed to them by duty
        (a safety recall, a public health notice, a bill, a breach notice, an answer) does not.

        Raises:
            NotFoundError: the patient is unknown.
        """
        return transferred(self.ledger, patient)

    def plan_ended(self, patient: PatientId, *, plans: Iterable[str]) -> Stopped:
        """Record that plans of care are over, such as a pregnancy, however it ended: nothing of them is sent any more.

        Raises:
            NotFoundError: the patient is unknown.
            InvalidInputError: no plan is named, or a name is malformed.
        """
        return plan_ended(self.ledger, patient, plans)

    def returned(self, patient: PatientId, *, plans: Iterable[str] = EVERY_PLAN, actor: str) -> list[SuppressionId]:
        """Lift what `transferred` stopped; with plans, what `plan_ended` stopped in these. Neither does the other's:
        nothing that anybody asked to stop is lifted.

        Raises:
            NotFoundError: the patient is unknown.
        """
        return returned(self.ledger, patient, by=self.actor(actor), plans=tuple(plans))

    def person(self, patient: PatientId, *, what: str = "record", actor: str | Actor) -> Person:
        """A patient's record, or a part of it, opened. That somebody looked is an entry.

        Args:
            what: identity, contact, consent, or record for all of it.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open it.
            InvalidInputError: nobody is named, or the part is unknown.
        """
        kind = word(DataKind, what)
        if kind not in SEALED:
            raise InvalidInputError("this is no part of a record", hint="identity, contact, consent or record")
        self.access.open(self.as_actor(actor), kind, patient)
        return read_person(self.parts, patient, kind)

    def erase(self, patient: PatientId, *, actor: str, reason: str = "request") -> ErasureState:
        """Erase a patient: nobody can read again who they were or what was said to them. It cannot be undone. Where a
        message is in flight just now, it goes on at the next open, or when this is called again.

        Args:
            reason: a code: request, withdrawal, purpose_ended, retention_over, unlawful, court.

        Returns:
            How far it is; with the receipt once it is done.

        Raises:
            NotFoundError: the patient is unknown.
            InvalidInputError: nobody is named, or the reason is unknown.
            StoreRestoredError: the store is a restored backup: reconcile it first.
        """
        return self.erasure.erase(patient, by=self.actor(actor), reason=reason)

    def _erase_again(self) -> None:
        """Whoever is erased stays so, whatever was restored; and what was cut off goes on (P9)."""
        self.erasure.shred_again()
        if not self.notary.restored:
            self.erasure.resume()
            return
        try:
            self.erasure.shred_from(self._wiring.log.entries())
        except CarelinkError as error:
            # Nobody can tell who was erased since. A restored store goes on taking stops all the same (ADR 0018), and
            # is not reconciled with a log that cannot be read.
            logger().warning("erasures_unknown", code=error.code)

    # -- consent -------------------------------------------------------------------------------------------

    def grant(
        self,
        patient: PatientId,
        *,
        purposes: Iterable[str],
        channels: Iterable[str],
        evidence: str,
        by: str = "self",
        since: datetime | None = None,
        until: datetime | None = None,
        separate: bool = False,
        notice: str = "",
        plans: Iterable[str] = EVERY_PLAN,
        method: str = "explicit",
    ) -> GrantId:
        """Record a grant with a reference to its evidence.

        Raises:
            NotFoundError: the patient is unknown.
            InvalidInputError: the evidence is missing, or a purpose or channel kind is unknown.
        """
        order = GrantOrder(
            patient=patient,
            scope=Scope(tuple(purposes), tuple(channels), tuple(plans)),
            evidence=evidence,
            by=word(RecipientRole, by),
            since=_instant(since),
            until=_instant(until),
            separate=separate,
            notice=notice,
            method=word(GrantMethod, method),
        )
        return self.ledger.grant([order])[0]

    def withdraw(
        self,
        patient: PatientId,
        *,
        purposes: Iterable[str],
        channels: Iterable[str] = (ANY,),
        plans: Iterable[str] = EVERY_PLAN,
        evidence: str = "",
    ) -> list[GrantId]:
        """Take back every grant that meets these purposes, channels and plans. Works from this commit on.

        Raises:
            NotFoundError: the patient is unknown.
        """
        ended = self.ledger.withdraw(patient, Scope(tuple(purposes), tuple(channels), tuple(plans)), evidence=evidence)
        self.notary.tick()
        return ended

    def stop(
        self,
        patient: PatientId,
        *,
        purposes: Iterable[str],
        channels: Iterable[str] = (ANY,),
        plans: Iterable[str] = EVERY_PLAN,
        source: str = "staff",
    ) -> Stopped:
        """Suppress a patient for these purposes on these channel kinds, within these plans, until lifted.

        Raises:
            NotFoundError: the patient is unknown.
        """
        scope = Scope(tuple(purposes), tuple(channels), tuple(plans))
        return self.ledger.stop(patient=patient, scopes=[scope], source=word(StopSource, source))

    def lift(
        self,
        patient: PatientId,
        *,
        purposes: Iterable[str],
        channels: Iterable[str],
        plans: Iterable[str] = EVERY_PLAN,
        actor: str,
    ) -> list[SuppressionId]:
        """Lift the patient's own suppressions within a scope; suppressions of an address stay.

        Raises:
            NotFoundError: the patient is unknown.
        """
        scope = Scope(tuple(purposes), tuple(channels), tuple(plans))
        return self.ledger.lift(patient, scope, by=self.actor(actor))

    # -- content and policy --------------------------------------------------------------------------------

    def template(
        self,
        name: str,
        body: str,
        *,
        purposes: Iterable[str],
        channels: Iterable[str],
        subject: str = "",
        language: str = "und",
        version: int = 1,
        author: str = "author",
        since: datetime | None = None,
        until: datetime | None = None,
        variables: Mapping[str, Mapping[str, Any]] | None = None,
        texts: Mapping[str, str | tuple[str, str]] | None = None,
        citations: Iterable[str] = (),
        byline: str = "",
        data: Iterable[str] = (),
        quorum: int = 1,
    ) -> Template:
        """Register a template version as a draft; it cannot be sent before it is approved.

        Args:
            name, body, purposes, channels, subject, language, version: the text and what it is for.
            author: who wrote it, and cannot approve it.
            since, until: its validity.
            variables: type of each variable that has one: `{"day": {"type": "date"}}`.
            texts: other text by channel kind: a body, or a subject and a body.
            citations: sources of what it says.
            byline: who stands behind it; fills `{byline}`.
            data: kinds of personal data that its variables carry.
            quorum: how many distinct approvers make it approved.

        Raises:
            InvalidInputError: it is malformed.
            ConflictError: the version exists with another text.
        """
        form = Template(
            name=name,
            version=version,
            scope=Scope(tuple(purposes), tuple(channels)),
            body=body,
            subject=subject,
            language=language,
            types=tuple(VariableType.of(each, declared) for each, declared in sorted((variables or {}).items())),
            texts=_texts(texts or {}),
            citations=tuple(citations),
            byline=byline,
            data=tuple(sorted({word(DataClass, each) for each in data})),
        )
        self.adoption.register(form, by=self.actor(author), since=_instant(since), until=_instant(until), quorum=quorum)
        return form

    def approve(self, name: str, version: int = 1, *, actor: str, role: str = "clinical") -> int:
        """Add one reviewer's approval; how many distinct ones there are now.

        Raises:
            NotFoundError: no such version.
            SelfApprovalError: the author approves.
            ConflictError: it was withdrawn, or this person approved it in another role.
        """
        by = self.actor(actor)
        return len(self.adoption.approve(name, version, by=by, role=word(ReviewRole, role)).approvers)

    def approval_number(self, name: str, version: int = 1, *, number: str, until: datetime | None, actor: str) -> None:
        """Record the regulator's approval number of a version and the end of its validity; "" takes it away.

        Raises:
            NotFoundError: no such version.
            InvalidInputError: the number is too long, or stands without the end of its validity.
        """
        self.adoption.number(name, version, number=number, until=_instant(until), by=self.actor(actor))

    def provider_template(
        self, name: str, version: int = 1, *, channel: str, state: str, provider_id: str = "", actor: str
    ) -> None:
        """Record where a version stands with the provider of one channel (pending, approved, rejected).

        Raises:
            NotFoundError: no such version.
            InvalidInputError: the channel, state or id is malformed.
        """
        found, by = word(ProviderState, state), self.actor(actor)
        self.adoption.provider(name, version, channel=channel, state=found, provider_id=provider_id, by=by)

    def credential(
        self,
        actor_name: str,
        role: str = "clinical",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str,
    ) -> CredentialRow:
        """Record, or renew, what a member of staff may approve as, from when until when.

        Raises:
            InvalidInputError: it would be over before it begins, or is over already.
        """
        return self.credentials.register(
            self.actor(actor_name), word(ReviewRole, role), since=_instant(since), until=_instant(until),
            by=self.actor(actor),
        )  # fmt: skip

    def end_credential(self, actor_name: str, role: str = "clinical", *, actor: str) -> int:
        """End a member of staff's credentials in a role; how many there were. Approvals under them count no more.

        Raises:
            NotFoundError: there is none to end.
        """
        return self.credentials.end(self.actor(actor_name), word(ReviewRole, role), by=self.actor(actor))

    def adopt(self, packs: Sequence[bytes], *, actor: str, approvers: Sequence[str] = ()) -> Policy:
        """Put a set of policy packs in force.

        Raises:
            PolicyError: a pack is malformed, or one in force would go without two named approvers (P10).
        """
        named = [self.actor(name) for name in approvers]
        return self.adoption.policy(packs, by=self.actor(actor), approvers=named)

    def policy(self) -> Policy | None:
        """The policy in force."""
        with self._wiring.store.reader() as reader:
            tenant = reader.tenant()
            return self.parts.policies.get(reader, tenant.policy, tenant.packs)

    # -- the one path --------------------------------------------------------------------------------------

    def preview(self, request: Request) -> Forecast:
        """What `send` would decide now. Nothing is reserved, recorded or minted."""
        return self._outreach.preview([request])[0]

    def preview_many(self, requests: Sequence[Request]) -> list[Forecast]:
        """`preview` for many."""
        return self._outreach.preview(requests)

    def send(self, request: Request) -> SendOutcome:
        """Contact one patient once, or say why not and until when.

        Raises:
            NotFoundError: the patient, the recipient or the channel is unknown.
            ConflictError: the key was used before with other content.
            InvalidInputError: the template's variables are not the ones given.
        """
        outcome = self._outreach.send([request])[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def send_many(
        self, requests: Sequence[Request], *, progress: Callable[[SendOutcome], None] | None = None
    ) -> list[SendOutcome]:
        """`send` for many: the same path, in chunks. A request that is wrong is answered with its error."""
        return self._outreach.send(requests, progress=progress)

    def permit_many(self, requests: Sequence[Request]) -> list[SendOutcome]:
        """Decide and reserve now, hand over with a later `send_many` of the same requests, which decides again."""
        return self._outreach.permit(requests)

    def inbound(self, channel: str, events: Sequence[ChannelEvent]) -> list[InboundResult]:
        """Take in delivery reports and replies; opt-outs act before anything else."""
        return self._inbound.take(channel, events)

    def replies(self) -> list[WaitingReply]:
        """Replies that a person must read, oldest first. Until then nothing promotional is sent to who wrote them."""
        return self._replies.waiting()

    def decide_reply(self, waiting: SuppressionId, *, stop: bool, actor: str) -> Stopped:
        """Say what a reply meant that a person had to read: a plain stop, or none.

        Raises:
            NotFoundError: no such reply waits.
        """
        return self._replies.decide(waiting, stop=stop, by=self.actor(actor))

    def recover(self) -> Recovered:
        """Settle claims of a killed run whose lease is over. `send` does this first by itself."""
        return recover(self.parts)

    def why(self, key_or_ref: str, *, actor: str | Actor) -> Story:
        """What was decided for a request key (or its reference), on which facts, by which rules. That somebody
        looked is an entry.

        Raises:
            NotFoundError: nothing was decided for it.
            AccessDeniedError: the actor may not open it.
        """
        ref = self.safe.request_ref(key_or_ref)
        if is_ref(key_or_ref):  # a reference; or a key that looks like one, as a UUID in hex does
            with self._wiring.store.reader() as reader:
                ref = ref if reader.entries_for(ref) else RequestRef(key_or_ref)
        story = why(self._wiring.store, ref)
        self.access.open_person(self.as_actor(actor), DataKind.DECISION, PersonRef(story.facts.subject))
        return story

    def export(
        self, target: Path, *, actor: str | Actor, progress: Callable[[int, int], None] | None = None
    ) -> SignedCheckpoint:
        """Publish, then copy the published log into a self-contained folder. The export itself is an entry.

        Raises:
            ConflictError: the target exists.
            AccessDeniedError: the actor may not open the log.
        """
        acting = self.as_actor(actor)
        self.access.check(acting, DataKind.LOG)
        readme = export_readme(self.key).encode()
        self.adoption.exported(by=acting.ref, readme=sha256(readme).hexdigest())
        self.notary.publish()
        return self._wiring.log.export(target, readme=readme, progress=progress)

    def succeed(self, *, actor: str) -> Succeeded:
        """Close the log and begin its successor. The closed log is put away beside it, whole, to be kept as long as the
        law asks; the successor commits to it. Open the home again afterwards: the log has another name and key line.

        Raises:
            ConflictError: permits wait or claims are in flight.
            StoreError: the store is a restored backup, or the log cannot be written.
        """
        self.recover()
        self.notary.publish()
        origin = f"carelink.invalid/log/{self._wiring.entropy(8).hex()}"
        signer = self._wiring.key_folder.signer(origin)
        key = VerifierKey(origin, ED25519, signer.public_key)
        done = succeed(self.parts, self.notary, key, by=self.actor(actor))
        self.notary.put_away()
        # From its first head on, a backup of the store from before today is recognised.
        verifier = NoteVerifier(key, self._wiring.key_folder.check_signature)
        attrs.evolve(self.notary, signer=_NoteSigner(key, signer), verifier=verifier).publish()
        return done

    def cosigned(self, answer: bytes, witness: str) -> SignedCheckpoint:
        """Take a witness's answer: its signature goes to the checkpoint it signed, and that it did is an entry.

        Args:
            answer: the cosigned checkpoint note.
            witness: the witness's verifier key line, obtained from the witness.

        Raises:
            FormatError: not a note, or not the key of a witness.
            NotFoundError: no checkpoint of this size is published.
            CannotJudgeError, TamperedError: it is not this witness's signature of what is published.
        """
        verifier = NoteVerifier(VerifierKey.parse(witness), self._wiring.key_folder.check_signature)
        signed, _seconds = self._wiring.log.cosign(answer, verifier)
        digest = sha256(signed.note.text.encode()).hexdigest()
        self.adoption.witnessed(name=verifier.key.name, size=signed.size, digest=digest)
        return signed

    def allow(self, address: str, *, listed: bool = True, kind: str = "") -> None:
        """Put an address on the team's allow-list, or take it off. Without a kind, an `@` makes it an email address and
        all else a phone number.

        Raises:
            InvalidInputError: no address of its kind.
        """
        found = word(AddressKind, kind or ("email" if "@" in address else "phone"))
        text = canonical_address(found, address, self.parts.options.region).text
        self.adoption.allow([self.safe.token(found, text)], listed=listed)

    # -- deployment ----------------------------------------------------------------------------------------

    def as_actor(self, who: str | Actor = "", *, roles: Iterable[str] = (), purpose: str = "") -> Actor:
        """Somebody who opens personal data: a name with roles and a purpose. What is left out is what the settings say
        (`[access]`). Only the keyed hash of the name is kept.

        Raises:
            InvalidInputError: the name is blank, or a role or the purpose is unknown.
        """
        if isinstance(who, Actor):
            return who
        usual = self._wiring.settings.access
        return Actor(
            ref=self.actor(who or usual.actor),
            roles=tuple(dict.fromkeys(word(Role, role) for role in roles)) or usual.roles,
            purpose=word(PurposeOfUse, purpose) if purpose else usual.purpose,
        )

    def actor(self, name: str) -> str:
        """Pseudonym of a member of staff, for entries: a keyed hash of the name, which is not kept.

        Raises:
            InvalidInputError: the name is empty.
        """
        if not name.strip():
            raise InvalidInputError("this needs a named actor", hint="say who does it")
        return self.safe.actor_ref(name.strip())

    def mode(self) -> Mode:
        """How far this deployment may reach."""
        return self._tenant().mode

    def set_mode(self, mode: Mode, *, actor: str, checks: int) -> None:
        """Change it. The command line asks for a clean `doctor` first; so should every other caller.

        Raises:
            ConflictError: a store made for synthetic data stays in sandbox.
        """
        self.adoption.mode(mode, by=self.actor(actor), checks=checks)

    def publish(self) -> SignedCheckpoint | None:
        """Publish what is integrated, now.

        Raises:
            StoreError: the store is a restored backup, or the log cannot be written.
        """
        return self.notary.publish()

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The registered channels by name."""
        return self._wiring.registry.channels

    @property
    def wiring(self) -> Wiring:
        """The opened parts."""
        return self._wiring

    def _tenant(self) -> TenantRow:
        with self._wiring.store.reader() as reader:
            return reader.tenant()

    def close(self) -> None:
        """Publish what can be published and release everything."""
        try:
            self.notary.tick(closing=True)
        finally:
            self._wiring.registry.close()
            self._wiring.store.close()
            self._wiring.keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
