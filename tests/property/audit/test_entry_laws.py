"""Laws of entries: encode and parse are inverse, mutants are rejected, nothing personal passes (P8)."""

from __future__ import annotations

import json
import typing
from enum import Enum
from hashlib import sha256

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelink.audit.bodies import ContentBody, PackBody
from carelink.audit.decided import DecidedBody
from carelink.audit.encoding import MAX_INTEGER, encode
from carelink.audit.entry import BODIES, Entry, encode_entry, parse_entry, salt_text
from carelink.audit.facts_form import facts_from_json, facts_to_json
from carelink.audit.kinds import ContentAction
from carelink.audit.schema import Form
from carelink.consent.facts import (
    Absent,
    Ask,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    ScreeningFact,
    StopFact,
    StoreState,
    Touch,
    TouchHistory,
    VetoFact,
    ZoneFact,
    ZoneFacts,
    touch_marks,
)  # fmt: skip
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Note, Verdict
from carelink.errors import CarelinkError, FormatError
from carelink.model.scope import EVERY_PLAN, Scope
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
)  # fmt: skip

pytestmark = pytest.mark.property

HEX = "0123456789abcdef"
REFS = st.text(HEX, min_size=32, max_size=32)
DIGESTS = st.text(HEX, min_size=64, max_size=64)
INSTANTS = st.integers(-MAX_INTEGER, MAX_INTEGER)
SMALL = st.integers(0, 9)
NAMES = st.from_regex(r"[a-z][a-z_.-]{0,20}", fullmatch=True)
PLANS = st.sampled_from(["recheck-year", "walk-21"])
SCOPES = st.builds(
    Scope,
    st.lists(st.sampled_from(["*", *Purpose, "care", "marketing"]).map(str), max_size=3),
    st.lists(st.sampled_from(["*", *ChannelKind]).map(str), max_size=3),
    st.just(EVERY_PLAN) | st.lists(PLANS, min_size=1, max_size=2),
)


CLASSES = st.sets(st.sampled_from(DataClass), max_size=2).map(lambda found: tuple(sorted(found)))


def maybe(strategy):
    return st.none() | strategy


def fact(strategy):
    return st.sampled_from(Absent) | strategy.map(Known)


def ordered(strategy, key):
    return st.lists(strategy, max_size=4, unique_by=key).map(lambda found: tuple(sorted(found, key=key)))


TOUCHES = st.builds(
    Touch, INSTANTS, st.sampled_from(Purpose), st.sampled_from(ChannelKind),
    st.sampled_from(["s", "r", "a", "sr", "sa", "ra", "sra"]), st.booleans(),
    st.just("") | PLANS, st.just("") | PLANS,
)  # fmt: skip
FACTS = st.builds(
    Facts,
    at=INSTANTS,
    ask=st.builds(
        Ask, purpose=st.sampled_from(Purpose), channel=NAMES, channel_kind=st.sampled_from(ChannelKind), template=NAMES,
        template_version=SMALL, disclosure=maybe(st.sampled_from(DisclosureScope)), automated=st.booleans(),
        reply=st.booleans(), wait=st.booleans(), not_before=maybe(INSTANTS), useless_after=maybe(INSTANTS),
        plan=st.just("") | PLANS, topic=st.just("") | PLANS, due_from=maybe(INSTANTS), due_until=maybe(INSTANTS),
        data=CLASSES, clinician=st.just("") | REFS,
    ),
    subject=REFS,
    recipient=REFS,
    role=st.sampled_from(RecipientRole),
    address=maybe(REFS),
    standing=fact(st.sampled_from(Standing)),
    recipient_standing=fact(st.sampled_from(Standing)),
    age=fact(st.sampled_from(AgeBand)),
    contact=fact(
        st.builds(ContactFact, status=st.sampled_from(ContactStatus), verified_at=maybe(INSTANTS), persons=SMALL)
    ),
    guardian=fact(
        maybe(
            st.builds(
                GuardianFact, verified=st.booleans(), acts=st.booleans(),
                scopes=st.lists(st.sampled_from(DisclosureScope), max_size=3).map(tuple), since=INSTANTS,
                until=maybe(INSTANTS),
            )
        )
    ),
    grants=fact(
        ordered(
            st.builds(
                GrantFact, ref=REFS, scope=SCOPES, state=st.sampled_from(GrantState), by=st.sampled_from(RecipientRole),
                since=INSTANTS, until=maybe(INSTANTS), ended_at=maybe(INSTANTS), separate=st.booleans(),
                notice=st.just("") | NAMES,
                method=st.sampled_from(GrantMethod), age=maybe(st.sampled_from(AgeBand)),
            ),
            lambda grant: grant.ref,
        )
    ),
    stops=fact(
        ordered(
            st.builds(
                StopFact, ref=REFS, binds=st.sampled_from(["subject", "recipient", "address"]), scope=SCOPES,
                source=st.sampled_from(StopSource), since=INSTANTS, until=maybe(INSTANTS),
            ),
            lambda stop: (stop.ref, stop.binds),
        )
    ),
    touches=fact(
        st.builds(
            TouchHistory, since=INSTANTS,
            items=st.lists(TOUCHES, max_size=4).map(lambda found: tuple(
                sorted(found, key=lambda t: (t.at, t.purpose, t.channel_kind, t.binds, touch_marks(t))))),
        )
    ),
    content=fact(
        st.builds(
            ContentFact, status=st.sampled_from(ContentStatus), purposes=SCOPES.map(lambda scope: scope.purposes),
            channels=SCOPES.map(lambda scope: scope.channels), digest=DIGESTS, approvals=SMALL, since=INSTANTS,
            until=maybe(INSTANTS), clinical=SMALL, commercial=SMALL, ethics=SMALL, lapsed=SMALL,
            number_until=maybe(INSTANTS), data=CLASSES, provider=maybe(st.sampled_from(ProviderState)),
        )
    ),
    channel=fact(
        st.builds(ChannelFact, local=st.booleans(), usable=st.booleans(), allow_listed=st.booleans(),
                  region=st.sampled_from(["", "CN", "US"]), agreement_until=maybe(INSTANTS))
    ),
    zones=fact(
        st.builds(
            ZoneFacts, source=st.sampled_from(["patient", "address", "tenant"]), until=INSTANTS, data=NAMES,
            candidates=st.lists(
                st.dictionaries(INSTANTS, st.integers(-50_000, 50_000), max_size=3)
                .map(lambda found: ZoneFact(tuple(sorted(found.items())))), max_size=2,
            ).map(tuple),
        )
    ),
    mode=fact(st.sampled_from(Mode)),
    clock=fact(st.sampled_from(ClockState)),
    store=fact(st.sampled_from(StoreState)),
    keys_available=fact(st.booleans()),
    vetoes=fact(st.lists(st.builds(VetoFact, NAMES, NAMES), max_size=2).map(tuple)),
    stage=fact(maybe(st.sampled_from(LifecycleStage))),
    clinician=fact(maybe(st.builds(ClinicianFact, since=INSTANTS, until=maybe(INSTANTS)))),
    screening=fact(maybe(st.builds(
        ScreeningFact, lists=DIGESTS,
        findings=st.sets(st.tuples(NAMES, st.sampled_from(["refuse", "hold"])), max_size=2).map(lambda s: tuple(sorted(s))),
        marks=st.sets(NAMES, max_size=2).map(lambda found: tuple(sorted(found))),
    ))),
    calendars=fact(ordered(
        st.builds(CalendarFact, id=st.sampled_from(["CN", "US"]), first=SMALL, days=st.text("wr", min_size=1, max_size=9), data=NAMES),
        lambda calendar: calendar.id,
    )),
)  # fmt: skip

VERDICTS = st.builds(
    Verdict, rule=NAMES, effect=st.sampled_from([Effect.DEFER, Effect.REFUSE]), reason=st.sampled_from(ReasonCode),
    earliest=maybe(INSTANTS),
    detail=st.dictionaries(NAMES, SMALL, max_size=2).map(lambda found: tuple(sorted(found.items()))),
)  # fmt: skip
BY_NAME = {
    "facts": FACTS,
    "reasons": st.lists(VERDICTS, max_size=2).map(tuple),
    "notes": st.lists(st.builds(Note, rule=NAMES, code=NAMES), max_size=2).map(tuple),
    "form": st.just("carelink-log/1"),
    "by_role": st.sampled_from(RecipientRole),
    "state": st.sampled_from(["", "sent", "delivered"]),
    "purposes": SCOPES.map(lambda scope: scope.purposes),
    "channels": SCOPES.map(lambda scope: scope.channels),
    "plans": SCOPES.map(lambda scope: () if scope.plans == EVERY_PLAN else scope.plans),
    "packs": st.lists(DIGESTS, max_size=2).map(tuple),
}
DIGEST_NAMES = {"digest", "evidence", "policy", "content", "wire", "provider", "successor", "root"}
NAME_NAMES = {
    "origin", "log_key", "id", "version", "name", "template", "channel", "notice", "detail", "source", "what", "key",
    "reason",
}  # fmt: skip


def of_type(annotation, name):  # noqa: PLR0911
    """A strategy for a field of a form, by its annotation."""
    arguments = [item for item in typing.get_args(annotation) if item is not type(None) and item is not Ellipsis]
    if type(None) in typing.get_args(annotation):
        return maybe(of_type(arguments[0] if len(arguments) == 1 else annotation, name))
    if typing.get_origin(annotation) is tuple:
        if name in BY_NAME and not (isinstance(arguments[0], type) and issubclass(arguments[0], Form)):
            return BY_NAME[name]
        singular = "code" if name in {"actions", "kept"} else name
        return st.lists(of_type(arguments[0], singular), max_size=2).map(tuple)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return forms(annotation)
    if annotation is bool:
        return st.booleans()
    if annotation is int or getattr(annotation, "__supertype__", None) is int:
        return INSTANTS
    if name in BY_NAME:
        return BY_NAME[name]
    if name in DIGEST_NAMES:
        return DIGESTS
    return NAMES if name in {*NAME_NAMES, "code"} else REFS


_OF_ACTION = {
    "registered": ("purposes", "channels", "since", "until", "quorum", "data"),
    "approved": ("role", "at"),
    "approval_refused": ("role",),
    "numbered": ("number", "number_until"),
    "provider": ("channel", "state"),
    "screened": ("lists", "findings"),
}


def contents(**fields):
    """Content entries whose action says what belongs to it: nearly none drawn at random does."""

    def of_action(action):
        left_out = {name for names in _OF_ACTION.values() for name in names} - set(_OF_ACTION.get(action.value, ()))
        kept = {name: each for name, each in fields.items() if name not in left_out}
        kept = {name: each.filter(lambda found: found is not None) for name, each in kept.items()}
        return st.builds(ContentBody, **{**kept, "action": st.just(action)})

    return st.sampled_from(ContentAction).flatmap(of_action)


def forms(form):
    hints = typing.get_type_hints(form)
    special = {"purpose": NAMES, "by": st.sampled_from(["lookup", "deadline"])}
    fields = {
        a.name: special[a.name]
        if a.name in special and hints[a.name] is str and (a.name == "purpose" or form.__name__ == "RecoveredBody")
        else of_type(hints[a.name], a.name)
        for a in attrs.fields(form)
    }
    if form.__name__ in {"GenesisBody", "WitnessBody"}:
        fields["name" if form.__name__ == "WitnessBody" else "origin"] = NAMES
    if form is ContentBody:
        fields["purposes"] = fields["channels"] = st.just(("*",))
        fields["number"] = fields["lists"] = DIGESTS
        fields["findings"] = st.sets(st.tuples(NAMES, NAMES), max_size=2).map(lambda found: tuple(sorted(found)))
        return contents(**fields)
    return st.builds(form, **fields)


def packs():
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    return texts.map(lambda text: PackBody(id="p", version="1", digest=sha256(text.encode()).hexdigest(), toml=text))


def writable(body):
    try:
        body.write()
    except FormatError:
        return False
    return True


BODIES_OF = (
    st.sampled_from(sorted(BODIES))
    .flatmap(lambda kind: packs() if kind == "pack" else forms(BODIES[kind]))
    .filter(writable)
)
ENTRIES = st.builds(Entry, at=INSTANTS, body=BODIES_OF, salt=st.binary(min_size=16, max_size=16).map(salt_text))


@given(FACTS)
def test_facts_from_json_is_the_inverse_of_facts_to_json(facts):
    assert facts_from_json(json.loads(encode(facts_to_json(facts)))) == facts


@given(ENTRIES)
def test_parse_is_the_inverse_of_encode(entry):
    data = encode_entry(entry)
    assert parse_entry(data) == entry
    assert encode_entry(parse_entry(data)) == data


@pytest.mark.parametrize("kind", sorted(set(BODIES) - {"pack"}))
@settings(max_examples=5)
@given(data=st.data())
def test_every_kind_reads_back(kind, data):
    entry = Entry(at=1, body=data.draw(forms(BODIES[kind]).filter(writable)), salt=salt_text(bytes(16)))
    assert entry.kind.value == kind
    assert parse_entry(encode_entry(entry)) == entry


@given(ENTRIES, st.data())
def test_a_changed_byte_is_rejected_or_gives_another_entry(entry, data):
    raw = bytearray(encode_entry(entry))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255).filter(lambda value: value != raw[place]))
    try:
        found = parse_entry(bytes(raw))
    except CarelinkError:
        return
    assert found != entry
    assert encode_entry(found) == bytes(raw)


def leaves(value, path=()):
    """Paths of every value in a JSON tree."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
            yield (*path, key)


def put(value, path, leaf):
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = leaf


PERSONAL = [
    "张伟", "李娜 女士", "+8613800138000", "13800138000", "138-0013-8000", "010-8888 8888", "zhang@example.invalid",
    "11010519491231002X", "Zhang Wei", "O'Brien", "6222020200112233445", "patient asked to be called at home",
]  # fmt: skip


@given(ENTRIES, st.data())
def test_nothing_personal_can_be_read_from_or_written_to_any_field(entry, data):
    tree = json.loads(encode_entry(entry))
    paths = [path for path in leaves(tree["body"]) if path not in {("toml",), ("origin",), ("log_key",)}]
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    put(tree["body"], path, data.draw(st.sampled_from(PERSONAL)))
    with pytest.raises(FormatError):
        parse_entry(encode(tree))


@given(BODIES_OF, st.data())
def test_a_text_field_cannot_be_written_with_anything_personal(body, data):
    texts = [a.name for a in attrs.fields(type(body)) if isinstance(getattr(body, a.name), str)]
    texts = [name for name in texts if name not in {"toml", "origin", "log_key"}]
    if not texts:
        return
    name = data.draw(st.sampled_from(texts))
    personal = data.draw(st.sampled_from(PERSONAL))
    with pytest.raises(FormatError) as caught:
        encode_entry(Entry(at=1, body=attrs.evolve(body, **{name: personal}), salt=salt_text(bytes(16))))
    assert personal not in str(caught.value)


@given(FACTS, st.data())
def test_a_text_in_the_facts_cannot_be_anything_personal(facts, data):
    personal = data.draw(st.sampled_from(PERSONAL))
    changes = [{"subject": personal}, {"recipient": personal}, {"address": personal}]
    changes += [{"ask": attrs.evolve(facts.ask, **{name: personal})} for name in ("template", "channel")]
    changes.append({"vetoes": Known((VetoFact(personal, "x"),))})
    changes.append({"vetoes": Known((VetoFact("x", personal),))})
    with pytest.raises(FormatError):
        facts_to_json(attrs.evolve(facts, **data.draw(st.sampled_from(changes))))


def test_decided_bodies_are_among_the_generated():
    assert sum(issubclass(form, DecidedBody) for form in BODIES.values()) == 2
