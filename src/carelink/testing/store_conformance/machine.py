"""A store and the memory store side by side: the same random transactions, every answer and every read compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest import TestCase

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from carelink.errors import CarelinkError, StoreError
from carelink.ports.rows import Gate, IndexRow, ReservationRow, SealedRow
from carelink.ports.store import Reader, Store, Transaction
from carelink.stores.memory import MemoryStore
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ErasurePhase,
    GrantState,
    Outcome,
    Purpose,
    ReservationState,
    Standing,
)

__all__ = ["side_by_side"]

_FEW = range(4)
_few = st.sampled_from(_FEW)
_instants = st.integers(0, 5).map(a.at)
_channels = st.sampled_from(["sms", "email"])
_gates = st.lists(
    st.builds(Gate, st.sampled_from(["person", "address"]), st.sampled_from([b"\x00", b"\x01"])), max_size=3
)
_tokens = st.lists(_few.map(a.token), max_size=2)


@attrs.frozen
class _Call:
    """One call of the port on a transaction."""

    name: str
    args: tuple[Any, ...] = ()
    named: dict[str, Any] = attrs.field(factory=dict)

    def on(self, tx: Transaction) -> object:
        return getattr(tx, self.name)(*self.args, **self.named)


def _call(name: str, *args: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[_Call]:
    return st.builds(_Call, st.just(name), st.tuples(*args), st.fixed_dictionaries(named))


def _rows(row: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(row, min_size=1, max_size=3)


_optional_patient = st.one_of(st.none(), _few.map(a.patient_id))
_patient = st.builds(
    a.patient,
    _few,
    person=_few.map(a.person),
    age=st.sampled_from([None, *AgeBand]),
    standing=st.sampled_from(Standing),
    merged_into=_optional_patient,
)
_related = st.builds(a.related, _few, _few, verified=st.booleans(), since=_instants)
_contact = st.builds(
    a.contact, _few, _few, _few, address=_few.map(a.address), status=st.sampled_from(ContactStatus), rank=_few
)
_grant = st.builds(a.grant, _few, _few, since=_instants)
_stop = st.one_of(st.builds(a.stop, _few, of=_few, since=_instants), st.builds(a.stop, _few, on=_few, since=_instants))
_credential = st.builds(a.credential, st.integers(1, 3), st.integers(1, 2))
_access = st.builds(
    a.access, _few, _few, emergency=st.booleans(), reviewed_at=st.one_of(st.none(), _instants), at=_instants
)
_erasure = st.builds(a.erasure, _few, phase=st.sampled_from(ErasurePhase), clean=st.booleans())
_template = st.builds(a.template, st.sampled_from(["a", "b"]), st.integers(1, 3), body=st.text(max_size=9))
_sealed = st.builds(
    SealedRow, table=st.just("t"), row=st.sampled_from("rs"), column=st.just("c"), envelope=st.binary(max_size=2)
)
_index = st.builds(
    IndexRow, column=st.just("c"), version=st.integers(1, 2), value=st.binary(max_size=1), row=st.sampled_from("rs")
)


@st.composite
def _reservation(draw: st.DrawFn) -> ReservationRow:
    state = draw(st.sampled_from(ReservationState))
    return a.reservation(
        draw(_few),
        request=a.request(draw(st.integers(0, 2))),
        subject=a.person(draw(_few)),
        recipient=a.person(draw(_few)),
        token=a.token(draw(_few)),
        purpose=draw(st.sampled_from(Purpose)),
        channel_kind=draw(st.sampled_from(ChannelKind)),
        at=draw(_instants),
        state=state,
        lease=draw(_instants) if state is ReservationState.CLAIMED else None,
        outcome=draw(st.sampled_from([None, *Outcome])),
        provider=draw(st.one_of(st.none(), st.binary(max_size=2))),
    )


_calls = st.one_of(
    _call("lock", _gates),
    _call("advance", _gates, _instants),
    _call("append", st.lists(st.builds(a.entry, _few, st.one_of(st.none(), _few)), max_size=3)),
    _call("set_published", _few),
    _call("take_out", _few),
    _call("begin_log"),
    _call("put_tenant", st.builds(a.tenant, zone=st.sampled_from(["", "Europe/Berlin"]))),
    _call("add_patients", _rows(_patient)),
    _call("put_patient", _patient),
    _call("add_related", _rows(_related)),
    _call("put_related", _related),
    _call("add_contacts", _rows(_contact)),
    _call("name_address", _few.map(a.token), _few.map(a.address)),
    _call("put_contact", _contact),
    _call("delete_contact", _contact.map(lambda row: row.id)),
    _call("add_sealed", _rows(_sealed)),
    _call("replace_sealed", st.lists(st.tuples(_sealed, st.binary(max_size=2)), max_size=3)),
    _call("delete_sealed", st.sampled_from("tu"), st.lists(st.sampled_from("rs"), max_size=2)),
    _call("add_index", _rows(_index)),
    _call("drop_index", st.integers(1, 3)),
    _call("delete_index", st.sampled_from("rs")),
    _call("add_grants", _rows(_grant)),
    _call("put_grant", _grant),
    _call("end_grant", _grant.map(lambda row: row.id), st.sampled_from(GrantState), _instants),
    _call("add_stops", _rows(_stop)),
    _call("lift_stop", _stop.map(lambda row: row.id), _instants),
    _call("put_template", _template),
    _call("put_credential", _credential),
    _call("put_erasure", _erasure),
    _call("put_access", _access),
    _call("forget_addresses", st.dictionaries(_few.map(a.token), _few.map(lambda n: a.token(n + 10)), max_size=2)),
    _call("add_reservations", _rows(_reservation())),
    _call("put_reservations", _rows(_reservation())),
    _call("put_pack", st.sampled_from(["d", "e"]), st.binary()),
    _call("put_allow_listed", _tokens, listed=st.booleans()),
    _call("put_channel_stop", _channels, stopped=st.booleans()),
    _call("seen_event", _channels, st.sampled_from(["e", "f"])),
    _call("park", _channels, st.sampled_from(["k", "l"]), st.sampled_from(["sent", "read"]), _instants),
    _call("unpark", _channels, st.lists(st.sampled_from(["k", "l"]), max_size=2)),
)


def _all_reads(reader: Reader) -> list[object]:
    """Every read of the port, for all keys there can be and one that there cannot."""
    numbers = [*_FEW, 99]
    ids, persons = [a.patient_id(n) for n in numbers], [a.person(n) for n in numbers]
    tokens, refs = [a.token(n) for n in numbers], [a.address(n) for n in numbers]
    try:
        tenant: object = reader.tenant()
    except StoreError:
        tenant = None
    head = reader.head()
    return [
        tenant,
        head,
        list(reader.entries(0, head.size + 1)),
        [reader.entries_for(a.request(n)) for n in numbers],
        reader.patients(ids),
        reader.patients_by_person(persons),
        reader.aliases(ids),
        reader.page_patients(a.patient_id(0), 2),
        reader.related(ids),
        reader.contacts(ids),
        reader.contacts_on(tokens),
        reader.address_refs(tokens),
        reader.address_tokens(refs),
        reader.grants(ids),
        reader.stops(persons[:2], tokens[:2]),
        reader.replies_waiting(a.at(2)),
        reader.touches(persons[:2], tokens[:1], a.at(2)),
        reader.access(a.access(1, 1).id),
        reader.accesses([a.patient_id(number) for number in numbers]),
        reader.open_reviews(2),
        reader.erasures([a.patient_id(number) for number in numbers]),
        reader.page_erasures(a.patient_id(1), 2),
        reader.credentials([a.credential(1, number).actor for number in numbers]),
        reader.templates([(name, version) for name in "ab" for version in numbers]),
        [reader.latest_template(name) for name in "abc"],
        reader.page_templates(("a", 1), 3),
        reader.recall([a.request(n) for n in numbers]),
        reader.reservations([a.reservation_id(n) for n in numbers]),
        [reader.open_reservations(state, limit=3) for state in ReservationState],
        reader.open_for(persons[1:3], tokens[:1]),
        [reader.last_spent_on(token, kind.value) for token in tokens for kind in ChannelKind],
        reader.sealed("t", ["r", "s", "x"], ["c", "x"]),
        [reader.page_sealed(after, 1) for after in (("", "", ""), ("t", "r", "c"), ("t", "s", ""), ("u", "", ""))],
        dict(reader.sealed_headers()),
        dict(reader.index_counts()),
        {place: dict(spread) for place, spread in reader.index_spread().items()},
        dict(reader.address_spread()),
        [reader.index_behind(old, new) for old, new in ((1, 2), (2, 1), (1, 1), (3, 1))],
        reader.lookup("c", [(version, value) for version in (1, 2) for value in (b"", b"\x00", b"\x01")]),
        reader.allow_listed(tokens),
        [reader.pack(digest) for digest in "def"],
        reader.stopped_channels(),
    ]


class _AbandonedError(Exception):
    """Ends a transaction without a commit."""


def _transact(store: Store, calls: Sequence[_Call], *, commit: bool) -> list[object]:
    """What each call answered, and how the transaction ended."""
    answers: list[object] = []
    try:
        with store.transaction() as tx:
            answers.extend(call.on(tx) for call in calls)
            answers.append(_all_reads(tx))
            if not commit:
                raise _AbandonedError  # noqa: TRY301  the end of the transaction is what is tested
    except _AbandonedError:
        answers.append("abandoned")
    except CarelinkError as error:
        answers.append(type(error))
    return answers


def side_by_side(make: Callable[[], Store], *, examples: int = 20, steps: int = 12) -> type[TestCase]:
    """A test that compares a store with the memory store.

    Args:
        make: a new, empty store for each example.
        examples: how many runs.
        steps: transactions a run.
    """

    class _SideBySide(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.specified: Store = MemoryStore()
            self.store = make()

        @rule(calls=st.lists(_calls, min_size=1, max_size=4), commit=st.integers(0, 5).map(bool))
        def transact(self, calls: list[_Call], commit: bool) -> None:  # noqa: FBT001  a drawn value
            """Do the same to both."""
            wanted = _transact(self.specified, calls, commit=commit)
            assert _transact(self.store, calls, commit=commit) == wanted

        @invariant()
        def reads_agree(self) -> None:
            """Read everything from both."""
            with self.specified.reader() as wanted, self.store.reader() as reader:
                assert _all_reads(reader) == _all_reads(wanted)

        def teardown(self) -> None:
            """Let go."""
            self.store.close()

    _SideBySide.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return _SideBySide.TestCase
