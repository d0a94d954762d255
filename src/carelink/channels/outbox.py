"""The outbox: messages as files in a folder, `.eml` for email and JSON for SMS. For sites without a network, and demos.

A file's name is the key of the attempt and files are only ever created, so a repeat is provably harmless and a lost
answer can be looked up. The folder (0700, files 0600) is the channel's far end: it holds what a recipient would see.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from carelink.errors import ConfigurationError
from carelink.model.moment import Instant, Micros
from carelink.ports.channel import (
    Capabilities,
    ChannelInfo,
    Health,
    LookupResult,
    OutboundMessage,
    Prepared,
    SendResult,
)
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

__all__ = ["OutboxChannel"]

_CAPABILITIES = Capabilities(lookup=True, harmless_repeat=True, health=True, latency=Micros(500))


class OutboxChannel:
    """One kind of message into one folder. Settings: `folder`."""

    capabilities = _CAPABILITIES

    def __init__(self, kind: ChannelKind, settings: Mapping[str, Any]) -> None:
        folder = settings.get("folder")
        if not isinstance(folder, str) or not folder:
            raise ConfigurationError("the outbox needs a folder", hint="set `paths.outbox`")
        self._folder = Path(folder) / kind.value
        self._suffix = ".eml" if kind is ChannelKind.EMAIL else ".json"
        address = AddressKind.EMAIL if kind is ChannelKind.EMAIL else AddressKind.PHONE
        self.info = ChannelInfo(name=f"outbox-{kind.value}", kind=kind, address_kind=address, version="1", local=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{self._suffix}"

    def prepare(self, message: OutboundMessage) -> Prepared:
        """The exact bytes of the file."""
        if self.info.kind is ChannelKind.EMAIL:
            wire = _eml(message)
        else:
            form = {
                "key": message.key,
                "language": message.language,
                "purpose": message.purpose.value,
                "text": message.body.reveal("hand-over"),
                "to": message.address.reveal("hand-over"),
            }
            wire = json.dumps(form, ensure_ascii=False, sort_keys=True, indent=1).encode()
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Create the file, whole and durable, or find it there already."""
        path = self._path(prepared.key)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(prepared.wire.reveal("hand-over"))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return SendResult(outcome=Outcome.NOT_SENT, code="not_writable")
        try:
            os.link(temporary, path)
            repeated = False
        except FileExistsError:
            repeated = True
        except OSError:
            return SendResult(outcome=Outcome.UNKNOWN, code="not_linked")
        finally:
            temporary.unlink(missing_ok=True)
        self._sync()
        return SendResult(outcome=Outcome.ACCEPTED, provider_id=path.name, code="repeated" if repeated else "")

    def lookup(self, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """A file that is there was handed over; one that is not, was not."""
        del address, since
        try:
            found = self._path(key).is_file()
        except OSError:
            return LookupResult(found=None)
        return LookupResult(found=found, outcome=Outcome.ACCEPTED if found else Outcome.NOT_SENT)

    def health(self) -> Health:
        """Whether the folder can be written."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return Health(ok=False, code="not_writable", hint="check the outbox folder")
        good = os.access(self._folder, os.W_OK | os.X_OK)
        return Health(ok=good, code="" if good else "not_writable", hint="" if good else "check the outbox folder")

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _eml(message: OutboundMessage) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["Message-ID"] = f"<{message.key}@carelink.invalid>"
    mail["To"] = message.address.reveal("hand-over")
    mail["From"] = "outbox@carelink.invalid"
    mail["Subject"] = message.subject.reveal("hand-over") if message.subject is not None else ""
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body.reveal("hand-over"), cte="8bit")
    return mail.as_bytes()
