"""`carelink policy matrix`: purposes by jurisdictions, and how many rules apply; for a purpose or packs that are named,
which they are and what they ask.
"""

from __future__ import annotations

import argparse
import json
from typing import Final

from carelink.cli.common import console, is_chinese, table
from carelink.cli.exit_codes import Exit
from carelink.consent.pack import Pack, Rule
from carelink.model.scope import covers_purpose
from carelink.packs.loader import bundled, load_bundled
from carelink.packs.obligations import obligations
from carelink.vocabulary import Purpose, RecipientRole

__all__ = ["add", "narrowed", "sources"]

_CHANNEL: Final = "channel-"


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = verbs.add_parser("matrix", help="for each purpose and pack: which rules apply and what they ask")
    parser.add_argument("packs", nargs="*", metavar="PACK", help="bundled packs, rule by rule; left out: all")
    parser.add_argument("--purpose", choices=[item.value for item in Purpose], help="this purpose alone, rule by rule")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_matrix)


def sources(rule: Rule) -> str:
    """Instruments with version dates and articles, in one line."""
    return "; ".join(f"{one.instrument} ({one.version}) {one.article}".rstrip() for one in rule.sources)


def narrowed(rule: Rule) -> str:
    """To which requests, of the purposes it speaks of, a rule is narrowed; empty: all."""
    when, says = rule.when, []
    if "*" not in when.channels:
        says.append("by " + ", ".join(when.channels))
    if len(when.roles) < len(RecipientRole):
        says.append("to " + ", ".join(role.value for role in when.roles))
    if when.automated is not None:
        says.append("chosen by a program" if when.automated else "chosen by a person")
    if when.stages:
        says.append("stage " + ", ".join(stage.value for stage in when.stages))
    if when.plan is not None:
        says.append("within a plan" if when.plan else "outside any plan")
    return "; ".join(says)


def _matrix(args: argparse.Namespace) -> int:
    packs = [load_bundled(name) for name in args.packs or bundled()]
    purposes = [purpose for purpose in Purpose if args.purpose in (None, purpose.value)]
    duties = [one for one in obligations() if {pack.id for pack in packs} & set(one.packs)]
    if args.json:
        body = {
            "purposes": {
                purpose.value: {pack.id: [_entry(rule) for rule in _rules(pack, purpose)] for pack in packs}
                for purpose in purposes
            },
            "not_rules": [
                {"id": one.id, "packs": list(one.packs), "says": one.en, "source": one.source,
                 "certainty": one.certainty.value} for one in duties
            ],
        }  # fmt: skip
        console.print(json.dumps(body, ensure_ascii=False), markup=False)
        return Exit.OK
    _grid(packs, purposes)
    if args.packs or args.purpose:
        _list(packs, purposes, chinese=is_chinese(args))
    else:
        console.print("\nName packs or a --purpose to see the rules.")
    if duties:
        console.print("\nDuties that are no rules of a gate:")
        for one in duties:
            console.print(f"  {one.id}  {one.en} ({one.source}; {one.certainty.value})", markup=False)
    return Exit.OK


def _grid(packs: list[Pack], purposes: list[Purpose]) -> None:
    """Purposes by jurisdictions, how many rules apply; what holds everywhere, and what vendors ask, apart."""
    columns: dict[str, list[Pack]] = {}
    for pack in sorted(packs, key=lambda pack: (pack.jurisdiction == "*", _CHANNEL in pack.id, pack.id)):
        name = "channels" if pack.id.startswith(_CHANNEL) else pack.jurisdiction.replace("*", pack.id)
        columns.setdefault(name, []).append(pack)
    rows = [
        (purpose.value, *(str(sum(len(_rules(pack, purpose)) for pack in some) or "-") for some in columns.values()))
        for purpose in purposes
    ]
    table("Rules that apply", ("purpose", *columns), rows)
    for name, some in columns.items():
        if [pack.id for pack in some] != [name]:
            console.print(f"  {name}: {', '.join(pack.id for pack in some)}", markup=False)


def _list(packs: list[Pack], purposes: list[Purpose], *, chinese: bool) -> None:
    rows = [
        (purpose.value, pack.id, rule.id, rule.kind, rule.title_zh if chinese else rule.title_en, narrowed(rule))
        for purpose in purposes
        for pack in packs
        for rule in _rules(pack, purpose)
    ]
    table("\nWhat they ask", ("purpose", "pack", "rule", "kind", "asks", "only"), rows)


def _rules(pack: Pack, purpose: Purpose) -> list[Rule]:
    return [rule for rule in pack.rules if covers_purpose(rule.when.purposes, purpose)]


def _entry(rule: Rule) -> dict[str, object]:
    return {
        "rule": rule.id,
        "kind": rule.kind,
        "asks": {"en": rule.title_en, "zh": rule.title_zh},
        "only": narrowed(rule),
        "params": dict(rule.params),
        "authority": rule.authority.value,
        "certainty": rule.certainty.value,
        "sources": sources(rule),
    }
