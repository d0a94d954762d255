"""What carelink does not check, and duties of law that are no rules of a gate: data, for people and machines."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import attrs

from carelink.vocabulary import Certainty

__all__ = ["NotChecked", "Obligation", "not_checked", "obligations"]


@attrs.frozen(kw_only=True)
class NotChecked:
    """One thing a permit does not mean.

    Attributes:
        subject: what it is about: "content", "identity", "law", "processor" or "evidence".
        instead: what a hospital does instead.
    """

    id: str
    subject: str
    en: str
    zh: str
    instead: str


@attrs.frozen(kw_only=True)
class Obligation:
    """A duty that a gate cannot keep: records, reports, rights. Named so that nobody takes its absence for its keeping.

    Attributes:
        packs: jurisdiction packs that it stands beside.
        carelink: what carelink gives towards it; empty: nothing.
    """

    id: str
    packs: tuple[str, ...]
    en: str
    source: str
    certainty: Certainty
    carelink: str


_FILE: Final = "not_checked.toml"


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("carelink.packs").joinpath("data", _FILE).read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def not_checked() -> tuple[NotChecked, ...]:
    """Everything that is not checked, in the order of the file."""
    return tuple(NotChecked(**row) for row in _data()["not_checked"])


@cache
def obligations() -> tuple[Obligation, ...]:
    """Every duty that is no rule, in the order of the file."""
    return tuple(
        Obligation(**{**row, "packs": tuple(row["packs"]), "certainty": Certainty(row["certainty"])})
        for row in _data()["obligation"]
    )
