"""Policy packs: TOML in, immutable rules out. Strict: what is not understood is an error, never ignored (P2).

A pack can only restrict: there is no effect "allow" in the form. Its digest is SHA-256 over the exact bytes, which
the log keeps, so that every decision can be derived again under the pack as it then was.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

import attrs

from carelink.consent.facts import Facts, Known
from carelink.errors import InvalidInputError, PolicyError
from carelink.model.moment import DAY, Instant, from_datetime
from carelink.model.scope import ANY, Scope, covers_purpose
from carelink.vocabulary import Authority, Certainty, LifecycleStage, RecipientRole

__all__ = ["MAX_PACK", "Pack", "Rule", "Source", "When", "parse_pack"]

MAX_PACK: Final = 60_000
"""Largest pack in bytes: a log entry, at most 65,535 bytes, holds its text."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_RULE_ID: Final = re.compile(r"[A-Z0-9][A-Z0-9._-]{1,63}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}", re.ASCII)
_PACK_KEYS: Final = {"id", "jurisdiction", "version", "valid_from", "valid_until", "title"}
_RULE_KEYS: Final = {
    "id", "kind", "kind_version", "when", "params", "authority", "certainty", "sources", "title", "in_force", "encoded",
}  # fmt: skip
_WHEN_KEYS: Final = {"purposes", "channels", "roles", "automated", "stages", "plan"}
_SOURCE_KEYS: Final = {"instrument", "version", "article", "note"}
_MAX_KIND_VERSION: Final = 1000
_FAR: Final = Instant(2**53 - 1)


@attrs.frozen(kw_only=True)
class Source:
    """Where a rule comes from: instrument, its version date, and the article within it. Never an article alone."""

    instrument: str
    version: str
    article: str = ""
    note: str = ""


@attrs.frozen(kw_only=True)
class When:
    """Which requests a rule speaks of.

    Attributes:
        stages: lifecycle stages of the patient; empty: any, and patients without one.
        plan: only requests that belong to a plan, or only those that belong to none.
    """

    purposes: tuple[str, ...] = (ANY,)
    channels: tuple[str, ...] = (ANY,)
    roles: tuple[RecipientRole, ...] = tuple(RecipientRole)
    automated: bool | None = None
    stages: tuple[LifecycleStage, ...] = ()
    plan: bool | None = None

    def applies(self, facts: Facts) -> bool:
        """Whether the rule speaks of this request."""
        ask = facts.ask
        if not covers_purpose(self.purposes, ask.purpose):
            return False
        if ANY not in self.channels and ask.channel_kind.value not in self.channels:
            return False
        if facts.role not in self.roles:
            return False
        if self.plan is not None and self.plan is not bool(ask.plan):
            return False
        if self.stages and isinstance(facts.stage, Known) and facts.stage.value not in self.stages:
            return False
        return self.automated is None or self.automated is ask.automated


@attrs.frozen(kw_only=True)
class Rule:
    """One rule of a pack.

    Attributes:
        in_force: the day on which what it encodes came into force; None where the pack does not say.
        encoded: the day on which it was written down, or last changed, here. A past decision is judged by the first.
    """

    id: str
    kind: str
    kind_version: int
    when: When
    params: Mapping[str, Any]
    authority: Authority
    certainty: Certainty
    sources: tuple[Source, ...]
    title_en: str
    title_zh: str
    in_force: date | None = None
    encoded: date | None = None


@attrs.frozen(kw_only=True)
class Pack:
    """A policy pack. In force from `since` (inclusive) until `until` (exclusive)."""

    id: str
    jurisdiction: str
    version: str
    since: Instant
    until: Instant
    title_en: str
    title_zh: str
    rules: tuple[Rule, ...] = attrs.field(repr=False)
    digest: str
    data: bytes = attrs.field(repr=False)


class _Reader:
    """Reads tables of one pack; every complaint names pack, rule and key."""

    def __init__(self, place: str) -> None:
        self.place = place

    def fail(self, what: str) -> PolicyError:
        return PolicyError(f"{self.place}: {what}", hint="see docs/reference/pack.md")

    def table(self, data: Mapping[str, Any], key: str, allowed: set[str]) -> Mapping[str, Any]:
        found = data.get(key, {})
        if not isinstance(found, dict):
            raise self.fail(f"`{key}` is not a table")
        if surplus := sorted(set(found) - allowed):
            raise self.fail(f"`{key}.{surplus[0]}` is not known")
        return found

    def text(self, data: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
        found = data.get(key)
        if not isinstance(found, str) or not found or (pattern is not None and pattern.fullmatch(found) is None):
            raise self.fail(f"`{key}` is missing or malformed")
        return found

    def texts(self, data: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        found = data.get(key, list(default))
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            raise self.fail(f"`{key}` is not a list of texts")
        return tuple(found)

    def instant(self, data: Mapping[str, Any], key: str, default: Instant | None) -> Instant:
        found = data.get(key)
        if found is None and default is not None:
            return default
        at: Instant | None = None
        if isinstance(found, datetime):
            at = None if found.tzinfo is None else from_datetime(found)
        elif isinstance(found, date):
            at = Instant((found.toordinal() - date(1970, 1, 1).toordinal()) * DAY)
        if at is None or not 0 <= at <= _FAR:
            raise self.fail(f"`{key}` is not a date, or an instant with an offset, from 1970 to 2255")
        return at

    def day(self, data: Mapping[str, Any], key: str) -> date | None:
        found = data.get(key)
        if found is not None and (not isinstance(found, date) or isinstance(found, datetime)):
            raise self.fail(f"`{key}` is not a date like 2026-01-31")
        return found

    def titles(self, data: Mapping[str, Any]) -> tuple[str, str]:
        title = self.table(data, "title", {"en", "zh"})
        return _Reader(f"{self.place}: title").text(title, "en"), _Reader(f"{self.place}: title").text(title, "zh")


def parse_pack(data: bytes) -> Pack:
    """Read a pack.

    Raises:
        PolicyError: too large, not TOML, or something in it is missing, unknown or malformed.
    """
    if len(data) > MAX_PACK:
        raise PolicyError(f"a pack has at most {MAX_PACK} bytes")
    found: dict[str, Any] | None = None
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        # Not TOML, not UTF-8, a number too long for Python, or tables too deep for it.
        found = None
    if found is None or set(found) - {"pack", "rule"}:
        raise PolicyError("a pack is TOML with `[pack]` and `[[rule]]`", hint="see docs/reference/pack.md")
    reader = _Reader("pack")
    head = reader.table(found, "pack", _PACK_KEYS)
    name = reader.text(head, "id", _ID)
    reader = _Reader(f"pack `{name}`")
    rules = found.get("rule", [])
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        raise reader.fail("there are no `[[rule]]` tables")
    title_en, title_zh = reader.titles(head)
    parsed = tuple(_rule(name, rule) for rule in rules)
    ids = [rule.id for rule in parsed]
    if len(set(ids)) != len(ids):
        raise reader.fail("a rule id stands twice")
    since = reader.instant(head, "valid_from", None)
    until = reader.instant(head, "valid_until", _FAR)
    if until <= since:
        raise reader.fail("`valid_until` is not after `valid_from`")
    return Pack(
        id=name,
        jurisdiction=reader.text(head, "jurisdiction"),
        version=reader.text(head, "version", _VERSION),
        since=since,
        until=until,
        title_en=title_en,
        title_zh=title_zh,
        rules=parsed,
        digest=hashlib.sha256(data).hexdigest(),
        data=data,
    )


def _rule(pack: str, data: Mapping[str, Any]) -> Rule:
    reader = _Reader(f"pack `{pack}`")
    name = reader.text(data, "id", _RULE_ID)
    reader = _Reader(f"pack `{pack}`, rule `{name}`")
    if surplus := sorted(set(data) - _RULE_KEYS):
        raise reader.fail(f"`{surplus[0]}` is not known")
    version = data.get("kind_version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version <= _MAX_KIND_VERSION:
        raise reader.fail("`kind_version` is not a number")
    params = data.get("params", {})
    if not isinstance(params, dict):
        raise reader.fail("`params` is not a table")
    title_en, title_zh = reader.titles(data)
    return Rule(
        id=name,
        kind=reader.text(data, "kind"),
        kind_version=version,
        when=_when(reader, reader.table(data, "when", _WHEN_KEYS)),
        params=params,
        authority=_word(reader, Authority, data.get("authority"), "authority"),
        certainty=_word(reader, Certainty, data.get("certainty"), "certainty"),
        sources=_sources(reader, data.get("sources")),
        title_en=title_en,
        title_zh=title_zh,
        in_force=reader.day(data, "in_force"),
        encoded=reader.day(data, "encoded"),
    )


def _word(reader: _Reader, vocabulary: Any, value: object, key: str) -> Any:
    for member in vocabulary:
        if member.value == value:
            return member
    raise reader.fail(f"`{key}` is not a known word")


def _when(reader: _Reader, data: Mapping[str, Any]) -> When:
    purposes = reader.texts(data, "purposes", (ANY,))
    channels = reader.texts(data, "channels", (ANY,))
    bad = False
    try:
        Scope(purposes, channels)
    except InvalidInputError:
        bad = True
    if bad:
        raise reader.fail("`when` names an unknown purpose or channel kind")
    automated = data.get("automated")
    if automated is not None and not isinstance(automated, bool):
        raise reader.fail("`when.automated` is not true or false")
    every = tuple(role.value for role in RecipientRole)
    roles = tuple(_word(reader, RecipientRole, role, "when.roles") for role in reader.texts(data, "roles", every))
    plan = data.get("plan")
    if plan is not None and not isinstance(plan, bool):
        raise reader.fail("`when.plan` is not true or false")
    names = reader.texts(data, "stages", ()) if "stages" in data else ()
    stages = tuple(_word(reader, LifecycleStage, name, "when.stages") for name in names)
    return When(
        purposes=purposes, channels=channels, roles=roles, automated=automated, stages=tuple(sorted(stages)), plan=plan
    )


def _sources(reader: _Reader, data: object) -> tuple[Source, ...]:
    if not isinstance(data, list) or not data:
        raise reader.fail("`sources` is missing: a rule names where it comes from")
    sources = []
    for item in data:
        if not isinstance(item, dict) or set(item) - _SOURCE_KEYS:
            raise reader.fail("a source has `instrument`, `version`, `article` and `note`")
        sources.append(
            Source(
                instrument=reader.text(item, "instrument"),
                version=reader.text(item, "version"),
                article=reader.text(item, "article") if "article" in item else "",
                note=reader.text(item, "note") if "note" in item else "",
            )
        )
    return tuple(sources)
