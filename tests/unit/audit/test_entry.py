"""The form of entries: frozen bytes, strict reading, closed types."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import attrs
import pytest

from carelink.audit.bodies import ModeBody, PackBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.encoding import encode
from carelink.audit.entry import BODIES, MAX_ENTRY, encode_entry, parse_entry
from carelink.audit.facts_form import facts_from_json, facts_to_json
from carelink.audit.kinds import Kind, ReleaseCause
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Verdict
from carelink.errors import CannotJudgeError, FormatError
from carelink.vocabulary import Effect, Mode

_spec = importlib.util.spec_from_file_location("audit_samples", Path(__file__).parent / "samples.py")
s = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(s)

MODE = (
    b'{"at":1795500000000000,"body":{"by":"00000000000000000000000000000004","checks":3,"mode":"live"},'
    b'"kind":"mode","salt":"AAAAAAAAAAAAAAAAAAAAAA","v":1}'
)
RELEASED = (
    b'{"at":1795500000000000,"body":{"cause":"stopped","request":"00000000000000000000000000000002",'
    b'"reservation":"00000000000000000000000000000001"},"kind":"released","salt":"AAAAAAAAAAAAAAAAAAAAAA","v":1}'
)
FACTS = (
    b'{"address":"00000000000000000000000000000002","age":"18+","ask":{"automated":false,"channel":"outbox",'
    b'"channel_kind":"email","purpose":"care.medication","reply":false,"template":"refill","template_version":1,'
    b'"wait":false},"at":1795500100000000,"channel":{"allow_listed":false,"local":true,"usable":true},'
    b'"clock":"trusted","contact":{"persons":1,"status":"valid"},"content":{"approvals":1,"channels":["*"],"digest":"'
    + b"ab"
    * 32
    + b'","purposes":["care"],"since":1795499999999995,"status":"approved"},"grants":[{"by":"self","notice":"n-1",'
    b'"ref":"00000000000000000000000000000003","scope":{"channels":["*"],"purposes":["care"]},"separate":false,'
    b'"since":1795499999999995,"state":"given"}],"guardian":{},"keys_available":true,"mode":"live",'
    b'"recipient":"00000000000000000000000000000001","recipient_standing":"active","role":"self","standing":"active",'
    b'"stops":[],"store":"current","subject":"00000000000000000000000000000001","touches":{"items":'
    b'[[1795500000000001,"care.medication","email","sra"]],"since":1795499000000000},"vetoes":[],"zones":{"candidates":'
    b'[[[1795500000000000,28800]]],"data":"tzdata-2026a","source":"tenant","until":3591000000000000}}'
)


def test_the_bytes_of_version_1_are_frozen():
    assert encode_entry(s.entry(ModeBody(mode=Mode.LIVE, by=s.STAFF, checks=3))) == MODE
    released = ReleasedBody(reservation=s.ref(1), request=s.ref(2), cause=ReleaseCause.STOPPED)
    assert encode_entry(s.entry(released)) == RELEASED
    assert encode(facts_to_json(s.facts(touches=[s.touch(s.T0 + 1)]))) == FACTS
    assert facts_from_json(json.loads(FACTS)) == s.facts(touches=[s.touch(s.T0 + 1)])


def test_every_kind_has_one_body():
    assert set(BODIES) == {kind.value for kind in Kind}


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"v":1', b'"v":2'), (b'"v":1', b'"v":0'), (b'"kind":"mode"', b'"kind":"mood"')],
)
def test_an_unknown_version_or_kind_cannot_be_judged(old, new):
    with pytest.raises(CannotJudgeError):
        parse_entry(MODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (b'"mode":"live"', b'"mode":"LIVE"', "body.mode"),
        (b'"mode":"live"', b'"mode":1', "body.mode"),
        (b',"mode":"live"', b"", "body.mode"),
        (b'"checks":3', b'"checks":"3"', "body.checks"),
        (b'"checks":3', b'"checks":true', "body.checks"),
        (b'"by":"0', b'"by":"A', "body.by"),
        (b'"mode":"live"', b'"mode":"live","more":1', "body"),
        (b'"at":1795500000000000', b'"at":"now"', "at"),
        (b'"at":1795500000000000,', b"", "entry.at"),
        (b'AA","v"', b'AB","v"', "salt"),
        (b'"v":1', b'"v":true', "v"),
        (b',"v":1', b"", "v"),
        (b'"v":1', b'"v":1,"w":1', "entry"),
        (b'"kind":"mode"', b'"kind":1', "kind"),
    ],
)
def test_a_wrong_field_is_named(old, new, name):
    assert old in MODE
    with pytest.raises(FormatError) as caught:
        parse_entry(MODE.replace(old, new))
    assert f"`{name}`" in caught.value.message


def _places(value, path=()):
    """Every number and truth value in parsed JSON, with the way to it."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*path, key))
    elif isinstance(value, (bool, int)):
        yield path, value


def _changed(value, path, new):
    """The bytes of an entry with one value changed, spelled as an entry is."""
    value = json.loads(json.dumps(value))
    at = value
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _decided(kind):
    """An entry with facts of every sort, and a reason with an instant and a detail."""
    facts = s.facts(touches=[s.touch(s.T0 + 1)])
    made = {"request": s.ref(2), "facts": facts, "policy": s.POLICY, "rules": 3, "effect": Effect.REFUSE, "earliest": s.T0 + 9,
            "reasons": (Verdict(rule="R", effect=Effect.REFUSE, reason=ReasonCode.CAP_EXCEEDED, earliest=s.T0 + 9,
                                detail=(("count", 3),)),)}  # fmt: skip
    body = DecisionBody(decision=s.ref(1), **made) if kind == "decision" else ClaimBody(
        claim=s.ref(1), reservation=s.ref(3), **made)  # fmt: skip
    return encode_entry(s.entry(body))


@pytest.mark.parametrize("kind", ["decision", "claim"])
def test_every_number_is_bounded_and_no_truth_value_is_a_number(kind):
    """Also after the same object was read a moment before: to Python, 1 equals true."""
    ground = [_decided(kind)]
    checked = 0
    for data in ground:
        found = json.loads(data)
        assert parse_entry(_changed(found, ("v",), 1)) == parse_entry(data)
        for path, value in _places(found):
            wrong = [1, 0] if isinstance(value, bool) else [2**53, -(2**53), 10**30, True, False]
            for new in wrong:
                with pytest.raises((FormatError, CannotJudgeError) if path == ("v",) else FormatError):
                    parse_entry(_changed(found, path, new))
                checked += 1
    assert checked > 60


def test_an_unknown_version_with_a_number_too_large_is_no_entry_at_all():
    for old, new in ((b'"v":1', b'"v":2'), (b'"kind":"mode"', b'"kind":"mood"')):
        with pytest.raises(FormatError):
            parse_entry(MODE.replace(old, new).replace(b'"checks":3', b'"checks":9007199254740992'))


def test_an_entry_longer_than_a_bundle_holds_is_rejected():
    text = "x" * MAX_ENTRY
    body = PackBody(id="p", version="1", digest=s.sha256(text.encode()).hexdigest(), toml=text)
    with pytest.raises(FormatError):
        encode_entry(s.entry(body))
    with pytest.raises(FormatError):
        parse_entry(b" " * (MAX_ENTRY + 1))


def test_a_pack_is_bound_to_its_digest():
    with pytest.raises(FormatError):
        encode_entry(s.entry(PackBody(id="p", version="1", digest="0" * 64, toml="x")))


def test_kind_and_body_cannot_disagree():
    assert s.entry(ModeBody(mode=Mode.LIVE, by=s.STAFF)).kind is Kind.MODE
    with pytest.raises(FormatError):
        parse_entry(MODE.replace(b'"kind":"mode"', b'"kind":"pack"'))


def test_exactly_a_permit_has_a_reservation():
    body = DecisionBody(
        decision=s.ref(1), request=s.ref(2), facts=s.facts(), policy=s.POLICY, effect=Effect.PERMIT, rules=1,
        reasons=(), reservation=s.ref(3), expires=s.T0,
    )  # fmt: skip
    assert parse_entry(encode_entry(s.entry(body))).body == body
    for change in ({"reservation": None}, {"expires": None}, {"effect": Effect.REFUSE}):
        with pytest.raises(FormatError):
            encode_entry(s.entry(attrs.evolve(body, **change)))


@pytest.mark.parametrize("salt", ["", "A" * 21, "A" * 23, "A" * 21 + "=", "A" * 21 + "B", "名" * 22])
def test_a_salt_is_128_bits_in_one_spelling(salt):
    with pytest.raises(FormatError):
        encode_entry(attrs.evolve(s.entry(ModeBody(mode=Mode.LIVE, by=s.STAFF)), salt=salt))
