"""Rows that are not in their form: told from good ones, and alone in paying for it."""

from __future__ import annotations

import attrs
import pytest

from carelink.engine.soundness import salvage, salvage_rows, sound, sound_only, tenant_of
from carelink.errors import DamagedRowError, StoreError
from carelink.model.moment import Instant
from carelink.ports.rows import (
    ContactRow,
    CredentialRow,
    GrantRow,
    PatientRow,
    RelatedRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
from carelink.vocabulary import (
    AddressKind,
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    Mode,
    Purpose,
    RecipientRole,
    Relation,
    ReviewRole,
    Standing,
    StopSource,
)

A = "a" * 32
GOOD = (
    PatientRow(id=A, person=A, created=Instant(1), age=AgeBand.ADULT),
    PatientRow(id=A, person=A, created=Instant(1), merged_into=A, standing=Standing.MERGED),
    RelatedRow(
        id=A, patient=A, person=A, relation=Relation.PARENT, since=Instant(1), scopes=(DisclosureScope.RESULTS,)
    ),
    ContactRow(
        id=A, owner=A, person=A, kind=AddressKind.EMAIL, token=b"t", address=A, status=ContactStatus.VALID, zones=("UTC",)
    ),
    GrantRow(
        id=A, patient=A, purposes=("care",), channels=("sms",), by=RecipientRole.SELF, since=Instant(1), until=Instant(2)
    ),
    StopRow(id=A, token=b"t", purposes=("care",), channels=("sms",), source=StopSource.REPLY, since=Instant(1)),
    TouchRow(
        reservation=A, subject=A, recipient=A, token=b"t", purpose=Purpose.SYSTEM_TEST, channel_kind=ChannelKind.SMS,
        reply=False, at=Instant(1),
    ),
    CredentialRow(id=A, actor=A, role=ReviewRole.ETHICS, since=Instant(1), until=Instant(2), ended_at=Instant(3)),
    TemplateRow(
        name="n", version=1, status=ContentStatus.DRAFT, purposes=("care",), channels=("sms",), language="en", subject="",
        body="b", variables=(), digest=A + A, since=Instant(1),
        reviews=(A,), data=(DataClass.NOTE,), number_until=Instant(2),
    ),
)  # fmt: skip
WRONG = (None, 0, True, "", "word", b"", (), (1,), [], 1.5, object())


@pytest.mark.parametrize("row", GOOD, ids=lambda row: type(row).__name__)
def test_a_good_row_is_sound_and_a_field_of_another_type_is_not(row):
    assert sound(row)
    for field in attrs.fields(type(row)):
        good = getattr(row, field.name)
        for wrong in WRONG:
            if type(wrong) is type(good):
                continue
            changed = attrs.evolve(row)
            object.__setattr__(changed, field.name, wrong)
            allowed = wrong is None and "None" in str(field.type)
            typed = str(field.type).split(" | ")[0].strip()
            allowed |= type(wrong) is int and typed in ("Instant", "int")
            allowed |= type(wrong) is str and (typed == "str" or typed.endswith(("Id", "Ref")))
            assert sound(changed) is allowed, (field.name, wrong)


def test_items_of_a_list_have_their_type_too():
    grant = GOOD[4]
    for items in ((1,), (None,), ("care", b"x")):
        assert not sound(attrs.evolve(grant, purposes=items))
    assert not sound(attrs.evolve(GOOD[2], scopes=("results",))), "a text is not the word it spells"
    assert sound_only([grant, attrs.evolve(grant, since="1"), grant]) == (grant, grant)


@pytest.mark.parametrize("error", [DamagedRowError("x"), KeyError("x"), ValueError("x"), TypeError("x")])
@pytest.mark.parametrize("bad", [(), (3,), (0, 7), (0, 1, 2, 3, 4, 5, 6, 7)])
def test_a_read_that_fails_over_damage_loses_the_damaged_alone(bad, error):
    reads = []

    def read(keys):
        reads.append(len(keys))
        if set(keys) & set(bad):
            raise error
        return {key: str(key) for key in keys}

    found, lost = salvage(read, range(8))
    assert lost == frozenset(bad)
    assert found == {key: str(key) for key in range(8) if key not in bad}
    if not bad:
        assert reads == [8], "a sound store is read once"


def test_a_read_that_fails_because_the_database_does_is_no_damage():
    def read(_keys):
        raise StoreError("the disk does not answer")

    with pytest.raises(StoreError):
        salvage(read, [1, 2])
    with pytest.raises(StoreError):
        salvage_rows(lambda _persons, _tokens: read(()), ["a"], [b"b"])


def test_nothing_asked_is_nothing_read():
    assert salvage(lambda _: pytest.fail("it was read"), []) == ({}, frozenset())
    assert salvage_rows(lambda *_: pytest.fail("it was read"), [], []) == ([], frozenset())


def test_rows_by_person_and_token_are_salvaged_together():
    def read(persons, tokens):
        if "bad" in persons or b"bad" in tokens:
            raise DamagedRowError("x")
        return [*persons, *tokens]

    rows, lost = salvage_rows(read, ["p", "bad", "q"], [b"t", b"bad"])
    assert sorted(map(str, rows)) == ["b't'", "p", "q"]
    assert lost == {"bad", b"bad"}


def test_without_the_tenants_row_nothing_can_be_decided():
    class Reader:
        def __init__(self, row):
            self.row = row

        def tenant(self):
            if self.row is None:
                raise KeyError("mode")
            return self.row

    good = TenantRow(tenant="t", origin="o", zone="", created=Instant(1))
    assert tenant_of(Reader(good)) == good
    odd = attrs.evolve(good, mode="loud")
    assert tenant_of(Reader(odd)) is odd, "a mode nobody knows is a fact of its own, and refuses"
    for bad in (None, attrs.evolve(good, zone=3), attrs.evolve(good, packs="x"), attrs.evolve(good, policy=b"")):
        with pytest.raises(StoreError, match="tenant"):
            tenant_of(Reader(bad))
    assert Mode.SANDBOX is good.mode
