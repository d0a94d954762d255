"""Small hand-built entries for tests of the log."""

from __future__ import annotations

from hashlib import sha256

import attrs

from carelink.audit.bodies import (
    ConsentGrantedBody,
    ContactChange,
    ContentBody,
    ModeBody,
    PackBody,
    PluginChannel,
    PluginEntry,
    PluginsBody,
    PolicyBody,
    RecoveredBody,
    ReleasedBody,
    SubjectBody,
)
from carelink.audit.decided import DecidedBody
from carelink.audit.entry import Entry, encode_entry, salt_text
from carelink.audit.kinds import ContentAction, ReleaseCause
from carelink.consent.facts import (
    Ask,
    ChannelFact,
    ClockState,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    Known,
    StoreState,
    Touch,
    TouchHistory,
    ZoneFact,
    ZoneFacts,
)  # fmt: skip
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AddressKind,
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    GrantState,
    Mode,
    Purpose,
    RecipientRole,
    Standing,
)  # fmt: skip

T0 = 1_795_500_000_000_000
SECOND = 1_000_000
PACK_TEXT = 'id = "test"\n'
PACK = sha256(PACK_TEXT.encode()).hexdigest()
POLICY = sha256(PACK.encode()).hexdigest()
DIGEST = "ab" * 32


def ref(number: int) -> str:
    return f"{number:032x}"


PATIENT, ADDRESS, GRANT, STAFF = ref(1), ref(2), ref(3), ref(4)


def entry(body, at=T0):
    return Entry(at=at, body=body, salt=salt_text(bytes(16)))


def written(body, index):
    """When such an entry is written: a decision at its own instant, an end that needs a deadline long after it."""
    if isinstance(body, DecidedBody):
        return body.facts.at
    late = isinstance(body, RecoveredBody) or (isinstance(body, ReleasedBody) and body.cause is ReleaseCause.EXPIRED)
    return T0 + 10_000 * SECOND if late else T0 + index


def encoded(bodies):
    """Entries in order; a body may come with the instant of its entry."""
    pairs = [body if isinstance(body, tuple) else (body, written(body, index)) for index, body in enumerate(bodies)]
    return [(index, encode_entry(entry(*pair))) for index, pair in enumerate(pairs)]


def ground():
    """Entries every small log begins with: policy, plugins, mode, content, a patient with contact and grant."""
    channel = PluginChannel(name="outbox", kind=ChannelKind.EMAIL, local=True)
    plugin = PluginEntry(name="builtin", version="1.0", digest=DIGEST, channels=(channel,))
    content = {"template": "refill", "version": 1, "digest": DIGEST}
    return [
        PackBody(id="test", version="1", digest=PACK, toml=PACK_TEXT),
        PolicyBody(digest=POLICY, packs=(PACK,), by=STAFF, approvers=(), loosens=False),
        PluginsBody(digest=DIGEST, plugins=(plugin,)),
        ModeBody(mode=Mode.LIVE, by=STAFF, checks=3),
        ContentBody(
            action=ContentAction.REGISTERED, **content, purposes=("care",), channels=("*",), since=T0 - 5, by=STAFF
        ),
        ContentBody(action=ContentAction.APPROVED, **content, by=STAFF),
        SubjectBody(
            subject=PATIENT,
            standing=Standing.ACTIVE,
            age=AgeBand.ADULT,
            contact=ContactChange(address=ADDRESS, kind=AddressKind.EMAIL, status=ContactStatus.VALID),
        ),
        ConsentGrantedBody(
            grant=GRANT, subject=PATIENT, purposes=("care",), channels=("*",), by=RecipientRole.SELF, since=T0 - 5,
            separate=False, notice="n-1", evidence=DIGEST,
        ),
    ]  # fmt: skip


def facts(at=T0 + 100 * SECOND, touches=(), **changes):
    ask = Ask(
        purpose=Purpose.CARE_MEDICATION, channel="outbox", channel_kind=ChannelKind.EMAIL, template="refill",
        template_version=1,
    )  # fmt: skip
    grant = GrantFact(
        ref=GRANT, scope=Scope(("care",)), state=GrantState.GIVEN, by=RecipientRole.SELF, since=T0 - 5, notice="n-1"
    )
    plain = Facts(
        at=at,
        ask=ask,
        subject=PATIENT,
        recipient=PATIENT,
        role=RecipientRole.SELF,
        address=ADDRESS,
        standing=Known(Standing.ACTIVE),
        recipient_standing=Known(Standing.ACTIVE),
        age=Known(AgeBand.ADULT),
        contact=Known(ContactFact(status=ContactStatus.VALID)),
        guardian=Known(None),
        grants=Known((grant,)),
        stops=Known(()),
        touches=Known(TouchHistory(since=T0 - 1000 * SECOND, items=tuple(touches))),
        content=Known(
            ContentFact(
                status=ContentStatus.APPROVED, purposes=("care",), channels=("*",), digest=DIGEST, approvals=1,
                since=T0 - 5,
            )
        ),
        channel=Known(ChannelFact(local=True, usable=True)),
        zones=Known(
            ZoneFacts(source="tenant", until=T0 * 2, data="tzdata-2026a", candidates=(ZoneFact(((T0, 28800),)),))
        ),
        mode=Known(Mode.LIVE),
        clock=Known(ClockState.TRUSTED),
        store=Known(StoreState.CURRENT),
        keys_available=Known(True),
        vetoes=Known(()),
    )  # fmt: skip
    return attrs.evolve(plain, **changes)


def touch(at):
    return Touch(at, Purpose.CARE_MEDICATION, ChannelKind.EMAIL, "sra")
