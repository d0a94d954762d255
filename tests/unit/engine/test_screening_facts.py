"""Screening before each decision: the rendered text is what is screened, and no list means no permit."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from carelink.audit.entry import parse_entry
from carelink.audit.kinds import ContentAction, Kind
from carelink.consent.facts import Absent, Known
from carelink.content.screening.marks import marks_in
from carelink.engine import screener as screener_module
from carelink.engine.screener import Screener, lists_digest
from carelink.errors import PolicyError
from carelink.packs.screening_lists import default_lists, screening_lists
from carelink.vocabulary import ContentStatus, Effect


def entries(world, kind):
    with world.link.wiring.store.reader() as reader:
        found = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body for body in found if body.kind is kind]


def screened(world, **more):
    world.link.send(world.ask(world.patient(consent=("care", "marketing")), template="leaflet", **more))
    return entries(world, Kind.DECISION)[-1].facts.screening


def register(world, body, **more):
    world.link.template("leaflet", body, purposes=["care", "marketing"], channels=["email", "sms"], **more)
    world.link.approve("leaflet", actor="A")


def test_a_variable_cannot_bring_in_a_claim(world):
    """The template is harmless; the value is not, whole, disguised or split over two places."""
    register(world, "关于您的复查:{note}{more}")
    clean = {"note": "请按时", "more": "到院"}
    assert screened(world, variables=clean).value.findings == ()
    for values in (
        {"note": "根治", "more": "白内障"},
        {"note": "根·治", "more": "好"},
        {"note": "白内障根", "more": "治"},
    ):
        found = screened(world, variables=values, purpose="marketing.service").value
        assert ("efficacy", "refuse") in found.findings, values
        assert ("efficacy", "hold") in screened(world, variables=values).value.findings
    assert world.divergences() == []


def test_the_facts_name_lists_findings_and_marks(world):
    register(world, "【示例医院】{patient_name},百分百满意。回T退订")
    found = screened(world, purpose="marketing.service", channel="sms").value
    assert found.lists == lists_digest(default_lists())
    assert ("absolute", "refuse") in found.findings
    assert found.marks == ("identity", "opt_out")


def test_the_patients_name_is_not_screened_and_is_in_no_entry(world):
    register(world, "{patient_name},请复查。")
    patient = world.link.register(identifier="N-1", name="根治", phone="+8613800000009")
    world.link.grant(patient, purposes=["care"], channels=["sms"], evidence="x", separate=True)
    world.link.send(world.ask(patient, template="leaflet", channel="sms"))
    assert entries(world, Kind.DECISION)[-1].facts.screening.value.findings == ()


def _broken():
    raise PolicyError("a word list is malformed")


def test_without_lists_nothing_is_permitted(world):
    """P2, and when the lists are there again, so are the permits."""
    load = world.link.parts.screener.load
    world.link.parts.screener = Screener(_broken)
    register(world, "Please come.")
    assert [body.action for body in entries(world, Kind.CONTENT)][-2:] == [
        ContentAction.REGISTERED, ContentAction.APPROVED,
    ]  # fmt: skip
    assert screened(world) is Absent.UNKNOWN
    outcome = world.link.send(world.ask(world.patient(), template="leaflet"))
    assert outcome.effect is Effect.REFUSE
    assert world.email.handed == []
    world.link.parts.screener = Screener(load)
    assert isinstance(screened(world), Known)
    assert world.link.send(world.ask(world.patient(), template="leaflet")).effect is Effect.PERMIT


def test_a_text_that_cannot_be_screened_is_unknown(world, monkeypatch):
    def fails(*_args, **_more):
        raise RecursionError

    register(world, "Please come.")
    monkeypatch.setattr(screener_module, "screen_rendered", fails)
    assert screened(world) is Absent.UNKNOWN


def test_a_text_without_values_is_screened_once_and_one_with_values_once_a_chunk(world, monkeypatch):
    calls = []
    real = screener_module.screen_rendered

    def counted(*args, **more):
        calls.append(args)
        return real(*args, **more)

    register(world, "Please come, {patient_name}.")
    world.link.template("dated", "Please come on {day}.", purposes=["care"], channels=["email"])
    world.link.approve("dated", actor="A")
    monkeypatch.setattr(screener_module, "screen_rendered", counted)
    for _ in range(2):
        world.link.send_many([world.ask(world.patient(), template="leaflet") for _ in range(5)])
    assert len(calls) == 1
    calls.clear()
    for _ in range(2):
        asked = [world.ask(world.patient(), template="dated", variables={"day": day}) for day in ("A", "B", "A", "A")]
        world.link.send_many(asked)
    assert len(calls) == 4


def test_texts_of_many_are_screened_before_anything_is_locked(world, monkeypatch):
    """A long text with values of its own for each patient must not hold the locks, and with them every stop."""
    link, places = world.link, []
    real, locked = screener_module.screen_rendered, [False]
    transaction = type(link.wiring.store).transaction

    @contextmanager
    def watched(store):
        with transaction(store) as tx:
            locked[0] = True
            try:
                yield tx
            finally:
                locked[0] = False

    def screen(*args, **more):
        places.append(locked[0])
        return real(*args, **more)

    link.template("dated", "Please come on {day}.", purposes=["care"], channels=["email"])
    link.approve("dated", actor="A")
    monkeypatch.setattr(type(link.wiring.store), "transaction", watched)
    monkeypatch.setattr(screener_module, "screen_rendered", screen)
    asked = [world.ask(world.patient(), template="dated", variables={"day": f"day {n}"}) for n in range(4)]
    assert [item.effect for item in link.permit_many(asked)] == [Effect.PERMIT] * 4
    assert places == [False] * 4
    assert all(item.receipt is not None for item in link.send_many(asked))
    assert len(places) > len(asked)
    assert not any(places)


def test_lists_that_cannot_be_had_are_asked_for_once_a_chunk(world):
    tries = []

    def broken():
        tries.append(1)
        raise OSError

    register(world, "Please come.")
    world.link.parts.screener = Screener(broken)
    found = world.link.send_many([world.ask(world.patient(), template="leaflet") for _ in range(5)])
    assert {item.effect for item in found} == {Effect.REFUSE}
    assert len(tries) == 1


def test_a_valid_clinician_turns_advice_into_a_note(world):
    body = "请立即停药,并加倍服用。"
    register(world, body)
    world.link.credential("Dr. Chen", actor="registrar")
    held = screened(world).value.findings
    noted = screened(world, clinician="Dr. Chen").value.findings
    assert ("clinical_advice", "hold") in held
    assert ("clinical_advice", "annotate") in noted
    assert ("clinical_advice", "hold") not in noted


def test_the_templates_own_text_is_screened_when_it_is_registered(world):
    world.link.template(
        "own", "根治白内障 {day}", purposes=["marketing"], channels=["sms"], variables={"day": {"type": "date"}}
    )
    body = entries(world, Kind.CONTENT)[-1]
    assert (body.action, body.lists) == (ContentAction.SCREENED, lists_digest(default_lists()))
    assert ("efficacy", "refuse") in body.findings
    with world.link.wiring.store.reader() as reader:
        row = reader.templates([("own", 1)])["own", 1]
    assert (row.status, row.screened) == (ContentStatus.SCREENED, body.lists)
    assert world.divergences() == []


def test_a_hospitals_own_list_is_used_beside_the_bundled_ones(tmp_path):
    own = tmp_path / "own.toml"
    own.write_bytes(OWN.encode())
    both = screening_lists((own,))
    assert {each.id for each in both.versions} == {each.id for each in default_lists().versions} | {"own"}
    assert lists_digest(both) != lists_digest(default_lists())
    assert screening_lists(()) is default_lists()
    own.write_bytes(b"nonsense")
    with pytest.raises(PolicyError):
        screening_lists((own,))


OWN = """
[list]
id = "own"
version = "1"
[list.title]
en = "Own"
zh = "自有"
[source.house]
instrument = "house style"
version = "2026-01-01"
article = "1"
certainty = "I"
"""


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("【示例医院】您好", {"identity"}), ("Example Clinic writes", {"identity"}), ("您好", set()),
        ("（AD）新品", {"adv_label"}), ("[广告] x", {"adv_label"}), ("AD: x", {"adv_label"}), ("add more", set()),
        ("广告审查 x", set()), ("拒收请回复R", {"opt_out"}), ("To unsubscribe, reply STOP", {"opt_out"}), ("stop by", set()),
        ("地址:x", {"postal_address"}), ("北京市海淀区中关村大街27号", {"postal_address"}), ("海淀区学院路30号", {"postal_address"}),
        ("221 Baker Street", {"postal_address"}), ("P.O. Box 7", {"postal_address"}), ("3 days on the street", set()),
        ("粤(x)医广【2026】第01-02-003号", {"approval_number"}),
    ],
)  # fmt: skip
def test_marks_are_what_looks_like_one(text, marks):
    assert set(marks_in({"body": text})) == marks


def test_where_there_is_a_number_only_this_one_counts():
    text = {"subject": "x", "body": "粤(x)医广【2026】第01-02-003号"}
    assert marks_in(text, number="粤(x)医广【2026】第01-02-003号") == ("approval_number",)
    assert marks_in(text, number="粤(x)医广【2026】第01-02-004号") == ()
