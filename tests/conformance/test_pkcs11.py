"""The PKCS#11 provider on SoftHSM2: the kit, what a token refuses, and a home whose root key is on a token."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import carelink
from carelink.errors import KeyProviderError, PluginError, SettingsError
from carelink.home import open_home
from carelink.keys.pkcs11 import Pkcs11Provider
from carelink.keys.provider import KekContext
from carelink.system import entropy
from carelink.vault.personal import Personal, SecretKey

pytest_plugins = ["pytester"]

_HERE = Path(__file__).parent
_CONTEXT = KekContext("t" * 32, 1)


@pytest.fixture
def softhsm(monkeypatch):
    if not os.environ.get("CARELINK_SOFTHSM"):
        pytest.skip("no SoftHSM2: set CARELINK_SOFTHSM to its libsofthsm2.so and install the extra `pkcs11`")
    monkeypatch.syspath_prepend(_HERE)
    import pkcs11_case

    return pkcs11_case


@pytest.mark.peer
@pytest.mark.timeout(900)
def test_the_kit_passes(softhsm, pytester: pytest.Pytester, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), *sys.path]))
    result = pytester.runpytest_subprocess(
        "--carelink-key-provider=pkcs11_case:softhsm", "-p", "no:cacheprovider", "-W", "error"
    )
    assert result.ret == pytest.ExitCode.OK
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] >= 72
    assert outcomes["skipped"] <= 45


@pytest.mark.peer
def test_the_root_key_cannot_leave_the_token(softhsm) -> None:
    import pkcs11

    options, _ = softhsm.token()
    version = Pkcs11Provider(options, entropy).rotate()
    with pkcs11.lib(softhsm.MODULE).get_token(token_label=options["token"]).open(user_pin=softhsm.PIN) as session:
        (key,) = session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY})
        assert bytes(key[pkcs11.Attribute.ID]).hex() == version
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE] and key[pkcs11.Attribute.ALWAYS_SENSITIVE]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


@pytest.mark.peer
@pytest.mark.parametrize(("extractable", "key_id"), [(True, b"\0\0\0\1" + bytes(12)), (False, b"1")])
def test_a_key_that_could_be_anybodys_is_refused(softhsm, extractable, key_id) -> None:
    import pkcs11

    options, _ = softhsm.token()
    with (
        pkcs11.lib(softhsm.MODULE)
        .get_token(token_label=options["token"])
        .open(rw=True, user_pin=softhsm.PIN) as session
    ):
        template = {pkcs11.Attribute.EXTRACTABLE: extractable, pkcs11.Attribute.SENSITIVE: not extractable}
        session.generate_key(pkcs11.KeyType.AES, 256, label="carelink-root", id=key_id, store=True, template=template)
    with pytest.raises(KeyProviderError):
        Pkcs11Provider(options, entropy).wrap(SecretKey(bytes(32)), _CONTEXT)


@pytest.mark.peer
def test_a_wrong_pin_is_given_once_only(softhsm, monkeypatch) -> None:
    """Three of them lock many a token."""
    options, _ = softhsm.token()
    Pkcs11Provider(options, entropy).rotate()
    wrong = Pkcs11Provider({**options, "pin": Personal("0000000")}, entropy)
    with pytest.raises(KeyProviderError, match="refused the PIN"):
        wrong.versions()
    asked = []
    monkeypatch.setattr(Pkcs11Provider, "_session", lambda self, **_: asked.append(1))
    for _ in range(3):
        with pytest.raises(KeyProviderError, match="not asked again"):
            wrong.versions()
    assert not asked


@pytest.mark.peer
def test_an_empty_token_and_none_at_all(softhsm) -> None:
    options, _ = softhsm.token()
    provider = Pkcs11Provider(options, entropy)
    assert provider.versions() == ()
    with pytest.raises(KeyProviderError, match="no root key"):
        provider.wrap(SecretKey(bytes(32)), _CONTEXT)
    for broken in ({"token": "nobody"}, {"module_file": "/nowhere.so"}):
        with pytest.raises(KeyProviderError):
            Pkcs11Provider({**options, **broken}, entropy).versions()


@pytest.mark.peer
def test_a_home_moves_to_a_token_and_its_folder_has_no_root(softhsm, tmp_path, monkeypatch) -> None:
    options, _ = softhsm.token()
    monkeypatch.setenv("CARELINK_TEST_PIN", softhsm.PIN)
    home = tmp_path / "home"
    with carelink.init(home, zone="Asia/Shanghai") as link:
        patient = link.register(identifier="1", name="王小明", phone="13800138000")
    text = (home / "carelink.toml").read_text()
    table = f"""[keys]
provider = "pkcs11"
[keys.pkcs11]
module_file = "{softhsm.MODULE}"
token = "{options["token"]}"
pin_env = "CARELINK_TEST_PIN"
"""
    (home / "carelink.toml").write_text(f"{text}\n{table}[keys.folder]\n")
    with open_home(home) as link:
        assert link.rotation.move_root("pkcs11") == 1
    (home / "carelink.toml").write_text(f"{text}\n{table}")
    (home / "keys" / "root.key").unlink()
    with open_home(home) as link:
        assert link.find("1") == patient
        assert link.rotation.root() == 1
        assert link.rotation.epoch()
        assert link.rotation.check().sound
        assert all(root.startswith("pkcs11:") for root in link.rotation.state().counts.roots)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"module_file": "x", "token": "t"},
        {"module_file": "x", "token": "t", "pin": "1234"},
        {"module_file": "x", "token": 1, "pin": Personal("1234")},
        {"module_file": "x", "token": "t", "pin": Personal("1234"), "slot": "1"},
    ],
)
def test_options_are_strict(options) -> None:
    with pytest.raises(SettingsError):
        Pkcs11Provider(options, entropy)


def test_without_the_extra_it_names_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(PluginError, match=r"carelink\[pkcs11\]") as caught:
        Pkcs11Provider({"module_file": "x", "token": "t", "pin": Personal("1234")}, entropy)
    assert caught.value.__context__ is None
