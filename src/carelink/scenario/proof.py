"""The proof at the end of a story: its log verifies, replays, adds up and names nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from carelink.app import CareLink
from carelink.audit.conservation import balance
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder

__all__ = ["first_bad_entry", "prove"]


def prove(link: CareLink, personal: Iterable[str]) -> list[str]:
    """What is wrong with the log of a story, as text; empty when all is well.

    Args:
        personal: names and addresses that must stand in no entry (P8).
    """
    with TemporaryDirectory(prefix="carelink-scenario-") as folder:
        export = Path(folder) / "export"
        link.export(export, actor="scenario")
        report = verify(FolderFetcher(export), vkey=link.key.text, check_signature=KeyFolder.check_signature)
        entries = list(LogFolder(export).entries())
    wrong = [f"verify: {finding}" for finding in report.findings]
    wrong += [f"replay: {found}" for found in replay(entries, PolicyJudge())]
    book = balance((index, parse_entry(data)) for index, data in entries)
    wrong += [f"conservation: {found}" for found in book.findings]
    marks = [text.encode() for text in personal]
    wrong += [f"entry {index} names somebody" for index, data in entries if any(mark in data for mark in marks)]
    return wrong


def first_bad_entry(link: CareLink, *, alter: int) -> int:
    """Alter one digit of one entry in an exported copy, and verify the copy: the first entry that is named, -1 for
    none.
    """
    with TemporaryDirectory(prefix="carelink-scenario-") as folder:
        export = Path(folder) / "export"
        link.export(export, actor="scenario")
        (entry,) = (data for index, data in LogFolder(export).entries() if index == alter)
        forged = re.sub(rb"[0-9](?=[^0-9]*\Z)", lambda digit: b"%d" % ((int(digit[0]) + 1) % 10), entry, count=1)
        for path in sorted((export / "tile" / "entries").rglob("*")):
            if path.is_file() and entry in (whole := path.read_bytes()):
                path.write_bytes(whole.replace(entry, forged))
        report = verify(FolderFetcher(export), vkey=link.key.text, check_signature=KeyFolder.check_signature)
    return min((finding.index for finding in report.findings if finding.index is not None), default=-1)
