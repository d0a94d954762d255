"""Rotation of root, epoch, data keys, suite and index: everything opens before, between and after; old keys go."""

import sqlite3
from contextlib import closing

import attrs
import pytest

import carelink
from carelink.engine.registration import ContactInput, PatientInput
from carelink.errors import ConflictError, KeyMissingError, KeyProviderError, StoreError
from carelink.home import KEY_STORE, open_home
from carelink.keys.folder import KeyFolder, PassphraseCost
from carelink.keys.store import KeyStore
from carelink.vault.personal import Personal
from carelink.vault.suites import AES_256_GCM_SIV, SM4_GCM
from carelink.vocabulary import AddressKind

PEOPLE = 7
A = "a" * 32


def person(number, name="王小"):
    phone = ContactInput(kind=AddressKind.PHONE, address=Personal(f"1380013{number:04}"))
    identifiers = (("mrn", Personal(f"{number}")), ("card", Personal(f"c{number}")))
    return PatientInput(identifiers=identifiers, name=Personal(f"{name}{number}"), contacts=(phone,))


@pytest.fixture
def home(tmp_path):
    with carelink.init(tmp_path / "home", zone="Asia/Shanghai") as link:
        assert all(done.error is None for done in link.register_many([person(n) for n in range(PEOPLE)]))
        yield link


@pytest.fixture(params=["memory", "files"])
def link(request):
    if request.param == "files":
        yield request.getfixturevalue("home")
        return
    with carelink.in_memory() as made:
        assert all(done.error is None for done in made.register_many([person(n) for n in range(PEOPLE)]))
        yield made


def fields(link):
    with link.wiring.store.reader() as reader:
        return reader.page_sealed(("", "", ""), 1000)


def values(link):
    return sorted(link.safe.reopen(row).reveal("test") for row in fields(link))


def reads_well(link):
    """As other processes would: by identifier, and again through a registration that changes nothing."""
    for number in range(PEOPLE):
        assert link.find(f"{number}") == link.find(f"c{number}", system="card")
        (again,) = link.register_many([person(number)])
        assert not again.created and not again.changed
    return True


def notes(link):
    with link.wiring.store.reader() as reader:
        texts = [data.decode() for data in reader.entries(0, reader.head().size)]
    return [text for text in texts if '"kind":"key"' in text]


def test_every_field_goes_under_a_new_key_and_the_old_ones_go(link):
    before, old = values(link), {row.envelope[2:18] for row in fields(link)}
    assert link.rotation.data() == len(fields(link))
    assert values(link) == before
    assert not old & {row.envelope[2:18] for row in fields(link)}
    state = link.rotation.state()
    assert (state.older, state.unknown, state.counts.retired, state.counts.generation) == (0, 0, PEOPLE, 2)
    assert link.rotation.retire() == PEOPLE
    assert link.rotation.state().counts.retired == 0
    assert values(link) == before and reads_well(link)
    assert link.rotation.check().sound
    assert len(notes(link)) == 2


def test_lazily_what_is_written_goes_under_the_new_key_and_the_rest_stays(link):
    before = values(link)
    assert link.rotation.data(lazy=True) == 0
    assert values(link) == before and reads_well(link)
    assert link.rotation.state().newest == 0
    link.register_many([person(3, "李大")])
    assert link.rotation.state().newest == 1
    assert link.rotation.retire() == 0  # something is under each of them
    assert link.rotation.reseal() == len(before) - 1
    assert link.rotation.state().older == 0
    assert "李大3" in values(link) and len(values(link)) == len(before)


@pytest.mark.parametrize("suite", [SM4_GCM, AES_256_GCM_SIV])
def test_to_another_suite_and_back(link, suite):
    before = values(link)
    link.rotation.data(suite=suite)
    assert {row.envelope[1] for row in fields(link)} == {suite.number}
    assert values(link) == before and reads_well(link)
    (new,) = link.register_many([person(99)])
    assert {row.envelope[1] for row in fields(link)} == {suite.number}
    assert new.created
    from carelink.vault.suites import AES_256_GCM

    link.rotation.data(suite=AES_256_GCM)
    assert {row.envelope[1] for row in fields(link)} == {1}
    link.rotation.retire()
    assert link.rotation.check().sound


def test_an_epoch(link):
    before = values(link)
    wrapped = link.rotation.epoch()
    assert wrapped == PEOPLE + 4
    assert list(link.rotation.state().counts.epochs) == [2]
    assert values(link) == before and reads_well(link)
    link.rotation.epoch()
    assert list(link.rotation.state().counts.epochs) == [3]


def test_a_root(link):
    before, old = values(link), link.rotation.state().counts.roots
    assert link.rotation.root() == 1
    new = link.rotation.state().counts.roots
    assert len(new) == 1 and new != old
    assert values(link) == before and reads_well(link)


def test_a_root_whose_reference_is_all_digits_can_be_noted(link, monkeypatch):
    """The log refuses what looks like a number of a person; a reference must never look like one."""
    digits = ("12345678901234567890123456789012", "98765432109876543210987654321098")
    monkeypatch.setattr(type(link.wiring.keys), "rotate_root", lambda self: digits[:1])
    counts = link.wiring.keys.counts()
    monkeypatch.setattr(type(link.wiring.keys), "counts", lambda self: attrs.evolve(counts, roots=digits[1:]))
    assert link.rotation.root() == 1
    assert len(notes(link)) == 2


def test_the_index(link):
    with link.wiring.store.reader() as reader:
        before = reader.index_counts()
    assert link.rotation.index() == PEOPLE
    with link.wiring.store.reader() as reader:
        assert reader.index_counts() == {2: before[1]}
    assert reads_well(link)
    assert [state for _, state in link.rotation.state().counts.secrets["index"]] == ["destroyed", "active"]


def test_two_versions_of_the_index_are_found_meanwhile(link):
    """Acceptance test 12: what was written under either version is found under both."""
    link.wiring.keys.new_secret("index")
    assert reads_well(link)
    link.register_many([person(50)])
    assert link.find("50")
    with link.wiring.store.reader() as reader:
        counts = reader.index_counts()
    assert counts[1] > counts[2] == 2
    assert link.rotation.index() == PEOPLE + 1
    assert link.find("50") and reads_well(link)


def test_the_old_index_stays_where_identifiers_do_not_open(home):
    with closing(sqlite3.connect(home.wiring.settings.store)) as db, db:
        db.execute(
            "UPDATE sealed SET envelope = x'00' WHERE rowid = (SELECT min(rowid) FROM sealed WHERE col = 'identifiers')"
        )
    with pytest.raises(KeyMissingError):
        home.rotation.index()
    with home.wiring.store.reader() as reader:
        assert reader.index_counts()[1] == 2 * PEOPLE
    assert not home.rotation.check().sound


def test_what_does_not_open_is_left_as_it_is_and_told(home):
    with closing(sqlite3.connect(home.wiring.settings.store)) as db, db:
        db.execute("UPDATE sealed SET envelope = substr(envelope, 1, 40) WHERE rowid = 1")
    home.rotation.data()
    check = home.rotation.check()
    assert (check.damaged, check.missing, check.wrapped) == (1, 0, 0)
    assert home.rotation.retire() == PEOPLE - 1  # the key that it names stays


def test_another_process_sees_a_rotation_at_once(home, tmp_path):
    """Open since before: it reads what was sealed since, and writes under the new keys of each kind."""
    with open_home(tmp_path / "home") as other:
        before = values(other)
        for rotate in (home.rotation.root, home.rotation.epoch, home.rotation.data, home.rotation.index):
            rotate()
            assert values(other) == before and reads_well(other)
        home.rotation.retire()
        (new,) = other.register_many([person(70)])
        assert new.created
        assert home.find("70") == new.patient
        counts = home.rotation.state().counts
        assert list(counts.epochs) == [2] and counts.retired == 0
        assert home.rotation.state().older == home.rotation.state().unknown == 0
    with open_home(tmp_path / "home") as again:
        assert again.rotation.check().sound and reads_well(again)


@pytest.mark.parametrize("passphrase", [None, "a passphrase"])
def test_a_root_rotation_that_was_cut_is_finished(tmp_path, passphrase):
    folder = KeyFolder.create(tmp_path / "k", passphrase=passphrase, cost=PassphraseCost(1, 64, 1))
    with closing(KeyStore.create(tmp_path / "k" / KEY_STORE, folder, "t1")) as store:
        kid = store.new_keys([A])[A].kid
    first = folder.versions()
    folder.rotate()  # killed after this
    assert (tmp_path / "k" / "root.previous").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        folder.rotate()
    again = KeyFolder.open(tmp_path / "k", passphrase=passphrase)
    assert len(again.versions()) == 2
    with closing(KeyStore.open(tmp_path / "k" / KEY_STORE, again)) as store:
        assert store.one(A).kid == kid
        assert store.rotate_root() == first
        assert store.one(A).kid == kid
    assert not (tmp_path / "k" / "root.previous").exists()
    with closing(
        KeyStore.open(tmp_path / "k" / KEY_STORE, KeyFolder.open(tmp_path / "k", passphrase=passphrase))
    ) as store:
        assert store.one(A).kid == kid


def between(monkeypatch, provider, act):
    """`act` happens right after the provider wrapped, once: as another process would do it."""
    wrap, waiting = KeyFolder.wrap, [act]

    def wrapped(self, kek, context):
        form = wrap(self, kek, context)
        while waiting:
            waiting.pop()()
        return form

    monkeypatch.setattr(KeyFolder, "wrap", wrapped)


def test_an_epoch_is_not_begun_under_a_root_that_was_replaced(tmp_path, monkeypatch):
    """Its key would go with that root."""
    folder = KeyFolder.create(tmp_path / "k")
    with closing(KeyStore.create(tmp_path / "k" / KEY_STORE, folder, "t1")) as store:
        kid = store.new_keys([A])[A].kid
        with closing(KeyStore.open(tmp_path / "k" / KEY_STORE, KeyFolder.open(tmp_path / "k"))) as other:
            between(monkeypatch, folder, other.rotate_root)
            with pytest.raises(ConflictError):
                store.begin_epoch()
        assert len(store.counts().epochs) == 1
        assert store.begin_epoch() == 2
    with closing(KeyStore.open(tmp_path / "k" / KEY_STORE, KeyFolder.open(tmp_path / "k"))) as store:
        assert store.one(A).kid == kid


def test_two_rotations_of_the_root_at_once(tmp_path, monkeypatch):
    """The slower one finds its work done, or is refused; no epoch is left under a root that is gone."""
    folder = KeyFolder.create(tmp_path / "k")
    with closing(KeyStore.create(tmp_path / "k" / KEY_STORE, folder, "t1")) as store:
        kid = store.new_keys([A])[A].kid
        with closing(KeyStore.open(tmp_path / "k" / KEY_STORE, KeyFolder.open(tmp_path / "k"))) as other:
            between(monkeypatch, folder, lambda: [other.rotate_root() for _ in range(2)])
            with pytest.raises(ConflictError):
                store.rotate_root()
    with closing(KeyStore.open(tmp_path / "k" / KEY_STORE, KeyFolder.open(tmp_path / "k"))) as store:
        assert store.one(A).kid == kid
        assert store.rotate_root()


def test_a_root_that_an_epoch_is_under_is_not_destroyed(tmp_path, monkeypatch):
    folder = KeyFolder.create(tmp_path / "k")
    with closing(KeyStore.create(tmp_path / "k" / KEY_STORE, folder, "t1")) as store:
        first = folder.versions()
        monkeypatch.setattr(KeyStore, "_rewrap_epochs", lambda self: 0)
        assert store.rotate_root() == ()
        assert len(folder.versions()) == 2
        monkeypatch.undo()
        assert store.rotate_root() == first


def test_an_error_of_the_key_store_hangs_on_nothing(tmp_path):
    folder = KeyFolder.create(tmp_path / "k")
    for broken in (
        lambda: KeyStore.open(tmp_path / "k" / "none.db", folder),
        lambda: KeyFolder.open(tmp_path / "none"),
    ):
        with pytest.raises((StoreError, KeyProviderError)) as caught:
            broken()
        assert caught.value.__context__ is None and caught.value.__cause__ is None


def test_the_newest_root_epoch_and_secret_cannot_be_destroyed(tmp_path):
    folder = KeyFolder.create(tmp_path / "k")
    with closing(KeyStore.create(tmp_path / "k" / KEY_STORE, folder, "t1")) as store:
        with pytest.raises(ConflictError):
            folder.destroy(folder.versions()[-1])
        with pytest.raises(ConflictError):
            store.destroy_secret("index", 1)
        assert store.end_epochs() == ()


def test_old_keys_leave_no_bytes(home):
    """What is destroyed is gone from file and write-ahead log."""
    keys = home.wiring.settings.keys
    with closing(sqlite3.connect(keys / KEY_STORE)) as db:
        old = [row[0] for row in db.execute("SELECT wrapped FROM data_keys UNION SELECT wrapped FROM epochs")]
    home.rotation.epoch()
    home.rotation.data()
    home.rotation.retire()
    home.rotation.root()
    left = b"".join(path.read_bytes() for path in keys.iterdir() if path.is_file())
    assert not [wrapped for wrapped in old if wrapped in left]


def test_a_drill_opens_todays_data_with_a_backup(home, tmp_path):
    import shutil

    from carelink.engine.safe import Safe
    from carelink.keys.drill import opened_copy

    def drill(sample=1000):
        with opened_copy(tmp_path / "backup", KEY_STORE, KeyFolder.open) as copy:
            return home.rotation.drill(Safe(copy, copy.tenant), sample)

    home.wiring.keys.rotate_root()  # empties the write-ahead log
    shutil.copytree(home.wiring.settings.keys, tmp_path / "backup")
    done = drill()
    assert done.passed and done.opened == done.tried > 10
    home.register_many([person(80)])
    done = drill()
    assert done.passed and done.newer > 0
    home.rotation.data()
    assert not drill().passed
