"""`carelink policy list|show|adopt|diff`: packs, their rules and sources; adopting another set."""

from __future__ import annotations

import argparse
from pathlib import Path

from carelink.cli import policy_check, policy_matrix
from carelink.cli.audit import print_report, verify_folder
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.audit_policy import add_policy_options, answer_of, gate
from carelink.cli.common import console, is_chinese, open_link, table
from carelink.cli.exit_codes import Exit
from carelink.cli.policy_matrix import narrowed
from carelink.consent.pack import Pack, parse_pack
from carelink.errors import InvalidInputError, PolicyError, SettingsError
from carelink.packs.loader import DEFAULT_PACKS, bundled, bundled_bytes, load_bundled

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("policy", help="policy packs")
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="packs in force")
    listing.add_argument("--bundled", action="store_true", help="the packs that come with carelink instead")
    listing.set_defaults(run=_list)
    show = verbs.add_parser("show", help="rules of a pack, in force or bundled, with sources, certainty and dates")
    show.add_argument("pack")
    show.set_defaults(run=_show)
    adopt = verbs.add_parser("adopt", help="put a set of packs in force (it replaces the set before)")
    adopt.add_argument("packs", nargs="+", help=f"TOML files, or bundled: {', '.join(bundled())}")
    adopt.add_argument("--actor", required=True)
    adopt.add_argument("--approver", action="append", default=[], help="needed twice to drop or replace a pack")
    adopt.set_defaults(run=_adopt)
    diff = verbs.add_parser("diff", help="what a change of policy would have decided; fails if it allows unawares")
    add_policy_options(diff)
    diff.add_argument("--log", type=Path, required=True, metavar="DIR", help="exported folder")
    diff.add_argument("--key", required=True, help=KEY_HELP)
    diff.add_argument("--allows", action="append", default=[], metavar="RULE",
                      help="a rule whose recorded refusals the change means to allow")  # fmt: skip
    diff.set_defaults(run=_diff)
    policy_check.add(verbs)
    policy_matrix.add(verbs)


def _list(args: argparse.Namespace) -> int:
    if args.bundled:
        packs = [load_bundled(name) for name in bundled()]
        table("", ("pack", "version", "jurisdiction", "rules", "adopted by init", "title"),
              [(p.id, p.version, p.jurisdiction, str(len(p.rules)), "yes" if p.id in DEFAULT_PACKS else "no",
                p.title_zh if is_chinese(args) else p.title_en) for p in packs])  # fmt: skip
        return Exit.OK
    with open_link(args) as link:
        policy = link.policy()
    if policy is None:
        console.print("no policy is in force: everything is refused")
        return Exit.COULD_NOT_RUN
    table(f"Policy {policy.digest[:16]}", ("pack", "version", "jurisdiction", "rules", "digest"),
          [(p.id, p.version, p.jurisdiction, str(len(p.rules)), p.digest[:16]) for p in policy.packs])  # fmt: skip
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    pack, in_force = _find(args)
    if pack is None:
        console.print("no such pack is in force or bundled")
        return Exit.COULD_NOT_RUN
    stands = "in force" if in_force else "bundled, not in force"
    console.print(f"{pack.id} {pack.version} ({stands})", style="italic", markup=False)
    for rule in pack.rules:
        dates = [day.isoformat() if day is not None else "-" for day in (rule.in_force, rule.encoded)]
        console.print(
            f"{rule.id}  {rule.kind}  authority {rule.authority.value}  certainty {rule.certainty.value}  "
            f"in force {dates[0]}  encoded {dates[1]}",
            markup=False,
        )
        console.print(f"  {rule.title_zh if is_chinese(args) else rule.title_en}", markup=False)
        if only := narrowed(rule):
            console.print(f"  only {only}", markup=False)
        for source in rule.sources:
            note = f"  ({source.note})" if source.note else ""
            console.print(f"  {source.instrument} ({source.version}) {source.article}{note}".rstrip(), markup=False)
    return Exit.OK


def _find(args: argparse.Namespace) -> tuple[Pack | None, bool]:
    """The pack of this name: as it is in force, else as it is bundled; and whether it is in force."""
    policy = None
    try:
        with open_link(args) as link:
            policy = link.policy()
    except SettingsError:
        if args.pack not in bundled():
            raise
    found = [pack for pack in (policy.packs if policy is not None else ()) if pack.id == args.pack]
    if found:
        return found[0], True
    return (load_bundled(args.pack) if args.pack in bundled() else None), False


def _read(name: str) -> bytes:
    """The text of a pack, bundled or in a file.

    Raises:
        PolicyError: it is no pack; the message begins with the name that was given.
    """
    data = bundled_bytes(name) if name in bundled() else Path(name).read_bytes()
    found: PolicyError | None = None
    try:
        parse_pack(data)
    except PolicyError as error:
        found = error
    if found is not None:
        raise PolicyError(f"`{name}`: {found.message}", hint=found.hint)
    return data


def _adopt(args: argparse.Namespace) -> int:
    data = [_read(name) for name in args.packs]
    with open_link(args) as link:
        policy = link.adopt(data, actor=args.actor, approvers=args.approver)
    console.print(f"in force: {policy.digest[:16]}  {', '.join(pack.id for pack in policy.packs)}", markup=False)
    return Exit.OK


def _diff(args: argparse.Namespace) -> int:
    if not args.policy and not args.drop:
        raise InvalidInputError("no change is named", hint="pass --policy PACK or --drop ID")
    report = verify_folder(args.log, trusted_key(args.key, args.log).text)
    if report.exit_code != Exit.OK:
        print_report(report)
        return report.exit_code
    answer = answer_of(args.log, args.policy, args.drop, size=report.size)
    for line in answer.lines():
        console.print(line, markup=False)
    return gate(answer, args.allows)
