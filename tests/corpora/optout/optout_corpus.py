"""Reads the opt-out corpora: replies with their label, scope, context and half. Escapes are resolved."""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
COLUMNS = ("base", "base_text", "context", "label", "scope", "text")
FILES = ("zh_stop", "zh_other", "en_stop", "en_other")
FILES_2 = tuple(f"{name}_2" for name in FILES)
FILES_3 = tuple(f"{name}_3" for name in FILES)
LABELS = frozenset({"stop", "other", "start", "help", "wrong_person", "soft", "ambiguous", "negated"})
SCOPES = frozenset({"all", "plain", "plan", "purpose", "channel"})
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|([tn\\]))")
_SHORT = {"t": "\t", "n": "\n", "\\": "\\"}


def resolved(field: str) -> str:
    """The field with its escapes replaced by the characters they stand for; see README.md."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT[found[2]], field)


@attrs.frozen
class Reply:
    """One reply. `context` is what the answered message announced or asked; `scope` is `-` unless the label is stop."""

    round: int
    base: int
    base_text: str
    context: str
    label: str
    scope: str
    text: str

    @property
    def unseen(self) -> bool:
        """Whether the first grammar was built without it: half of round 1, by base, and all of rounds 2 and 3."""
        return self.round > 1 or bool(int(hashlib.sha256(self.base_text.encode()).hexdigest()[:8], 16) % 2)

    @property
    def held_out(self) -> bool:
        """Whether it may only be counted: all of round 3, nothing of rounds 1 and 2."""
        return self.round == 3

    @property
    def key(self) -> tuple[str, str]:
        """Equal for near-duplicates: same context, same letters and digits after NFKC and case folding."""
        folded = unicodedata.normalize("NFKC", self.text).casefold()
        return self.context, "".join(char for char in folded if unicodedata.category(char)[0] in "LN")


@cache
def replies(name: str) -> tuple[Reply, ...]:
    """All lines of a file named in `FILES` (round 1), `FILES_2` (round 2) or `FILES_3` (round 3), in file order."""
    number = 3 if name in FILES_3 else 2 if name in FILES_2 else 1
    with (HERE / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Reply(
                number,
                int(row["base"]),
                resolved(row["base_text"]),
                row["context"],
                row["label"],
                row["scope"],
                resolved(row["text"]),
            )
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        )
