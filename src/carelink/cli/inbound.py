"""`carelink inbound FILE|-`: receipts and replies. JSON lines, or a mail file of a channel that reads those."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from carelink.app import CareLink
from carelink.cli.common import console, open_link, read_input
from carelink.cli.exit_codes import Exit
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.moment import parse_instant
from carelink.ports.channel import ChannelEvent
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, word

__all__ = ["add", "event_from_json", "run"]

_FIELDS = {"event", "key", "provider_id", "event_id", "address", "text", "at", "channel"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("inbound", help="take in delivery reports and replies (STOP, 退订)")
    parser.add_argument(
        "file", help="JSON lines {event, channel, address, text, key, ...}, or a mail; - for standard input"
    )
    parser.add_argument("--channel", default="sms", help="channel of lines that name none")
    parser.add_argument("--mail", action="store_true", help="the file is one mail: a bounce, a complaint or a reply")
    parser.set_defaults(run=run)


def event_from_json(line: str) -> tuple[str | None, ChannelEvent]:
    """One event, and the channel it names.

    Raises:
        InvalidInputError: not an object of the known fields.
    """
    data: Any = None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise InvalidInputError("not a JSON object of texts")
    if set(data) - _FIELDS or "event" not in data:
        raise InvalidInputError("`event` is missing, or a field is not known", hint=", ".join(sorted(_FIELDS)))
    event = ChannelEvent(
        event=word(DeliveryEvent, data["event"]),
        key=data.get("key"),
        provider_id=data.get("provider_id"),
        event_id=data.get("event_id"),
        address=Personal(data["address"]) if "address" in data else None,
        text=Personal(data["text"]) if "text" in data else None,
        at=parse_instant(data["at"]) if "at" in data else None,
    )
    return data.get("channel"), event


def _mail_events(link: CareLink, channel: str, data: bytes) -> Iterator[tuple[str, ChannelEvent]]:
    name = link.parts.route(channel)
    found = link.channels[name]
    if not found.capabilities.callbacks:
        raise InvalidInputError(f"channel `{name}` does not read mails", hint="name one that does with --channel")
    for event in found.parse_callback({"content-type": "message/rfc822"}, data):  # type: ignore[attr-defined]
        yield name, event


def run(args: argparse.Namespace) -> int:
    """Take in, and say what was done."""
    data = read_input(args.file)
    bad = 0
    with open_link(args) as link:
        events: list[tuple[str, ChannelEvent]] = []
        if args.mail:
            events = list(_mail_events(link, args.channel, data))
        else:
            for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
                if not line.strip():
                    continue
                try:
                    channel, event = event_from_json(line)
                    events.append((channel or args.channel, event))
                except CarelinkError as error:
                    bad += 1
                    console.print(f"line {number}: {error}", markup=False)
        for channel in dict.fromkeys(name for name, _ in events):
            results = link.inbound(channel, [event for name, event in events if name == channel])
            for result in results:
                extra = (
                    f"  released {len(result.released)}, in flight {len(result.in_flight)}"
                    if result.suppressions
                    else ""
                )
                console.print(
                    f"{channel:<14} {result.event.value:<12} {', '.join(result.actions)}{extra}", markup=False
                )
        link.publish()
    return Exit.COULD_NOT_RUN if bad and not events else Exit.OK
