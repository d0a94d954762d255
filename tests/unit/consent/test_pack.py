"""Packs are read strictly: what is not understood is an error that names pack, rule and key, never ignored."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from carelink.consent.pack import MAX_PACK, Source, When, parse_pack
from carelink.errors import PolicyError
from carelink.model.moment import DAY, parse_instant
from carelink.vocabulary import Authority, Certainty, RecipientRole

HEAD = """[pack]
id = "clinic"
jurisdiction = "CN"
version = "2026.1"
valid_from = 2026-01-01
title = { en = "Clinic", zh = "本院" }
"""
RULE = """[[rule]]
id = "CLINIC.CAP"
kind = "frequency_cap"
kind_version = 1
authority = "law"
certainty = "T"
title = { en = "one", zh = "一" }
sources = [{ instrument = "minutes", version = "2026-01-12", article = "3", note = "n" }, { instrument = "i", version = "v" }]
[rule.when]
purposes = ["education", "care.chronic"]
channels = ["sms"]
roles = ["guardian", "self"]
automated = true
[rule.params]
max = 1
window = "P30D"
"""
SMALL = """[[rule]]
id = "CLINIC.SMALL"
kind = "veto"
authority = "hospital"
certainty = "I"
title = { en = "small", zh = "小" }
sources = [{ instrument = "i", version = "v" }]
"""


def read(head=HEAD, *rules):
    return parse_pack("\n".join((head, *(rules or (RULE,)))).encode())


def test_a_whole_pack():
    text = f"{HEAD}\n{RULE}\n{SMALL}".encode()
    pack = parse_pack(text)
    assert (pack.id, pack.jurisdiction, pack.version) == ("clinic", "CN", "2026.1")
    assert (pack.title_en, pack.title_zh) == ("Clinic", "本院")
    assert pack.since == parse_instant("2026-01-01T00:00:00Z")
    assert pack.until == 2**53 - 1
    assert pack.digest == hashlib.sha256(text).hexdigest()
    assert pack.data == text
    cap, small = pack.rules
    assert (cap.id, cap.kind, cap.kind_version) == ("CLINIC.CAP", "frequency_cap", 1)
    assert (cap.authority, cap.certainty) == (Authority.LAW, Certainty.TEXT)
    assert (cap.title_en, cap.title_zh) == ("one", "一")
    assert cap.sources == (
        Source(instrument="minutes", version="2026-01-12", article="3", note="n"),
        Source(instrument="i", version="v"),
    )
    assert cap.when == When(
        purposes=("education", "care.chronic"),
        channels=("sms",),
        roles=(RecipientRole.GUARDIAN, RecipientRole.SELF),
        automated=True,
    )
    assert cap.params == {"max": 1, "window": "P30D"}
    assert (small.kind_version, small.params, small.when) == (1, {}, When())
    assert When().roles == tuple(RecipientRole)
    assert len(repr(pack)) < 400  # neither its rules nor its text


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-01-02", "2026-01-02T00:00:00Z"),
        ("2026-01-02T08:00:00+08:00", "2026-01-02T00:00:00Z"),
        ("2026-01-02T00:00:00.000001Z", "2026-01-02T00:00:00.000001Z"),
        ("1970-01-01", "1970-01-01T00:00:00Z"),
    ],
)
def test_dates(value, instant):
    assert read(HEAD.replace("2026-01-01", value)).since == parse_instant(instant)


def test_kind_versions():
    assert read(HEAD, RULE.replace("kind_version = 1", "kind_version = 1000")).rules[0].kind_version == 1000


def test_an_end():
    assert read(HEAD + "valid_until = 2026-01-02\n").until == parse_instant("2026-01-01T00:00:00Z") + DAY
    assert read(HEAD + "valid_until = 2255-06-05T23:47:34.740991Z\n").until == 2**53 - 1


def without(text, key):
    return "\n".join(line for line in text.splitlines() if not line.startswith(f"{key} ="))


@pytest.mark.parametrize("key", ["id", "jurisdiction", "version", "valid_from", "title"])
def test_what_a_pack_needs(key):
    with pytest.raises(PolicyError, match=key if key != "title" else "title: `en`"):
        read(without(HEAD, key))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('id = "clinic"', 'id = "Clinic"', "`id`"),
        ('id = "clinic"', 'id = "-c"', "`id`"),
        ('id = "clinic"', f'id = "{"c" * 65}"', "`id`"),
        ('id = "clinic"', "id = 7", "`id`"),
        ('version = "2026.1"', 'version = "2026 1"', "`version`"),
        ('version = "2026.1"', f'version = "{"1" * 33}"', "`version`"),
        ('jurisdiction = "CN"', 'jurisdiction = ""', "`jurisdiction`"),
        ("2026-01-01", '"2026-01-01"', "`valid_from`"),
        ("2026-01-01", "2026-01-01T00:00:00", "`valid_from`"),
        ("2026-01-01", "08:00:00", "`valid_from`"),
        ("2026-01-01", "1969-12-31", "`valid_from`"),
        ("2026-01-01", "1969-12-31T23:59:59.999999Z", "`valid_from`"),
        ("2026-01-01", "2255-06-05T23:47:34.740992Z", "`valid_from`"),
        ("2026-01-01", "2255-06-06", "`valid_from`"),
        ("2026-01-01", "9999-12-31T23:59:59Z", "`valid_from`"),
        ("2026-01-01", "0001-01-01T00:00:00+14:00", "`valid_from`"),
        ("2026-01-01", "2026-01-01\nvalid_until = 2026-01-01", "`valid_until`"),
        ("2026-01-01", "2026-01-01\nvalid_until = 2025-12-31", "`valid_until`"),
        ("2026-01-01", "2026-01-01\nvalid_until = 2999-01-01", "`valid_until`"),
        ("2026-01-01", "2026-01-01\nallow = true", r"`pack\.allow`"),
        ('zh = "本院"', 'fr = "c"', r"`title\.fr`"),
        (', zh = "本院"', "", "title: `zh`"),
        ('{ en = "Clinic", zh = "本院" }', '"Clinic"', "`title`"),
    ],
)
def test_malformed_heads(old, new, complaint):
    assert old in HEAD
    with pytest.raises(PolicyError, match=complaint):
        read(HEAD.replace(old, new))


@pytest.mark.parametrize("key", ["id", "kind", "authority", "certainty", "title", "sources"])
def test_what_a_rule_needs(key):
    with pytest.raises(PolicyError, match=key if key != "title" else "title: `en`"):
        read(HEAD, without(SMALL, key))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"CLINIC.CAP"', '"clinic.cap"', "`id`"),
        ('"CLINIC.CAP"', '"C"', "`id`"),
        ('"CLINIC.CAP"', f'"{"C" * 65}"', "`id`"),
        ("kind_version = 1", "kind_version = 0", "`kind_version`"),
        ("kind_version = 1", "kind_version = 1001", "`kind_version`"),
        ("kind_version = 1", "kind_version = true", "`kind_version`"),
        ("kind_version = 1", 'kind_version = "1"', "`kind_version`"),
        ("kind_version = 1", 'effect = "permit"', "`effect` is not known"),
        ('"law"', '"custom"', "`authority`"),
        ('"T"', '"certain"', "`certainty`"),
        ('"T"', "1", "`certainty`"),
        ('{ en = "one", zh = "一" }', '{ en = "one" }', "title: `zh`"),
        ('instrument = "minutes", ', "", "`instrument`"),
        ('version = "2026-01-12", ', "", "`version`"),
        ('article = "3"', "article = 3", "`article`"),
        ('note = "n"', "note = 3", "`note`"),
        ('note = "n"', 'link = "n"', "a source has"),
        ('["education", "care.chronic"]', '["news"]', "unknown purpose"),
        ('["education", "care.chronic"]', "[]", "`purposes`"),
        ('["education", "care.chronic"]', '"education"', "`purposes`"),
        ('["education", "care.chronic"]', "[1]", "`purposes`"),
        ('["education", "care.chronic"]', '["education", 1]', "`purposes`"),
        ('["sms"]', '["pigeon"]', "unknown purpose or channel"),
        ('["sms"]', "[]", "`channels`"),
        ('["guardian", "self"]', '["nurse"]', r"`when\.roles`"),
        ('["guardian", "self"]', "[]", "`roles`"),
        ("automated = true", "automated = 1", r"`when\.automated`"),
        ("automated = true", "sometimes = true", r"`when\.sometimes`"),
        ("automated = true", "plan = 1", r"`when\.plan`"),
        ("automated = true", 'plan = "chronic"', r"`when\.plan`"),
        ("automated = true", 'stages = ["asleep"]', r"`when\.stages`"),
    ],
)
def test_malformed_rules(old, new, complaint):
    assert old in RULE
    with pytest.raises(PolicyError, match=complaint) as caught:
        read(HEAD, RULE.replace(old, new))
    assert "clinic" in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sources = []", "`sources`"),
        ('sources = "minutes"', "`sources`"),
        ('sources = ["minutes"]', "a source has"),
        ("when = 1", "`when`"),
        ("params = 1", "`params`"),
    ],
)
def test_tables_that_are_none(text, complaint):
    with pytest.raises(PolicyError, match=complaint):
        read(HEAD, without(SMALL, text.partition(" ")[0]) + f"\n{text}\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"pack = 1",
        b"x = [",
        b"[pack]\n[other]\n",
        b"a = " + b"[" * 5000,
        b"a = " + b"9" * 5000,
        HEAD.encode() + b"\n[[rules]]\n",
        "[pack]\nid = 'x'".encode("utf-16"),
    ],
)
def test_what_is_no_pack(data):
    with pytest.raises(PolicyError) as caught:
        parse_pack(data)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("rules", ["", "rule = []", "rule = 1", "rule = [1]", "rule = [{}, 1]", "[rule]\nid = 'A'"])
def test_a_pack_has_rules(rules):
    text = f"{rules}\n{HEAD}" if rules.startswith("rule") else f"{HEAD}\n{rules}"
    with pytest.raises(PolicyError, match="no `"):
        parse_pack(text.encode())


def test_a_rule_id_stands_once():
    with pytest.raises(PolicyError, match="twice"):
        read(HEAD, SMALL, SMALL)
    assert len(read(HEAD, SMALL, SMALL.replace("SMALL", "OTHER")).rules) == 2


def test_a_pack_fits_into_an_entry():
    text = f"{HEAD}\n{SMALL}\n#".encode()
    assert parse_pack(text + b"x" * (MAX_PACK - len(text))).id == "clinic"
    with pytest.raises(PolicyError, match="60000 bytes"):
        parse_pack(text + b"x" * (MAX_PACK - len(text) + 1))


def test_the_digest_is_that_of_the_bytes_not_of_their_meaning():
    one, two = f"{HEAD}\n{SMALL}".encode(), f"{HEAD}\n# a word\n{SMALL}".encode()
    assert parse_pack(one).rules == parse_pack(two).rules
    assert parse_pack(one).digest != parse_pack(two).digest


def test_the_two_dates_of_a_rule():
    dated = SMALL.replace('certainty = "I"', 'certainty = "I"\nin_force = 2021-11-01\nencoded = 2026-01-31')
    (rule,) = read(HEAD, dated).rules
    assert (rule.in_force, rule.encoded) == (date(2021, 11, 1), date(2026, 1, 31))
    (bare,) = read(HEAD, SMALL).rules
    assert (bare.in_force, bare.encoded) == (None, None)


@pytest.mark.parametrize("key", ["in_force", "encoded"])
@pytest.mark.parametrize("value", ['"2021-11-01"', "2021-11-01T00:00:00Z", "2021", "12:00:00", "true"])
def test_a_date_of_a_rule_is_a_day(key, value):
    with pytest.raises(PolicyError, match=f"`{key}` is not a date"):
        read(HEAD, SMALL.replace('certainty = "I"', f'certainty = "I"\n{key} = {value}'))
