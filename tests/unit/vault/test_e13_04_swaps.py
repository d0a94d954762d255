"""Acceptance test 4: on real SQLite files, by SQL UPDATE, no envelope and no wrapped key opens where it was not put."""

import sqlite3
from contextlib import closing
from itertools import permutations

import pytest

import carelink
from carelink.engine.registration import ContactInput, PatientInput
from carelink.errors import CarelinkError
from carelink.home import KEY_STORE
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, seal
from carelink.vault.personal import Personal
from carelink.vault.suites import AES_256_GCM, SUITES
from carelink.vocabulary import AddressKind

pytestmark = pytest.mark.integration


def person(number):
    contacts = [(AddressKind.PHONE, f"1380013800{number}"), (AddressKind.EMAIL, f"p{number}@example.invalid")]
    return PatientInput(
        identifiers=(("mrn", Personal(f"100{number}")),),
        name=Personal(f"王小{number}"),
        contacts=tuple(ContactInput(kind=kind, address=Personal(text)) for kind, text in contacts),
    )


def filled(path):
    link = carelink.init(path, zone="Asia/Shanghai")
    assert all(done.error is None for done in link.register_many([person(1), person(2)]))
    return link


def cells(link):
    """Every sealed cell: owner, table, row, column, and what it opens to."""
    found = {}
    with closing(sqlite3.connect(link._wiring.settings.store)) as db:
        owners = dict(db.execute("SELECT id, owner FROM contacts"))
        rows = db.execute('SELECT tbl, "row", col, envelope FROM sealed').fetchall()
    for table, row, column, envelope in rows:
        owner = owners.get(row, row)
        opened = link.safe.open(owner, table, row, column, envelope).reveal("test")
        found[table, row, column] = (owner, envelope, opened)
    assert len(found) == 8
    return found


def put(link, cell, envelope):
    with closing(sqlite3.connect(link._wiring.settings.store)) as db, db:
        changed = db.execute(
            'UPDATE sealed SET envelope = ? WHERE tbl = ? AND "row" = ? AND col = ?', (envelope, *cell)
        )
        assert changed.rowcount == 1


def opened(link, cell, owner):
    table, row, column = cell
    with link._wiring.store.reader() as reader:
        envelope = reader.sealed(table, [row], (column,))[row, column]
    held = link.safe.try_open(owner, table, row, column, envelope)
    return None if held is None else held.reveal("test")


def test_no_cell_opens_in_another_s_place(tmp_path):
    """Tenant, table, column, row and patient: all pairs of cells, of one hospital and of two."""
    with filled(tmp_path / "a") as here, filled(tmp_path / "b") as there:
        mine, theirs = cells(here), cells(there)
        tried = 0
        strange = [envelope for _, envelope, _ in theirs.values()]
        for cell, (owner, envelope, value) in mine.items():
            others = [other for at, (_, other, _) in mine.items() if at != cell]
            for planted in [*others, *strange]:
                put(here, cell, planted)
                assert opened(here, cell, owner) is None
                tried += 1
            put(here, cell, envelope)
            assert opened(here, cell, owner) == value
        assert tried == 8 * (7 + 8)


def test_no_cell_opens_under_another_generation_or_suite(tmp_path):
    """The header rewritten to every other key of the same patient, and the suite to every other suite."""
    with filled(tmp_path / "a") as link:
        keys = link._wiring.keys
        for cell, (owner, envelope, value) in cells(link).items():
            first = keys.one(owner)
            second = keys.new_generation(owner)
            assert first.kid != second.kid
            for header in (second.header, *(bytes([1, suite]) + first.kid for suite in SUITES if suite != 1)):
                put(link, cell, header + envelope[18:])
                assert opened(link, cell, owner) is None
            for suite in SUITES.values():
                stranger = DataKey(first.secret, keys.tenant, owner, suite=suite)
                if suite is AES_256_GCM:
                    continue
                table, row, column = cell
                put(link, cell, seal(stranger, FieldContext(keys.tenant, table, column, row), value))
                assert opened(link, cell, owner) is None  # the key store knows no such key
            put(link, cell, envelope)
            assert opened(link, cell, owner) == value  # an older generation goes on opening what it sealed


def test_no_wrapped_key_opens_in_another_s_place(tmp_path):
    owners = ["a" * 32, "b" * 32]
    stores = []
    for name in ("one", "two"):
        folder = KeyFolder.create(tmp_path / name)
        with closing(KeyStore.create(tmp_path / name / KEY_STORE, folder, name)) as store:
            store.new_keys(owners)
            store.new_generation(owners[0])
        stores.append((tmp_path / name / KEY_STORE, folder))
    (path, folder), (other, _) = stores
    with closing(sqlite3.connect(other)) as db:
        strange = [row[0] for row in db.execute("SELECT wrapped FROM data_keys")]
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT owner, generation, wrapped FROM data_keys").fetchall()
        secrets = db.execute("SELECT name, wrapped FROM secrets").fetchall()
    planted = [(row[:2], wrapped) for row in rows for wrapped in (*(r[2] for r in rows if r != row), *strange)]
    planted += [(row[:2], wrapped) for row in rows for _, wrapped in secrets]
    for (owner, generation), wrapped in planted:
        with closing(sqlite3.connect(path)) as db, db:
            before = db.execute(
                "SELECT kid, wrapped FROM data_keys WHERE owner = ? AND generation = ?", (owner, generation)
            ).fetchone()
            db.execute(
                "UPDATE data_keys SET wrapped = ? WHERE owner = ? AND generation = ?", (wrapped, owner, generation)
            )
        with closing(KeyStore.open(path, folder)) as store:
            assert before[0] not in store.by_kid([before[0]])
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(
                "UPDATE data_keys SET wrapped = ? WHERE owner = ? AND generation = ?", (before[1], owner, generation)
            )
    for (name, _), (_, wrapped) in permutations(secrets, 2):
        with closing(sqlite3.connect(path)) as db, db:
            (before,) = db.execute("SELECT wrapped FROM secrets WHERE name = ?", (name,)).fetchone()
            db.execute("UPDATE secrets SET wrapped = ? WHERE name = ?", (wrapped, name))
        with closing(KeyStore.open(path, folder)) as store, pytest.raises(CarelinkError):
            store.secret(name)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE secrets SET wrapped = ? WHERE name = ?", (before, name))
