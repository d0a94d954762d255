"""Key providers by settings: found like a stranger's, side by side during a move, and trusted only when named."""

import shutil
import sqlite3
import tomllib
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

import carelink
from carelink.cli.main import main
from carelink.errors import (
    CannotJudgeError,
    CarelinkError,
    DecryptError,
    KeyCheckError,
    KeyProviderError,
    PluginError,
    SettingsError,
)
from carelink.home import KEY_STORE, open_home
from carelink.keys.forms import claim, claimed, pack, unpack
from carelink.keys.plugins import GROUP, load_provider
from carelink.keys.provider import KekContext, RootKey, RootKeys
from carelink.keys.routing import Providers
from carelink.settings import parse
from carelink.system import entropy
from carelink.vault.personal import SecretKey

HERE = Path(__file__).parent
CONTEXT = KekContext("t" * 32, 1)


def install(folder, points, package="stranger"):
    """A package with these entry points, as pip would leave it."""
    info = folder / f"{package}-1.dist-info"
    info.mkdir(parents=True)
    shutil.copy(HERE / "stranger.py", folder / "stranger_provider.py")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    lines = [f"{name} = stranger_provider:{value}" for name, value in points]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(lines) + "\n")


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    install(
        tmp_path / "site",
        [("stranger", "Stranger"), ("raising", "raising"), ("incomplete", "incomplete"), ("gone", "gone")],
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "far").mkdir()
    return tmp_path / "far" / "roots"


@pytest.fixture
def home(tmp_path, stranger):
    place = tmp_path / "home"
    with carelink.init(place, zone="Asia/Shanghai") as link:
        link.register(identifier="1", name="王小明", phone="13800138000")
    return place


def name(link):
    return link.find("1") and link.rotation.check().sound


def configure(home, text):
    path = home / "carelink.toml"
    old = path.read_text().partition("\n[keys")[0]
    path.write_text(f"{old}\n{text}")


def both(stranger, chosen="stranger"):
    return f'[keys]\nprovider = "{chosen}"\n[keys.folder]\n[keys.stranger]\nplace = "{stranger}"\n'


def wrapped(home):
    with closing(sqlite3.connect(home / "keys" / KEY_STORE)) as db:
        return [row[0] for row in db.execute("SELECT wrapped FROM epochs ORDER BY epoch")]


def test_a_move_from_the_folder_to_a_strangers_and_back(home, stranger):
    configure(home, both(stranger, "folder"))
    with open_home(home) as link:
        before = link.rotation.state().counts.roots
        assert link.rotation.move_root("stranger") == 1
        assert link.rotation.move_root("stranger") == 0
        (after,) = link.rotation.state().counts.roots
        assert after.startswith("stranger:") and before != (after,)
        assert name(link)
    configure(home, f'[keys]\nprovider = "stranger"\n[keys.stranger]\nplace = "{stranger}"\n')
    (home / "keys" / "root.key").rename(home / "kept")
    with open_home(home) as link:
        assert name(link)
        link.rotation.epoch()
        assert link.rotation.root() == 1
        assert link.wiring.keys._provider.versions() == link.rotation.state().counts.roots
        assert name(link)
    (home / "kept").rename(home / "keys" / "root.key")
    configure(home, both(stranger, "folder"))
    with open_home(home) as link:
        assert link.rotation.move_root("folder") == 1
    configure(home, "")
    with open_home(home) as link:
        assert name(link)


def test_a_changed_setting_alone_moves_with_the_next_rotation(home, stranger):
    configure(home, both(stranger))
    with open_home(home) as link:
        assert name(link)  # still under the folder's root
        assert link.rotation.root() == 0  # moved; none made, none destroyed
        assert name(link)
    assert {claimed(each)[0] for each in wrapped(home)} == {"stranger"}
    assert (home / "keys" / "root.key").exists()


def test_status_tells_what_is_still_another_providers(home, stranger, capsys):
    configure(home, both(stranger))
    assert main(["--home", str(home), "keys", "status"]) == 0
    assert "wrapped by folder and not by stranger: run `carelink keys rotate root`" in capsys.readouterr().out
    with open_home(home) as link:
        link.rotation.root()
    assert main(["--home", str(home), "keys", "status"]) == 0
    told = capsys.readouterr().out
    assert "stranger:" in told and "not by" not in told
    assert main(["--home", str(home), "keys", "rotate", "root", "--to", "folder"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert 'set `provider = "folder"`' in told and "Remove it when these are gone" in told


def test_a_drill_asks_the_provider(home, stranger, tmp_path, capsys):
    """The backup of the folder has no root key; the one at the provider opens it."""
    configure(home, both(stranger))
    with open_home(home) as link:
        link.rotation.root()
    (home / "keys" / "root.key").unlink()
    shutil.copytree(home / "keys", tmp_path / "backup")
    configure(home, f'[keys]\nprovider = "stranger"\n[keys.stranger]\nplace = "{stranger}"\n')
    assert main(["--home", str(home), "keys", "drill", str(tmp_path / "backup")]) == 0
    assert "3 of 3 fields open" in capsys.readouterr().out


def test_two_epochs_under_two_providers_open(home, stranger):
    configure(home, both(stranger))
    with open_home(home) as link:
        link.wiring.keys._provider.rotate()
        link.wiring.keys.begin_epoch()
    assert [claimed(each)[0] for each in wrapped(home)] == ["folder", "stranger"]
    with open_home(home) as link:
        assert name(link)
        assert len(link.rotation.state().counts.roots) == 2


def test_a_move_cut_between_two_epochs_goes_on(home, stranger, monkeypatch):
    configure(home, both(stranger, "folder"))
    with open_home(home) as link:
        link.wiring.keys.begin_epoch()
        wrap, calls = Providers.wrap, []

        def failing(self, kek, context):
            calls.append(context.epoch)
            if len(calls) == 2:
                raise KeyProviderError("cut")
            return wrap(self, kek, context)

        monkeypatch.setattr(Providers, "wrap", failing)
        with pytest.raises(KeyProviderError):
            link.rotation.move_root("stranger")
        monkeypatch.undo()
    monkeypatch.syspath_prepend(stranger.parent.parent / "site")
    assert [claimed(each)[0] for each in wrapped(home)] == ["stranger", "folder"]
    with open_home(home) as link:
        assert name(link)
        assert link.rotation.move_root("stranger") == 1
        assert name(link)


def test_a_provider_that_the_settings_do_not_name_is_not_asked(home, stranger):
    """Whoever can write to the key store must not bring in a root key of their own."""
    configure(home, both(stranger, "folder"))
    with open_home(home) as link:
        link.rotation.move_root("stranger")
    configure(home, "")
    with pytest.raises(KeyCheckError, match=r"`stranger`.*\[keys\.stranger\]"):
        open_home(home)
    configure(home, both(stranger, "stranger").replace("[keys.folder]\n", ""))
    with pytest.raises(SettingsError), open_home(home) as link:
        link.rotation.move_root("folder")


def test_a_provider_out_of_reach_holds_and_writes_nothing(home, stranger):
    configure(home, both(stranger))
    with open_home(home) as link:
        link.rotation.move_root("stranger")
    before = wrapped(home)
    stranger.parent.rename(stranger.parent.with_name("away"))
    with pytest.raises(KeyProviderError):
        open_home(home)
    stranger.parent.with_name("away").rename(stranger.parent)
    with open_home(home) as link:
        stranger.parent.rename(stranger.parent.with_name("away"))
        assert link.find("1")  # what was opened stays open
        for act in (link.rotation.root, link.rotation.epoch, lambda: link.rotation.move_root("stranger")):
            with pytest.raises(KeyProviderError):
                act()
    assert wrapped(home) == before


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ('[keys]\nprovider = "nobody"', PluginError),
        ('[keys]\nprovider = "raising"', PluginError),
        ('[keys]\nprovider = "incomplete"', PluginError),
        ('[keys]\nprovider = "gone"', PluginError),
        ('[keys]\nprovider = "stranger"\n[keys.stranger]\nplce = "x"', SettingsError),
        ('[plugins]\nblock = ["stranger"]\n[keys]\nprovider = "stranger"\n', PluginError),
    ],
)
def test_a_provider_that_cannot_be_had_stops_the_start(home, settings, error):
    configure(home, settings)
    with pytest.raises(error) as caught:
        open_home(home)
    assert "s3cr3t" not in str(caught.value) and caught.value.__context__ is None


def test_two_packages_with_one_name_stop_the_start(tmp_path, stranger, monkeypatch):
    install(tmp_path / "twin", [("stranger", "raising")], "twin")
    monkeypatch.syspath_prepend(tmp_path / "twin")
    with pytest.raises(PluginError, match="two key providers"):
        load_provider("stranger", {"place": str(stranger)}, entropy)


@pytest.mark.parametrize(
    "text",
    [
        '[keys]\nprovider = "Folder"',
        "[keys]\nprovider = 1",
        '[keys]\nprovidr = "folder"',
        '[keys.folder]\npath = "x"',
        '[keys."a b"]\n',
        '[keys.x]\ntoken_env = "CARELINK_NOT_SET"',
    ],
)
def test_settings_are_strict(text, tmp_path):
    with pytest.raises(SettingsError):
        parse(text.encode(), tmp_path)


def test_secrets_of_a_provider_come_from_elsewhere_and_do_not_show(tmp_path, monkeypatch):
    monkeypatch.setenv("CARELINK_TEST_TOKEN", "t0k3n")
    (tmp_path / "pin").write_text("p1n\n")
    text = '[keys]\nprovider = "x"\n[keys.x]\ntoken_env = "CARELINK_TEST_TOKEN"\npin_secret_file = "pin"\nca_file = "ca.pem"'
    settings = parse(text.encode(), tmp_path)
    options = settings.key_providers["x"]
    assert options["token"].reveal("test") == "t0k3n" and options["pin"].reveal("test") == "p1n"
    assert options["ca_file"] == str(tmp_path / "ca.pem")
    assert "t0k3n" not in repr(settings) + repr(options)


def test_the_providers_that_ship_are_entry_points_that_can_be_loaded():
    """None of them needs its extra to be imported."""
    text = (HERE.parent.parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(text)["project"]["entry-points"][GROUP]
    assert set(points) == {"aws-kms", "pkcs11", "vault-transit"}
    for place in points.values():
        module, _, name_ = place.partition(":")
        assert callable(getattr(import_module(module), name_))


def test_forms_say_whose_they_are():
    assert claimed(claim("aws-kms", b"abc")) == ("aws-kms", b"abc")
    assert claimed(claim("folder", b"\x01abc")) == ("folder", b"\x01abc")
    assert unpack(pack("v:1", b"abc")) == ("v:1", b"abc")
    for bad in (b"\x02", b"\x02\x00", b"\x02\x05abc", b"\x02\x01A", b"\x02\x06folder\x01", b"\x02\x02\xff\xffabc"):
        with pytest.raises(DecryptError):
            claimed(bad)
    with pytest.raises(CannotJudgeError):
        claimed(b"\x03\x01a")
    for bad in (b"", b"\x00", b"\x05abc"):
        with pytest.raises(DecryptError):
            unpack(bad)


class Odd(RootKeys):
    """A provider that breaks its contract in the way it is told to."""

    fault = ""

    def wrap(self, kek, context):
        if self.fault == "raise":
            raise RuntimeError("s3cr3t")
        return super().wrap(kek, context)

    def unwrap(self, wrapped, context):
        return b"k" * 32 if self.fault == "bytes" else super().unwrap(wrapped, context)

    def versions(self):
        return ("a b",) if self.fault == "version" else super().versions()


@pytest.mark.parametrize(("fault", "act"), [("raise", "wrap"), ("bytes", "unwrap"), ("version", "versions")])
def test_a_provider_that_breaks_its_contract_is_an_outage(fault, act):
    odd = Odd([RootKey(SecretKey(b"r" * 32), entropy)])
    providers = Providers("odd", {"odd": lambda: odd})
    form = providers.wrap(SecretKey(b"k" * 32), CONTEXT)
    odd.fault = fault
    arguments = {"wrap": (SecretKey(b"k" * 32), CONTEXT), "unwrap": (form, CONTEXT), "versions": ()}[act]
    with pytest.raises(KeyProviderError) as caught:
        getattr(providers, act)(*arguments)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None


def test_versions_of_two_providers_are_told_apart():
    one, two = (RootKeys([RootKey(SecretKey(bytes([n]) * 32), entropy)]) for n in (1, 2))
    providers = Providers("one", {"one": lambda: one, "two": lambda: two})
    form = providers.wrap(SecretKey(b"k" * 32), CONTEXT)
    first = f"one:{one.versions()[0]}"
    assert providers.version_of(form) == first and providers.versions() == (first,)
    assert providers.version_of(claim("three", b"x")) == "three:unknown"
    new = providers.rotate()
    with pytest.raises(KeyCheckError):
        providers.destroy(first.removeprefix("one:"))
    providers.destroy(first)
    assert providers.versions() == (new,) and len(one.versions()) == 1
    providers.choose("two")
    assert providers.versions()[0].startswith("two:") and two.versions()
    with pytest.raises(KeyCheckError):
        providers.unwrap(form, CONTEXT)
    with pytest.raises(SettingsError):
        providers.choose("three")


@pytest.mark.parametrize("version", ["", "a b", "x" * 65, "é"])
def test_a_version_that_is_no_name_is_not_packed(version):
    with pytest.raises(ValueError, match="name of a version"):
        pack(version, b"abc")


def test_every_error_of_the_forms_is_carelinks():
    for length in range(40):
        for first in (1, 2, 3):
            try:
                Providers("folder", {"folder": lambda: RootKeys([RootKey(SecretKey(b"r" * 32), entropy)])}).unwrap(
                    bytes([first]) * length, CONTEXT
                )
            except CarelinkError:
                continue
            raise AssertionError(length)
