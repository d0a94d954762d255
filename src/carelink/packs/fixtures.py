"""Fixtures of a pack: TOML beside it that says, in readable words, on which requests each rule must refuse or pass.

A fixture names a rule, what that rule must say, and how the request differs from one that nothing is wrong with
(`carelink.consent.example`). The words are told in docs/reference/fixtures.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.engine.zones import check_zone, zone_facts
from carelink.errors import CarelinkError, PolicyError
from carelink.model.moment import Instant, from_datetime
from carelink.packs.fixture_words import CHANGES, WordError, changed

__all__ = ["EXPECTED", "Fixture", "Fixtures", "bundled_fixtures", "parse_fixtures"]

EXPECTED: Final = ("refuse", "defer", "permit", "silent")
"""What a fixture may expect of its rule; silent: the rule does not speak of such a request."""

_HEAD: Final = {"pack", "at", "zone", "given", "fixture"}
_OWN: Final = {"rule", "expect", "code", "title", "at", "zone"}
_TIME: Final = re.compile(r"[0-2][0-9]:[0-5][0-9]", re.ASCII)
_NUMBERS: Final = re.compile(r"[0-9]+")


@attrs.frozen(kw_only=True)
class Fixture:
    """One fixture.

    Attributes:
        rule: id of the rule whose verdict it speaks of.
        expect: one of `EXPECTED`.
        code: the reason it must name, if it is told.
        shape: what tells it from others: rule, expectation and changes, with every number left out.
    """

    rule: str
    expect: str
    code: ReasonCode | None
    title: str
    facts: Facts = attrs.field(repr=False)
    shape: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Fixtures:
    """The fixtures of one pack."""

    pack: str
    items: tuple[Fixture, ...]

    @property
    def distinct(self) -> int:
        """How many there are when those that differ in numbers only count once."""
        return len({item.shape for item in self.items})


def bundled_fixtures(name: str) -> bytes | None:
    """The fixture file of a bundled pack; None where it has none."""
    found = resources.files("carelink.packs").joinpath("fixtures", f"{name}.toml")
    return found.read_bytes() if found.is_file() else None


def parse_fixtures(data: bytes) -> Fixtures:
    """Read a fixture file.

    Raises:
        PolicyError: it is not TOML, or something in it is missing, unknown or malformed; the message names the fixture.
    """
    found: dict[str, Any] | None = None
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        found = None
    if found is None or set(found) - _HEAD or not isinstance(found.get("pack"), str):
        raise _fail("a fixture file is TOML with `pack`, `at`, `zone`, `given` and `[[fixture]]`")
    items, given = found.get("fixture"), found.get("given", {})
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise _fail("there are no `[[fixture]]` tables")
    if not isinstance(given, dict):
        raise _fail("`given` is not a table")
    defaults = {"at": found.get("at", "2026-03-10 11:00"), "zone": found.get("zone", "Asia/Shanghai"), **given}
    return Fixtures(
        pack=found["pack"], items=tuple(_fixture(number, item, defaults) for number, item in enumerate(items, 1))
    )


def _fail(what: str) -> PolicyError:
    return PolicyError(what, hint="see docs/reference/fixtures.md")


def _fixture(number: int, item: Mapping[str, Any], defaults: Mapping[str, Any]) -> Fixture:
    place = f"fixture {number}, rule `{item.get('rule', '')}`"
    for key in ("rule", "expect", "title"):
        if not isinstance(item.get(key), str) or not item[key]:
            raise _fail(f"{place}: `{key}` is missing")
    if item["expect"] not in EXPECTED:
        raise _fail(f"{place}: `expect` is none of {', '.join(EXPECTED)}")
    if surplus := sorted(set(item) - _OWN - set(CHANGES)):
        raise _fail(f"{place}: `{surplus[0]}` is not known")
    code = item.get("code")
    if code is not None and code not in ReasonCode.__members__:
        raise _fail(f"{place}: `code` is no reason code")
    problem, facts = "", None
    try:
        facts = _facts({**defaults, **item})
    except WordError as error:
        problem = f"`{error.args[0]}` is malformed or holds an unknown word"
    except CarelinkError as error:
        problem = error.message
    if facts is None:
        raise _fail(f"{place}: {problem}")
    changes = {key: value for key, value in item.items() if key not in {"code", "title"}}
    return Fixture(
        rule=item["rule"],
        expect=item["expect"],
        code=None if code is None else ReasonCode[code],
        title=item["title"],
        facts=facts,
        shape=_NUMBERS.sub("", repr(sorted(changes.items()))),
    )


def _facts(words: Mapping[str, Any]) -> Facts:
    names = words["zone"] if isinstance(words["zone"], list) else [words["zone"]]
    if not names or not all(isinstance(name, str) for name in names):
        raise WordError("zone")
    for name in names:
        check_zone(name)
    at = _instant(words["at"], ZoneInfo(names[0]))
    zones = zone_facts(at, patient="", address=tuple(names), tenant="")
    if not isinstance(zones, Known):
        raise WordError("zone")
    return changed(at, zones.value, words)


def _instant(text: object, zone: ZoneInfo) -> Instant:
    """A local time: `2026-03-10 22:30`, or `22:30` on 10 March 2026."""
    if not isinstance(text, str):
        raise WordError("at")
    whole = f"2026-03-10 {text}" if _TIME.fullmatch(text) else text
    moment: datetime | None = None
    try:
        moment = datetime.strptime(whole, "%Y-%m-%d %H:%M").replace(tzinfo=zone)
    except ValueError:
        moment = None
    if moment is None:
        raise WordError("at")
    return from_datetime(moment)
