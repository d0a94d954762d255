"""What the FHIR views share: identifiers made of the log's pseudonyms, and instants."""

from __future__ import annotations

from typing import Any, Final

from carelink.model.moment import Instant, iso

__all__ = ["EXTENSION", "fhir_instant", "identifier", "person"]

EXTENSION: Final = "https://carelink.invalid/fhir"
"""Base of carelink's own extensions."""


def identifier(origin: str, what: str, value: str) -> dict[str, str]:
    """An identifier within one log: pseudonyms mean nothing outside it."""
    return {"system": f"urn:carelink:{what}:{origin}", "value": value}


def person(origin: str, ref: str, kind: str = "") -> dict[str, Any]:
    """A person by pseudonym. `kind`: the FHIR type, where it is known."""
    found: dict[str, Any] = {"identifier": identifier(origin, "person", ref)}
    return found | {"type": kind} if kind else found


def fhir_instant(at: int) -> str:
    """A FHIR instant, UTC, to the microsecond where there is one."""
    return iso(Instant(at))
