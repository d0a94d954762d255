"""Sets a story up: a `CareLink` in memory on a virtual clock, recording channels, and made-up people with made-up
addresses that reach nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import count
from typing import Any, Final

import attrs

from carelink.app import CareLink
from carelink.engine.ledger import GrantOrder
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import InvalidInputError
from carelink.home import in_memory
from carelink.model.ids import PatientId, RelatedId
from carelink.model.moment import Instant, to_datetime
from carelink.model.scope import ANY, EVERY_PLAN, Scope
from carelink.scenario.moments import day_of, moment
from carelink.scenario.reader import Story
from carelink.testing.fakes import FakeClock, RecordingChannel, SeededEntropy
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ChannelKind,
    ContactStatus,
    DisclosureScope,
    GrantMethod,
    LifecycleStage,
    Mode,
    RecipientRole,
    Relation,
)

__all__ = ["Person", "Play"]

_AREAS: Final = (212, 213, 302, 305, 312, 404, 415, 503, 602, 617, 702, 713, 801, 808, 907)
"""Area codes before the numbers 555-0100 to 555-0199, which are set aside for invented people (ADR 0014)."""
_ADDRESS: Final = {ChannelKind.SMS: "phone", ChannelKind.TASK: "phone", ChannelKind.EMAIL: "email",
                   ChannelKind.CHAT: "chat"}  # fmt: skip
_LATENCY: Final = 100


@attrs.define
class Person:
    """A patient of the story, or (with `patient`) a relative of one."""

    label: str
    id: PatientId
    addresses: dict[AddressKind, str]
    related: RelatedId | None = None
    relatives: dict[str, Person] = attrs.field(factory=dict)
    given: dict[str, Any] = attrs.field(factory=dict)


class Play:
    """A story while it is played.

    Attributes:
        link, clock, channels: the real path, its clock, and the far ends by name.
        people, groups: by label.
        contents: the tables of registered content, by name and version.
        personal: names and addresses that must stand nowhere in the log.
    """

    def __init__(self, story: Story) -> None:
        self.story, self.zone = story, story.zone
        self.clock = FakeClock(story.start)
        self._number = count()
        self.people: dict[str, Person] = {}
        self.groups: dict[str, list[str]] = defaultdict(list)
        self.contents: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.personal: list[str] = []
        self.channels = {one.info.name: one for one in self._channels(story.body.get("channel", ()))}
        packs = [story.packs[name] for name in story.body["scenario"]["packs"]]
        self._first = self.link = in_memory(
            zone=story.zone, packs=packs, channels=tuple(self.channels.values()), actor="scenario", clock=self.clock,
            entropy=SeededEntropy(story.seed), synthetic=False,
        )  # fmt: skip
        try:
            self._set_up(story)
        except BaseException:
            self.close()
            raise

    def _set_up(self, story: Story) -> None:
        if (mode := Mode(story.body["scenario"].get("mode", Mode.SANDBOX))) is not Mode.SANDBOX:
            self.mode(mode)
        for number, staff in enumerate(story.body.get("staff", ()), 1):
            self.staff(staff, f"staff[{number}]")
        for number, content in enumerate(story.body.get("content", ()), 1):
            self.content(content, f"content[{number}]")
        for number, patient in enumerate(story.body.get("patient", ()), 1):
            self.patient(patient, f"patient[{number}]")

    def close(self) -> None:
        """Release everything."""
        self._first.close()

    def restart(self) -> None:
        """What a new process would see: everything durable, nothing in memory."""
        self.link = CareLink(self._first.wiring)

    def mode(self, mode: str) -> None:
        """Change how far the deployment may reach. The channels only record, whatever they say of themselves."""
        self.link.set_mode(Mode(mode), actor="scenario", checks=0)

    def allow(self, labels: Sequence[str], where: str) -> None:
        """Put patients' phones and mailboxes on the team's list."""
        for person in self.everybody(labels, where):
            for kind in (AddressKind.PHONE, AddressKind.EMAIL):
                if kind in person.addresses:
                    self.link.allow(person.addresses[kind])

    # -- moments -------------------------------------------------------------------------------------------

    @property
    def true_time(self) -> Instant:
        """What a clock that nobody set wrong would show."""
        return Instant(self.story.start + self.clock.monotonic())

    def when(self, given: Mapping[str, Any], key: str, where: str, before: Instant | None = None) -> Instant | None:
        """The moment under a key, if it is there."""
        if key not in given:
            return None
        return moment(given[key], self.true_time if before is None else before, self.zone, f"{where}.{key}")

    def _day(self, given: Mapping[str, Any], key: str, where: str) -> datetime | None:
        found = self.when(given, key, where)
        return None if found is None else to_datetime(found)

    # -- channels ------------------------------------------------------------------------------------------

    def _channels(self, given: Sequence[Mapping[str, Any]]) -> list[RecordingChannel]:
        made = []
        for one in given or [{"name": f"far-{kind.value}", "kind": kind.value} for kind in ChannelKind]:
            kind = ChannelKind(one["kind"])
            address = AddressKind(one.get("address", _ADDRESS[kind]))
            made.append(RecordingChannel(one["name"], kind, address, clock=self.clock, latency=_LATENCY,
                                         lookup=one.get("lookup", False),
                                         local=not one.get("outside", False)))  # fmt: skip
        return made

    def channel(self, name: str, where: str) -> RecordingChannel:
        """A channel by its name, or the first of a kind."""
        for channel in self.channels.values():
            if name in (channel.info.name, channel.info.kind.value):
                return channel
        raise InvalidInputError(f"{where}: no channel of this name or kind", hint=f"one of {', '.join(self.channels)}")

    # -- staff and content ---------------------------------------------------------------------------------

    def staff(self, given: Mapping[str, Any], where: str) -> None:
        """Credential a member of staff."""
        for role in given.get("roles", ["clinical"]):
            self.link.credential(
                given["name"], role, since=self._day(given, "since", where), until=self._day(given, "until", where),
                actor="registrar",
            )  # fmt: skip

    def content(self, given: Mapping[str, Any], where: str) -> None:
        """Register content, and let it be approved."""
        name, version = given["name"], given.get("version", 1)
        self.contents[name, version] = given
        self.link.template(
            name,
            given["body"],
            subject=given.get("subject", ""),
            purposes=given["purposes"],
            channels=given.get("channels", [ANY]),
            version=version,
            author=given.get("author", "author"),
            since=self._day(given, "since", where),
            until=self._day(given, "until", where),
            variables=given.get("types"),
            citations=given.get("citations", ()),
            byline=given.get("byline", ""),
            data=given.get("data", ()),
            quorum=given.get("quorum", 1),
        )
        for approver in given.get("approved_by", ()):
            who, _, role = approver.partition(":")
            self.link.approve(name, version, actor=who, role=role or "clinical")
        if "number" in given:
            until = self._day(given, "number_until", where)
            self.link.approval_number(name, version, number=given["number"], until=until, actor="office")
        for channel, state in given.get("provider", {}).items():
            self.link.provider_template(name, version, channel=channel, state=state, provider_id="S1", actor="office")

    # -- people --------------------------------------------------------------------------------------------

    def person(self, label: str, where: str) -> Person:
        """A patient by label.

        Raises:
            InvalidInputError: nobody is called so.
        """
        if label not in self.people:
            raise InvalidInputError(f"{where}: nobody in this story is called so", hint="see `[[patient]]`")
        return self.people[label]

    def everybody(self, labels: Sequence[str], where: str) -> list[Person]:
        """The patients meant by labels of patients or of groups, each once."""
        found = [one for label in labels for one in self.groups.get(label, [label])]
        return [self.person(label, where) for label in dict.fromkeys(found)]

    def patient(self, given: Mapping[str, Any], where: str) -> None:
        """Register a patient, or so many alike."""
        many = given.get("count")
        labels = [given["name"]] if many is None else [f"{given['name']}-{n}" for n in range(1, many + 1)]
        for label in labels:
            if label in self.people:
                raise InvalidInputError(f"{where}: two patients are called alike", hint="labels are unique in a story")
            self._patient(label, given, where)
            for group in given.get("groups", ()):
                self.groups[group].append(label)
            if many is not None:
                self.groups[given["name"]].append(label)

    def _patient(self, label: str, given: Mapping[str, Any], where: str) -> None:
        addresses = self._addresses(given)
        born = self._born(given, where)
        name = f"Zz{label.capitalize()} Person{next(self._number)}"
        self.personal.append(name)
        related = [
            self._relative(one, self._addresses(one), f"{where}.related[{n}]")
            for n, one in enumerate(given.get("related", ()), 1)
        ]
        record = PatientInput(
            identifiers=(("mrn", Personal(f"S-{label}")),),
            name=Personal(name),
            birth_date=None if born is None else Personal(born),
            zone=given.get("zone", self.zone),
            language=given.get("language", ""),
            contacts=_contacts(addresses),
            related=tuple(one for one, _ in related),
            stage=LifecycleStage(given["stage"]) if "stage" in given else None,
        )
        (done,) = self.link.register_many([record])
        if done.error is not None:
            raise done.error
        assert done.patient is not None
        person = self.people[label] = Person(label, done.patient, addresses)
        for one, (_, found) in zip(given.get("related", ()), related, strict=True):
            person.relatives[one["name"]] = Person(one["name"], done.patient, found, given=dict(one))
        self._name_relatives(person)
        for consent in given.get("consent", ()):
            self.grant({"patient": label, **consent}, f"{where}.consent")

    def _born(self, given: Mapping[str, Any], where: str) -> date | None:
        if "born" in given:
            at = self.when(given, "born", where)
            assert at is not None
            return day_of(at, self.zone)
        if "age" in given:
            return date(day_of(self.story.start, self.zone).year - int(given["age"]), 1, 1)
        return None

    def _addresses(self, given: Mapping[str, Any]) -> dict[AddressKind, str]:
        used = dict.fromkeys(channel.info.address_kind for channel in self.channels.values())
        kinds = [AddressKind(kind) for kind in given.get("contacts", used)]
        number = next(self._number)
        area, last = _AREAS[number // 100 % len(_AREAS)], number % 100
        made = {
            AddressKind.PHONE: f"+1{area}55501{last:02d}",
            AddressKind.EMAIL: f"p{number}@example.invalid",
            AddressKind.CHAT: f"wm-{number:05d}",
        }
        self.personal += [made[kind] for kind in kinds]
        return {kind: made[kind] for kind in kinds}

    def _relative(
        self, given: Mapping[str, Any], addresses: Mapping[AddressKind, str], where: str
    ) -> tuple[RelatedInput, dict[AddressKind, str]]:
        name = f"Zz{given['name'].capitalize()} Relative{next(self._number)}"
        self.personal.append(name)
        record = RelatedInput(
            name=Personal(name),
            key=Personal(given["name"]),
            relation=Relation(given.get("relation", "other")),
            contacts=_contacts(addresses),
            verified=given.get("verified", True),
            acts=given.get("acts", False),
            scopes=tuple(DisclosureScope(scope) for scope in given.get("scopes", ())),
            since=self.when(given, "since", where),
            until=self.when(given, "until", where),
        )
        return record, dict(addresses)

    def relate(self, given: Mapping[str, Any], where: str) -> None:
        """Bind a relative, or change what is known of one: keys that are left out stay as they were."""
        person = self.person(given["patient"], where)
        before = person.relatives.get(given["name"])
        merged = {**({} if before is None else before.given), **{k: v for k, v in given.items() if k != "patient"}}
        addresses = self._addresses(given) if before is None or "contacts" in given else before.addresses
        record, found = self._relative(merged, addresses, where)
        (done,) = self.link.register_many(
            [PatientInput(identifiers=(("mrn", Personal(f"S-{person.label}")),), related=(record,), known=True)]
        )
        if done.error is not None:
            raise done.error
        person.relatives[given["name"]] = Person(given["name"], person.id, found, given=merged)
        self._name_relatives(person)

    def _name_relatives(self, person: Person) -> None:
        """The ids of a patient's relatives, found by the label that was registered as their key."""
        with self.link.wiring.store.reader() as reader:
            rows = reader.related([person.id]).get(person.id, ())
            sealed = reader.sealed("related", [row.id for row in rows], ("key",))
        for row in rows:
            key = self.link.safe.try_open(person.id, "related", row.id, "key", sealed[row.id, "key"])
            assert key is not None
            person.relatives[str(key.reveal("scenario"))].related = row.id

    def contact(self, given: Mapping[str, Any], where: str) -> None:
        """Say what is known of an address of a patient."""
        person, kind = self.person(given["patient"], where), AddressKind(given["kind"])
        if kind not in person.addresses:
            raise InvalidInputError(f"{where}.kind: the patient has no such address", hint="see `contacts`")
        said = ContactInput(kind=kind, address=Personal(person.addresses[kind]), status=ContactStatus(given["status"]))
        (done,) = self.link.register_many(
            [PatientInput(identifiers=(("mrn", Personal(f"S-{person.label}")),), contacts=(said,), known=True)]
        )
        if done.error is not None:
            raise done.error

    # -- consent -------------------------------------------------------------------------------------------

    def grant(self, given: Mapping[str, Any], where: str) -> None:
        """Record a grant."""
        person = self.person(given["patient"], where)
        self.link.ledger.grant(
            [
                GrantOrder(
                    patient=person.id,
                    scope=scope_of(given),
                    evidence=given.get("evidence", f"form {next(self._number)}"),
                    by=RecipientRole(given.get("by", "self")),
                    since=self.when(given, "since", where),
                    until=self.when(given, "until", where),
                    separate=given.get("separate", False),
                    notice=given.get("notice", "1"),
                    method=GrantMethod(given.get("method", "explicit")),
                )
            ]
        )


def scope_of(given: Mapping[str, Any]) -> Scope:
    """Purposes, channels and plans of a table."""
    return Scope(tuple(given["purposes"]), tuple(given.get("channels", (ANY,))), tuple(given.get("plans", EVERY_PLAN)))


def _contacts(addresses: Mapping[AddressKind, str]) -> tuple[ContactInput, ...]:
    return tuple(
        ContactInput(kind=kind, address=Personal(address), status=ContactStatus.VALID)
        for kind, address in addresses.items()
    )
