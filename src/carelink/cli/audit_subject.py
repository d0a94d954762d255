"""`carelink audit subject PATIENT -o DIR`: all that the log holds about a person, told plainly, with its proofs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from carelink.app import CareLink
from carelink.audit.decided import DecidedBody
from carelink.audit.plain_words import tell
from carelink.audit.subject import Concerning, concerning
from carelink.cli.acting import acting, add_acting
from carelink.cli.audit_seal import write_proofs
from carelink.cli.common import console, open_link, progress
from carelink.cli.consent import patient_of
from carelink.cli.exit_codes import Exit
from carelink.errors import CannotJudgeError
from carelink.model.access import DataKind
from carelink.model.moment import Instant, to_datetime

__all__ = ["add_subject"]

_README: Final = """\
# What the log holds about you · 日志中与您有关的内容

`history.en.md` and `history.zh-CN.md` tell it in plain words. Beside them, `proofs/` holds the recorded entries themselves
(`N.entry`) and for each the proof that it stands in the hospital's log (`N.proof`, c2sp.org/tlog-proof).

You appear by random marks, not by name. Whoever has these marks and your record can put them together: keep the folder safe.

To check the proofs you need the log's key, one line of text, from the hospital's published notice, not from this folder:

    python carelink_verify.py THIS_FOLDER --key KEY

`carelink_verify.py` needs nothing but Python. It shows that each entry is in the log as it was signed. It cannot show that
nothing was left out of this folder.

`history.zh-CN.md` 以浅显文字说明内容。`proofs/` 中为原始记录及其证明;用医院公布的日志密钥按上述命令即可核对。
证明可以说明每条记录确在日志之中,但不能说明本文件夹没有遗漏。
"""


def add_subject(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = verbs.add_parser("subject", help="all that the log holds about one patient, plainly, with proofs")
    parser.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to make")
    add_acting(parser, purpose="rights")
    parser.set_defaults(run=_subject)


def _subject(args: argparse.Namespace) -> int:
    target: Path = args.output
    with open_link(args) as link:
        link.access.open(acting(link, args), DataKind.HISTORY, patient_of(link, args.patient))
        link.publish()
        persons, zone = _pseudonyms(link, args.patient)
        log = link.wiring.log
        head = log.head()
        if head is None:
            raise CannotJudgeError("nothing is published yet")
        with progress("read", head.size) as bar:
            found = list(concerning(bar.track(log.entries(0, head.size), total=head.size), persons))
        write_proofs(target, log, head, ((item.index, item.data) for item in found))
    (target / "README.md").write_text(_README, encoding="utf-8")
    told = [_told(item, persons, zone) for item in found]
    for place, name in enumerate(("history.en.md", "history.zh-CN.md")):
        (target / name).write_text(_history(told, place, zone), encoding="utf-8")
    form = [{"entry": index, "at": at, "en": en, "zh": zh} for index, at, en, zh in told]
    (target / "history.json").write_text(json.dumps(form, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    console.print(f"{len(found):,} entries about this patient, each with its proof, in {target}", markup=False)
    return Exit.OK


def _pseudonyms(link: CareLink, text: str) -> tuple[tuple[str, ...], str]:
    """The patient's pseudonyms, those of merged records included, and the zone to tell times in."""
    patient = patient_of(link, text)
    with link.wiring.store.reader() as reader:
        row = reader.patients([patient])[patient]
        while row.merged_into is not None:
            row = reader.patients([row.merged_into])[row.merged_into]
        aliases = reader.aliases([row.id]).get(row.id, ())
        return (row.person, *aliases), row.zone or reader.tenant().zone


def _told(item: Concerning, persons: Sequence[str], zone: str) -> tuple[int, str, str, str]:
    body = item.entry.body
    own = not isinstance(body, DecidedBody) or body.facts.subject in persons
    english, chinese = tell(body, own=own)
    return item.index, _local(item.entry.at, zone), english, chinese


def _local(at: Instant, zone: str) -> str:
    return to_datetime(at).astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="seconds")


def _history(told: Sequence[tuple[int, str, str, str]], place: int, zone: str) -> str:
    title = (
        "# What the log holds about you\n\nTimes are those of {zone}. The number is that of the entry and of its proof.\n",
        "# 日志中与您有关的内容\n\n时间为 {zone} 当地时间。编号即记录及其证明的编号。\n",
    )[place]
    head = ("| when | what | entry |", "| 时间 | 内容 | 编号 |")[place]
    rows = [f"| {at} | {texts[place]} | {index} |" for index, at, *texts in told]
    return "\n".join([title.format(zone=zone), head, "| --- | --- | --- |", *rows]) + "\n"
