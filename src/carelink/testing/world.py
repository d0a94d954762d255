"""A small world to test against: a real engine on a store of your choice, a clock you move, channels that record.

Use it in a hospital's own test suite to see how its requests fare, or to reproduce a bug without a deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, Final

from carelink.app import CareLink, Wiring
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.channels.registry import registry_of
from carelink.home import start
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.model.ids import PatientId
from carelink.model.moment import parse_duration, parse_instant
from carelink.model.request import Request
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.ports.channel import Channel
from carelink.ports.store import Store
from carelink.settings import Settings
from carelink.stores.logfolder import LogFolder
from carelink.stores.memory import MemoryStore
from carelink.stores.sqlite.store import SqliteStore
from carelink.testing.fakes import FakeClock, RecordingChannel, SeededEntropy
from carelink.vocabulary import AddressKind, ChannelKind

__all__ = ["World"]

_START: Final = "2026-01-15T10:00:00+08:00"
_ADULT: Final = date(1980, 5, 17)


class World:
    """One tenant, in the sandbox, on a virtual clock.

    Attributes:
        link: the `CareLink` under test.
        clock: move it with `advance`.
        email, sms: channels that keep what they were handed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sqlite: bool = False,
        at: str = _START,
        zone: str = "Asia/Shanghai",
        packs: Sequence[bytes] | None = None,
        channels: Sequence[Channel] = (),
        seed: int = 1,
        permit_ttl: str = "PT1H",
        clock: FakeClock | None = None,
    ) -> None:
        self.folder = folder
        self.clock = FakeClock(parse_instant(at)) if clock is None else clock
        self.entropy = SeededEntropy(seed)
        self.email = RecordingChannel("rec-email", ChannelKind.EMAIL, AddressKind.EMAIL, clock=self.clock)
        self.sms = RecordingChannel("rec-sms", ChannelKind.SMS, AddressKind.PHONE, clock=self.clock)
        self.channels = tuple(channels) or (self.email, self.sms)
        self._sqlite = sqlite
        self._numbers = count(1)
        self._keys_made = count(1)
        self.settings = Settings(
            home=folder,
            store=folder / "data" / "carelink.db",
            keys=folder / "keys",
            log=folder / "log",
            outbox=folder / "outbox",
            routes={channel.info.kind.value: channel.info.name for channel in self.channels},
            permit_ttl=parse_duration(permit_ttl),
        )
        key_folder = KeyFolder.create(self.settings.keys, entropy=self.entropy)
        KeyStore.create(self.settings.keys / "keys.db", key_folder, self.entropy(16).hex(), self.entropy).close()
        self._memory = MemoryStore()
        if sqlite:
            self.settings.store.parent.mkdir(parents=True)
            SqliteStore.create(self.settings.store).close()
        chosen = [bundled_bytes(name) for name in DEFAULT_PACKS] if packs is None else list(packs)
        self.link = start(self._wire(), zone=zone, packs=chosen, actor="world", synthetic=True)

    def _store(self) -> Store:
        return SqliteStore.open(self.settings.store) if self._sqlite else self._memory

    def _wire(self) -> Wiring:
        folder = KeyFolder.open(self.settings.keys, entropy=self.entropy)
        return Wiring(
            settings=self.settings,
            store=self._store(),
            keys=KeyStore.open(self.settings.keys / "keys.db", folder, self.entropy),
            key_folder=folder,
            log=LogFolder(self.settings.log),
            registry=registry_of(self.channels),
            clock=self.clock,
            entropy=self.entropy,
        )

    def restart(self) -> CareLink:
        """What a new process would see: everything durable, nothing in memory."""
        self.link.wiring.keys.close()
        if self._sqlite:
            self.link.wiring.store.close()
        self.link = CareLink(self._wire())
        return self.link

    def another(self) -> CareLink:
        """The same home opened once more, as another process would have it. Whoever asks closes it: on the memory
        store by closing its keys alone.
        """
        return CareLink(self._wire())

    def divergences(self) -> list[str]:
        """The whole log replayed (P7): what in it contradicts what came before, as text. Empty when all is well."""
        store = self.link.wiring.store
        with store.reader() as reader:
            entries = list(enumerate(reader.entries(0, reader.head().size)))
        return [str(found) for found in replay(entries, PolicyJudge())]

    def content(
        self,
        name: str = "note",
        body: str = "Your recheck is due.",
        *,
        purposes: Sequence[str] = ("care", "marketing", "education", "admin", "experience"),
        channels: Sequence[str] = ("email", "sms"),
        approvals: int = 3,
        subject: str = "Recheck",
        version: int = 1,
    ) -> None:
        """Register a template and let so many reviewers approve it."""
        self.link.template(name, body, purposes=purposes, channels=channels, subject=subject, version=version)
        for number in range(approvals):
            self.link.approve(name, version, actor=f"reviewer {number}")

    def patient(
        self,
        *,
        consent: Sequence[str] = ("care",),
        birth: date | None = _ADULT,
        email: str | None = "",
        phone: str | None = "",
        separate: bool = True,
        channels: Sequence[str] = ("email", "sms"),
        **more: Any,
    ) -> PatientId:
        """Register a person; "" makes an address up, None leaves it out."""
        number = next(self._numbers)
        patient = self.link.register(
            identifier=f"W-{number:05d}",
            name=f"Person {number}",
            email=f"w{number}@example.invalid" if email == "" else email,
            phone=f"+86138{number:08d}" if phone == "" else phone,
            birth_date=birth,
            **more,
        )
        if consent:
            self.link.grant(
                patient, purposes=consent, channels=channels, evidence=f"form {number}", separate=separate, notice="v1"
            )
        return patient

    def ask(
        self,
        patient: PatientId,
        *,
        key: str | None = None,
        purpose: str = "care.appointment",
        channel: str = "email",
        template: str = "note",
        **more: Any,
    ) -> Request:
        """A request for the patient, with a key of its own unless one is given."""
        made = f"ask-{next(self._keys_made)}" if key is None else key
        return Request(key=made, patient=patient, purpose=purpose, channel=channel, template=template, **more)
