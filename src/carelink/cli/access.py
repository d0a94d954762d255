"""`carelink access approve|reviews|review`: approvals to look at minors' data, reviews of emergencies."""

from __future__ import annotations

import argparse

from carelink.cli.acting import acting, add_acting
from carelink.cli.common import console, instant, open_link, shown_instant, table
from carelink.cli.consent import patient_of
from carelink.cli.exit_codes import Exit
from carelink.model.access import Finding, PurposeOfUse

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("access", help="who may look at minors' data, and what was opened in an emergency")
    verbs = parser.add_subparsers(dest="verb", required=True)
    approve = verbs.add_parser("approve", help="approve that somebody looks at a patient's data until an instant")
    approve.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    approve.add_argument("--for", dest="whom", required=True, metavar="NAME", help="who is to look")
    approve.add_argument("--until", type=instant, required=True, help="RFC 3339 instant, within 90 days")
    approve.add_argument("--looks-for", choices=[each.value for each in PurposeOfUse], default="treatment",
                         help="what they look for (default treatment)")  # fmt: skip
    add_acting(approve)
    approve.set_defaults(run=_approve)
    verbs.add_parser("reviews", help="openings in an emergency that nobody reviewed").set_defaults(run=_reviews)
    review = verbs.add_parser("review", help="write down what a review found")
    review.add_argument("access", help="id of the opening, as `access reviews` shows it")
    review.add_argument("finding", choices=[each.value for each in Finding])
    add_acting(review)
    review.set_defaults(run=_review)


def _approve(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        approval = link.access.approve(
            patient_of(link, args.patient),
            actor=link.actor(args.whom),
            by=acting(link, args),
            until=args.until,
            purpose=PurposeOfUse(args.looks_for),
        )
    console.print(f"approved until {shown_instant(args.until)}: {approval}", markup=False)
    return Exit.OK


def _reviews(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        rows = link.access.reviews()
    table(
        "open reviews",
        ("opening", "when", "by", "what", "patient"),
        [(row.id, shown_instant(row.at), row.actor, row.what, row.patient) for row in rows],
    )
    return Exit.OK


def _review(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        link.access.review(args.access, Finding(args.finding), by=acting(link, args))
    console.print(f"reviewed: {args.finding}", markup=False)
    return Exit.OK
