"""`carelink capabilities`: what is not checked, so that nobody takes a permit for more than it is."""

from __future__ import annotations

import argparse
import json

from carelink.cli.common import console, is_chinese, table
from carelink.cli.exit_codes import Exit
from carelink.packs.obligations import not_checked, obligations

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("capabilities", help="what carelink does not check, and duties that it leaves to you")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        body = {
            "not_checked": [
                {"id": one.id, "subject": one.subject, "says": {"en": one.en, "zh": one.zh}, "instead": one.instead}
                for one in not_checked()
            ],
            "left_to_you": [
                {"id": one.id, "packs": list(one.packs), "says": one.en, "source": one.source,
                 "certainty": one.certainty.value, "carelink": one.carelink} for one in obligations()
            ],
        }  # fmt: skip
        console.print(json.dumps(body, ensure_ascii=False), markup=False)
        return Exit.OK
    chinese = is_chinese(args)
    rows = [(one.id, one.subject, one.zh if chinese else one.en, one.instead) for one in not_checked()]
    table("Not checked", ("id", "about", "what", "instead"), rows)
    duties = [(one.id, one.en, one.source, one.certainty.value, one.carelink or "nothing") for one in obligations()]
    table("\nDuties that are no rules of a gate", ("id", "duty", "source", "certainty", "what carelink gives"), duties)
    return Exit.OK
