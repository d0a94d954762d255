"""Reads the corpora: lines with their half. Escapes of invisible characters are resolved."""

from __future__ import annotations

import csv
import hashlib
import re
from functools import cache
from pathlib import Path

import attrs

from carelink.content.screening.codes import Action
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.findings import Screening
from carelink.content.screening.screen import screen_rendered
from carelink.vocabulary import ChannelKind, Purpose

HERE = Path(__file__).resolve().parent


@attrs.frozen
class Line:
    """One text. `label` is the category or the kind, `trick` is empty for benign lines."""

    label: str
    trick: str
    purpose: Purpose
    channel: ChannelKind
    text: str

    @property
    def unseen(self) -> bool:
        """Whether the lists were tuned without it."""
        return bool(hashlib.sha256(self.text.encode()).digest()[-1] & 1)

    def screened(self, lists: WordLists) -> Screening:
        return screen_rendered({"body": self.text}, purpose=self.purpose, channel_kind=self.channel, lists=lists)

    def caught(self, lists: WordLists) -> bool:
        """Held or refused for the category of the line; for a turned text, refused for its controls.

        What every undisguised commercial text lacks (STRUCTURE), a link as such, and the disguise itself do not count.
        """
        for finding in self.screened(lists).findings:
            if self.trick == "bidi" and finding.entry == "CONTROL" and finding.action is Action.REFUSE:
                return True
            strong = finding.action in {Action.HOLD, Action.REFUSE}
            if self.trick != "bidi" and strong and finding.category.value == self.label and finding.entry != "URL":
                return True
        return False


@cache
def lines(name: str) -> tuple[Line, ...]:
    """All lines of a file."""
    with (HERE / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(
        Line(
            row.get("category") or row["kind"],
            row.get("trick", ""),
            Purpose(row["purpose"]),
            ChannelKind(row["channel"]),
            re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), row["text"]),
        )
        for row in rows
    )


def figures(lists: WordLists, prefix: str = "") -> dict[str, tuple[int, int]]:
    """(lines, of them caught or refused) for both halves of two files; `fresh_` names the later ones."""
    out: dict[str, tuple[int, int]] = {}
    for half in ("seen", "unseen"):
        bad = [line for line in lines(f"{prefix}evasion") if line.unseen == (half == "unseen")]
        good = [line for line in lines(f"{prefix}benign") if line.unseen == (half == "unseen")]
        out[f"evasion {half}"] = len(bad), sum(line.caught(lists) for line in bad)
        out[f"benign {half}"] = len(good), sum(line.screened(lists).action is Action.REFUSE for line in good)
        out[f"held {half}"] = len(good), sum(line.screened(lists).action is Action.HOLD for line in good)
    return out
