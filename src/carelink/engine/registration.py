"""Registers patients, related persons and contact points, singly or by the thousand, and applies what changed.

A record that names a known identifier updates that patient; it never creates a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import attrs

from carelink.engine.journal import Journal
from carelink.engine.ledger import person_gate
from carelink.engine.membership import age_band
from carelink.engine.outcome import bare
from carelink.engine.parts import Parts
from carelink.engine.zones import check_zone, local_date
from carelink.errors import CarelinkError, InvalidInputError, NotFoundError
from carelink.model.ids import AddressRef, ContactPointId, PatientId, PersonRef, RelatedId
from carelink.model.moment import Instant
from carelink.ports.rows import ContactRow, Gate, IndexRow, PatientRow, RelatedRow, SealedRow
from carelink.ports.store import Reader, Transaction
from carelink.vault.canonical import Canonical, canonical_email, canonical_id, canonical_phone
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, AgeBand, ContactStatus, DisclosureScope, Relation, Standing

__all__ = ["ContactInput", "PatientInput", "Registered", "Registration", "RelatedInput"]

_MAX_TEXT: Final = 200


@attrs.frozen(kw_only=True)
class ContactInput:
    """A contact point as the caller knows it. `status` VALID means somebody verified it."""

    kind: AddressKind
    address: Personal[str]
    status: ContactStatus = ContactStatus.UNVERIFIED
    verified_at: Instant | None = None
    rank: int = 0


@attrs.frozen(kw_only=True)
class RelatedInput:
    """A guardian or other related person as the caller knows them."""

    name: Personal[str]
    relation: Relation
    contacts: tuple[ContactInput, ...] = ()
    verified: bool = False
    acts: bool = False
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant | None = None
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class PatientInput:
    """A patient as the caller knows them. `identifiers` are (system, value) pairs; at least one."""

    identifiers: tuple[tuple[str, Personal[str]], ...]
    name: Personal[str] | None = None
    birth_date: Personal[date] | None = None
    deceased: bool = False
    language: str = ""
    zone: str = ""
    contacts: tuple[ContactInput, ...] = ()
    related: tuple[RelatedInput, ...] = ()


@attrs.frozen(kw_only=True)
class Registered:
    """What came of one input: the patient's id, or the error; whether it is new; addresses nobody could use."""

    patient: PatientId | None = None
    created: bool = False
    changed: bool = False
    unusable: int = 0
    error: CarelinkError | None = attrs.field(default=None, converter=bare)


@attrs.define
class _Batch:
    """Rows of one commit, gathered and then written set-based."""

    patients: list[PatientRow] = attrs.field(factory=list)
    updated: list[PatientRow] = attrs.field(factory=list)
    related: list[RelatedRow] = attrs.field(factory=list)
    contacts: list[ContactRow] = attrs.field(factory=list)
    sealed: list[SealedRow] = attrs.field(factory=list)
    index: list[IndexRow] = attrs.field(factory=list)
    refs: dict[bytes, AddressRef] = attrs.field(factory=dict)


@attrs.frozen
class _Address:
    kind: AddressKind
    token: bytes
    canonical: Canonical
    source: ContactInput


@attrs.define
class Registration:
    """Registers, updates and merges."""

    parts: Parts

    def register(self, inputs: Sequence[PatientInput]) -> list[Registered]:
        """Register or update each, all good ones in one commit; a bad one is answered with its error and leaves the
        rest alone.
        """
        checked: list[PatientInput | CarelinkError] = []
        for item in inputs:
            try:
                checked.append(_checked(item))
            except CarelinkError as error:
                checked.append(error)
        good = [item for item in checked if not isinstance(item, CarelinkError)]
        done = iter(self._register(good))
        return [Registered(error=item) if isinstance(item, CarelinkError) else next(done) for item in checked]

    def find(self, system: str, value: str) -> PatientId | None:
        """The patient with this identifier; merges are followed."""
        with self.parts.store.reader() as reader:
            return self._known(reader, [(system, value)]).get((system, value))

    def merge(self, old: PatientId, survivor: PatientId) -> None:
        """Two records are one person: the old one's suppressions bind the survivor, its grants do not carry over.

        Raises:
            NotFoundError: one of them is unknown.
            InvalidInputError: they are the same record.
        """
        if old == survivor:
            raise InvalidInputError("a record cannot be merged into itself")
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            rows = reader.patients((old, survivor))
        if len(rows) != 2:  # noqa: PLR2004  both
            raise NotFoundError("no patient has this id")
        with self.parts.store.transaction() as tx:
            tx.lock([person_gate(row) for row in rows.values()])
            rows = tx.patients((old, survivor))
            if rows[old].merged_into == survivor:
                return
            if rows[survivor].merged_into is not None:
                raise InvalidInputError("the surviving record was itself merged into another")
            tx.put_patient(attrs.evolve(rows[old], standing=Standing.MERGED, merged_into=survivor))
            journal = Journal(self.parts)
            journal.merged(rows[survivor].person, rows[old].person, now)
            journal.write(tx)

    def mark(self, patient: PatientId, standing: Standing) -> None:
        """Record that a patient died, or that this was recorded in error.

        Raises:
            NotFoundError: the patient is unknown.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            row = reader.patients((patient,)).get(patient)
        if row is None:
            raise NotFoundError("no patient has this id")
        with self.parts.store.transaction() as tx:
            tx.lock([person_gate(row)])
            row = tx.patients((patient,))[patient]
            if row.standing is standing or row.standing in (Standing.ERASED, Standing.MERGED):
                return
            tx.put_patient(attrs.evolve(row, standing=standing))
            journal = Journal(self.parts)
            journal.subject(row.person, now, standing=standing)
            journal.write(tx)

    # -- inside --------------------------------------------------------------------------------------------

    def _known(self, reader: Reader, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PatientId]:
        safe = self.parts.safe
        values = {pair: safe.blind("identifier", canonical_id(*pair)) for pair in pairs}
        rows = reader.lookup("identifier", [value for found in values.values() for value in found])
        ids = sorted({row for found in rows.values() for row in found})
        envelopes = reader.sealed("patient", ids, ("identifiers",))
        known: dict[tuple[str, str], PatientId] = {}
        for pair, blinds in values.items():
            for patient in {row for blind in blinds for row in rows.get(blind, ())}:
                envelope = envelopes.get((patient, "identifiers"))
                if envelope is None:
                    continue
                opened = safe.try_open(patient, "patient", patient, "identifiers", envelope)
                if opened is not None and canonical_id(*pair) in str(opened.reveal("compare")).split("\n"):
                    known[pair] = PatientId(patient)
        return known

    def _register(self, inputs: Sequence[PatientInput]) -> list[Registered]:
        if not inputs:
            return []
        pairs = [(system, value.reveal("register")) for item in inputs for system, value in item.identifiers]
        addresses = [self._addresses(item.contacts) for item in inputs]
        related = [[self._addresses(person.contacts) for person in item.related] for item in inputs]
        with self.parts.store.reader() as reader:
            known = self._known(reader, pairs)
        fresh = self._fresh_ids(inputs, known)
        tokens = sorted(
            {a.token for group in addresses for a in group}
            | {a.token for groups in related for group in groups for a in group}
        )
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            existing = tx.patients([p for p in known.values()])
            gates = [person_gate(row) for row in existing.values()]
            tx.lock([*gates, *(Gate("address", token) for token in tokens)])
            batch, journal = _Batch(), Journal(self.parts)
            batch.refs.update(tx.address_refs(tokens))
            unnamed = [token for token in tokens if token not in batch.refs]
            batch.refs.update({token: AddressRef(self.parts.ref()) for token in unnamed})
            self._carry(tx, journal, batch, unnamed, now)
            answers = []
            zone = tx.tenant().zone
            owned = tx.contacts([row.id for row in existing.values()])
            seen: dict[PatientId, bool] = {}
            for number, item in enumerate(inputs):
                patient = fresh[number]
                row = existing.get(patient)
                if row is None and patient not in seen:
                    self._create(item, patient, addresses[number], related[number], batch, journal, now, zone)
                    seen[patient] = True
                    answers.append(Registered(patient=patient, created=True, unusable=_unusable(addresses[number])))
                elif row is None:
                    answers.append(Registered(patient=patient))
                else:
                    held = {c.token for c in owned.get(patient, ())}
                    changed = self._update(item, row, addresses[number], held, batch, journal, now)
                    answers.append(Registered(patient=patient, changed=changed, unusable=_unusable(addresses[number])))
            _write(tx, batch)
            journal.write(tx)
        return answers

    def _fresh_ids(self, inputs: Sequence[PatientInput], known: Mapping[tuple[str, str], PatientId]) -> list[PatientId]:
        """An id for each input: the known one, or one new id for all inputs of this batch that share an identifier.
        Keys are made in the key store first, before any row that needs them.
        """
        ids, assigned, new = [], dict(known), []
        for item in inputs:
            pairs = [(system, value.reveal("register")) for system, value in item.identifiers]
            found = next((assigned[pair] for pair in pairs if pair in assigned), None)
            if found is None:
                found = PatientId(self.parts.ref())
                new.append(found)
            for pair in pairs:
                assigned.setdefault(pair, found)
            ids.append(found)
        self.parts.safe.new_owners(new)
        return ids

    def _addresses(self, contacts: Sequence[ContactInput]) -> list[_Address]:
        found: dict[bytes, _Address] = {}
        for contact in contacts:
            raw = contact.address.reveal("register")
            form = (
                canonical_phone(raw, self.parts.options.region)
                if contact.kind is AddressKind.PHONE
                else canonical_email(raw)
            )
            token = self.parts.safe.token(contact.kind, form.text)
            found.setdefault(token, _Address(contact.kind, token, form, contact))
        return list(found.values())

    def _carry(self, tx: Transaction, journal: Journal, batch: _Batch, unnamed: Sequence[bytes], now: Instant) -> None:
        """An address whose pseudonym was forgotten but whose suppression stands gets both again, in this commit."""
        for stop in tx.stops((), unnamed):
            if stop.token is not None:
                journal.carried(stop, batch.refs[stop.token], now)

    def _create(
        self,
        item: PatientInput,
        patient: PatientId,
        addresses: Sequence[_Address],
        related: Sequence[Sequence[_Address]],
        batch: _Batch,
        journal: Journal,
        now: Instant,
        tenant_zone: str,
    ) -> None:
        safe = self.parts.safe
        person = PersonRef(self.parts.ref())
        band: AgeBand | None = None
        if item.birth_date is not None:
            today = local_date(now, item.zone or tenant_zone)
            band = item.birth_date.use(lambda born: age_band(born, today))
            batch.sealed.append(safe.seal(patient, "patient", patient, "birth_date", item.birth_date.reveal("seal")))
        standing = Standing.DECEASED if item.deceased else Standing.ACTIVE
        batch.patients.append(
            PatientRow(
                id=patient,
                person=person,
                standing=standing,
                age=band,
                zone=item.zone,
                language=item.language,
                created=now,
            )
        )
        if item.name is not None:
            batch.sealed.append(safe.seal(patient, "patient", patient, "name", item.name.reveal("seal")))
        forms = [canonical_id(system, value.reveal("seal")) for system, value in item.identifiers]
        batch.sealed.append(safe.seal(patient, "patient", patient, "identifiers", "\n".join(forms)))
        for form in forms:
            batch.index.extend(
                IndexRow(column="identifier", version=version, value=value, row=patient)
                for version, value in safe.blind("identifier", form)
            )
        journal.subject(person, now, standing=standing, age=band)
        self._contacts(patient, person, addresses, batch, journal, now)
        for source, found in zip(item.related, related, strict=True):
            self._relate(source, found, patient, person, batch, journal, now)

    def _relate(
        self,
        source: RelatedInput,
        addresses: Sequence[_Address],
        patient: PatientId,
        subject: PersonRef,
        batch: _Batch,
        journal: Journal,
        now: Instant,
    ) -> None:
        row = RelatedRow(
            id=RelatedId(self.parts.ref()),
            patient=patient,
            person=PersonRef(self.parts.ref()),
            relation=source.relation,
            verified=source.verified,
            acts=source.acts,
            scopes=source.scopes,
            since=now if source.since is None else source.since,
            until=source.until,
        )
        # A related person's name and address live and die with the patient's record they were given for.
        batch.related.append(row)
        batch.sealed.append(self.parts.safe.seal(patient, "related", row.id, "name", source.name.reveal("seal")))
        journal.subject(row.person, now, standing=row.standing)
        journal.guardian(subject, row, now)
        self._contacts(row.id, row.person, addresses, batch, journal, now, key_owner=patient)

    def _contacts(
        self,
        owner: str,
        person: PersonRef,
        addresses: Sequence[_Address],
        batch: _Batch,
        journal: Journal,
        now: Instant,
        *,
        key_owner: PatientId | None = None,
    ) -> None:
        for address in addresses:
            status = address.source.status if address.canonical.valid else ContactStatus.INVALID
            row = ContactRow(
                id=ContactPointId(self.parts.ref()),
                owner=owner,
                person=person,
                kind=address.kind,
                token=address.token,
                address=batch.refs[address.token],
                status=status,
                verified_at=address.source.verified_at,
                rank=address.source.rank,
                zones=address.canonical.zones,
            )
            batch.contacts.append(row)
            sealed_by = owner if key_owner is None else key_owner
            batch.sealed.append(self.parts.safe.seal(sealed_by, "contact", row.id, "address", address.canonical.text))
            journal.contact(person, row, now)

    def _update(
        self,
        item: PatientInput,
        row: PatientRow,
        addresses: Sequence[_Address],
        held: set[bytes],
        batch: _Batch,
        journal: Journal,
        now: Instant,
    ) -> bool:
        changed = False
        if item.deceased and row.standing is Standing.ACTIVE:
            batch.updated.append(attrs.evolve(row, standing=Standing.DECEASED))
            journal.subject(row.person, now, standing=Standing.DECEASED)
            changed = True
        new = [address for address in addresses if address.token not in held]
        if new:
            self._contacts(row.id, row.person, new, batch, journal, now)
            changed = True
        return changed


def _unusable(addresses: Sequence[_Address]) -> int:
    return sum(1 for address in addresses if not address.canonical.valid)


def _checked(item: PatientInput) -> PatientInput:
    if not item.identifiers:
        raise InvalidInputError("a patient needs an identifier", hint="for example the medical record number")
    if item.zone:
        check_zone(item.zone)
    if item.name is not None and not 0 < len(item.name.reveal("check").strip()) <= _MAX_TEXT:
        raise InvalidInputError("a name is empty or too long")
    for system, value in item.identifiers:
        if not system or not value.reveal("check").strip() or "\n" in value.reveal("check"):
            raise InvalidInputError("an identifier is empty or has a line break")
    return item


def _write(tx: Transaction, batch: _Batch) -> None:
    tx.add_patients(batch.patients)
    for row in batch.updated:
        tx.put_patient(row)
    tx.add_related(batch.related)
    tx.add_contacts(batch.contacts)
    tx.add_sealed(batch.sealed)
    tx.add_index(batch.index)
