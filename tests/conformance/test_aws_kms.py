"""The AWS KMS provider on moto: the kit, what KMS is told, whose keys are asked, and a home whose root key is in KMS."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import carelink
from carelink.errors import ConflictError, KeyCheckError, KeyProviderError, PluginError, SettingsError
from carelink.home import open_home
from carelink.keys import aws_kms
from carelink.keys.aws_kms import AwsKmsProvider
from carelink.keys.forms import pack
from carelink.keys.provider import KekContext
from carelink.system import entropy
from carelink.vault.personal import Personal, SecretKey

pytest_plugins = ["pytester"]

_HERE = Path(__file__).parent
_CONTEXT = KekContext("5ac1a0b2c3d4e5f60718293a4b5c6d7e", 3)
_KEK = SecretKey(b"canary kek of thirty-two bytes..")


@pytest.fixture
def kms(monkeypatch):
    """The case's module, where moto is installed; CI must have it."""
    missing = [name for name in ("boto3", "moto", "flask") if find_spec(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}; pip install -e '.[dev]'")
    monkeypatch.syspath_prepend(_HERE)
    import kms_case

    return kms_case


@pytest.fixture
def case(kms):
    made = kms.moto()
    made.provider.rotate()
    yield made
    made.finish()


@pytest.mark.peer
@pytest.mark.timeout(900)
def test_the_kit_passes_whole(kms, pytester: pytest.Pytester, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), *sys.path]))
    result = pytester.runpytest_subprocess(
        "--carelink-key-provider=kms_case:moto", "-p", "no:cacheprovider", "-W", "error", timeout=800
    )
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK
    assert outcomes["passed"] >= 117 and "skipped" not in outcomes


@pytest.mark.peer
def test_a_key_that_is_not_under_the_alias_is_not_asked(case) -> None:
    """Whoever can write to the key store could else plant a KEK wrapped under a key of their own."""
    client = case.provider._client
    theirs = client.create_key()["KeyMetadata"]["KeyId"]
    bound = {"carelink": "kek", "tenant": _CONTEXT.tenant, "epoch": str(_CONTEXT.epoch)}
    blob = client.encrypt(KeyId=theirs, Plaintext=bytes(32), EncryptionContext=bound)["CiphertextBlob"]
    with pytest.raises(KeyCheckError):
        case.provider.unwrap(pack(theirs, blob), _CONTEXT)


@pytest.mark.peer
def test_a_destroyed_version_is_scheduled_for_deletion_and_named_no_more(case) -> None:
    client, provider = case.provider._client, case.provider
    (old,) = provider.versions()
    provider.rotate()
    provider.destroy(old)
    about = client.describe_key(KeyId=old)["KeyMetadata"]
    assert about["KeyState"] == "PendingDeletion"
    assert old not in {each.get("TargetKeyId") for each in client.list_aliases()["Aliases"]}


@pytest.mark.peer
def test_a_deletion_that_was_cut_is_done_again(case) -> None:
    client, provider = case.provider._client, case.provider
    form = provider.wrap(_KEK, _CONTEXT)
    (old,) = provider.versions()
    provider.rotate()
    client.schedule_key_deletion(KeyId=old, PendingWindowInDays=7)  # and killed before the alias went
    assert len(provider.versions()) == 2
    provider.destroy(old)
    assert old not in provider.versions()
    with pytest.raises(KeyCheckError):
        provider.unwrap(form, _CONTEXT)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("state", "error"), [("PendingDeletion", KeyCheckError), ("Disabled", KeyProviderError), ("", KeyProviderError)]
)
def test_a_key_that_rests_is_told_from_one_that_goes(case, monkeypatch, state, error) -> None:
    form = case.provider.wrap(_KEK, _CONTEXT)
    ask = AwsKmsProvider._try

    def answer(self, verb, **arguments):
        if verb == "decrypt":
            return aws_kms._Failure("KMSInvalidStateException")
        return {"KeyMetadata": {"KeyState": state}} if verb == "describe_key" else ask(self, verb, **arguments)

    monkeypatch.setattr(AwsKmsProvider, "_try", answer)
    with pytest.raises(error):
        case.provider.unwrap(form, _CONTEXT)


@pytest.fixture
def provider(kms):
    """Without a far end: each test says what it answers."""
    return AwsKmsProvider(kms.options("http://127.0.0.1:9", "alias/root"), entropy)


def scripted(monkeypatch, **answers):
    """Answers by call, in turn; the last one again and again. What was asked is returned."""
    asked = []

    def answer(self, verb, **arguments):
        asked.append((verb, arguments))
        turns = answers[verb]
        return turns.pop(0) if len(turns) > 1 else turns[0]

    monkeypatch.setattr(AwsKmsProvider, "_try", answer)
    return asked


def named(*pairs):
    return [{"AliasName": f"alias/{name}", "TargetKeyId": target} for name, target in pairs]


def test_versions_are_read_page_by_page_and_by_number(provider, monkeypatch) -> None:
    pages = [
        {"Aliases": named(("root/10", "k10"), ("root", "no"), ("root/x", "no")), "Truncated": True, "NextMarker": "m"},
        {"Aliases": [*named(("root/9", "k9"), ("root/1/2", "no"), ("other/1", "no")), {"AliasName": "alias/root/3"}]},
    ]
    asked = scripted(monkeypatch, list_aliases=pages)
    monkeypatch.setattr(aws_kms, "VERSION", re.compile(r"k[0-9]+|no"))
    assert provider.versions() == ("k9", "k10")
    assert asked == [("list_aliases", {}), ("list_aliases", {"Marker": "m"})]


def test_a_page_that_fails_is_an_outage_and_not_an_end(provider, monkeypatch) -> None:
    first = {"Aliases": named(("root/1", "k1")), "Truncated": True, "NextMarker": "m"}
    scripted(monkeypatch, list_aliases=[first, aws_kms._Failure("ThrottlingException")])
    with pytest.raises(KeyProviderError, match="ThrottlingException"):
        provider.versions()


def test_a_new_version_counts_before_kms_lists_it(provider, monkeypatch) -> None:
    """Aliases are listed some seconds late; until then this process would wrap under the version before."""
    pages = [{"Aliases": named(("root/1", "k1"))}]
    asked = scripted(
        monkeypatch,
        list_aliases=pages,
        create_key=[{"KeyMetadata": {"KeyId": "k2"}}],
        create_alias=[aws_kms._Failure("AlreadyExistsException"), {}],
    )
    assert provider.rotate() == "k2"  # another process took number 2 meanwhile
    assert [each["AliasName"] for verb, each in asked if verb == "create_alias"] == ["alias/root/2", "alias/root/3"]
    assert provider.versions() == ("k1", "k2")
    pages[:] = [{"Aliases": named(("root/1", "k1"), ("root/2", "k9"), ("root/3", "k2"))}]
    assert provider.versions() == ("k1", "k9", "k2")
    pages[:] = [{"Aliases": named(("root/2", "k9"))}]  # destroyed by another process: it does not come back
    assert provider.versions() == ("k9",)


def test_a_race_that_does_not_end_is_given_up(provider, monkeypatch) -> None:
    scripted(
        monkeypatch,
        list_aliases=[{"Aliases": []}],
        create_key=[{"KeyMetadata": {"KeyId": "k2"}}],
        create_alias=[aws_kms._Failure("AlreadyExistsException")],
    )
    with pytest.raises(ConflictError):
        provider.rotate()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "", "Weird code: s3cr3t"])
def test_an_error_names_the_code_of_kms_and_no_more(provider, monkeypatch, code) -> None:
    scripted(monkeypatch, list_aliases=[aws_kms._Failure(code)])
    with pytest.raises(KeyProviderError) as caught:
        provider.versions()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.peer
def test_kms_is_told_tenant_and_epoch_and_nothing_else(kms) -> None:
    line, told = kms.Line(kms.server(), {}), []
    ask = line.ask
    line.ask = lambda method, path, headers, body: [told.append(json.loads(body)), ask(method, path, headers, body)][1]
    provider = AwsKmsProvider(kms.options(line.address, "alias/test/told"), entropy)
    provider.rotate()
    provider.unwrap(provider.wrap(_KEK, _CONTEXT), _CONTEXT)
    line.close()
    contexts = [each["EncryptionContext"] for each in told if "EncryptionContext" in each]
    assert contexts == [{"carelink": "kek", "tenant": _CONTEXT.tenant, "epoch": "3"}] * 2


@pytest.mark.peer
def test_without_the_filter_botocore_would_log_the_key(case, caplog, monkeypatch) -> None:
    """So that the kit's test of logs does not pass because nothing was logged at all."""
    monkeypatch.setattr(aws_kms._Quiet, "filter", lambda self, record: True)
    with caplog.at_level(logging.DEBUG, "botocore"):
        case.provider.wrap(_KEK, _CONTEXT)
    assert "canary kek" in caplog.text or "Y2FuYXJ5IGtla" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        case.provider.unwrap(case.provider.wrap(_KEK, _CONTEXT), _CONTEXT)
        logging.getLogger("botocore.endpoint").debug("somebody else's call")
    assert "canary kek" not in caplog.text and "Y2FuYXJ5IGtla" not in caplog.text
    assert "somebody else's call" in caplog.text


@pytest.mark.peer
def test_a_home_moves_to_kms_and_back(kms, tmp_path, monkeypatch) -> None:
    line = kms.Line(kms.server(), kms.ANSWERS)
    monkeypatch.setenv("CARELINK_TEST_SECRET", kms.SECRET)
    monkeypatch.setenv("CARELINK_TEST_ID", "canaryid")
    home = tmp_path / "home"
    with carelink.init(home, zone="Asia/Shanghai") as link:
        patient = link.register(identifier="1", name="王小明", phone="13800138000")
    text = (home / "carelink.toml").read_text()
    table = f"""[keys.aws-kms]
alias = "alias/test/home-{os.getpid()}"
region = "eu-central-1"
endpoint = "{line.address}"
access_key_id_env = "CARELINK_TEST_ID"
secret_access_key_env = "CARELINK_TEST_SECRET"
timeout = 2
attempts = 1
"""
    (home / "carelink.toml").write_text(f"{text}\n[keys.folder]\n{table}")
    with open_home(home) as link:
        with line.broken("cut"), pytest.raises(KeyProviderError):
            link.rotation.move_root("aws-kms")
        assert link.find("1") == patient
        assert link.rotation.move_root("aws-kms") == 1
    (home / "carelink.toml").write_text(f'{text}\n[keys]\nprovider = "aws-kms"\n{table}')
    (home / "keys" / "root.key").unlink()
    with open_home(home) as link:
        assert link.find("1") == patient
        assert link.rotation.epoch() and link.rotation.root() == 1
        assert link.rotation.check().sound
    with line.broken("outage"), pytest.raises(KeyProviderError):
        open_home(home)
    line.close()


@pytest.mark.parametrize(
    "options",
    [
        {"alias": "carelink"},
        {"alias": "alias/aws/s3", "region": "eu-central-1"},
        {"region": "eu-central-1", "secret_access_key": "in the file"},
        {"region": "eu-central-1", "deletion_days": 3},
        {"region": "eu-central-1", "timeout": "5"},
        {"region": "eu-central-1", "regoin": "x"},
    ],
)
def test_options_are_strict(options) -> None:
    if find_spec("boto3") is None and not set(options) & {"regoin"}:
        with pytest.raises((SettingsError, PluginError)):
            AwsKmsProvider(options, entropy)
        return
    with pytest.raises(SettingsError):
        AwsKmsProvider(options, entropy)


def test_without_the_extra_it_names_it(monkeypatch) -> None:
    for name in ("boto3", "botocore", "botocore.exceptions", "botocore.config"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PluginError, match=r"carelink\[aws-kms\]"):
        AwsKmsProvider({"region": "eu-central-1", "access_key_id": Personal("x")}, entropy)
