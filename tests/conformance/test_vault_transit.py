"""The Vault transit provider on a peer that follows the documented API: the kit, and what Vault could do to it."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import carelink
from carelink.errors import ConflictError, KeyCheckError, KeyProviderError, SettingsError
from carelink.home import open_home
from carelink.keys.forms import pack, unpack
from carelink.keys.provider import KekContext
from carelink.keys.vault_transit import VaultTransitProvider
from carelink.system import entropy
from carelink.vault.personal import Personal, SecretKey

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

_HERE = Path(__file__).parent
_CONTEXT = KekContext("t" * 32, 1)
_KEK = SecretKey(bytes(range(32)))


@pytest.fixture
def vault(monkeypatch):
    monkeypatch.syspath_prepend(_HERE)
    import vault_case

    return vault_case


@pytest.fixture
def line(vault):
    made = vault.line()
    yield made
    made.close()


@pytest.fixture
def provider(vault, line):
    return VaultTransitProvider(vault.options(line.address), entropy)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kit_passes_whole(vault, pytester: pytest.Pytester, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), *sys.path]))
    result = pytester.runpytest_subprocess(
        "--carelink-key-provider=vault_case:transit", "-p", "no:cacheprovider", "-W", "error", timeout=800
    )
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK
    assert outcomes["passed"] >= 117 and "skipped" not in outcomes


@pytest.mark.parametrize("part", ["wrapping", "versions", "discretion"])
def test_the_kit_passes_but_for_what_waits(vault, pytester: pytest.Pytester, monkeypatch, part) -> None:
    """All but the time-outs, which the slow run has."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), *sys.path]))
    result = pytester.runpytest_subprocess(
        "--carelink-key-provider=vault_case:brisk", "-p", "no:cacheprovider", "-W", "error", "-k", part, timeout=800
    )
    assert result.ret == pytest.ExitCode.OK


def test_a_key_that_is_not_there_is_not_made_by_wrapping(provider, line) -> None:
    """Vault makes a missing key on `encrypt`, of whatever kind, for a token that may create."""
    assert provider.versions() == ()
    with pytest.raises(KeyProviderError, match="no root key"):
        provider.wrap(_KEK, _CONTEXT)
    with pytest.raises(KeyCheckError):
        provider.unwrap(pack("1-1700000000", bytes(60)), _CONTEXT)
    provider.destroy("1-1700000000")
    assert not line.peer.keys and {method for method, _ in line.peer.seen} == {"GET"}


@pytest.mark.parametrize(
    "change",
    [
        {"exportable": True},
        {"allow_plaintext_backup": True},
        {"derived": True},
        {"convergent_encryption": True},
        {"type": "rsa-2048"},
        {"type": None},
    ],
)
def test_a_key_that_no_root_key_may_be_is_refused(provider, line, change) -> None:
    form = None
    provider.rotate()
    form = provider.wrap(_KEK, _CONTEXT)
    line.peer.keys["carelink-root"].update(change)
    for call in (provider.versions, lambda: provider.wrap(_KEK, _CONTEXT), lambda: provider.unwrap(form, _CONTEXT)):
        with pytest.raises(KeyProviderError):
            call()


def test_a_key_made_again_under_the_same_name_is_another_root(provider, line) -> None:
    provider.rotate()
    form = provider.wrap(_KEK, _CONTEXT)
    del line.peer.keys["carelink-root"]
    provider.rotate()
    assert provider.versions()[0].startswith("1-")
    with pytest.raises(KeyCheckError):
        provider.unwrap(form, _CONTEXT)


def test_destroying_trims_and_goes_oldest_first(provider, line) -> None:
    for _ in range(3):
        provider.rotate()
    first, second, third = provider.versions()
    with pytest.raises(ConflictError):
        provider.destroy(second)
    provider.destroy(first)
    assert list(line.peer.keys["carelink-root"]["secrets"]) == [2, 3]
    provider.destroy(second)
    assert provider.versions() == (third,)
    assert list(line.peer.keys["carelink-root"]["secrets"]) == [3]


def test_a_trim_that_was_cut_is_done_again(provider, line) -> None:
    """`config` went through, `trim` did not: the version is off the list, and its key still there."""
    provider.rotate()
    provider.rotate()
    first, second = provider.versions()
    line.peer.post_keys_config("carelink-root", {"min_decryption_version": 2, "min_encryption_version": 2})
    assert provider.versions() == (second,)
    assert 1 in line.peer.keys["carelink-root"]["secrets"]
    provider.destroy(first)
    assert list(line.peer.keys["carelink-root"]["secrets"]) == [2]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b'{"data": {"plaintext": "AAAA"}}'),
        (200, b'{"data": {"plaintext": "not base64!"}}'),
        (200, b'{"data": {}}'),
        (200, b"{}"),
        (200, b"[]"),
        (200, b"<html>"),
        (204, b""),
        (302, b""),
        (307, b""),
        (400, b'{"errors": ["missing client token"]}'),
        (404, b'{"errors": ["no handler"]}'),
        (412, b"{}"),
        (500, b'{"errors": ["internal error"]}'),
    ],
)
def test_a_strange_answer_is_an_outage(provider, line, answer) -> None:
    provider.rotate()
    form = provider.wrap(_KEK, _CONTEXT)
    names = provider.versions()
    ask = line.peer.ask

    def strange(method, path, headers, body):
        if "/decrypt/" in path or ("/encrypt/" in path and answer[0] == 400):
            return answer[0], "application/json", answer[1]
        return ask(method, path, headers, body)

    line.ask = strange
    with pytest.raises(KeyProviderError) as caught:
        provider.unwrap(form, _CONTEXT)
    assert caught.value.__context__ is None
    line.ask = ask
    assert provider.unwrap(form, _CONTEXT) == _KEK and provider.versions() == names


@pytest.mark.parametrize(
    "keys", [None, [1], {"one": 1_700_000_000}, {"1": "2023-11-14T22:13:20Z"}, {"1": 1_700_000_000, "2": None}]
)
def test_a_strange_list_of_versions_is_an_outage(provider, line, keys) -> None:
    """And not an empty one, on which another root key would be made."""
    provider.rotate()
    _, kind, text = line.peer.get_keys("carelink-root", {})
    answer = json.loads(text)
    answer["data"]["keys"] = keys
    line.ask = lambda *_: (200, kind, json.dumps(answer).encode())
    for call in (provider.versions, provider.rotate, lambda: provider.destroy("1-1700000000")):
        with pytest.raises(KeyProviderError):
            call()
    assert list(line.peer.keys["carelink-root"]["secrets"]) == [1]


def test_a_rotation_after_which_nothing_is_there_is_an_outage(provider, line) -> None:
    ask = line.peer.ask
    line.ask = lambda method, *rest: ask(method, *rest) if method == "GET" else (204, "application/json", b"")
    with pytest.raises(KeyProviderError):
        provider.rotate()


def test_destroying_what_is_not_there_trims_nothing(provider, line) -> None:
    """An operator who raised the minimum by hand may mean to lower it again."""
    provider.rotate()
    provider.rotate()
    line.peer.post_keys_config("carelink-root", {"min_decryption_version": 2, "min_encryption_version": 2})
    line.peer.seen.clear()
    for version in ("9-1700000000", "2-1", "0" * 32):
        provider.destroy(version)
    assert {method for method, _ in line.peer.seen} == {"GET"}
    assert list(line.peer.keys["carelink-root"]["secrets"]) == [1, 2]


@pytest.mark.parametrize(("given", "sent"), [({}, None), ({"namespace": "hospital"}, "hospital")])
def test_the_namespace_goes_along_where_there_is_one(vault, line, given, sent) -> None:
    told, ask = [], line.peer.ask
    line.ask = lambda method, path, headers, body: [told.append(headers), ask(method, path, headers, body)][1]
    VaultTransitProvider({**vault.options(line.address), **given}, entropy).rotate()
    assert told and {headers.get("X-Vault-Namespace") for headers in told} == {sent}


@pytest.mark.parametrize(
    ("address", "port"),
    [("https://vault.example.org", 443), ("https://vault.example.org:8200/", 8200), ("http://localhost", 80)],
)
def test_the_port_is_the_schemes_unless_it_is_said(address, port) -> None:
    provider = VaultTransitProvider({"address": address, "token": Personal("x")}, entropy)
    assert provider._connection().port == port


def test_an_answer_under_another_version_is_not_taken(provider, line) -> None:
    provider.rotate()
    answer = {"data": {"ciphertext": "vault:v2:" + base64.b64encode(bytes(60)).decode()}}
    ask = line.peer.ask
    line.ask = lambda method, path, *rest: (
        (200, "application/json", json.dumps(answer).encode()) if "encrypt" in path else ask(method, path, *rest)
    )
    with pytest.raises(KeyProviderError):
        provider.wrap(_KEK, _CONTEXT)


def test_a_redirect_is_not_followed_with_the_token(provider, line, vault) -> None:
    provider.rotate()
    other = vault.line()
    line.ask = lambda *_: (307, "application/json", b"")
    with pytest.raises(KeyProviderError, match="active node"):
        provider.versions()
    assert not other.peer.seen
    other.close()


def test_a_token_file_is_read_anew(vault, line, tmp_path) -> None:
    """As Vault Agent writes it."""
    file = tmp_path / "token"
    file.write_text("old\n")
    options = {name: value for name, value in vault.options(line.address).items() if name != "token"}
    provider = VaultTransitProvider({**options, "token_file": str(file)}, entropy)
    with pytest.raises(KeyProviderError, match="token"):
        provider.rotate()
    file.write_text(f"{vault.TOKEN}\n")
    provider.rotate()
    file.unlink()
    with pytest.raises(KeyProviderError):
        provider.versions()


@pytest.fixture
def certificate(tmp_path):
    """A certificate of one's own for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault.test")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def test_a_server_is_believed_by_its_certificate_only(vault, certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    line = vault.line(context)
    options = vault.options(line.address.replace("http:", "https:"))
    trusting = VaultTransitProvider({**options, "ca_file": str(certificate)}, entropy)
    trusting.rotate()
    assert trusting.unwrap(trusting.wrap(_KEK, _CONTEXT), _CONTEXT) == _KEK
    before = len(line.peer.seen)
    for address in (options["address"], options["address"].replace("127.0.0.1", "localhost")):
        ca = {"ca_file": str(certificate)} if "localhost" in address else {}
        with pytest.raises(KeyProviderError):
            VaultTransitProvider({**options, **ca, "address": address}, entropy).versions()
    assert len(line.peer.seen) == before  # the token was not sent
    line.close()


def test_base64_is_not_kept(provider) -> None:
    provider.rotate()
    version, blob = unpack(provider.wrap(_KEK, _CONTEXT))
    assert version.startswith("1-") and len(blob) == 60


@pytest.mark.parametrize(
    "options",
    [
        {"token": Personal("x")},
        {"address": "http://vault.example.org:8200", "token": Personal("x")},
        {"address": "ftp://127.0.0.1", "token": Personal("x")},
        {"address": "https://vault.example.org:port", "token": Personal("x")},
        {"address": "https://vault.example.org"},
        {"address": "https://vault.example.org", "token": "in the file"},
        {"address": "https://vault.example.org", "token": Personal("x"), "token_file": "y"},
        {"address": "https://vault.example.org", "token": Personal("x"), "ca_file": "/nowhere"},
        {"address": "https://vault.example.org", "token": Personal("x"), "key": "../sys"},
        {"address": "https://vault.example.org", "token": Personal("x"), "mount": "a b"},
        {"address": "https://vault.example.org", "token": Personal("x"), "tokn": "x"},
    ],
)
def test_options_are_strict(options) -> None:
    with pytest.raises(SettingsError):
        VaultTransitProvider(options, entropy)


def test_a_home_moves_to_vault(vault, line, tmp_path, monkeypatch) -> None:
    from carelink.keys import plugins

    monkeypatch.setattr(plugins, "_factory", lambda name, block: {"vault-transit": VaultTransitProvider}[name])
    monkeypatch.setenv("CARELINK_TEST_TOKEN", vault.TOKEN)
    home = tmp_path / "home"
    with carelink.init(home, zone="Asia/Shanghai") as link:
        patient = link.register(identifier="1", name="王小明", phone="13800138000")
    text = (home / "carelink.toml").read_text()
    table = f'[keys.vault-transit]\naddress = "{line.address}"\ntoken_env = "CARELINK_TEST_TOKEN"\ntimeout = 2\n'
    (home / "carelink.toml").write_text(f"{text}\n[keys.folder]\n{table}")
    with open_home(home) as link:
        with line.broken("throttled"), pytest.raises(KeyProviderError, match="fewer requests"):
            link.rotation.move_root("vault-transit")
        assert link.rotation.move_root("vault-transit") == 1
    (home / "carelink.toml").write_text(f'{text}\n[keys]\nprovider = "vault-transit"\n{table}')
    (home / "keys" / "root.key").unlink()
    with open_home(home) as link:
        assert link.find("1") == patient
        assert link.rotation.epoch() and link.rotation.root() == 1
        assert link.rotation.check().sound
    with line.broken("server_error"), pytest.raises(KeyProviderError, match="sealed"):
        open_home(home)
