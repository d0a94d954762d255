"""Patients, related persons, contact points, addresses, sealed fields."""

from __future__ import annotations

import attrs
import pytest

from carelink.errors import ConflictError, InvalidInputError, NotFoundError
from carelink.ports.rows import IndexRow, PatientRow, SealedRow
from carelink.ports.store import Store
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import AgeBand, ContactStatus, ErasurePhase, Standing

__all__ = ["TestAddresses", "TestPatients", "TestSealedFields"]


class TestPatients:
    """Patients and who belongs to them."""

    def test_every_field_comes_back(self, store: Store) -> None:
        rows = [
            a.patient(1),
            a.patient(2, standing=Standing.MERGED, merged_into=a.patient_id(1), age=None, zone="", language=""),
        ]
        with store.transaction() as tx:
            tx.add_patients(rows)
        with store.reader() as reader:
            assert reader.patients([a.patient_id(1), a.patient_id(2)]) == {row.id: row for row in rows}
            assert reader.patients_by_person([a.person(2)]) == {a.person(2): rows[1]}

    def test_any_number_of_keys_and_each_counts_once(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(n) for n in range(a.MANY)])
            tx.add_related([a.related(1, 1)])
            tx.add_contacts([a.contact(1, 1)])
        ids = [a.patient_id(n) for n in range(a.MANY + 5)]
        with store.reader() as reader:
            assert len(reader.patients([*ids, *ids])) == a.MANY
            assert len(reader.patients_by_person([a.person(n) for n in range(a.MANY + 5)] * 2)) == a.MANY
            assert reader.related([*ids, *ids]) == {a.patient_id(1): (a.related(1, 1),)}
            assert reader.contacts([*ids, *ids]) == {a.patient_id(1): (a.contact(1, 1),)}
            assert reader.contacts_on([a.token(1)] * 2) == {a.token(1): (a.contact(1, 1),)}
            assert reader.patients([]) == {}

    def test_a_change_replaces_the_row(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1), a.patient(2)])
            tx.put_patient(a.patient(1, age=AgeBand.ADULT, standing=Standing.DECEASED))
        with store.reader() as reader:
            found = reader.patients([a.patient_id(1), a.patient_id(2)])
            assert found[a.patient_id(1)] == a.patient(1, age=AgeBand.ADULT, standing=Standing.DECEASED)
            assert found[a.patient_id(2)] == a.patient(2)

    @pytest.mark.parametrize("other", [a.patient(1, person=a.person(9)), a.patient(9, person=a.person(1))])
    def test_ids_and_pseudonyms_are_unique(self, store: Store, other: PatientRow) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_patients([a.patient(5), other])
        with store.reader() as reader:
            assert reader.page_patients("", 9) == (a.patient(1),)

    def test_a_change_cannot_take_another_pseudonym(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1), a.patient(2)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.put_patient(a.patient(2, person=a.person(1)))

    def test_what_is_not_there_cannot_be_changed(self, store: Store) -> None:
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.put_patient(a.patient(1))
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.put_related(a.related(1, 1))
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.put_contact(a.contact(1, 1))

    def test_pages_go_on_after_an_id(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(n) for n in (3, 1, 2)])
        with store.reader() as reader:
            first = reader.page_patients("", 2)
            assert first == (a.patient(1), a.patient(2))
            assert reader.page_patients(first[-1].id, 2) == (a.patient(3),)
            assert reader.page_patients("", 0) == ()

    def test_approvals_and_openings_come_back_in_order(self, store: Store) -> None:
        early, late = a.access(1, 1), a.access(2, 1, emergency=False, until=a.at(9), by="f" * 32)
        done = a.access(3, 2, reviewed_at=a.at(7), finding="justified")
        with store.transaction() as tx:
            for row in (late, early, done, a.access(4, 2)):
                tx.put_access(row)
            tx.put_access(attrs.evolve(late, purpose="treatment"))
        with store.reader() as reader:
            assert reader.access(early.id) == early
            assert reader.access("0" * 32) is None
            found = reader.accesses([a.patient_id(1), a.patient_id(2), a.patient_id(3)])
            assert found[a.patient_id(1)] == (early, attrs.evolve(late, purpose="treatment"))
            assert found[a.patient_id(2)] == (done, a.access(4, 2))
            assert reader.open_reviews(9) == (early, a.access(4, 2))
            assert reader.open_reviews(1) == (early,)

    def test_erasures_come_back_and_page_by_patient(self, store: Store) -> None:
        rows = [
            a.erasure(1, owners=(a.patient_id(1), a.patient_id(7)), copies=("index:erased:3",)),
            a.erasure(2, phase=ErasurePhase.DONE, shredded_at=a.at(5), clean=True, receipt="{}"),
        ]
        with store.transaction() as tx:
            tx.put_erasure(a.erasure(2))
            for row in rows:
                tx.put_erasure(row)
        with store.reader() as reader:
            assert reader.erasures([a.patient_id(n) for n in (1, 2, 3)]) == {row.patient: row for row in rows}
            assert reader.page_erasures("", 9) == tuple(sorted(rows, key=lambda row: row.patient))
            assert reader.page_erasures(rows[0].patient, 9) == (rows[1],)
            assert reader.page_erasures("", 1) == (rows[0],)
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.put_erasure(a.erasure(3, owners=("",)))

    def test_aliases_are_found_through_any_number_of_merges(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
            tx.add_patients([a.patient(n, merged_into=a.patient_id(n - 1)) for n in (4, 3, 2)])
            tx.add_patients([a.patient(5, merged_into=a.patient_id(1)), a.patient(6)])
        with store.reader() as reader:
            found = reader.aliases([a.patient_id(1), a.patient_id(3), a.patient_id(6)])
            assert found == {
                a.patient_id(1): tuple(a.person(n) for n in (2, 3, 4, 5)),
                a.patient_id(3): (a.person(4),),
            }

    def test_merges_in_a_circle_end(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1, merged_into=a.patient_id(2)), a.patient(2, merged_into=a.patient_id(1))])
        with store.reader() as reader:
            assert a.person(2) in reader.aliases([a.patient_id(1)])[a.patient_id(1)]

    def test_related_persons_come_in_order(self, store: Store) -> None:
        early, late, twin = (
            a.related(3, 1, since=a.at(1)),
            a.related(1, 1, since=a.at(2)),
            a.related(2, 1, since=a.at(2)),
        )
        with store.transaction() as tx:
            tx.add_related([late, twin, early, a.related(4, 2, scopes=(), until=None, verified=False, acts=False)])
        with store.reader() as reader:
            found = reader.related([a.patient_id(1), a.patient_id(2), a.patient_id(3)])
            assert found[a.patient_id(1)] == (early, late, twin)
            assert found[a.patient_id(2)] == (a.related(4, 2, scopes=(), until=None, verified=False, acts=False),)
            assert len(found) == 2

    def test_a_related_person_changes_and_stays_unique(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_related([a.related(1, 1)])
            tx.put_related(a.related(1, 1, verified=False, acts=False))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_related([a.related(1, 2)])
        with store.reader() as reader:
            found = reader.related([a.patient_id(1), a.patient_id(2)])
            assert found == {a.patient_id(1): (a.related(1, 1, verified=False, acts=False),)}


class TestAddresses:
    """Contact points, address tokens and pseudonyms."""

    def test_contact_points_come_in_order(self, store: Store) -> None:
        first, second, third = a.contact(3, 1, rank=0), a.contact(1, 1, rank=1), a.contact(2, 1, rank=1)
        with store.transaction() as tx:
            tx.add_contacts([third, second, first])
            tx.add_contacts([a.contact(4, 2, 3, verified_at=None, zones=())])
            tx.add_contacts([])
        with store.reader() as reader:
            found = reader.contacts([a.patient_id(1), a.patient_id(2)])
            assert found[a.patient_id(1)] == (first, second, third)
            assert found[a.patient_id(2)] == (a.contact(4, 2, 3, verified_at=None, zones=()),)
            shared = reader.contacts_on([a.token(3), a.token(9)])
            assert shared == {a.token(3): (first, a.contact(4, 2, 3, verified_at=None, zones=()))}

    def test_an_address_is_named_both_ways(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1)])
            tx.name_address(a.token(2), a.address(2))
            tx.name_address(a.token(2), a.address(2))
        with store.reader() as reader:
            tokens = [a.token(n) for n in (1, 2, 3)] * 2
            assert reader.address_refs(tokens) == {a.token(1): a.address(1), a.token(2): a.address(2)}
            refs = [a.address(n) for n in (1, 2, 3)] * 2
            assert reader.address_tokens(refs) == {a.address(1): a.token(1), a.address(2): a.token(2)}

    def test_a_forgotten_address_gets_another_pseudonym_and_keeps_its_stops(self, store: Store) -> None:
        substitutes = {a.token(1): a.token(11), a.token(2): a.token(12), a.token(3): a.token(13)}
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1), a.contact(2, 1, 2)])
            tx.add_stops([a.stop(1, on=1)])
            tx.add_reservations([a.reservation(1), a.reservation(2, request=a.request(2), token=a.token(2))])
            assert tx.forget_addresses(substitutes) == frozenset()  # both are in use
            tx.delete_contact(a.contact(1, 1).id)
            assert tx.forget_addresses(substitutes) == {a.token(1)}
            assert tx.forget_addresses({}) == frozenset()
        with store.reader() as reader:
            assert reader.address_refs([a.token(1), a.token(2)]) == {a.token(2): a.address(2)}
            assert reader.stops([], [a.token(1)]) == (a.stop(1, on=1),)
            touched = {row.token: row.reservation for row in reader.touches([a.person(1), a.person(2)], [], a.at(0))}
            assert set(touched) == {a.token(11), a.token(2)}
            assert reader.touches([], [a.token(1)], a.at(0)) == ()
        with store.transaction() as tx:
            tx.name_address(a.token(1), a.address(9))

    def test_an_address_keeps_its_pseudonym(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1)])
        bad = a.contact(2, 1, 1, address=a.address(7))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_contacts([bad])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.name_address(a.token(1), a.address(7))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_contacts([a.contact(3, 1, 3), a.contact(4, 1, 3, address=a.address(7))])

    def test_a_pseudonym_names_one_address(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.name_address(a.token(1), a.address(1))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.name_address(a.token(2), a.address(1))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_contacts([a.contact(3, 1, 3), a.contact(4, 1, 4, address=a.address(3))])

    def test_a_contact_point_changes_but_not_its_address(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1)])
            tx.name_address(a.token(2), a.address(2))
            tx.put_contact(a.contact(1, 1, status=ContactStatus.RECYCLED, verified_at=None, rank=5, zones=()))
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.put_contact(a.contact(1, 1, 2))
        with store.reader() as reader:
            (row,) = reader.contacts([a.patient_id(1)])[a.patient_id(1)]
            assert row == a.contact(1, 1, status=ContactStatus.RECYCLED, verified_at=None, rank=5, zones=())

    def test_a_contact_point_is_unique(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_contacts([a.contact(1, 2)])

    def test_a_removed_contact_point_leaves_what_its_address_carries(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1)])
            tx.add_stops([a.stop(1, on=1)])
            tx.add_reservations([a.reservation(1)])
            tx.delete_contact(a.contact(1, 1).id)
            tx.delete_contact(a.contact(1, 1).id)
        with store.reader() as reader:
            assert reader.contacts([a.patient_id(1)]) == {}
            assert reader.contacts_on([a.token(1)]) == {}
            assert reader.address_refs([a.token(1)]) == {a.token(1): a.address(1)}
            assert reader.stops([], [a.token(1)]) == (a.stop(1, on=1),)
            assert len(reader.touches([], [a.token(1)], a.at(0))) == 1

    @pytest.mark.parametrize("word", ["", "Europe/Berlin,Europe/Paris"])
    def test_zones_are_words(self, store: Store, word: str) -> None:
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.add_contacts([a.contact(1, 1, zones=("Asia/Shanghai", word))])


class TestSealedFields:
    """Envelopes and the blind index."""

    def test_envelopes_are_bytes_by_place(self, store: Store) -> None:
        first = SealedRow(table="patient", row="r1", column="name", envelope=bytes(range(256)))
        second = SealedRow(table="patient", row="r2", column="name", envelope=b"")
        other = SealedRow(table="contact", row="r1", column="name", envelope=b"elsewhere")
        column = SealedRow(table="patient", row="r1", column="birth_date", envelope=b"day")
        with store.transaction() as tx:
            tx.add_sealed([first, second, other, column])
        with store.reader() as reader:
            found = reader.sealed("patient", ["r1", "r2", "r3", "r1"], ("name", "none"))
            assert found == {("r1", "name"): bytes(range(256)), ("r2", "name"): b""}
            assert reader.sealed("patient", ["r1"], ("name", "birth_date"))[("r1", "birth_date")] == b"day"
            assert reader.sealed("patient", [], ("name",)) == {}

    def test_an_envelope_is_replaced(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=b"old")])
            tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=b"new")])
        with store.reader() as reader:
            assert reader.sealed("t", ["r"], ("c",)) == {("r", "c"): b"new"}

    def test_fields_come_page_by_page(self, store: Store) -> None:
        places = [("b", "1", "x"), ("a", "2", "y"), ("a", "1", "y"), ("a", "2", "x")]
        rows = [SealedRow(table=t, row=r, column=c, envelope=f"{t}{r}{c}".encode() * 9) for t, r, c in places]
        with store.transaction() as tx:
            tx.add_sealed(rows)
        seen: list[SealedRow] = []
        after = ("", "", "")
        with store.reader() as reader:
            while page := reader.page_sealed(after, 2):
                seen.extend(page)
                after = (page[-1].table, page[-1].row, page[-1].column)
            assert [(row.table, row.row, row.column) for row in seen] == sorted(places)
            assert sorted(seen, key=repr) == sorted(rows, key=repr)
            assert reader.sealed_headers() == {row.envelope[:18]: 1 for row in rows}
        with store.transaction() as tx:
            tx.add_sealed([attrs.evolve(rows[0], envelope=b""), attrs.evolve(rows[1], envelope=b"short")])
            headers = tx.sealed_headers()
        assert (headers[b""], headers[b"short"]) == (1, 1)

    def test_an_envelope_is_replaced_only_while_it_is_the_same(self, store: Store) -> None:
        row = SealedRow(table="t", row="r", column="c", envelope=b"old")
        with store.transaction() as tx:
            tx.add_sealed([row])
            assert tx.replace_sealed([(row, b"new"), (row, b"late")]) == 1
            assert tx.replace_sealed([(SealedRow(table="t", row="x", column="c", envelope=b"old"), b"new")]) == 0
        with store.reader() as reader:
            assert reader.sealed("t", ["r", "x"], ("c",)) == {("r", "c"): b"new"}

    def test_fields_of_rows_are_removed(self, store: Store) -> None:
        with store.transaction() as tx:
            places = [(table, row) for table in "tu" for row in ("r1", "r2")]
            tx.add_sealed([SealedRow(table=table, row=row, column="c", envelope=b"x") for table, row in places])
            assert tx.delete_sealed("t", ["r1", "nobody"]) == 1
        with store.reader() as reader:
            left = [(row.table, row.row) for row in reader.page_sealed(("", "", ""), 9)]
            assert left == [("t", "r2"), ("u", "r1"), ("u", "r2")]

    def test_a_version_of_the_index_is_counted_and_dropped(self, store: Store) -> None:
        def index(version: int, row: str, value: bytes) -> IndexRow:
            return IndexRow(column="c", version=version, value=value, row=row)

        with store.transaction() as tx:
            tx.add_index([index(1, "r1", b"a"), index(1, "r1", b"b"), index(1, "r2", b"c"), index(2, "r1", b"d")])
        with store.reader() as reader:
            assert reader.index_counts() == {1: 3, 2: 1}
            assert (reader.index_behind(1, 2), reader.index_behind(2, 1)) == (2, 0)
        with store.transaction() as tx:
            assert tx.drop_index(1) == 3
        with store.reader() as reader:
            assert reader.index_counts() == {2: 1}

    def test_how_much_index_and_addresses_show_is_counted(self, store: Store) -> None:
        values = [
            ("c", 1, b"a", "r"),
            ("c", 1, b"a", "s"),
            ("c", 1, b"b", "t"),
            ("c", 2, b"a", "r"),
            ("d", 1, b"a", "r"),
        ]
        with store.transaction() as tx:
            tx.add_index([IndexRow(column=c, version=v, value=value, row=row) for c, v, value, row in values])
            tx.add_contacts([a.contact(1, 1, 1), a.contact(2, 2, 1), a.contact(3, 2, 1), a.contact(4, 2, 2)])
            tx.name_address(a.token(3), a.address(3))
        with store.reader() as reader:
            spread = {place: dict(found) for place, found in reader.index_spread().items()}
            assert spread == {("c", 1): {2: 1, 1: 1}, ("c", 2): {1: 1}, ("d", 1): {1: 1}}
            assert dict(reader.address_spread()) == {2: 1, 1: 1, 0: 1}

    def test_blind_values_lead_to_rows(self, store: Store) -> None:
        def index(row: str, value: bytes, column: str = "identifier", version: int = 1) -> IndexRow:
            return IndexRow(column=column, version=version, value=value, row=row)

        with store.transaction() as tx:
            tx.add_index([index("r2", b"\x00\xff"), index("r1", b"\x00\xff"), index("r1", b"\x00\xff")])
            tx.add_index([index("r1", b"\x00\xff"), index("r3", b"\x00\xff", version=2)])
            tx.add_index([index("r4", b"\x00\xff", column="other"), index("r5", b"else")])
        with store.reader() as reader:
            found = reader.lookup("identifier", [(1, b"\x00\xff"), (2, b"\x00\xff"), (1, b"none"), (1, b"\x00\xff")])
            assert found == {(1, b"\x00\xff"): ("r1", "r2"), (2, b"\x00\xff"): ("r3",)}
        with store.transaction() as tx:
            tx.delete_index("r1")
            tx.delete_index("nobody")
        with store.reader() as reader:
            assert reader.lookup("identifier", [(1, b"\x00\xff")]) == {(1, b"\x00\xff"): ("r2",)}
