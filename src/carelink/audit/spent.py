"""Touches that count against caps: spent reservations, kept in bytes for as long as a cap can look back on them.

There are as many of them as a hospital sends messages in a year. Forty bytes hold one, some forty more find it: by its
id, for the delivery reports that follow, and by the persons and the address that it counts against.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from struct import Struct
from typing import Final

from carelink.audit.holdings import Reservation, Words, coded
from carelink.audit.packed import Lists, Names, PackedMap
from carelink.consent.facts import marks_of
from carelink.model.moment import Instant
from carelink.vocabulary import ChannelKind, DeliveryEvent, Purpose, ReservationState

__all__ = ["Spent", "Touch"]

_ROW: Final = Struct("<16sqIIIBBBIB")
_AT: Final = Struct("<q")
_KEY: Final = 16
_DELIVERY: Final = _ROW.size - 1
_NO_ADDRESS: Final = 0xFFFFFFFF
_PURPOSES, _PURPOSE = coded(Purpose)
_KINDS, _KIND = coded(ChannelKind)
_STATES: Final = ("", *(event.value for event in DeliveryEvent))
_LEFT_BEHIND: Final = 4096


Touch = tuple[int, Purpose, ChannelKind, str, tuple[str, ...]]
"""Instant, purpose, channel kind, which of subject, recipient and address it counts against, its marks."""


class Spent:
    """The touches.

    Args:
        names: numbers of persons and addresses.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._rows = bytearray()
        self._free = array("I")
        self._places = PackedMap(4)
        self._of = Lists()
        self._order = array("I")
        self._first = 0
        self._plans = Words[tuple[str, str]]()

    def __contains__(self, reservation: str | None) -> bool:
        return self._place(reservation) is not None

    def add(self, row: Reservation) -> None:
        """Keep a reservation that was spent."""
        key, number = bytes.fromhex(row.id), self._names.number
        subject = number(row.subject)
        recipient = subject if row.recipient == row.subject else number(row.recipient)
        address = _NO_ADDRESS if row.address is None else number(row.address)
        data = _ROW.pack(
            key,
            row.at,
            subject,
            recipient,
            address,
            _PURPOSE[row.purpose],
            _KIND[row.channel_kind],
            row.reply,
            self._plans.number((row.plan, row.topic)),
            _STATES.index(row.delivery),
        )
        if self._free:
            place = self._free.pop()
            self._rows[place * _ROW.size : (place + 1) * _ROW.size] = data
        else:
            place = len(self._rows) // _ROW.size
            self._rows += data
        self._places.put(key, place)
        self._order.append(place)
        for each in {subject, recipient, address}:
            if each != _NO_ADDRESS:
                self._of.add(each, place)

    def get(self, reservation: str) -> Reservation | None:
        """A spent reservation with what is left of it, None where there is none."""
        place = self._place(reservation)
        return None if place is None else self._whole(place)

    def delivery(self, reservation: str) -> str | None:
        """What was reported of the delivery, None where there is no such touch."""
        place = self._place(reservation)
        return None if place is None else _STATES[self._rows[place * _ROW.size + _DELIVERY]]

    def deliver(self, reservation: str, delivery: str) -> None:
        """Set what was reported of the delivery."""
        place = self._place(reservation)
        if place is not None:
            self._rows[place * _ROW.size + _DELIVERY] = _STATES.index(delivery)

    def whole(self, numbers: Iterable[int]) -> Iterator[Reservation]:
        """Touches of any of these persons or addresses, as reservations."""
        return (self._whole(place) for place in self._several(numbers))

    def newest(self, numbers: Iterable[int]) -> int | None:
        """The newest instant of a touch of any of these persons or addresses."""
        rows = self._rows
        return max(
            (_AT.unpack_from(rows, place * _ROW.size + _KEY)[0] for place in self._several(numbers)), default=None
        )

    def history(
        self, subjects: AbstractSet[int], recipient: int | None, address: int | None, *, since: int, but: str | None
    ) -> list[Touch]:
        """Touches of a request's persons and address, in no order.

        Args:
            subjects: its subject and all merged into it.
            recipient, address: None where no entry has named them.
            since: the oldest instant.
            but: a reservation that is left out.
        """
        left_out = None if but is None else self._place(but)
        rows, found = self._rows, list[Touch]()
        for place in self._several({*subjects, recipient, address}):
            _, at, subject, to, where, purpose, kind, reply, plan, _ = _ROW.unpack_from(rows, place * _ROW.size)
            if at >= since and place != left_out:
                binds = "s" if subject in subjects or to in subjects else ""
                binds += "r" if recipient in (subject, to) else ""
                binds += "a" if address == where else ""
                marks = marks_of(*self._plans.value(plan), reply=reply == 1)
                found.append((at, _PURPOSES[purpose], _KINDS[kind], binds, marks))
        return found

    def forget(self, before: Instant) -> Instant | None:
        """Drop what is older, in the order in which it was spent; the newest instant dropped, None if none was."""
        dropped: Instant | None = None
        while self._first < len(self._order):
            place = self._order[self._first]
            key, at, *numbers = _ROW.unpack_from(self._rows, place * _ROW.size)
            if at >= before:
                break
            self._first += 1
            dropped = Instant(at if dropped is None else max(dropped, at))
            for number in numbers[:3]:
                if number != _NO_ADDRESS:
                    self._of.remove(number, place)
            if self._places.get(key) == place:
                self._places.drop(key)
            self._free.append(place)
        if self._first > _LEFT_BEHIND and self._first * 2 > len(self._order):
            del self._order[: self._first]
            self._first = 0
        return dropped

    # -- inside ---------------------------------------------------------------------------------------------

    def _place(self, reservation: str | None) -> int | None:
        return self._places.get(bytes.fromhex(reservation)) if reservation else None

    def _several(self, numbers: Iterable[int | None]) -> set[int]:
        return set().union(*map(self._of.of, numbers))

    def _whole(self, place: int) -> Reservation:
        key, at, subject, recipient, address, purpose, kind, reply, plan, delivery = _ROW.unpack_from(
            self._rows, place * _ROW.size
        )
        return Reservation(
            id=key.hex(),
            request="",
            subject=self._names.ref(subject),
            recipient=self._names.ref(recipient),
            address=None if address == _NO_ADDRESS else self._names.ref(address),
            purpose=_PURPOSES[purpose],
            channel="",
            channel_kind=_KINDS[kind],
            reply=bool(reply),
            plan=self._plans.value(plan)[0],
            topic=self._plans.value(plan)[1],
            at=Instant(at),
            expires=Instant(0),
            state=ReservationState.SPENT,
            delivery=_STATES[delivery],
        )
