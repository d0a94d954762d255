"""The store port: what every store MUST do. `carelink.stores.memory` is its executable specification and
`carelink.testing.store_conformance` its test.

Reads are set-based: they take many keys and answer for all of them, however many there are; a key given twice counts
once, and a key without a row is simply not in the answer. Order inside a tuple is fixed where the docstring says so.

Errors are typed and hold no value of a row (P8). A write that raises spoils its transaction: nothing of it can be
committed any more, and every further call on it raises. Whatever a database cannot do (full, locked for too long,
read-only, damaged, a row that this version cannot read) is a StoreError; so is every call after the end of the
transaction or snapshot it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from carelink.model.ids import (
    AddressRef,
    ContactPointId,
    GrantId,
    PatientId,
    PersonRef,
    RequestRef,
    ReservationId,
    SuppressionId,
)
from carelink.model.moment import Instant
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    EntryRow,
    ErasureRow,
    Gate,
    GrantRow,
    HeadRow,
    IndexRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    SealedRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
from carelink.vocabulary import GrantState, ReservationState

__all__ = ["Reader", "Store", "Transaction"]


class Reader(Protocol):
    """A consistent snapshot: every read sees the state committed when the snapshot began, and nothing newer."""

    def tenant(self) -> TenantRow:
        """The tenant's row.

        Raises:
            StoreError: the store was never initialised.
        """

    def head(self) -> HeadRow:
        """Head of the integrated log."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Stored bytes of entries start..stop-1, in index order, streamed; those that exist, where the range reaches
        beyond the head. MUST be exactly what was appended.
        """

    def entries_for(self, request: RequestRef) -> tuple[tuple[int, bytes], ...]:
        """(index, bytes) of the entries that named this request when appended, ascending by index; none for ""."""

    def patients(self, ids: Sequence[PatientId]) -> Mapping[PatientId, PatientRow]:
        """Patients by id; merges are not followed."""

    def patients_by_person(self, persons: Sequence[PersonRef]) -> Mapping[PersonRef, PatientRow]:
        """Patients by pseudonym."""

    def aliases(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[PersonRef, ...]]:
        """Pseudonyms of the patients merged into each of these, directly or through others, ascending; only for
        those that have any.
        """

    def page_patients(self, after: str, limit: int) -> tuple[PatientRow, ...]:
        """Up to `limit` patients with id > after, ascending by id."""

    def related(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[RelatedRow, ...]]:
        """Related persons of each patient, ascending by (since, id)."""

    def contacts(self, owners: Sequence[str]) -> Mapping[str, tuple[ContactRow, ...]]:
        """Contact points of each owner, ascending by (rank, id)."""

    def contacts_on(self, tokens: Sequence[bytes]) -> Mapping[bytes, tuple[ContactRow, ...]]:
        """Contact points that use each address, ascending by id."""

    def address_refs(self, tokens: Sequence[bytes]) -> Mapping[bytes, AddressRef]:
        """Pseudonym of each address that has one."""

    def address_tokens(self, addresses: Sequence[AddressRef]) -> Mapping[AddressRef, bytes]:
        """Token of each pseudonym that is still mapped."""

    def grants(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[GrantRow, ...]]:
        """All grants of each patient, ended ones too, ascending by (since, id)."""

    def stops(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[StopRow, ...]:
        """Suppressions not lifted that bind any of these, each once, those past their end too, ascending by
        (since, id).
        """

    def touches(self, persons: Sequence[PersonRef], tokens: Sequence[bytes], since: Instant) -> tuple[TouchRow, ...]:
        """Reservations held, claimed or spent with `at` >= since whose subject or recipient is one of the persons
        or whose token is one of the tokens, each once, ascending by (at, reservation).
        """

    def replies_waiting(self, now: Instant) -> tuple[StopRow, ...]:
        """Suppressions of addresses that a reply put off until somebody reads it: their source is `reply`, they have an
        end, it is later than `now`, and they were not lifted. By instant, then by id.
        """
        ...

    def templates(self, keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], TemplateRow]:
        """Template versions by (name, version)."""

    def page_templates(self, after: tuple[str, int], limit: int) -> tuple[TemplateRow, ...]:
        """Template versions behind this (name, version), ascending, at most so many."""

    def credentials(self, actors: Sequence[str]) -> Mapping[str, tuple[CredentialRow, ...]]:
        """Credentials of members of staff by pseudonym, ascending by (since, id), ended ones too."""

    def access(self, access: str) -> AccessRow | None:
        """An approval or an opening in an emergency by its id."""

    def accesses(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[AccessRow, ...]]:
        """Approvals and openings in an emergency of each patient, ascending by (at, id)."""

    def open_reviews(self, limit: int) -> tuple[AccessRow, ...]:
        """Up to `limit` openings in an emergency that were not reviewed, ascending by (at, id)."""

    def erasures(self, patients: Sequence[PatientId]) -> Mapping[PatientId, ErasureRow]:
        """Erasures by patient."""

    def page_erasures(self, after: str, limit: int) -> tuple[ErasureRow, ...]:
        """Up to `limit` erasures with patient > after, ascending by patient."""

    def latest_template(self, name: str) -> int | None:
        """Highest registered version of a template."""

    def recall(self, requests: Sequence[RequestRef]) -> Mapping[RequestRef, ReservationRow]:
        """The reservation of each request that is not released; there is one at most."""

    def reservations(self, ids: Sequence[ReservationId]) -> Mapping[ReservationId, ReservationRow]:
        """Reservations by id."""

    def open_reservations(
        self, state: ReservationState, *, limit: int, due: Instant | None = None
    ) -> tuple[ReservationRow, ...]:
        """Up to `limit` reservations in this state, HELD or CLAIMED, ascending by (at, id). None for the final
        states: what is over is not listed. With `due`, only those whose end (the lease of a claim, the expiry of a
        held permit) is at or before it.
        """

    def last_instants(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """Last instants of gate rows as they stand, without locking them; 0 for one that does not exist yet."""

    def open_for(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[ReservationRow, ...]:
        """Reservations held or claimed that touch any of these (as subject, recipient or token), each once, ascending
        by (at, id).
        """

    def last_spent_on(self, token: bytes, channel_kind: str) -> ReservationRow | None:
        """The newest spent reservation, by (at, id), on an address and channel kind: what a reply answers."""

    def sealed(self, table: str, rows: Sequence[str], columns: Sequence[str]) -> Mapping[tuple[str, str], bytes]:
        """Envelopes by (row, column)."""

    def page_sealed(self, after: tuple[str, str, str], limit: int) -> tuple[SealedRow, ...]:
        """Sealed fields after this (table, row, column), in that order: for work over all of them."""

    def sealed_headers(self) -> Mapping[bytes, int]:
        """How many sealed fields begin with each 18-byte header (version, suite, key id): a scan."""

    def index_counts(self) -> Mapping[int, int]:
        """How many blind-index values there are of each key version: a scan."""

    def index_spread(self) -> Mapping[tuple[str, int], Mapping[int, int]]:
        """By column and key version: how many blind-index values stand for so many rows each. A scan."""

    def address_spread(self) -> Mapping[int, int]:
        """How many addresses so many persons have: 1 -> those of one, 0 -> those nobody has any more. A scan."""

    def index_behind(self, old: int, new: int) -> int:
        """How many (column, row) have fewer values under key version `new` than under `old`."""

    def lookup(self, column: str, values: Sequence[tuple[int, bytes]]) -> Mapping[tuple[int, bytes], tuple[str, ...]]:
        """Row ids by (key version, blind-index value), ascending."""

    def allow_listed(self, tokens: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these addresses are on the team's allow-list."""

    def pack(self, digest: str) -> bytes | None:
        """Bytes of an adopted pack."""

    def stopped_channels(self) -> frozenset[str]:
        """Channels stopped for account trouble."""


class Transaction(Reader, Protocol):
    """Read and write; commits when the context ends without an exception, else leaves no trace.

    A transaction's reads see its own writes. Locks are taken before reads: `lock` MUST be the first call of a
    transaction that decides, and reads after it MUST see everything committed by earlier holders of the same gates.

    Every `add` of a row whose id exists is a ConflictError, every `put` that replaces one which does not is a
    NotFoundError, and a row that breaks what `carelink.ports.rows` says of it is an InvalidInputError.
    """

    def lock(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """Lock all gate rows in one go, ordered by (kind, key), creating missing ones; their last instants (0 for a
        new one). Also takes the tenant's global lock: shared here.
        """

    def lock_global(self) -> None:
        """Take the tenant's global lock exclusively: for adoption of policy, plugins, content, credentials, mode."""

    def advance(self, gates: Sequence[Gate], at: Instant) -> None:
        """Raise the last instant of gates locked in this transaction; never lowers one."""

    def append(self, entries: Sequence[EntryRow]) -> int:
        """Append entries in this order; the index of the first. Durable with the commit, in the tree with it too
        where the store integrates in the same commit.
        """

    def set_published(self, size: int) -> None:
        """Note that entries before `size` are under a published checkpoint; never lowers it.

        Raises:
            StoreError: there are not so many entries.
        """

    def take_out(self, start: int) -> tuple[EntryRow, ...]:
        """Take the entries from `start` on out of the log, in order, to be appended again, byte for byte, behind
        others. For a restored backup that took entries in before it was reconciled with the published log; entries
        once published can never be taken out.

        Raises:
            StoreError: one of them is published.
        """

    def begin_log(self) -> None:
        """Take out all entries and begin an empty log. For a successor: the log so far is published as a whole and
        put away by the caller.
        """

    def put_tenant(self, row: TenantRow) -> None:
        """Insert or replace the tenant's row."""

    def add_patients(self, rows: Sequence[PatientRow]) -> None:
        """Insert patients. A pseudonym that another patient has is a ConflictError."""

    def put_patient(self, row: PatientRow) -> None:
        """Replace an existing patient. A pseudonym that another patient has is a ConflictError."""

    def add_related(self, rows: Sequence[RelatedRow]) -> None:
        """Insert related persons."""

    def put_related(self, row: RelatedRow) -> None:
        """Replace an existing related person."""

    def add_contacts(self, rows: Sequence[ContactRow]) -> None:
        """Insert contact points, and remember each token's pseudonym. A token keeps the pseudonym it has: another
        one for the same token, or the same one for another token, is a ConflictError.
        """

    def name_address(self, token: bytes, address: AddressRef) -> None:
        """Remember the pseudonym of an address that no contact point uses (yet): a stop came from it. Conflicts are
        those of `add_contacts`.
        """

    def put_contact(self, row: ContactRow) -> None:
        """Replace an existing contact point. Another address in the same row is a ConflictError: an address that
        changed is another contact point.
        """

    def forget_addresses(self, substitutes: Mapping[bytes, bytes]) -> frozenset[bytes]:
        """Forget the pseudonym of each of these addresses that no contact point uses, and put its substitute in the
        place of its token in reservations; which they were. Suppressions, gate rows and the allow-list keep the token.
        """

    def delete_contact(self, contact: ContactPointId) -> None:
        """Remove a contact point, if it is there; reservations and suppressions on its address, and the address's
        pseudonym, stay.
        """

    def add_sealed(self, rows: Sequence[SealedRow]) -> None:
        """Insert or replace sealed fields."""

    def replace_sealed(self, changes: Sequence[tuple[SealedRow, bytes]]) -> int:
        """Put another envelope in the place of each that is still what the row says; how many there were. Those that
        changed meanwhile stay as they are.
        """

    def delete_sealed(self, table: str, rows: Sequence[str]) -> int:
        """Remove all sealed fields of these rows; how many there were."""

    def add_index(self, rows: Sequence[IndexRow]) -> None:
        """Insert blind-index values; repeating one is harmless."""

    def delete_index(self, row: str) -> None:
        """Remove all blind-index values of a row id, if there are any."""

    def drop_index(self, version: int) -> int:
        """Remove all blind-index values of a key version; how many there were."""

    def add_grants(self, rows: Sequence[GrantRow]) -> None:
        """Insert grants."""

    def put_grant(self, row: GrantRow) -> None:
        """Replace an existing grant: where the log tells its end otherwise than a restored backup did."""

    def end_grant(self, grant: GrantId, state: GrantState, at: Instant) -> None:
        """End a given grant; ending an ended or unknown one changes nothing."""

    def add_stops(self, rows: Sequence[StopRow]) -> None:
        """Insert suppressions."""

    def lift_stop(self, stop: SuppressionId, at: Instant) -> None:
        """Lift a suppression; lifting a lifted or unknown one changes nothing."""

    def put_template(self, row: TemplateRow) -> None:
        """Insert or replace a template version."""

    def put_access(self, row: AccessRow) -> None:
        """Insert or replace an approval, or an opening in an emergency."""

    def put_erasure(self, row: ErasureRow) -> None:
        """Insert or replace a patient's erasure."""

    def put_credential(self, row: CredentialRow) -> None:
        """Insert or replace a credential."""

    def add_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """Insert reservations. MUST raise ConflictError if a request already has one that is not released."""

    def put_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """Write what may change of existing reservations, in the order given: contact, recipient, role, token,
        address, at, state, lease, outcome, delivery, provider. The rest stays as it was added. MUST refuse
        (ConflictError) a state change not in `carelink.model.touchpoint.TRANSITIONS`.
        """

    def put_pack(self, digest: str, data: bytes) -> None:
        """Keep the bytes of an adopted pack, instead of those kept under this digest."""

    def put_allow_listed(self, tokens: Sequence[bytes], *, listed: bool) -> None:
        """Put addresses on the team's allow-list, or take them off."""

    def put_channel_stop(self, channel: str, *, stopped: bool) -> None:
        """Stop a channel for account trouble, or let it go on."""

    def seen_event(self, channel: str, event_id: str) -> bool:
        """Note a provider event; True if it was noted before."""

    def park(self, channel: str, key: str, event: str, at: Instant) -> None:
        """Keep a report for a key that is not known yet."""

    def unpark(self, channel: str, keys: Sequence[str]) -> tuple[tuple[str, str, Instant], ...]:
        """Take out (key, event, at) parked for these keys, oldest first, and in the order parked at one instant."""


class Store(Protocol):
    """A place where one tenant's rows and log live."""

    @property
    def exclusive(self) -> bool:
        """Whether a transaction excludes every other one, of any process, from its beginning: what it read before it
        locked a gate cannot have moved since.
        """

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a write transaction. MUST be serialisable against others that lock a common gate. A commit that
        returned is durable: it survives a kill and a power cut. One that failed has changed nothing.

        Raises:
            StoreError: this thread has one open already, or none can be had.
        """

    def reader(self) -> AbstractContextManager[Reader]:
        """Begin a read-only snapshot. Within one, the same thread gets the same; within a transaction it shows what was
        committed before. It never waits for a writer.
        """

    def close(self) -> None:
        """Release everything; the store cannot be used afterwards. Closing twice is fine."""
