"""Lint of a pack: what its form allows and good order does not.

A rule says whose it is, whence it comes and how sure we are; a source that nobody could check is not marked as read.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import Final

import attrs

from carelink.consent.pack import Pack, Rule, parse_pack
from carelink.consent.policy import BASELINE, Policy
from carelink.content.screening.codes import Category
from carelink.content.screening.marks import MARKS
from carelink.errors import PolicyError
from carelink.packs.loader import bundled, load_bundled
from carelink.vocabulary import Authority, Certainty

__all__ = ["Complaint", "lint_pack"]

_HAN: Final = re.compile("[一-鿿]")
_BARE: Final = re.compile(r"(?:第|art(?:icle)?\.?|s(?:ec(?:tion)?)?\.?|§)?\s*[0-9(][0-9().,\s-]*(?:条)?", re.IGNORECASE)
_VERSION: Final = re.compile(r"[12][0-9]{3}(?:-[01][0-9](?:-[0-3][0-9])?)?")
_CATEGORIES: Final = frozenset(category.value.lower() for category in Category)


@attrs.frozen(kw_only=True)
class Complaint:
    """One thing that is not in order. `rule` is empty where the pack as a whole is meant."""

    pack: str
    rule: str
    says: str


@cache
def _unverified() -> tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]:
    """Instruments, and articles of them, whose text nobody here has read (compliance research, section 9)."""
    text = resources.files("carelink.packs").joinpath("data", "unverified.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["unverified"]
    return tuple(
        (re.compile(row["instrument"]), re.compile(row["article"]) if "article" in row else None) for row in rows
    )


@cache
def _rule_ids() -> dict[str, frozenset[str]]:
    return {name: frozenset(rule.id for rule in load_bundled(name).rules) for name in bundled()}


def lint_pack(data: bytes, name: str) -> tuple[Complaint, ...]:
    """All complaints about a pack; none where it is in order. `name` stands for it where it cannot be read."""
    problem, pack = "", None
    try:
        pack = parse_pack(data)
        Policy.compose([pack] if pack.id == BASELINE else [load_bundled(BASELINE), pack])
    except PolicyError as error:
        problem = error.message
    if pack is None or problem:
        return (Complaint(pack=name, rule="", says=problem),)
    found = [Complaint(pack=pack.id, rule="", says=says) for says in _pack(pack)]
    found += [Complaint(pack=pack.id, rule=rule.id, says=says) for rule in pack.rules for says in _rule(rule)]
    return tuple(found)


def _pack(pack: Pack) -> list[str]:
    says = []
    if not _HAN.search(pack.title_zh):
        says.append("`title.zh` has no Chinese")
    taken = frozenset().union(*(ids for name, ids in _rule_ids().items() if name != pack.id))
    if shared := sorted(taken & {rule.id for rule in pack.rules}):
        says.append(f"rule id `{shared[0]}` stands in a bundled pack too: the two could not be adopted together")
    return says


def _rule(rule: Rule) -> list[str]:
    says = []
    if not rule.title_en.strip() or _HAN.search(rule.title_en):
        says.append("`title.en` is empty or Chinese")
    if not _HAN.search(rule.title_zh):
        says.append("`title.zh` has no Chinese")
    if rule.in_force is None:
        says.append("`in_force` is missing: the day on which what it encodes came into force")
    if rule.encoded is None:
        says.append("`encoded` is missing: the day on which it was written down here")
    return says + _sources(rule) + _codes(rule)


def _sources(rule: Rule) -> list[str]:
    says = []
    for source in rule.sources:
        name = source.instrument
        if _BARE.fullmatch(name.strip()):
            says.append(f"source `{name}` is an article number; an instrument and its version date are needed")
        if not _VERSION.fullmatch(source.version):
            says.append(f"source `{name}`: `version` is not the date of a version")
        elif rule.encoded is not None and source.version > rule.encoded.isoformat():
            says.append(f"source `{name}`: its version is newer than `encoded`")
        if rule.certainty is Certainty.TEXT and _is_unverified(name, source.article):
            says.append(f"source `{name}` was not verified: certainty T is not open to it")
    if rule.authority is Authority.LAW and not any(source.article for source in rule.sources):
        says.append("authority `law`, and no source names an article")
    if rule.encoded is not None and rule.encoded < date(2026, 1, 1):
        says.append("`encoded` is before the first release")
    return says


def _is_unverified(instrument: str, article: str) -> bool:
    return any(name.search(instrument) and (part is None or part.search(article)) for name, part in _unverified())


def _codes(rule: Rule) -> list[str]:
    """Open lists in parameters, held against what screening can find."""
    if rule.kind == "screening":
        used = {code for key in ("categories", "refuse", "hold", "annotate") for code in rule.params.get(key, ())}
        return [f"`{code}` is no category of screening" for code in sorted(used - _CATEGORIES)]
    if rule.kind == "marks":
        return [
            f"`{code}` is no mark that screening looks for" for code in sorted(set(rule.params["marks"]) - set(MARKS))
        ]
    return []
