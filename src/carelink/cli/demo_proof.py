"""The demo's last steps: the exported log is verified, replayed and counted; a copy is forged, and that is named."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from carelink.app import CareLink
from carelink.audit.conservation import balance
from carelink.audit.decided import DecisionBody
from carelink.audit.entry import parse_entry
from carelink.cli.audit import replay_folder, verify_folder
from carelink.cli.common import console
from carelink.cli.exit_codes import Exit
from carelink.cli.teller import Teller
from carelink.model.request import Request
from carelink.stores.logfolder import LogFolder
from carelink.vocabulary import Effect

__all__ = ["forge", "prove"]

_STATES: Final = {
    "refused": ("refused", "已拒绝"),
    "deferred": ("deferred: to be decided again later", "已推迟:稍后重新判断"),
    "permit_open": ("permit waiting", "许可待用"),
    "claim_open": ("being handed over", "正在交付"),
    "handover:accepted": ("handed over to the outbox", "已交付到发件箱"),
    "released:stopped": ("permit void after a stop", "许可因停止而作废"),
}
_FINDINGS: Final = 3
"""Findings shown; one forged entry shows in its own bytes, in the hashes above it and in the signed root."""

_REFUSED: Final = b'"effect":"refuse"'
_FORGED: Final = b'"effect":"permit"'


def prove(link: CareLink, teller: Teller, folder: Path, *, asked: Sequence[Request], files: int) -> None:
    """Export, verify, replay, count; then forge a copy.

    Args:
        asked: every request that was sent or given a permit.
        files: messages in the outbox.
    """
    teller.step("Proof: export the log, verify it, replay it, count it", "证明:导出日志,验证、重放、清点")
    export = folder / "export"
    link.export(export, actor="demo")
    report = verify_folder(export, link.key.text)
    teller.expect(
        report.exit_code == Exit.OK,
        f"verify: {report.checked:,} entries are, byte for byte, what was signed (exit {report.exit_code})",
        f"验证:{report.checked:,} 条记录与签名时逐字节一致(退出码 {report.exit_code})",
    )
    summary, _ = replay_folder(export)
    decided = summary.decisions + summary.claims
    teller.expect(
        summary.exit_code == Exit.OK and decided > 0,
        f"replay: {decided:,} decisions derived again from the log alone, none differs (exit {summary.exit_code})",
        f"重放:仅凭日志重新得出 {decided:,} 项判断,无一不同(退出码 {summary.exit_code})",
    )
    _count(export, teller, asked, files)
    _forge(export, link, teller, folder / "forged")


def _count(export: Path, teller: Teller, asked: Sequence[Request], files: int) -> None:
    """Conservation: every request is in one final state, and the states add up."""
    counted = balance((index, parse_entry(data)) for index, data in LogFolder(export).entries())
    rows = [
        (teller.words(*_STATES.get(state, (state, state))), str(number)) for state, number in counted.states.items()
    ]
    rows.append((teller.words("together", "合计"), str(sum(counted.states.values()))))
    teller.table((("requests in the log that are", "日志中的请求状态"), ("requests", "请求数")), rows)
    total = sum(counted.states.values())
    teller.expect(
        not counted.findings and total == counted.requests == len({request.key for request in asked}),
        f"{total} requests were made, and each is in exactly one of these states",
        f"共 {total} 项请求,每项恰好处于其中一种状态",
    )
    handed = sum(number for state, number in counted.states.items() if state.startswith(("handover:", "recovered:")))
    teller.expect(
        handed == files,
        f"the log tells of {handed} messages handed over, and {files} are in the outbox",
        f"日志记载交付 {handed} 条,发件箱中有 {files} 条",
    )


def forge(folder: Path) -> int:
    """Turn the first refusal of a copied log into a permit; the number of the entry that was changed.

    The text keeps its length, so that nothing but the content gives the change away.
    """
    index, entry = next((index, data) for index, data in LogFolder(folder).entries() if _refuses(data))
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        if path.is_file() and entry in (whole := path.read_bytes()):
            # The decision's own effect comes before those of its reasons.
            path.write_bytes(whole.replace(entry, entry.replace(_REFUSED, _FORGED, 1)))
    return index


def _refuses(entry: bytes) -> bool:
    body = parse_entry(entry).body
    return isinstance(body, DecisionBody) and body.effect is Effect.REFUSE


def _forge(export: Path, link: CareLink, teller: Teller, copy: Path) -> None:
    teller.step(
        "Forgery: in a copy of the log, one refusal is rewritten as a permit", "篡改:在副本中把一次拒绝改成允许"
    )
    shutil.copytree(export, copy)
    index = forge(copy)
    report = verify_folder(copy, link.key.text)
    named = [finding for finding in report.findings if finding.index == index]
    for finding in [*named, *(other for other in report.findings if other not in named)][:_FINDINGS]:
        console.print(str(finding), markup=False)
    teller.expect(
        report.exit_code == Exit.TAMPERED and bool(named),
        f"verify names entry {index} and says TAMPERED (exit {report.exit_code})",
        f"验证指出第 {index} 条记录并判定为 TAMPERED(退出码 {report.exit_code})",
    )
