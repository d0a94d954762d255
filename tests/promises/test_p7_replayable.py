"""P7: from the log alone every decision is derived again, bit for bit, and every fact that earlier entries determine is
compared. The log is a real one (`clinic`); the doctored ones are signed again by whoever holds its key.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from carelink.audit.decided import ClaimBody, DecidedBody
from carelink.audit.derive import NOT_DERIVED
from carelink.audit.divergence import DivergenceCode, Summary
from carelink.audit.entry import encode_entry, parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.kinds import Kind
from carelink.audit.replay import Replay, replay
from carelink.audit.verify import verify
from carelink.consent.facts import (
    Ask,
    ChannelFact,
    ClinicianFact,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    StopFact,
    Touch,
)
from carelink.keys.folder import KeyFolder
from carelink.model.scope import Scope
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    Effect,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    ProviderState,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

SOURCE = Path(__file__).resolve().parents[2] / "src"

ALONE = """
import builtins, io, json, sys
from hashlib import sha256

BLOCKED = (
    "carelink.vault", "carelink.stores", "carelink.keys", "carelink.engine", "carelink.app", "carelink.home",
    "carelink.system", "carelink.settings", "carelink.channels", "carelink.packs", "sqlite3", "sqlalchemy", "alembic",
    "cryptography", "tzdata", "zoneinfo", "_zoneinfo", "phonenumbers", "socket", "_socket", "ssl", "urllib.request",
    "http", "asyncio", "secrets", "random",
)


class Wall:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in BLOCKED):
            raise ImportError(f"{name} is walled off")


source, folder = sys.argv[1:]
sys.path.insert(0, source)
sys.meta_path.insert(0, Wall())
for name in [name for name in sys.modules if any(name == b or name.startswith(b + ".") for b in BLOCKED)]:
    del sys.modules[name]

from carelink.audit.divergence import Summary
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import Replay
from carelink.audit.tiles import read_entries

opened = []
real = io.open


def watched(file, *given, **named):
    opened.append(str(file))
    return real(file, *given, **named)


builtins.open = io.open = watched


def read(path):
    try:
        with open(f"{folder}/{path}", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


size = int(read("checkpoint").split(b"\\n")[1])
replay, derived, found = Replay(PolicyJudge(), summary=Summary()), sha256(), []
for index, data in read_entries(read, size):
    body = parse_entry(data).body
    if hasattr(body, "facts"):
        made = replay.judge.decide(body.facts, replay._policy)
        derived.update(repr((index, made)).encode())
    found += replay.feed(index, data)
found += replay.finish()
imported = sorted(name for name in sys.modules if name.split(".")[0] in ("sqlite3", "tzdata", "zoneinfo", "socket"))
print(json.dumps({
    "divergences": [str(each) for each in found], "decisions": replay.summary.decisions,
    "claims": replay.summary.claims, "derived": derived.hexdigest(), "imported": imported,
    "outside": [path for path in opened if not path.startswith(folder)], "exit": replay.summary.exit_code,
}))
"""


def alone(folder, *, python=sys.executable, **environment):
    """Replay a folder in a process of its own that can import and read hardly anything."""
    done = subprocess.run(
        [python, "-I", "-c", ALONE, str(SOURCE), str(folder)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_real_log_replays_from_its_folder_and_nothing_else(clinic):
    """No database, no keys, no network, no zone files, no vault, no channel, no clock; no file but the log's."""
    told = alone(clinic.export)
    assert told["divergences"] == []
    assert told["exit"] == 0
    assert (told["decisions"], told["claims"]) == (54, 7)
    assert told["outside"] == []
    assert told["imported"] == []


def test_the_wall_stands(clinic):
    """A control: with the wall in place, what is blocked cannot be had."""
    for name in ("carelink.vault.personal", "sqlite3", "zoneinfo", "socket", "carelink.stores.logfolder"):
        script = ALONE.partition("from carelink.audit.divergence")[0] + f"\nimport {name}\n"
        done = subprocess.run(
            [sys.executable, "-I", "-c", script, str(SOURCE), str(clinic.export)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "walled off" in done.stderr, name


def test_every_process_derives_the_same(clinic):
    """Whatever the hash seed, the locale, the time zone of the machine."""
    ways = [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Shanghai", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "zh_CN.UTF-8"},
    ]
    assert len({alone(clinic.export, **way)["derived"] for way in ways}) == 1


@pytest.mark.peer
def test_another_python_derives_the_same_bytes(clinic):
    """Another minor version, with nothing installed but attrs."""
    other = os.environ.get("CARELINK_OTHER_PYTHON")
    if not other:
        pytest.skip("CARELINK_OTHER_PYTHON names no interpreter of another version; .ci/run does")
    version = subprocess.run([other, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True,
                             check=True).stdout  # fmt: skip
    assert version.strip() != str(sys.version_info[:2])
    theirs, ours = alone(clinic.export, python=other), alone(clinic.export)
    assert theirs["divergences"] == [] and theirs["exit"] == 0
    assert theirs["derived"] == ours["derived"]


def decided(entries):
    """(index, entry, the policy in force) of each decision and claim."""
    run = Replay(PolicyJudge())
    for index, data in enumerate(entries):
        entry = parse_entry(data)
        if isinstance(entry.body, DecidedBody):
            yield index, entry, run
        run.feed(index, data)


def again(run, body, facts):
    """The body with these facts, decided again under the policy in force."""
    made = run.judge.decide(facts, run._policy)
    return attrs.evolve(
        body, facts=facts, policy=made.policy, effect=made.effect, rules=len(made.verdicts), reasons=made.reasons,
        earliest=made.earliest, notes=made.notes,
    )  # fmt: skip


def test_every_decision_is_derived_bit_for_bit(clinic):
    """The bytes of the entry with what was derived in it are the bytes that were signed."""
    effects = set()
    for index, entry, run in decided(clinic.entries()):
        assert (
            encode_entry(attrs.evolve(entry, body=again(run, entry.body, entry.body.facts))) == clinic.entries()[index]
        )
        effects.add((entry.kind, entry.body.effect))
    assert effects >= {(Kind.DECISION, effect) for effect in Effect} | {(Kind.CLAIM, Effect.PERMIT)}


# -- every fact that earlier entries determine, one at a time -----------------------------------------------------------


def value(name, change):
    """Change the value of a known fact."""
    return lambda facts: attrs.evolve(facts, **{name: Known(change(getattr(facts, name).value))})


def part(name, **changes):
    return value(name, lambda known: attrs.evolve(known, **changes))


def first(name, **changes):
    """Change the first item of a fact that is a list."""

    def change(items):
        found = items if isinstance(items, tuple) else items.items
        made = (attrs.evolve(found[0], **changes), *found[1:])
        return made if isinstance(items, tuple) else attrs.evolve(items, items=made)

    return value(name, change)


def some(name):
    return lambda facts: isinstance(getattr(facts, name), Known) and bool(getattr(facts, name).value)


def touched(facts):
    return isinstance(facts.touches, Known) and bool(facts.touches.value.items)


OTHER = "f" * 32
SCOPE = Scope(("marketing",), ("email",))
GUARDED = some("guardian")
STOPPED = some("stops")
GRANTED = some("grants")

FACTS = {
    "role": (GUARDED, lambda facts: attrs.evolve(facts, role=RecipientRole.SELF)),
    "standing": (None, value("standing", lambda _: Standing.DECEASED)),
    "recipient_standing": (None, value("recipient_standing", lambda _: Standing.DECEASED)),
    "age": (lambda facts: facts.age == Known(AgeBand.ADULT), value("age", lambda _: AgeBand.FROM_8)),
    "contact.status": (some("contact"), part("contact", status=ContactStatus.INVALID)),
    "contact.verified_at": (some("contact"), part("contact", verified_at=7)),
    "contact.persons": (some("contact"), part("contact", persons=9)),
    "contact": (some("contact"), lambda facts: attrs.evolve(facts, address=OTHER)),
    "guardian": (GUARDED, lambda facts: attrs.evolve(facts, guardian=Known(None))),
    "guardian.verified": (GUARDED, part("guardian", verified=False)),
    "guardian.acts": (GUARDED, part("guardian", acts=False)),
    "guardian.scopes": (GUARDED, part("guardian", scopes=(DisclosureScope.RESULTS,))),
    "guardian.since": (GUARDED, part("guardian", since=7)),
    "guardian.until": (GUARDED, part("guardian", until=2**52)),
    "grants": (GRANTED, value("grants", lambda _: ())),
    "grants.state": (GRANTED, first("grants", state=GrantState.REVOKED)),
    "grants.scope": (GRANTED, first("grants", scope=SCOPE)),
    "grants.by": (lambda facts: GRANTED(facts) and not GUARDED(facts), first("grants", by=RecipientRole.GUARDIAN)),
    "grants.since": (GRANTED, first("grants", since=7)),
    "grants.until": (GRANTED, first("grants", until=2**52)),
    "grants.ended_at": (GRANTED, first("grants", ended_at=7)),
    "grants.separate": (GRANTED, first("grants", separate=False)),
    "grants.notice": (GRANTED, first("grants", notice="v2")),
    "stops": (STOPPED, value("stops", lambda _: ())),
    "stops.scope": (STOPPED, first("stops", scope=SCOPE)),
    "stops.source": (STOPPED, first("stops", source=StopSource.COMPLAINT)),
    "stops.since": (STOPPED, first("stops", since=7)),
    "stops.until": (STOPPED, first("stops", until=2**52)),
    "touches": (touched, value("touches", lambda history: attrs.evolve(history, items=()))),
    "touches.at": (touched, lambda facts: first("touches", at=facts.touches.value.items[0].at - 7)(facts)),
    "touches.purpose": (touched, first("touches", purpose=Purpose.RESEARCH_RECRUITMENT)),
    "touches.channel_kind": (touched, first("touches", channel_kind=ChannelKind.CHAT)),
    "touches.binds": (touched, first("touches", binds="s")),
    "touches.reply": (touched, first("touches", reply=True)),
    "content": (None, lambda facts: attrs.evolve(facts, ask=attrs.evolve(facts.ask, template="another"))),
    "content.status": (some("content"), part("content", status=ContentStatus.WITHDRAWN)),
    "content.approvals": (some("content"), part("content", approvals=9)),
    "content.digest": (some("content"), part("content", digest="0" * 64)),
    "content.purposes": (some("content"), part("content", purposes=("*",))),
    "content.channels": (some("content"), part("content", channels=("*",))),
    "content.since": (some("content"), part("content", since=7)),
    "content.until": (some("content"), part("content", until=2**52)),
    "channel.usable": (None, lambda facts: attrs.evolve(facts, ask=attrs.evolve(facts.ask, channel="another"))),
    "channel.local": (None, part("channel", local=False)),
    "content.clinical": (some("content"), part("content", clinical=9)),
    "content.commercial": (some("content"), part("content", commercial=9)),
    "content.ethics": (some("content"), part("content", ethics=9)),
    "content.lapsed": (some("content"), part("content", lapsed=9)),
    "content.number_until": (some("content"), part("content", number_until=7)),
    "content.data": (some("content"), part("content", data=(DataClass.NOTE,))),
    "content.provider": (some("content"), part("content", provider=ProviderState.PENDING)),
    "channel.region": (None, part("channel", region="XX")),
    "channel.agreement_until": (None, part("channel", agreement_until=7)),
    "grants.method": (GRANTED, first("grants", method=GrantMethod.BUNDLED)),
    "grants.age": (GRANTED, first("grants", age=AgeBand.FROM_14)),
    "touches.plan": (touched, first("touches", plan="another")),
    "touches.topic": (touched, first("touches", topic="another")),
    "stage": (None, value("stage", lambda _: LifecycleStage.LOYAL)),
    "clinician": (None, value("clinician", lambda _: ClinicianFact(since=7))),
    "mode": (None, value("mode", lambda _: Mode.LIVE)),
}  # fmt: skip
"""A fact that earlier entries determine: where it can be changed, and how."""


def test_no_fact_was_forgotten():
    """Each field of the facts is compared, or it is told why it cannot be."""
    compared = {name.partition(".")[0] for name in FACTS}
    identity = {"subject", "recipient", "address"}  # changed with what hangs on them: contact, role, grants
    named = {name.partition(".")[0] for name in NOT_DERIVED} - {"absent"}
    assert {field.name for field in attrs.fields(Facts)} == compared | named | identity
    for fact, kind in {
        "contact": ContactFact, "guardian": GuardianFact, "grants": GrantFact, "stops": StopFact, "touches": Touch,
        "content": ContentFact, "channel": ChannelFact,
    }.items():  # fmt: skip
        covered = {name.partition(".")[2] for name in (*FACTS, *NOT_DERIVED) if name.startswith(f"{fact}.")}
        assert {field.name for field in attrs.fields(kind)} <= covered | {"ref", "binds"}, fact


def doctored(clinic, where, change):
    """The log with one decision that was decided on other facts, and the index of it."""
    entries = clinic.entries()
    for index, entry, run in decided(entries):
        facts = entry.body.facts
        if entry.kind is Kind.DECISION and (where is None or where(facts)):
            changed = change(facts)
            assert changed != facts
            body = again(run, entry.body, changed)
            if body.effect is not Effect.PERMIT:
                body = attrs.evolve(body, reservation=None, expires=None, lease=None)
            elif entry.body.effect is not Effect.PERMIT:
                body = attrs.evolve(body, reservation="e" * 32, expires=entry.at + 10**9)
            entries[index] = encode_entry(attrs.evolve(entry, body=body))
            return entries, index
    raise AssertionError("no decision has this fact")


@pytest.mark.parametrize("name", ["stops", "touches.at", "grants.state"])
def test_a_doctored_log_that_its_key_signs_verifies(clinic, tmp_path, name):
    """The control for what follows: only replay can tell these."""
    folder = clinic.signed(doctored(clinic, *FACTS[name])[0], tmp_path)
    report = verify(FolderFetcher(folder), vkey=clinic.key, check_signature=KeyFolder.check_signature)
    assert report.exit_code == 0, report.lines()


@pytest.mark.parametrize("name", FACTS)
def test_a_changed_fact_diverges_however_well_the_log_is_signed(clinic, name):
    """Decided anew on the changed fact, so that the decision follows from it: replay names the fact."""
    entries, index = doctored(clinic, *FACTS[name])
    found = list(replay(enumerate(entries), PolicyJudge()))
    here = {each.field for each in found if each.index == index and each.code is DivergenceCode.FACT}
    wanted = "touches" if name.startswith("touches") else name
    assert f"facts.{wanted}" in here, [str(each) for each in found]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("effect", Effect.DEFER),
        ("rules", 1),
        ("earliest", 7),
        ("policy", "0" * 64),
        ("reasons", ()),
    ],
)
def test_a_changed_result_diverges(clinic, field, changed):
    entries = clinic.entries()
    index, entry, _ = next(
        item for item in decided(entries) if item[1].kind is Kind.DECISION and item[1].body.effect is Effect.REFUSE
    )
    entries[index] = encode_entry(attrs.evolve(entry, body=attrs.evolve(entry.body, **{field: changed})))
    found = list(replay(enumerate(entries), PolicyJudge()))
    assert (DivergenceCode.DECISION, field, index) in [(each.code, each.field, each.index) for each in found]


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Ask)])
def test_a_claim_asks_for_what_was_decided(clinic, field):
    other = {
        "purpose": Purpose.CARE_TREATMENT, "channel": "rec-sms", "channel_kind": ChannelKind.SMS, "template": "other",
        "template_version": 2, "disclosure": DisclosureScope.RESULTS, "automated": True, "reply": True, "wait": True,
        "not_before": 7, "useless_after": 2**52, "plan": "another", "topic": "another", "due_from": 7, "due_until": 2**52,
        "data": (DataClass.NOTE,), "clinician": "9" * 32,
    }  # fmt: skip
    entries = clinic.entries()
    index, entry, _ = next(item for item in decided(entries) if isinstance(item[1].body, ClaimBody))
    ask = attrs.evolve(entry.body.facts.ask, **{field: other[field]})
    body = attrs.evolve(entry.body, facts=attrs.evolve(entry.body.facts, ask=ask))
    entries[index] = encode_entry(attrs.evolve(entry, body=body))
    found = list(replay(enumerate(entries), PolicyJudge()))
    assert (DivergenceCode.REQUEST_MIXED, f"facts.ask.{field}") in [(each.code, each.field) for each in found]


def test_a_decision_at_another_instant_than_its_entry_diverges(clinic):
    entries = clinic.entries()
    index, entry, _ = next(decided(entries))
    entries[index] = encode_entry(attrs.evolve(entry, at=entry.at - 60_000_000))
    found = list(replay(enumerate(entries), PolicyJudge()))
    assert (index, DivergenceCode.TIME) in [(each.index, each.code) for each in found]


DEPENDS = (
    Kind.PACK, Kind.POLICY, Kind.PLUGINS, Kind.CONTENT, Kind.SUBJECT, Kind.MERGED, Kind.CONSENT_GRANTED,
    Kind.CONSENT_ENDED, Kind.SUPPRESSION_ADDED, Kind.DECISION, Kind.CLAIM, Kind.CREDENTIAL,
)  # fmt: skip


@pytest.mark.parametrize("kind", DEPENDS)
def test_an_entry_left_out_before_signing_diverges_where_decisions_depend_on_it(clinic, kind):
    """Not every single one is missed: what nobody relied on afterwards leaves no trace. One of each kind at least is."""
    entries = clinic.entries()
    at = [index for index, data in enumerate(entries) if json.loads(data)["kind"] == kind.value]
    left = ([data for number, data in enumerate(entries) if number != index] for index in at[:40])
    assert any(list(replay(enumerate(log), PolicyJudge())) for log in left), kind


def test_the_summary_says_how_much_was_compared(clinic):
    summary = Summary()
    list(replay(enumerate(clinic.entries()), PolicyJudge(), summary=summary))
    assert summary.absent == {"age": 1}
    assert summary.lines()[-1] == "CONSISTENT"
    assert summary.requests == sum(clinic.states.values())
