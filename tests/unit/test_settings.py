"""Settings: strict, with secrets from elsewhere, and what `init` writes can be read again whatever is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.errors import CarelinkError, SettingsError
from carelink.model.access import DataKind, PurposeOfUse, Role
from carelink.model.moment import DAY, HOUR, parse_instant
from carelink.settings import FILE_NAME, load, parse, render_settings

HOME = Path("home")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def test_defaults_stand_in_the_home() -> None:
    found = parse(b"", HOME)
    assert (found.store, found.keys, found.log) == (HOME / "data/carelink.db", HOME / "keys", HOME / "log")
    assert (found.region, found.permit_ttl, found.publish_lag) == ("CN", HOUR, 100_000)
    assert found.routes == {}


@given(keys=TEXTS, packs=st.lists(TEXTS, max_size=3))
def test_what_init_writes_can_be_read_again(keys: str, packs: list[str]) -> None:
    found = parse(render_settings(region="US", keys=keys, packs=tuple(packs)).encode(), HOME)
    assert (found.region, found.keys, found.packs) == ("US", HOME / keys, tuple(packs))
    assert found.routes == {"email": "outbox-email", "sms": "outbox-sms"}


@given(st.binary(max_size=60))
def test_any_bytes_are_settings_or_a_settings_error(data: bytes) -> None:
    problem: CarelinkError | None = None
    try:
        parse(data, HOME)
    except CarelinkError as error:
        problem = error
    if problem is not None:
        assert isinstance(problem, SettingsError)
        assert problem.__context__ is None


def test_a_broken_file_says_where_and_not_what() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(b'[channels.smtp]\npassword = "hunter2\n', HOME)
    assert "line 2" in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "first")
    (tmp_path / "token").write_text("two\n", encoding="utf-8")
    text = b'[channels.x]\npassword_env = "SMTP_PASSWORD"\ntoken_secret_file = "token"\nport = 25\n'
    (tmp_path / FILE_NAME).write_bytes(text)
    found = load(tmp_path)
    assert dict(found.channels["x"]).keys() == {"password", "token", "port"}
    assert "first" not in repr(found)
    assert "two" not in repr(found)


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe"])
def test_a_secret_file_that_holds_none_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "token").write_bytes(data)
    with pytest.raises(SettingsError, match=r"channels\.x\.token_secret_file") as caught:
        parse(b'[channels.x]\ntoken_secret_file = "token"\n', tmp_path)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        "permit_ttl = 'PT0S'", "permit_ttl = 'P8D'", "permit_ttl = 'an hour'", "permit_ttl = 3600", "publish_lag = 0",
        "publish_lag = '5'", "publish_lag = 1.5", "region = 'C'", "region = '中国'", "region = 86", "packs = 'x'",
        "packs = [1]", "colour = 'red'",
    ],
)  # fmt: skip
def test_malformed_values_are_errors(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(f"[carelink]\n{text}\n".encode(), HOME)


@pytest.mark.parametrize("text", ["[routes]\nfax = 'x'", "[routes]\nemail = 3", "[paths]\nkeys = ''", "routes = 3"])
def test_malformed_tables_are_errors(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text.encode(), HOME)


def test_providers_with_their_region_and_agreement() -> None:
    found = parse(b'[processors.smtp]\nregion = "cn"\nagreement_until = 2027-01-01\n[processors.sms]\n', HOME)
    assert found.processors == {"smtp": ("CN", parse_instant("2027-01-01T00:00:00Z")), "sms": ("", None)}
    later = parse(b"[processors.smtp]\nagreement_until = 2027-01-01T00:00:00+08:00\n", HOME)
    assert later.processors == {"smtp": ("", parse_instant("2026-12-31T16:00:00Z"))}


@pytest.mark.parametrize(
    "text",
    ['region = "China"', "region = 86", 'agreement_until = "2027"', "agreement_until = 2027-01-01T00:00:00",
     "agreement_until = 2400-01-01", "agreement_until = 12:00:00", "until = 2027-01-01"],
)  # fmt: skip
def test_what_is_no_region_and_no_end_of_an_agreement(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(f"[processors.smtp]\n{text}\n".encode(), HOME)


def test_processors_are_tables() -> None:
    with pytest.raises(SettingsError):
        parse(b"[processors]\nsmtp = 3\n", HOME)


@pytest.mark.parametrize(("text", "length"), [('"P30D"', 30 * DAY), ('"PT12H"', 12 * HOUR)])
def test_backups_of_keys_are_kept_for_a_duration(text: str, length: int) -> None:
    assert parse(f"[retention]\nkey_backups = {text}\n".encode(), HOME).key_backups == length
    assert parse(b"", HOME).key_backups is None


@pytest.mark.parametrize("text", ['""', '"soon"', '"PT0S"', "30"])
def test_a_malformed_duration_of_backups_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(f"[retention]\nkey_backups = {text}\n".encode(), HOME)


def test_who_acts_and_what_roles_open() -> None:
    text = b'[access]\nactor = "desk"\nroles = ["clinician", "auditor"]\npurpose = "treatment"\n[access.opens]\noperator = ["contact"]\n'
    found = parse(text, HOME).access
    assert (found.actor, found.roles, found.purpose) == (
        "desk", (Role.CLINICIAN, Role.AUDITOR), PurposeOfUse.TREATMENT,
    )  # fmt: skip
    assert found.opens == {Role.OPERATOR: frozenset({DataKind.CONTACT})}
    assert parse(b"", HOME).access.roles == (Role.OPERATOR,)


@pytest.mark.parametrize(
    "text",
    [
        'roles = ["king"]', "roles = []", 'roles = "operator"', 'purpose = "fun"', 'purpose = "emergency"', 'actor = ""',
        'who = "x"', 'opens = {king = ["contact"]}', 'opens = {operator = ["everything"]}', "opens = {operator = 7}",
    ],
)  # fmt: skip
def test_malformed_access_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(f"[access]\n{text}\n".encode(), HOME)


def test_the_controller() -> None:
    assert dict(parse(b'[controller]\nname = "H"\ncontact = "p@h.example"\n', HOME).controller) == {
        "name": "H", "contact": "p@h.example",
    }  # fmt: skip
    for text in (b'[controller]\nnmae = "H"\n', b"[controller]\nname = 7\n", b'[controller]\nname = " "\n'):
        with pytest.raises(SettingsError):
            parse(text, HOME)
