"""Content under review: who may approve, whose approval counts at an instant, and that the log alone tells the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from carelink.audit.entry import parse_entry
from carelink.audit.kinds import ContentAction, Kind
from carelink.consent.facts import Absent, Known
from carelink.errors import ConflictError, InvalidInputError, NotFoundError, SelfApprovalError
from carelink.model.moment import DAY, HOUR, to_datetime
from carelink.vocabulary import ContentStatus, DataClass, Effect, ProviderState


@pytest.fixture
def link(world):
    return world.link


def now(world):
    return to_datetime(world.clock.now())


def register(world, name="leaflet", body="Winter and your blood pressure.", **more):
    return world.link.template(name, body, purposes=["care"], channels=["email", "sms"], subject="Winter", **more)


def facts(world, **more):
    """The facts of a send of the leaflet, as recorded."""
    world.link.send(world.ask(world.patient(), template="leaflet", **more))
    return parse_entry(decisions(world)[-1]).body.facts


def content(world, **more):
    return facts(world, **more).content.value


def decisions(world):
    with world.link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    return [data for data in entries if parse_entry(data).kind is Kind.DECISION]


def bodies(world, kind):
    with world.link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    return [body for body in (parse_entry(data).body for data in entries) if body.kind is kind]


def test_the_author_cannot_approve_and_the_attempt_is_an_entry(world, link):
    register(world, author="Dr. Chen")
    with pytest.raises(SelfApprovalError):
        link.approve("leaflet", actor="Dr. Chen", role="commercial")
    last = bodies(world, Kind.CONTENT)[-1]
    assert (last.action, last.by) == (ContentAction.APPROVAL_REFUSED, link.actor("Dr. Chen"))
    assert content(world).approvals == 0
    assert link.approve("leaflet", actor="Dr. Novak") == 1
    assert world.divergences() == []


def test_the_same_person_counts_once_and_in_one_role(world, link):
    register(world)
    assert [link.approve("leaflet", actor="A") for _ in range(2)] == [1, 1]
    with pytest.raises(ConflictError):
        link.approve("leaflet", actor="A", role="commercial")
    assert content(world).approvals == 1


def test_roles_count_apart_and_only_with_a_credential_of_that_role(world, link):
    register(world)
    for actor, role, credential in (
        ("A", "clinical", "clinical"), ("B", "clinical", "commercial"), ("C", "commercial", "commercial"),
        ("D", "ethics", "ethics"), ("E", "clinical", None),
    ):  # fmt: skip
        if credential:
            link.credential(actor, credential, actor="registrar")
        link.approve("leaflet", actor=actor, role=role)
    found = content(world)
    assert (found.approvals, found.clinical, found.commercial, found.ethics, found.lapsed) == (5, 1, 1, 1, 0)
    assert world.divergences() == []


def test_a_lapsed_licence_un_approves_and_a_new_reviewer_makes_it_up(world, link):
    """SCN-15: A, B, C approve; C's licence ends; D's approval takes its place."""
    register(world, quorum=3)
    end = now(world) + timedelta(days=10)
    for actor, until in (("A", None), ("B", None), ("C", end), ("D", None)):
        link.credential(actor, until=until, actor="registrar")
    for actor in ("A", "A", "B"):
        link.approve("leaflet", actor=actor)
    assert content(world).status is ContentStatus.REVIEWED
    link.approve("leaflet", actor="C")
    found = content(world)
    assert (found.status, found.clinical, found.lapsed) == (ContentStatus.APPROVED, 3, 0)
    world.clock.advance(10 * DAY - HOUR)
    assert content(world).clinical == 3
    world.clock.advance(HOUR)  # the first instant after it
    found = content(world)
    assert (found.approvals, found.clinical, found.lapsed) == (3, 2, 1)
    link.approve("leaflet", actor="D")
    found = content(world)
    assert (found.clinical, found.lapsed) == (3, 1)
    assert world.divergences() == []


def test_who_had_no_credential_when_approving_has_none_that_lapsed(world, link):
    register(world)
    link.approve("leaflet", actor="A")
    world.clock.advance(DAY)
    link.credential("A", until=now(world) + timedelta(days=1), actor="registrar")
    assert (content(world).clinical, content(world).lapsed) == (1, 0)
    world.clock.advance(2 * DAY)
    assert (content(world).clinical, content(world).lapsed) == (0, 0)


def test_a_credential_ends_is_renewed_and_a_gap_stays_a_gap(world, link):
    register(world)
    first = link.credential("A", until=now(world) + timedelta(days=2), actor="registrar")
    link.approve("leaflet", actor="A")
    renewed = link.credential("A", until=now(world) + timedelta(days=5), actor="registrar")
    assert (renewed.id, renewed.since) == (first.id, first.since)
    assert link.credential("A", until=now(world) + timedelta(days=5), actor="registrar") == renewed
    world.clock.advance(4 * DAY)
    assert content(world).clinical == 1
    assert link.end_credential("A", actor="registrar") == 1
    assert (content(world).clinical, content(world).lapsed) == (0, 1)
    with pytest.raises(NotFoundError):
        link.end_credential("A", actor="registrar")
    world.clock.advance(DAY)
    again = link.credential("A", actor="registrar")
    assert again.id != first.id
    assert content(world).clinical == 1
    actions = [body.action.value for body in bodies(world, Kind.CREDENTIAL)]
    assert actions == ["registered", "renewed", "ended", "registered"]
    assert world.divergences() == []


@pytest.mark.parametrize(("since", "until"), [(1, 1), (5, 2), (-9, -1), (None, 0)])
def test_a_credential_is_not_over_before_it_begins(world, link, since, until):
    begin = None if since is None else now(world) + timedelta(days=since)
    with pytest.raises(InvalidInputError):
        link.credential("A", since=begin, until=now(world) + timedelta(days=until), actor="registrar")
    assert bodies(world, Kind.CREDENTIAL) == []


def test_a_quorum_gives_the_status_and_the_default_is_one(world, link):
    register(world, quorum=2)
    assert content(world).status is ContentStatus.SCREENED
    link.approve("leaflet", actor="A")
    assert content(world).status is ContentStatus.REVIEWED
    assert link.send(world.ask(world.patient(), template="leaflet")).effect is Effect.REFUSE
    link.approve("leaflet", actor="B")
    assert content(world).status is ContentStatus.APPROVED
    with pytest.raises(ConflictError):
        register(world, quorum=3)
    for wrong in (0, 21):
        with pytest.raises(InvalidInputError):
            register(world, version=2, quorum=wrong)
    assert world.divergences() == []


def test_number_provider_and_data_reach_the_decision(world, link):
    register(world, data=["diagnosis", "appointment"])
    found = content(world)
    assert (found.number_until, found.provider) == (None, None)
    assert found.data == (DataClass.APPOINTMENT, DataClass.DIAGNOSIS)
    end = datetime(2027, 1, 1, tzinfo=UTC)
    link.approval_number("leaflet", number="粤(x)医广【2026】第01-02-003号", until=end, actor="office")
    for state in ("pending", "approved"):
        link.provider_template("leaflet", channel="rec-sms", state=state, provider_id="SMS_7", actor="office")
    found = content(world, channel="sms")
    assert to_datetime(found.number_until) == end
    assert found.provider is ProviderState.APPROVED
    assert content(world).provider is None, "another channel's provider said nothing"
    link.approval_number("leaflet", number="", until=None, actor="office")
    assert content(world).number_until is None
    assert world.divergences() == []
    for wrong in ({"number": "1", "until": None}, {"number": "", "until": end}, {"number": "a\nb", "until": end}):
        with pytest.raises(InvalidInputError):
            link.approval_number("leaflet", actor="office", **wrong)
    for channel, provider_id in (("A", "x"), ("sms", "a:b"), ("sms", "a,b")):
        with pytest.raises(InvalidInputError):
            link.provider_template("leaflet", channel=channel, state="pending", provider_id=provider_id, actor="o")


def test_a_named_clinician_is_known_by_the_credential(world, link):
    register(world)
    assert facts(world).clinician == Known(None)
    unknown = facts(world, clinician="Dr. Weiß")
    assert unknown.clinician is Absent.UNKNOWN
    assert unknown.ask.clinician == link.actor("Dr. Weiß")
    link.credential("Dr. Weiß", "commercial", actor="registrar")
    assert facts(world, clinician="Dr. Weiß").clinician is Absent.UNKNOWN, "a commercial credential is no clinician's"
    until = now(world) + timedelta(days=1)
    row = link.credential("Dr. Weiß", until=until, actor="registrar")
    for _ in range(2):  # valid, then the most recent one though it is over
        found = facts(world, clinician="Dr. Weiß").clinician.value
        assert (found.since, to_datetime(found.until)) == (row.since, until)
        world.clock.advance(2 * DAY)
    assert world.divergences() == []
    text = b"".join(decisions(world))
    assert "Weiß".encode() not in text
    assert b"Wei\\u00df" not in text


def test_a_credential_that_cannot_be_read_permits_nothing(world, link):
    """P2: nobody knows how many approvals count, so the content is UNKNOWN; and so is a clinician."""
    register(world)
    row = link.credential("A", actor="registrar")
    link.approve("leaflet", actor="A")
    assert content(world).clinical == 1
    with link.wiring.store.transaction() as tx:
        tx.put_credential(attrs.evolve(row, since="early"))
    found = facts(world, clinician="A")
    assert (found.content, found.clinician) == (Absent.UNKNOWN, Absent.UNKNOWN)
    assert facts(world).content is Absent.UNKNOWN


def test_replay_misses_a_credential_that_was_left_out(world, link):
    from carelink.audit.judge import PolicyJudge
    from carelink.audit.replay import replay

    register(world)
    link.credential("A", actor="registrar")
    link.approve("leaflet", actor="A")
    facts(world, clinician="A")
    with link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    left = [data for data in entries if parse_entry(data).kind is not Kind.CREDENTIAL]
    found = {each.field for each in replay(enumerate(left), PolicyJudge())}
    assert {"facts.content.clinical", "facts.clinician"} <= found


def test_typed_values_are_checked_before_anything_is_decided(world, link):
    types = {"day": {"type": "date"}, "seat": {"type": "integer", "min": 1, "max": 9}}
    register(world, body="On {day}, seat {seat}.", variables=types)
    before = len(decisions(world))
    for values in ({"day": "根治白内障", "seat": "3"}, {"day": "2026-11-25", "seat": "10"}):
        with pytest.raises(InvalidInputError) as caught:
            link.send(world.ask(world.patient(), template="leaflet", variables=values))
        assert not any(value in str(caught.value) for value in values.values())
    assert len(decisions(world)) == before


def test_each_channel_kind_gets_its_text(world, link):
    register(world, body="Dear reader. {byline}", byline="A, B, D (cardiology)", texts={"sms": "Short. {day}"})
    link.approve("leaflet", actor="A")
    for channel in ("sms", "email"):
        request = world.ask(world.patient(), template="leaflet", channel=channel, variables={"day": "Monday"})
        assert link.send(request).receipt is not None
    assert world.sms.handed[-1].body == "Short. Monday"
    assert world.email.handed[-1].body == "Dear reader. A, B, D (cardiology)"


@pytest.mark.parametrize("field", ["body", "details", "subject", "data"])
def test_what_was_changed_after_approval_is_never_sent(world, link, field):
    """Content hash from review to wire: the text that leaves is the one whose digest was approved."""
    register(world, texts={"sms": "Short."}, citations=["WHO 2025"], data=["appointment"])
    link.approve("leaflet", actor="A")
    with link.wiring.store.transaction() as tx:
        row = tx.templates([("leaflet", 1)])["leaflet", 1]
        other = {"body": "Cured for sure.", "details": row.details.replace("Short", "Cured"), "subject": "Best",
                 "data": (DataClass.NOTE,)}  # fmt: skip
        tx.put_template(attrs.evolve(row, **{field: other[field]}))
    for channel in ("sms", "email"):
        link.send(world.ask(world.patient(), template="leaflet", channel=channel))
    assert (world.sms.handed, world.email.handed) == ([], [])
    causes = [body.cause.value for body in bodies(world, Kind.RELEASED)]
    assert causes == ["content_changed"] * 2


@pytest.mark.parametrize(
    "damage", [{"reviews": ("nonsense",)}, {"reviews": (7,)}, {"providers": ("rec-email:maybe:x",)}]
)
def test_a_row_that_no_version_writes_is_unknown_content(world, link, damage):
    register(world)
    link.approve("leaflet", actor="A")
    with link.wiring.store.transaction() as tx:
        row = tx.templates([("leaflet", 1)])["leaflet", 1]
        tx._held.templates["leaflet", 1] = attrs.evolve(row, **damage)
    assert facts(world).content is Absent.UNKNOWN
