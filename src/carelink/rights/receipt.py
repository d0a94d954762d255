"""The receipt of an erasure: what was erased, when it became unreadable here and in backups, what remains and why.

It holds ids, codes, counts and instants, and nothing about the person; so it can be kept with the log.
"""

from __future__ import annotations

import json
from typing import Any, Final

import attrs

from carelink.errors import FormatError
from carelink.model.moment import Instant, iso, parse_instant
from carelink.rights.outcome import FieldOutcome

__all__ = ["CopyOutcome", "ErasureReceipt"]

_FORM: Final = "carelink-erasure-receipt/1"


@attrs.frozen(kw_only=True)
class CopyOutcome:
    """What became of a derived copy: `erased`, `nothing` to erase, `pending` or `failed`, and how many there were."""

    name: str
    outcome: str
    count: int = 0

    @property
    def settled(self) -> bool:
        """Whether nobody needs to ask again."""
        return self.outcome in ("erased", "nothing")

    def word(self) -> str:
        """As stored: name, outcome and count joined by colons."""
        return f"{self.name}:{self.outcome}:{self.count}"

    @classmethod
    def of(cls, word: str) -> CopyOutcome:
        """The inverse of `word`."""
        name, outcome, count = word.split(":")
        return cls(name=name, outcome=outcome, count=int(count))


@attrs.frozen(kw_only=True)
class ErasureReceipt:
    """A dated receipt.

    Attributes:
        patient: the record's id; `records` counts it and those merged into it.
        reason: a code. by: pseudonym of who did it.
        begun: from then on nothing was sent any more. done: everything below was done.
        unreadable_live: no key that opens the record exists here since.
        unreadable_backups: from then on no backup of the key store holds one either; None where nobody said for how
            long these are kept.
        fields: outcome of each field.
        remains: codes of what remains (`carelink.rights.retention.REMAINS`).
        copies: outcome of each registered eraser.
        stops: suppressions that go on standing on addresses of the person.
    """

    patient: str
    records: int
    reason: str
    by: str
    begun: Instant
    done: Instant
    unreadable_live: Instant
    unreadable_backups: Instant | None
    fields: tuple[FieldOutcome, ...]
    remains: tuple[str, ...]
    copies: tuple[CopyOutcome, ...] = ()
    stops: int = 0

    @property
    def complete(self) -> bool:
        """Whether every registered eraser has settled its copies too."""
        return all(copy.settled for copy in self.copies)

    def to_text(self) -> str:
        """Its JSON text; absent is left out."""
        form: dict[str, Any] = {
            "form": _FORM,
            "patient": self.patient,
            "records": self.records,
            "reason": self.reason,
            "by": self.by,
            "begun": iso(self.begun),
            "done": iso(self.done),
            "unreadable_live": iso(self.unreadable_live),
            "fields": [field.to_json() for field in self.fields],
            "remains": list(self.remains),
            "copies": [attrs.asdict(copy) for copy in self.copies],
            "stops": self.stops,
        }
        if self.unreadable_backups is not None:
            form["unreadable_backups"] = iso(self.unreadable_backups)
        return json.dumps(form, sort_keys=True, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> ErasureReceipt:
        """A receipt from its JSON text.

        Raises:
            FormatError: it is not the form of one.
        """
        try:
            form = json.loads(text)
            if form["form"] == _FORM:
                backups = form.get("unreadable_backups")
                return cls(
                    patient=form["patient"],
                    records=form["records"],
                    reason=form["reason"],
                    by=form["by"],
                    begun=parse_instant(form["begun"]),
                    done=parse_instant(form["done"]),
                    unreadable_live=parse_instant(form["unreadable_live"]),
                    unreadable_backups=None if backups is None else parse_instant(backups),
                    fields=tuple(map(FieldOutcome.from_json, form["fields"])),
                    remains=tuple(form["remains"]),
                    copies=tuple(CopyOutcome(**copy) for copy in form["copies"]),
                    stops=form["stops"],
                )
        except (KeyError, TypeError, ValueError):
            pass
        raise FormatError("a receipt of an erasure is not in its form")
