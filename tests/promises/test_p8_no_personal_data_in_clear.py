"""P8: no personal data in clear outside the vault. Canaries go through a whole life; then everything is searched.

The outbox folder is a channel's far end and exempt; it is the control that the canaries went the whole way.
"""

from __future__ import annotations

import base64
import copy
import gzip
import importlib.util
import io
import json
import logging
import pickle
import pprint
import sys
import tempfile
import traceback
import urllib.parse
import zlib
from datetime import date
from pathlib import Path

import attrs
import pytest
from rich.console import Console
from rich.traceback import Traceback

import carelink
from carelink.channels.outbox import OutboxChannel
from carelink.content.template import render
from carelink.engine.ledger import GrantOrder
from carelink.engine.registration import PatientInput
from carelink.errors import CarelinkError, DecryptError, InvalidInputError, StoreError
from carelink.model.moment import DAY, SECOND
from carelink.model.request import Request
from carelink.model.scope import Scope
from carelink.ports.channel import Capabilities, ChannelEvent, ChannelInfo, Prepared, SendResult
from carelink.telemetry import configure, logger
from carelink.testing.world import World
from carelink.vault.personal import Personal, SecretKey
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Effect, Outcome

_spec = importlib.util.spec_from_file_location("canaries", Path(__file__).resolve().parents[1] / "canaries.py")
canaries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(canaries)
CANARIES, found_in, search = canaries.CANARIES, canaries.found_in, canaries.search

IN_THE_OUTBOX = ("chinese name", "name", "email", "phone", "template variable")


@pytest.mark.parametrize("what", CANARIES)
def test_the_search_finds_each_canary_in_each_spelling(what):
    """A control: a search that found nothing would pass everything."""
    text = CANARIES[what]
    plain = text.encode()
    junk = b"\x00junk\xff" * 9
    hidden = [
        plain,
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    ]
    hidden += [base64.b64encode(junk[:lead] + plain + junk) for lead in range(6)]
    hidden += [base64.urlsafe_b64encode(junk[:lead] + text.encode("utf-16-le") + junk) for lead in range(6)]
    hidden += [gzip.compress(junk + plain), zlib.compress(plain + junk), json.dumps({"x": text}).encode()]
    hidden += [urllib.parse.quote(text).encode(), text.upper().encode(), repr({"x": text}).encode()]
    for data in hidden:
        assert what in found_in(junk + data + junk), data
    assert found_in(junk * 100) == set()


# -- a whole life ------------------------------------------------------------------------------------------------------


class Leaky:
    """A badly written channel: whatever it says when it fails, it says about the recipient."""

    capabilities = Capabilities(lookup=True)

    def __init__(self, name, kind, address_kind):
        self.info = ChannelInfo(name=name, kind=kind, address_kind=address_kind, version="1", local=True)
        self.fails = ""

    def prepare(self, message):
        if self.fails == "prepare":
            raise ValueError(f"cannot encode {message.body.reveal('x')} for {message.address.reveal('x')}")
        wire = f"{message.address.reveal('x')} {message.body.reveal('x')}".encode()
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared):
        if self.fails == "send":
            raise ConnectionError(f"550 {prepared.address.reveal('x')}: {prepared.wire.reveal('x')!r}")
        if self.fails == "code":
            return SendResult(outcome=Outcome.REFUSED, code=f"550 {prepared.address.reveal('x')} unknown")
        return SendResult(outcome=Outcome.UNKNOWN, provider_id=CANARIES["provider id"], code="timeout")

    def lookup(self, key, address, since):
        raise LookupError(f"no record of {address.reveal('x')}")


@attrs.define
class Life:
    """What happened, and everything it left: files, log lines, texts shown to somebody."""

    world: World
    root: Path
    texts: list[str] = attrs.field(factory=list)
    errors: list[BaseException] = attrs.field(factory=list)
    outcomes: list[object] = attrs.field(factory=list)

    def show(self, *values):
        """Every text form of a value that ends up in logs, debuggers and reports."""
        for value in values:
            self.texts += [repr(value), str(value), f"{value}", "%s %r".__mod__((value, value)), pprint.pformat(value)]
            out = io.StringIO()
            Console(file=out, width=200).print(value)
            self.texts.append(out.getvalue())

    def fail(self, call, *given, **named):
        """Call what must fail, and keep what it raised."""
        try:
            call(*given, **named)
        except Exception as error:
            self.errors.append(error)
            return
        raise AssertionError("nothing was raised")


def _content(world):
    world.content(
        "visit", "Dear {patient_name}: {note}.", purposes=("care", "marketing"), subject="Visit of {patient_name}"
    )


def _ask(world, patient, key, channel="email", **more):
    return Request(
        key=CANARIES["request key"] + key, patient=patient, purpose="care.appointment", channel=channel,
        template="visit", variables={"note": CANARIES["template variable"]}, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """Import, grant, preview, send, reply, merge, withdraw, export, reopen; with things going wrong on the way."""
    root = tmp_path_factory.mktemp("p8")
    (root / "tmp").mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(root / "tmp"))
    patch.setenv("SQLITE_TMPDIR", str(root / "tmp"))
    patch.setattr(tempfile, "tempdir", None)
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logging.getLogger().addHandler(handler)
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    patch.setattr(sys, "stderr", lines)
    configure(verbose=True)
    outbox = {"folder": str(root / "outbox")}
    channels = (
        Leaky("leaky-email", ChannelKind.EMAIL, AddressKind.EMAIL),
        OutboxChannel(ChannelKind.SMS, outbox),
        OutboxChannel(ChannelKind.EMAIL, outbox),
    )
    world = World(root / "home", sqlite=True, channels=channels)
    made = Life(world, root)
    _live(made, channels[0])
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(before)
    patch.undo()
    made.texts.append(lines.getvalue())
    assert "publication_failed" in lines.getvalue(), "the lines were captured"
    yield made
    made.world.link.close()


def _person(link, name, number, email, phone):
    return link.register(
        identifier=number, name=name, email=email, phone=phone, birth_date=date.fromisoformat(CANARIES["birth date"]),
        system="idcard",
    )  # fmt: skip


def _live(made, leaky):
    world = made.world
    link = world.link
    _content(world)
    patient = _person(link, CANARIES["chinese name"], CANARIES["identity number"], CANARIES["email"],
                      "+86" + CANARIES["phone"])  # fmt: skip
    other = _person(link, CANARIES["name"], CANARIES["medical record number"], "x" + CANARIES["email"], None)
    for who in (patient, other):
        link.grant(who, purposes=["care", "marketing"], channels=["*"], evidence=CANARIES["evidence"], separate=True)
    for call in (link.preview, link.send):
        made.outcomes.append(call(_ask(world, patient, "a")))
    made.outcomes.append(link.send(_ask(world, other, "b")))
    made.outcomes.append(link.send(_ask(world, patient, "c", "sms")))
    for fails in ("", "prepare", "send", "code"):
        leaky.fails = fails
        world.clock.advance(DAY)
        made.outcomes.append(link.send(_ask(world, other, f"l{fails}", "leaky-email")))
    _go_wrong(made, patient)
    world.clock.advance(DAY)
    _kill(made, leaky, other)
    link = world.link
    _replies(made, link)
    link.permit_many([_ask(world, other, "held")])
    link.registration.merge(patient, other)
    link.withdraw(other, purposes=["care"], evidence=CANARIES["evidence"])
    link.stop(other, purposes=["marketing"])
    made.outcomes.append(link.send(_ask(world, other, "late")))
    link.export(made.root / "export", actor=CANARIES["name"])
    link = world.restart()
    made.show(
        link, link.wiring, link.parts, link.safe, link.why(CANARIES["request key"] + "a", actor="test"), made.outcomes
    )
    made.show(
        GrantOrder(patient=other, scope=Scope(("care",)), evidence=CANARIES["evidence"]),
        render("{patient_name}", "{patient_name}", {"patient_name": CANARIES["name"]}),
        PatientInput(
            identifiers=(("mrn", Personal(CANARIES["medical record number"])),), name=Personal(CANARIES["name"])
        ),
        SendResult(outcome=Outcome.ACCEPTED, provider_id=CANARIES["provider id"]),
    )
    made.show(_ask(world, other, "again"), link.find(CANARIES["identity number"], system="idcard"))
    with link.wiring.store.reader() as reader:
        made.show(*reader.patients((patient, other)).values(), reader.contacts((other,)), reader.grants((other,)))
        made.show(reader.sealed("patient", [patient], ("name", "birth_date", "identifiers")))


def _go_wrong(made, patient):
    """Errors of every kind a caller meets, each fed with personal data."""
    world = made.world
    link = world.link
    email, phone = CANARIES["email"], CANARIES["phone"]
    made.fail(link.register, identifier=CANARIES["identity number"] + "\nx", name=CANARIES["name"])
    made.fail(link.register, identifier=CANARIES["identity number"], name=CANARIES["name"] * 300)
    made.fail(
        link.register, identifier=CANARIES["identity number"], name="x", email=f"{email} {email}", zone="No/Where"
    )
    made.fail(link.find, CANARIES["medical record number"] + "?")
    made.fail(link.grant, patient, purposes=[CANARIES["name"]], channels=["email"], evidence=CANARIES["evidence"])
    made.fail(link.grant, patient, purposes=["care"], channels=["email"], evidence="", notice=CANARIES["name"])
    made.fail(link.allow, f"{email} {phone}")
    made.fail(link.why, CANARIES["request key"] + "unheard of", actor="test")
    made.fail(
        link.send, attrs.evolve(_ask(world, patient, "v"), variables={"note": CANARIES["template variable"] * 99})
    )
    made.fail(link.send, attrs.evolve(_ask(world, patient, "v"), variables={CANARIES["template variable"]: "x"}))
    made.fail(link.send, attrs.evolve(_ask(world, patient, "a"), variables={"note": "other " + CANARIES["name"]}))
    made.fail(link.send, attrs.evolve(_ask(world, patient, "n"), template="no-such", channel="no-such"))
    outcomes = link.permit_many(
        [_ask(world, patient, "twice"), attrs.evolve(_ask(world, patient, "twice"), automated=True)]
    )
    outcomes = outcomes[1:] + link.send_many([
        attrs.evolve(_ask(world, patient, "w1"), variables={}),
        attrs.evolve(_ask(world, patient, "w2"), recipient="0" * 32),
    ])  # fmt: skip
    outcomes += link.preview_many([attrs.evolve(_ask(world, patient, "w3"), channel="no-such")])
    outcomes += link.register_many([PatientInput(identifiers=(), name=Personal(CANARIES["name"]))])
    made.errors += [outcome.error for outcome in outcomes]
    made.show(*outcomes)
    made.fail(_ask, world, CANARIES["name"], "x")
    made.fail(_ask, world, patient, "x" * 300)
    made.fail(link.actor, "")
    made.fail(link.export, made.root / "home", actor=CANARIES["name"])
    with link.wiring.store.reader() as reader:
        ((key, envelope),) = reader.sealed("patient", [patient], ("name",)).items()
    made.fail(link.safe.open, patient, "patient", key[0], "birth_date", envelope)
    broken = envelope[:-1] + bytes([envelope[-1] ^ 1])
    made.fail(link.safe.open, patient, "patient", key[0], "name", broken)
    assert isinstance(made.errors[-1], DecryptError)

    def unplugged(*_, **__):
        raise StoreError("the store cannot be written")

    patch = pytest.MonkeyPatch()
    patch.setattr(type(link.wiring.store), "transaction", unplugged)
    made.fail(link.register, identifier=CANARIES["medical record number"] + "2", name=CANARIES["name"])
    made.fail(link.grant, patient, purposes=["care"], channels=["*"], evidence=CANARIES["evidence"])
    made.fail(link.send, _ask(world, patient, "full"))
    patch.undo()
    logger().warning("publication_failed", code="x", name=CANARIES["name"], request="0" * 32)
    logger().info("event", email=email)


def _kill(made, leaky, patient):
    """Die between claim and answer; recovery asks a channel that answers with the address."""

    class Killed(BaseException):
        pass

    def die(prepared):
        raise Killed

    patch = pytest.MonkeyPatch()
    patch.setattr(leaky, "send", die)
    with pytest.raises(Killed):
        made.world.link.send(_ask(made.world, patient, "killed", "leaky-email"))
    patch.undo()
    made.world.restart()
    made.world.clock.advance(6 * SECOND)
    made.show(made.world.link.recover())


def _replies(made, link):
    events = [
        ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(CANARIES["email"]), event_id=CANARIES["event id"],
                     text=Personal(CANARIES["reply text"]), provider_id=CANARIES["provider id"]),
        ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal("x" + CANARIES["email"]), text=Personal("STOP")),
        ChannelEvent(event=DeliveryEvent.DELIVERED, key=CANARIES["request key"], provider_id=CANARIES["provider id"]),
        ChannelEvent(event=DeliveryEvent.BOUNCED_HARD, address=Personal("never." + CANARIES["email"])),
        ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal("not an address " + CANARIES["phone"]),
                     text=Personal("退订")),
    ]  # fmt: skip
    made.show(*events, *link.inbound("leaky-email", events))


def test_the_canaries_went_the_whole_way(life):
    """The control: each of them was handed over, recorded or asked for, and the outbox shows it in clear."""
    handed, _ = search(life.root / "outbox")
    assert set().union(*handed.values()) >= set(IN_THE_OUTBOX)
    assert len(handed) == 3
    effects = [outcome.effect for outcome in life.outcomes]
    assert effects.count(Effect.PERMIT) == 8
    receipts = [o.receipt.outcome for o in life.outcomes if getattr(o, "receipt", None) is not None]
    assert {Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED} <= set(receipts)
    link = life.world.link
    patient = link.find(CANARIES["identity number"], system="idcard")
    with link.wiring.store.reader() as reader:
        ((key, envelope),) = reader.sealed("patient", [patient], ("name",)).items()
        opened = link.safe.open(patient, "patient", key[0], "name", envelope)
    assert opened.reveal("test") == CANARIES["chinese name"], "sealed, and opened where it may be"


def test_no_file_holds_a_canary(life):
    """Database, WAL, key store, key folder, log, export, temporary files: all that lies there, the outbox apart."""
    found, files = search(life.root, leave_out=[life.root / "outbox"])
    assert found == {}
    names = {path.name for path in files}
    assert {"carelink.db", "carelink.db-wal", "keys.db", "checkpoint", "README.md"} <= names
    assert any(path.is_relative_to(life.root / "export" / "tile") for path in files)


def test_no_text_holds_a_canary(life):
    """Representations in five styles, what a console shows, log lines of structlog and of the standard library."""
    assert len(life.texts) > 100
    for text in life.texts:
        assert found_in(text) == set(), text[:400]


def own_frames(error):
    """Frames of carelink's own code in the traceback of an error and of those behind it."""
    source = str(Path(carelink.__file__).parent)
    seen, waiting = [], [error]
    while waiting:
        each = waiting.pop()
        frames = [frame for frame, _ in traceback.walk_tb(each.__traceback__)]
        seen += [frame for frame in frames if frame.f_code.co_filename.startswith(source)]
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
    return seen


def test_no_error_holds_a_canary(life):
    """Text, arguments, notes and whatever stands behind it, of every error a caller met."""
    assert len(life.errors) > 20
    assert {type(error) for error in life.errors} >= {InvalidInputError, DecryptError}
    for error in life.errors:
        told = [error, error.__cause__, error.__context__]
        for each in filter(None, told):
            texts = [repr(each), str(each), repr(each.args), repr(vars(each)), repr(getattr(each, "__notes__", ()))]
            assert found_in("\n".join(texts)) == set(), type(error)
        assert isinstance(error, CarelinkError) or not error.args


def test_no_traceback_with_local_variables_holds_a_canary(life):
    """As rich, pytest and error trackers render it: the locals of carelink's frames. The caller's are the caller's."""
    shown = 0
    for error in life.errors:
        for frame in own_frames(error):
            shown += 1
            assert found_in(pprint.pformat(frame.f_locals)) == set(), (error, frame.f_code.co_qualname)
            for value in frame.f_locals.values():
                assert found_in(repr(value)) == set(), (error, frame.f_code.co_qualname)
    assert shown > 40, "where it happened is still told"


def test_a_traceback_as_rich_renders_it_holds_no_canary(life, tmp_path):
    """One, whole: through a caller that holds nothing itself."""
    script = "def call(link):\n    link.find(PLACE.read_text(), system='idcard')\n"
    (tmp_path / "number").write_text(CANARIES["identity number"] + "0")
    space = {"PLACE": tmp_path / "number"}
    exec(compile(script, str(tmp_path / "caller.py"), "exec"), space)
    out = io.StringIO()
    try:
        space["call"](life.world.link)
    except CarelinkError as error:
        made = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, suppress=[pytest])
        Console(file=out, width=300).print(made)
    assert "find" in out.getvalue()
    assert found_in(out.getvalue()) == set()


# -- the type ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Holder:
    value: Personal


SECRET = b"canary-key-7264-canary-key-7264-"


@pytest.mark.parametrize("value", [Personal(CANARIES["name"]), Personal(CANARIES["phone"].encode()),
                                   Personal(date(1949, 12, 31)), Personal([CANARIES["email"]]), SecretKey(SECRET)])  # fmt: skip
def test_a_personal_value_shows_itself_in_no_text_form(value):
    shown = [
        repr(value),
        str(value),
        f"{value}",
        f"{value!r:>40}",
        format(value, ">40"),
        "%s %r".__mod__((value, value)),
    ]
    shown += [
        repr([value]),
        repr({"a": value}),
        pprint.pformat(value),
        repr(Holder(value)),
        repr(attrs.asdict(Holder(value))),
    ]
    shown += [repr(Exception(value)), str(Exception(value)), "".join(traceback.format_exception(Exception(value)))]
    out = io.StringIO()
    Console(file=out, width=200).print(value, Holder(value), [value])
    shown.append(out.getvalue())
    for name in dir(value):
        part = getattr(value, name, None)
        if not callable(part):
            shown.append(repr(part))
    for text in shown:
        assert found_in(text) == set()
        assert "canary-key" not in text
        assert "1949" not in text


@pytest.mark.parametrize("value", [Personal(CANARIES["name"]), SecretKey(SECRET)])
def test_a_personal_value_cannot_be_taken_apart_or_written_out(value):
    with pytest.raises(TypeError):
        vars(value)
    for how in (
        pickle.dumps, json.dumps, hash, list, len, iter, bytes, sorted, lambda v: v.__getstate__(), lambda v: v + "",
        lambda v: "" + v, lambda v: v[0], lambda v: "x" in v, lambda v: v < copy.copy(v),
        lambda v: json.dumps({"a": [v]}), lambda v: pickle.dumps(Holder(v)), "".join, int,
    ):  # fmt: skip
        with pytest.raises(TypeError):
            how(value)
    for name in ("_value", "value", "__dict__", "_Personal__value"):
        with pytest.raises(AttributeError):
            getattr(value, name)
    with pytest.raises(AttributeError):
        value._value = "other"
    with pytest.raises(AttributeError):
        del value._value
    assert copy.copy(value) is value
    assert copy.deepcopy(value) is value


def test_every_opening_of_a_personal_value_is_an_audit_event():
    seen = []
    watching = True

    def hook(event, args):
        if watching and event == "carelink.reveal":
            seen.append(args)

    sys.addaudithook(hook)
    Personal("x").reveal("render")
    Personal("x").use(len)
    watching = False
    assert seen == [("render",), ("use",)]


def test_an_operators_line_drops_what_it_does_not_know(capsys):
    configure(verbose=True)
    logger().warning("publication_failed", code="store.failed", lag=3, name=CANARIES["name"])
    shown = capsys.readouterr().err
    assert "publication_failed" in shown
    assert "store.failed" in shown
    assert found_in(shown) == set()
