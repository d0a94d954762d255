"""The SQLite store on real files: durability settings, a damaged, full, locked or foreign file, migrations, plans."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from carelink.errors import ConflictError, StoreError, StoreOutdatedError
from carelink.ports.rows import SealedRow
from carelink.stores.schema import HEAD, REVISIONS, VERSION_TABLE, migrate
from carelink.stores.schema.tables import METADATA
from carelink.stores.sqlite.reader import SQL
from carelink.stores.sqlite.store import SqliteStore
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import ReservationState

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    store = SqliteStore.create(path)
    with store.transaction() as tx:
        tx.put_tenant(a.tenant())
        tx.add_patients([a.patient(n) for n in range(50)])
        tx.add_reservations([a.reservation(n) for n in range(50)])
    store.close()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(template, tmp_path / "data.db"))


def _raw(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


# -- what every connection keeps ----------------------------------------------------------------------------


def test_both_kinds_of_connection_keep_the_promises(path):
    store = SqliteStore.open(path)
    with store.reader() as reader:
        for db in (store._writer, reader._db):
            pragma = {
                name: db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "secure_delete")
            }
            assert pragma == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
        with pytest.raises(sqlite3.OperationalError):
            reader._db.execute("DELETE FROM patients")
    store.close()


def test_a_write_takes_the_lock_when_it_begins(path):
    store = SqliteStore.open(path)
    with (
        store.transaction(),
        closing(sqlite3.connect(path, timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    store.close()


def test_its_files_are_the_owners_alone(tmp_path):
    path = tmp_path / "data.db"
    store = SqliteStore.create(path)
    with store.transaction() as tx:
        tx.put_tenant(a.tenant())
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (tmp_path / "data.db-wal").exists()
    store.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.db"]


def test_what_was_deleted_is_overwritten(path):
    store = SqliteStore.open(path)
    secret = b"envelope-that-must-go" * 50
    with store.transaction() as tx:
        tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=secret)])
    with store.transaction() as tx:
        tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=b"")])
    store.close()
    assert b"envelope-that-must-go" not in path.read_bytes()


def test_many_readers_in_many_threads_leave_few_connections(path):
    store = SqliteStore.open(path)
    here = threading.Barrier(20)

    def read() -> None:
        with store.reader() as reader:
            here.wait(30)
            assert len(reader.page_patients("", 99)) == 50

    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(store._spare) == 8
    store.close()
    assert store._spare == []


# -- trouble ------------------------------------------------------------------------------------------------


def _shown(error: BaseException) -> str:
    return f"{error!r} {error} {getattr(error, 'hint', '')} {error.__cause__!r} {error.__context__!r}"


def test_a_full_disk_commits_nothing_and_goes_on_when_there_is_room(path):
    store = SqliteStore.open(path)
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError) as caught, store.transaction() as tx:  # noqa: PT012  the whole is rolled back
        tx.add_patients([a.patient(1000)])
        tx.add_sealed([SealedRow(table="t", row="row-name", column="c", envelope=bytes(100_000))])
    assert "SQLITE_FULL" in str(caught.value)
    assert "make room" in caught.value.hint
    assert "row-name" not in _shown(caught.value)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    with store.reader() as reader:
        assert reader.patients([a.patient_id(1000)]) == {}
    with store.transaction() as tx:
        tx.add_patients([a.patient(1000)])
    store.close()


def test_trouble_cannot_be_swallowed_inside_a_transaction(path):
    store = SqliteStore.open(path)
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError), store.transaction() as tx:  # noqa: PT012  the commit is refused
        with pytest.raises(StoreError):
            tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=bytes(100_000))])
        store._writer.execute("PRAGMA max_page_count = 1000000")
        with pytest.raises(StoreError):
            tx.add_patients([a.patient(1000)])
    with store.reader() as reader:
        assert reader.patients([a.patient_id(1000)]) == {}
    store.close()


def test_a_lock_held_too_long_is_told(path):
    store = SqliteStore.open(path, busy=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught, store.transaction():
            pass
        assert "SQLITE_BUSY" in str(caught.value)
        with store.reader() as reader:
            assert reader.tenant() == a.tenant()
        other.execute("ROLLBACK")
    with store.transaction() as tx:
        tx.put_tenant(a.tenant(zone=""))
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_told(path):
    path.chmod(0o400)
    with pytest.raises(StoreError):
        SqliteStore.open(path)


def test_a_file_that_turns_read_only_is_told(path):
    store = SqliteStore.open(path)
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError) as caught, store.transaction() as tx:
        tx.put_tenant(a.tenant(zone=""))
    assert "SQLITE_READONLY" in str(caught.value)
    store.close()


@pytest.mark.parametrize("data", [b"", b"not a database, whatever its name says" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_store_is_told(tmp_path, data):
    path = tmp_path / "data.db"
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        SqliteStore.open(path)
    assert not isinstance(caught.value, StoreOutdatedError)
    with pytest.raises(StoreError):
        SqliteStore.migrate(path)


def test_a_missing_file_is_told_and_not_made(tmp_path):
    with pytest.raises(StoreError) as caught:
        SqliteStore.open(tmp_path / "none.db")
    assert "SQLITE_CANTOPEN" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError):
        SqliteStore.create(tmp_path / "no-folder" / "data.db")


def _read_all(path: Path) -> None:
    with closing(SqliteStore.open(path)) as store, store.reader() as reader:
        reader.page_patients("", 99)


def test_damaged_pages_are_told(path):
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 512] = os.urandom(512)
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        _read_all(path)
    assert re.search("SQLITE_(CORRUPT|NOTADB)", str(caught.value))
    assert "restore" in caught.value.hint or "no data store" in caught.value.hint


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("UPDATE patients SET standing = 'asleep'", lambda r: r.page_patients("", 1)),
        ("UPDATE reservations SET state = 'vanished'", lambda r: r.recall([a.request(1)])),
        ("UPDATE reservations SET token = 'no hex'", lambda r: r.touches([a.person(1)], [], a.at(0))),
        ("UPDATE tenant SET mode = 'wide open'", lambda r: r.tenant()),
        ("DELETE FROM head", lambda r: r.head()),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_never_left_out(path, statement, read):
    _raw(path, statement)
    store = SqliteStore.open(path)
    with pytest.raises(StoreError) as caught, store.reader() as reader:
        read(reader)
    for value in ("asleep", "vanished", "no hex", "wide open"):
        assert value not in _shown(caught.value)
    store.close()


@pytest.mark.parametrize("statement", ["UPDATE patients SET created = 'noon'", "UPDATE stops SET since = x'00'"])
def test_a_value_of_another_type_cannot_get_in(path, statement):
    _raw(path, "INSERT INTO stops VALUES ('i', 'p', NULL, 'care', '*', 'staff', 1, NULL, NULL, '*')")
    with pytest.raises(sqlite3.IntegrityError):
        _raw(path, statement)


def test_a_suppression_of_nobody_cannot_get_in_either(path):
    with pytest.raises(sqlite3.IntegrityError):
        _raw(path, "INSERT INTO stops VALUES ('i', NULL, NULL, 'care', '*', 'staff', 1, NULL, NULL, '*')")


@pytest.mark.parametrize("change", [{"zone": "\udcff secret"}, {"created": 2**70}], ids=["surrogate", "too large"])
def test_a_value_that_cannot_be_stored_is_not_shown(path, change):
    store = SqliteStore.open(path)
    with pytest.raises(StoreError) as caught, store.transaction() as tx:
        tx.add_patients([a.patient(1000, **change)])
    assert "secret" not in _shown(caught.value)
    assert str(2**70) not in _shown(caught.value)
    store.close()


def test_a_closed_store_says_so(path):
    store = SqliteStore.open(path)
    store.close()
    with pytest.raises(StoreError), store.transaction():
        pass
    with pytest.raises(StoreError), store.reader():
        pass


# -- making and migrating -----------------------------------------------------------------------------------


def test_a_store_is_not_made_over_another(path):
    before = path.read_bytes()
    with pytest.raises(ConflictError):
        SqliteStore.create(path)
    assert path.read_bytes() == before


def test_what_an_interrupted_making_left_is_gone_on_with(tmp_path):
    (tmp_path / "data.db").touch()
    store = SqliteStore.create(tmp_path / "data.db")
    with store.reader() as reader:
        assert reader.head().size == 0
    store.close()


def test_a_migration_that_fails_leaves_no_trace(tmp_path, monkeypatch):
    def half(connection):
        connection.exec_driver_sql("CREATE TABLE half_done (id INTEGER)")
        connection.exec_driver_sql("CREATE TABLE half_done (id INTEGER)")

    monkeypatch.setattr(migrate, "upgrade", half)
    with pytest.raises(StoreError):
        SqliteStore.create(tmp_path / "data.db")
    with closing(sqlite3.connect(tmp_path / "data.db")) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    SqliteStore.create(tmp_path / "data.db").close()


def test_the_migrations_give_the_tables_of_the_metadata(path):
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_migrated_tables_keep_their_order_types_and_checks(path, tmp_path):
    """What comparing metadata does not see: STRICT, tables without row numbers, CHECKs, the order of columns."""
    engine = create_engine(f"sqlite:///{tmp_path / 'from-metadata.db'}")
    METADATA.create_all(engine)
    engine.dispose()

    def tables(file: Path) -> dict[str, str]:
        with closing(sqlite3.connect(file)) as db:
            rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {name: " ".join(sorted(re.split(r"[,\s]+", sql))) for name, sql in rows if name != VERSION_TABLE}

    def columns(file: Path) -> dict[str, list[str]]:
        with closing(sqlite3.connect(file)) as db:
            return {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in METADATA.tables}

    assert tables(path) == tables(tmp_path / "from-metadata.db")
    assert columns(path) == columns(tmp_path / "from-metadata.db")


def test_the_revisions_named_are_those_there_are():
    scripts = ScriptDirectory(str(Path(sys.modules["carelink.stores.schema"].__file__).parent / "migrations"))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS
    assert scripts.get_current_head() == HEAD


def test_another_schema_is_refused_until_migrated(path):
    _raw(path, f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    with pytest.raises(StoreOutdatedError) as caught:
        SqliteStore.open(path)
    assert "store migrate" in caught.value.hint


def test_a_newer_schema_is_refused_and_never_migrated(path):
    _raw(path, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for attempt in (SqliteStore.open, SqliteStore.migrate):
        with pytest.raises(StoreOutdatedError) as caught:
            attempt(path)
        assert "newer" in str(caught.value)


def test_migrating_a_current_store_changes_nothing(path):
    assert SqliteStore.migrate(path) == (HEAD, HEAD)
    store = SqliteStore.open(path)
    with store.reader() as reader:
        assert len(reader.page_patients("", 99)) == 50
    store.close()


def test_opening_a_store_imports_neither_sqlalchemy_nor_alembic(path):
    code = (
        "import sys, pathlib; import carelink; from carelink.stores.sqlite.store import SqliteStore; "
        "SqliteStore.open(pathlib.Path(sys.argv[1])).close(); "
        "print([m for m in ('sqlalchemy', 'alembic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- plans --------------------------------------------------------------------------------------------------

_SMALL = {"stopped_channels": "channel_stops"}
"""Reads of a whole table that has as many rows as there are channels."""

_SCANS = {"sealed_headers", "index_counts", "index_behind", "index_spread", "address_spread", "drop_index"}
"""Work of a rotation over all there is: the port says so."""


def _plan(path: Path, name: str) -> list[str]:
    statement = SQL[name]
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?")).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "name", sorted(name for name, text in SQL.items() if not text.startswith("INSERT") and name not in _SCANS)
)
def test_no_statement_reads_a_whole_table(path, name):
    lists = ("SCAN k ", "SCAN json_each ")
    scans = [line for line in _plan(path, name) if line.startswith("SCAN") and not line.startswith(lists)]
    allowed = {f"SCAN {_SMALL[name]}"} if name in _SMALL else {"SCAN chain"} if name == "aliases" else set()
    assert {re.sub(r" USING COVERING INDEX \S+", "", line) for line in scans} <= allowed


def test_touches_are_found_by_index_of_person_and_instant(path):
    plan = "\n".join(_plan(path, "touches"))
    for index in ("reservations_subject", "reservations_recipient", "reservations_token"):
        assert f"USING INDEX {index} " in plan
    assert plan.count("at>?") == 3


def test_the_uniqueness_of_open_reservations_is_the_databases_own(path):
    with pytest.raises(sqlite3.IntegrityError):
        _raw(path, "INSERT INTO reservations SELECT 'other', request, mac, decision, patient, contact, subject, recipient, "
             "role, token, address, purpose, channel, channel_kind, template, template_version, reply, at, state, expires, "
             "lease, outcome, delivery, provider, plan, topic FROM reservations LIMIT 1")  # fmt: skip
    store = SqliteStore.open(path)
    with store.reader() as reader:
        assert len(reader.open_reservations(ReservationState.HELD, limit=99)) == 50
    store.close()
