"""What a message asks for as an answer, and which opt-out words it announces, read from its text.

"Reply Y to confirm, N to cancel. Text STOP to opt out." asks for Y and N and announces STOP;
"回复1确认，2改期。拒收请回复R" asks for 1 and 2 and announces R.

One-letter opt-out words are ambiguous where a question is open (channels.md 8).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from carelink.consent.optout.reading import Asked

__all__ = ["asked_by"]

_CLAUSE: Final = re.compile(r"[。！？!?;；\n]|\.(?=\s|$)")
_PART: Final = re.compile("[,，、]")
_REPLY: Final = re.compile(
    r"\b(?:reply|respond|answer|text|txt)\b(?: (?:with|back|by texting))?"
    r"|回复|回覆|回(?=[A-Z0-9“\"‘'])",
    re.IGNORECASE,
)
_OUT: Final = re.compile(
    r"退订|退定|拒收|取消订阅|拒绝接收|不再接收|unsubscribe|opt[ -]?out"
    r"|\b(?:to|and) (?:stop|end|quit)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{1,12}[0-9]{0,4}|[0-9]{1,4}|[A-Z][a-z]{1,10})(?![A-Za-z0-9])"
    r"|[“\"‘'「](?P<quoted>[^”\"’'」]{1,8})[”\"’'」]"
    r"|(?<=回复)(?:退订|拒收|取消|确认|是|否|好)|(?<=[/或])(?:是|否)"
)
_ALWAYS: Final = frozenset({"stop", "stopall", "unsubscribe", "退订", "拒收", "td"})


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace(" ", "")


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Words that may be sent, each with what is said of it behind."""
    found = list(_WORD.finditer(text))
    for word, then in zip_longest(found, found[1:]):
        purpose = text[word.end() : len(text) if then is None else then.start()]
        yield _folded(word["quoted"] or word[0]), purpose.strip("\"”’'」 ,，、或or")


def asked_by(text: str) -> Asked:
    """What a message asks of whom it reaches. The text may hold `{variables}`; they are left alone."""
    answers: set[str] = set()
    announced: set[str] = set()
    for clause in _CLAUSE.split(unicodedata.normalize("NFKC", text).translate(_PLAIN)):
        begins = list(_REPLY.finditer(clause))
        for begin, then in zip_longest(begins, begins[1:]):
            # "拒收请回复R" says what it is for before; "Reply R to opt out" behind.
            lead = _PART.split(clause[: begin.start()])[-1]
            rest = clause[begin.end() : None if then is None else then.start()]
            if then is not None:
                rest = rest[: len(rest) - len(_PART.split(rest)[-1])]
            for number, (word, purpose) in enumerate(_words(rest)):
                first = not number and not purpose and _OUT.search(lead)
                out = word in _ALWAYS or _OUT.search(purpose) or first
                (announced if out else answers).add(word)
    return Asked(known=True, answers=frozenset(answers - announced), announced=frozenset(announced))


_PLAIN: Final = str.maketrans({"【": " ", "】": " "})
