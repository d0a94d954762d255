"""Registers patients, related persons and contact points, singly or by the thousand, and applies what changed.

A record that names a known identifier updates that patient; it never creates a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from carelink.engine.amendment import Amendment
from carelink.engine.journal import Journal
from carelink.engine.membership import age_band, follow_merges
from carelink.engine.merging import mark, merge, place
from carelink.engine.parts import Parts
from carelink.engine.patientinput import ContactInput, PatientInput, Prepared, Registered, RelatedInput, prepare
from carelink.engine.rowbatch import RowBatch
from carelink.engine.zones import local_date
from carelink.errors import CarelinkError, ConflictError, InvalidInputError, NotFoundError
from carelink.model.ids import AddressRef, PatientId, PersonRef
from carelink.model.moment import Instant
from carelink.ports.rows import Gate, PatientRow
from carelink.ports.store import Reader, Transaction
from carelink.vault.canonical import canonical_id
from carelink.vocabulary import AgeBand, LifecycleStage, Standing

__all__ = ["ContactInput", "PatientInput", "Registered", "Registration", "RelatedInput"]


@attrs.define
class Registration:
    """Registers, updates and merges."""

    parts: Parts

    def register(self, inputs: Sequence[PatientInput]) -> list[Registered]:
        """Register or update each, all good ones in one commit (records that turn out to be of one patient: in one
        commit each); a bad one is answered with its error and leaves the rest alone.
        """
        answers: dict[int, Registered] = {}
        wave: dict[int, Prepared] = {}
        for number, item in enumerate(inputs):
            try:
                wave[number] = prepare(item, self.parts.safe, self.parts.options.region)
            except CarelinkError as error:
                answers[number] = Registered(error=error)
        while wave:
            wave = self._wave(wave, answers)
        return [answers[number] for number in range(len(inputs))]

    def find(self, system: str, value: str) -> PatientId | None:
        """The patient with this identifier: the record that has it, merged or not."""
        return self.find_many([(system, value)]).get((system, value))

    def find_many(self, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], PatientId]:
        """The patients with these (system, value) identifiers; those nobody has are left out."""
        forms: dict[str, list[tuple[str, str]]] = {}
        for pair in pairs:
            try:
                forms.setdefault(canonical_id(*pair), []).append(pair)
            except InvalidInputError:
                continue
        with self.parts.store.reader() as reader:
            known = self._known(reader, list(forms))
        return {pair: patient for form, patient in known.items() for pair in forms[form]}

    def survivors(self, patients: Sequence[PatientId]) -> Mapping[PatientId, PatientId]:
        """The record each of these goes on in: itself, unless it was merged into another."""
        with self.parts.store.reader() as reader:
            people = follow_merges(reader, patients)
        return {patient: people[patient].id if patient in people else patient for patient in patients}

    def merge(self, old: PatientId, survivor: PatientId) -> None:
        """Two records are one person: see `carelink.engine.merging.merge`."""
        merge(self.parts, old, survivor)

    def mark(self, patient: PatientId, standing: Standing) -> None:
        """Record that a patient died: see `carelink.engine.merging.mark`."""
        mark(self.parts, patient, standing)

    def stage(self, patient: PatientId, stage: LifecycleStage) -> None:
        """Record where a patient stands with the hospital: see `carelink.engine.merging.place`."""
        place(self.parts, patient, stage)

    # -- inside --------------------------------------------------------------------------------------------

    def _known(self, reader: Reader, forms: Sequence[str]) -> dict[str, PatientId]:
        """Patients by canonical identifier. The index only proposes; the sealed identifiers decide."""
        safe = self.parts.safe
        values = {form: safe.blind("identifier", form) for form in forms}
        rows = reader.lookup("identifier", [value for found in values.values() for value in found])
        ids = sorted({row for found in rows.values() for row in found})
        safe.prefetch(ids)
        envelopes = reader.sealed("patient", ids, ("identifiers",))
        held: dict[str, frozenset[str]] = {}
        for (patient, _), envelope in envelopes.items():
            opened = safe.try_open(patient, "patient", patient, "identifiers", envelope)
            held[patient] = frozenset() if opened is None else frozenset(str(opened.reveal("compare")).split("\n"))
        known: dict[str, PatientId] = {}
        for form, blinds in values.items():
            for patient in sorted({row for blind in blinds for row in rows.get(blind, ())}):
                if form in held.get(patient, ()):
                    known.setdefault(form, PatientId(patient))
        return known

    def _wave(self, wave: Mapping[int, Prepared], answers: dict[int, Registered]) -> dict[int, Prepared]:
        """Register the first record of each patient; the further ones of the same patients are left for a next wave."""
        parts = self.parts
        forms = list(dict.fromkeys(form for item in wave.values() for form in item.identifiers))
        with parts.store.reader() as reader:
            known = self._known(reader, forms)
            survivors = {patient: row.id for patient, row in follow_merges(reader, list(known.values())).items()}
            chosen, later = _choose(wave, known, survivors, answers)
            old = {number: patient for number, patient in chosen.items() if patient is not None}
            concerned = list(dict.fromkeys([*old.values(), *(survivors[patient] for patient in old.values())]))
            persons = _persons(reader, concerned)
        fresh = {number: PatientId(parts.ref()) for number, patient in chosen.items() if patient is None}
        parts.safe.new_owners(list(fresh.values()))  # keys first, durably, before any row that needs them
        tokens = sorted({token for number in chosen for token in wave[number].tokens})
        now, _ = parts.guard.read()
        with parts.store.transaction() as tx:
            tx.lock([*persons, *(Gate("address", token) for token in tokens)])
            again = {patient: row.id for patient, row in follow_merges(tx, list(known.values())).items()}
            if again != survivors or self._known(tx, [form for form in forms if form not in known]):
                return {number: wave[number] for number in wave if number not in answers}  # someone was faster
            batch = self._begin(tx, tokens, now)
            rows = tx.patients(concerned)
            amendment = Amendment.of(parts, tx, list(dict.fromkeys(old.values())))
            for number, patient in fresh.items():
                self._create(wave[number], patient, batch, amendment.zone)
                answers[number] = Registered(patient=patient, created=True, unusable=wave[number].unusable)
            for number, patient in old.items():
                answers[number] = self._update(wave[number], rows[patient], amendment, batch)
                if wave[number].given.deceased and survivors[patient] != patient:
                    _bury(rows[survivors[patient]], batch)
            batch.write(tx)
        return later

    def _begin(self, tx: Transaction, tokens: Sequence[bytes], now: Instant) -> RowBatch:
        """Name every address; one whose pseudonym was forgotten but whose suppression stands gets both again, in this
        commit.
        """
        batch = RowBatch(self.parts, Journal(self.parts), now)
        batch.refs.update(tx.address_refs(tokens))
        unnamed = [token for token in tokens if token not in batch.refs]
        batch.refs.update({token: AddressRef(self.parts.ref()) for token in unnamed})
        for stop in tx.stops((), unnamed):
            if stop.token is not None:
                batch.journal.carried(stop, batch.refs[stop.token], now)
        return batch

    def _create(self, new: Prepared, patient: PatientId, batch: RowBatch, tenant_zone: str) -> None:
        safe, given = self.parts.safe, new.given
        person = PersonRef(self.parts.ref())
        band: AgeBand | None = None
        if given.birth_date is not None:
            today = local_date(batch.now, given.zone or tenant_zone)
            band = given.birth_date.use(lambda born: age_band(born, today))
            batch.sealed.append(safe.seal(patient, "patient", patient, "birth_date", given.birth_date.reveal("seal")))
        standing = Standing.DECEASED if given.deceased else Standing.ACTIVE
        batch.patients.append(
            PatientRow(
                id=patient,
                person=person,
                standing=standing,
                age=band,
                zone=given.zone,
                language=given.language,
                created=batch.now,
                stage=given.stage,
            )
        )
        if given.name is not None:
            batch.sealed.append(safe.seal(patient, "patient", patient, "name", given.name.reveal("seal")))
        batch.identify(patient, new.identifiers)
        batch.journal.subject(person, batch.now, standing=standing, age=band, stage=given.stage)
        batch.add_contacts(patient, person, new.addresses, key_owner=patient)
        for source, found in new.related:
            batch.add_related(source, found, patient, person)

    def _update(self, new: Prepared, row: PatientRow, amendment: Amendment, batch: RowBatch) -> Registered:
        if row.standing is Standing.ERASED:
            return Registered(error=ConflictError("this patient was erased a moment ago", hint="import the row again"))
        try:
            amendment.check(new, row)
        except ConflictError as error:
            return Registered(error=error)
        changed = amendment.apply(new, row, batch)
        return Registered(patient=row.id, changed=changed, unusable=new.unusable)


def _persons(reader: Reader, patients: Sequence[PatientId]) -> list[Gate]:
    """Gates of patients and of their related persons: whoever a change of these records concerns."""
    related = reader.related(patients)
    persons = [row.person for row in reader.patients(patients).values()]
    persons += [row.person for rows in related.values() for row in rows]
    return [Gate("person", bytes.fromhex(person)) for person in persons]


def _bury(survivor: PatientRow, batch: RowBatch) -> None:
    """A death reported under the number of a merged record is the death of the person (P3)."""
    survivor = batch.current(survivor)
    if survivor.standing is Standing.ACTIVE:
        batch.change(attrs.evolve(survivor, standing=Standing.DECEASED))
        batch.journal.subject(survivor.person, batch.now, standing=Standing.DECEASED)


def _choose(
    wave: Mapping[int, Prepared],
    known: Mapping[str, PatientId],
    survivors: Mapping[PatientId, PatientId],
    answers: dict[int, Registered],
) -> tuple[dict[int, PatientId | None], dict[int, Prepared]]:
    """Which patient each record is of (None: a new one), and what must wait for the next wave."""
    chosen: dict[int, PatientId | None] = {}
    later: dict[int, Prepared] = {}
    taken: set[str] = set()
    for number, item in wave.items():
        found = [known[form] for form in item.identifiers if form in known]
        marks = {*item.identifiers, *found}
        if len({survivors[patient] for patient in found}) > 1:
            message = "its identifiers belong to more than one patient on record"
            answers[number] = Registered(error=ConflictError(message, hint="merge these first, or correct the row"))
        elif taken & marks:
            later[number] = item
        elif not found and item.given.known:
            answers[number] = Registered(error=NotFoundError("no patient has this identifier"))
        else:
            chosen[number] = found[0] if found else None
        taken |= marks
    return chosen, later
