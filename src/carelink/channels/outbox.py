"""The outbox: messages as files in a folder, `.eml` for email and JSON for SMS. For sites without a network, and demos.

A file's name is the key of the attempt and files are only ever created, whole, so a repeat is provably harmless and a
lost answer can be looked up. The folder (0700, files 0600) is the channel's far end: it holds what a recipient would
see.

A file is written under a name of its own in `.parts` and gets its real name by a link, which either happens or does
not. What a killed process left there is removed when its key is looked up, before the answer: from then on nobody can
link it any more, so "it was not handed over" stays true.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from carelink.channels.smtp.compose import compose
from carelink.channels.smtp.options import read_options
from carelink.channels.wire import utf8
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
from carelink.ports.system import Clock
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

__all__ = ["OutboxChannel"]

_CAPABILITIES: Final = Capabilities(lookup=True, harmless_repeat=True, health=True, latency=Micros(500))
_MAIL: Final = read_options({"host": "outbox.invalid", "sender": "outbox@carelink.invalid"})
_PARTS: Final = ".parts"


class OutboxChannel:
    """One kind of message into one folder. Settings: `folder`. With a clock no file appears after the lease, however
    slow the disk is; without one the dispatcher's look before `send` is the last.
    """

    capabilities = _CAPABILITIES

    def __init__(self, kind: ChannelKind, settings: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        folder = settings.get("folder")
        if not isinstance(folder, str) or not folder:
            raise ConfigurationError("the outbox needs a folder", hint="set `paths.outbox`")
        self._root = Path(folder)
        self._folder, self._parts = self._root / kind.value, self._root / _PARTS
        self._suffix = ".eml" if kind is ChannelKind.EMAIL else ".json"
        self._clock = clock
        address = AddressKind.EMAIL if kind is ChannelKind.EMAIL else AddressKind.PHONE
        self.info = ChannelInfo(name=f"outbox-{kind.value}", kind=kind, address_kind=address, version="1", local=True)

    def __repr__(self) -> str:
        return f"OutboxChannel({self.info.kind.value})"

    def prepare(self, message: OutboundMessage) -> Prepared:
        """The exact bytes of the file.

        Raises:
            InvalidInputError: the message cannot stand in a mail, or in UTF-8.
        """
        if self.info.kind is ChannelKind.EMAIL:
            _, wire = compose(message, _MAIL, readable=True)
        else:
            form = {
                "key": message.key,
                "language": message.language,
                "purpose": message.purpose.value,
                "text": message.body.reveal("hand-over"),
                "to": message.address.reveal("hand-over"),
            }
            wire = utf8(json.dumps(form, ensure_ascii=False, sort_keys=True, indent=1))
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Create the file, whole and durable, or find it there already."""
        part: Path | None = None
        try:
            self._make_folders()
            part = self._write(prepared)
        except OSError:
            return SendResult(outcome=Outcome.NOT_SENT, code="not_writable")
        try:
            return self._link(part, prepared)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def lookup(self, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """A file that is there was handed over; one that is not was not, and from now on cannot be."""
        del address, since
        try:
            self._fence(key)
            found = (self._folder / f"{key}{self._suffix}").is_file()
        except OSError:
            return LookupResult(found=None)
        return LookupResult(found=found, outcome=Outcome.ACCEPTED if found else Outcome.NOT_SENT)

    def health(self) -> Health:
        """Whether the folder can be written, and read by its owner only."""
        try:
            self._make_folders()
            modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (self._root, self._folder, self._parts)]
        except OSError:
            return Health(ok=False, code="not_writable", hint="check the outbox folder")
        if any(mode & 0o077 for mode in modes):
            return Health(ok=False, code="not_private", hint="others can read the outbox folder: chmod -R go= it")
        good = all(os.access(folder, os.W_OK | os.X_OK) for folder in (self._folder, self._parts))
        return Health(ok=good, code="" if good else "not_writable", hint="" if good else "check the outbox folder")

    # -- files -------------------------------------------------------------------------------------------------------

    def _make_folders(self) -> None:
        for folder in (self._root, self._folder, self._parts):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync(folder.parent)

    def _write(self, prepared: Prepared) -> Path:
        """The bytes, durable, under a name nobody else has: two writers of one key never touch the same file."""
        descriptor, name = tempfile.mkstemp(prefix=f"{self.info.kind.value}-{prepared.key}.", dir=self._parts)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(prepared.wire.reveal("hand-over"))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _link(self, part: Path, prepared: Prepared) -> SendResult:
        path = self._folder / f"{prepared.key}{self._suffix}"
        if self._clock is not None and self._clock.now() >= prepared.expires:
            return SendResult(outcome=Outcome.NOT_SENT, code="lease_over")
        code = ""
        try:
            os.link(part, path)
        except OSError:
            # It is there already, or somebody looked it up and took the part away, or the disk takes no links.
            if not path.is_file():
                return SendResult(outcome=Outcome.NOT_SENT, code="not_linked")
            code = "repeated"
        try:
            _sync(self._folder)
        except OSError:
            return SendResult(outcome=Outcome.UNKNOWN, code="not_synced")
        return SendResult(outcome=Outcome.ACCEPTED, provider_id=path.name, code=code)

    def _fence(self, key: str) -> None:
        """Take away what a process that stalled or died has not linked yet."""
        if self._parts.is_dir():
            for entry in os.scandir(self._parts):
                if entry.name.startswith(f"{self.info.kind.value}-{key}."):
                    Path(entry.path).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
