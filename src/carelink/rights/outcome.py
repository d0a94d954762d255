"""What became of one field of a record: the unit that every answer to a patient is made of."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Any

import attrs

from carelink.errors import FormatError
from carelink.model.moment import Instant, iso, parse_instant

__all__ = ["FieldOutcome", "FieldResult"]


@unique
class FieldResult(StrEnum):
    """What became of a field."""

    HELD = "held"
    CORRECTED = "corrected"
    UNREADABLE = "unreadable"
    ERASED = "erased"
    RESTRICTED = "restricted"
    RETAINED = "retained"


@attrs.frozen(kw_only=True)
class FieldOutcome:
    """One field's outcome.

    Attributes:
        field: table and column, or the part of the log.
        count: how many there were; 0 where nobody counts.
        rule: id of the rule that asks for what is retained.
        until: when the rule's period ends; None where there is none.
    """

    field: str
    result: FieldResult
    count: int = 0
    rule: str = ""
    until: Instant | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is absent is left out."""
        form: dict[str, Any] = {"field": self.field, "result": self.result.value}
        if self.count:
            form["count"] = self.count
        if self.rule:
            form["rule"] = self.rule
        if self.until is not None:
            form["until"] = iso(self.until)
        return form

    @classmethod
    def from_json(cls, form: Any) -> FieldOutcome:
        """The inverse.

        Raises:
            FormatError: it is not the form of one.
        """
        try:
            until = form.get("until")
            return cls(
                field=form["field"],
                result=FieldResult(form["result"]),
                count=form.get("count", 0),
                rule=form.get("rule", ""),
                until=None if until is None else parse_instant(until),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        raise FormatError("an outcome of a field is not in its form")
