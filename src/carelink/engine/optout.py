"""Opt-out words: whole-message match after normalising (first version; the full grammar is a pack's matter).

Sources: CTIA keywords and AWS's list for US and Canadian numbers (STOP, ARRET, TD ...), Chinese carrier practice
(退订, T, TD, R, N). One-letter words count only as an answer to a message that announced them; a question flow
does not exist yet, so they count when the last message on that address was not a question - which is always.
"""

from __future__ import annotations

import unicodedata
from enum import Enum, unique
from typing import Final

__all__ = ["Reply", "read_reply"]


@unique
class Reply(Enum):
    """What a reply means."""

    STOP = "stop"
    STOP_ALL = "stop_all"
    START = "start"
    HELP = "help"
    WRONG_PERSON = "wrong_person"
    REVIEW = "review"
    OTHER = "other"


_WORDS: Final[dict[str, Reply]] = {
    **dict.fromkeys(
        (
            "stop", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out", "remove", "arret", "arrêt",
            "td", "t", "r", "n", "0000", "stop please", "please stop",
            "退订", "回t", "回td", "拒收", "取消订阅", "停止", "不要再发", "不要再发了", "退訂", "停發",
            "拒收短信", "取消", "tt", "td退订", "t退订", "退订t", "退订td",
        ),
        Reply.STOP,
    ),
    **dict.fromkeys(("stopall", "stop all", "全部退订", "退订全部", "全部停止", "退订所有"), Reply.STOP_ALL),
    **dict.fromkeys(("start", "unstop", "恢复订阅", "重新订阅"), Reply.START),
    **dict.fromkeys(("help", "info", "帮助"), Reply.HELP),
    **dict.fromkeys(
        ("wrong number", "wrong person", "打错了", "发错了", "发错人了", "不是我", "你发错人了"), Reply.WRONG_PERSON
    ),
}  # fmt: skip

_ALONE: Final = frozenset((
    "stop", "stopall", "stop all", "unsubscribe", "optout", "opt out", "arret", "arrêt", "please stop", "stop please",
    "td", "回td", "td退订", "退订td", "退订", "退訂", "全部退订", "退订全部", "全部停止", "退订所有", "拒收",
    "拒收短信", "取消订阅", "不要再发", "不要再发了",
))  # fmt: skip
"""Words that mean a stop on a line of their own, above a name or a greeting. Those that could begin another sentence
(cancel, end, 取消, one letter) count only as the whole message.
"""

_SOFT: Final = ("别再发", "不要再", "不要发", "别发", "停止发送", "不想收", "骚扰", "投诉", "stop sending",
                "stop texting", "do not contact", "don't contact", "leave me alone", "unsubscribe")  # fmt: skip
_NEGATED: Final = ("不退订", "不是退订", "没有退订", "don't stop", "do not stop", "don't unsubscribe")


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(
        mark if unicodedata.category(mark)[0] in "LN" or mark == "'" else " "
        for mark in folded
        if unicodedata.category(mark) not in ("Cf", "Mn", "So")
    )
    return " ".join(kept.strip(" '").split())


def read_reply(text: str) -> Reply:
    """What a reply means. A word acts by itself as the whole message, or, where nothing else can be meant, on a line of
    its own; a sentence that sounds like a refusal is for a person to read, and until then promotional messages pause.
    """
    words = _normal(text)
    if words in _WORDS:
        return _WORDS[words]
    if any(phrase in words for phrase in _NEGATED):
        return Reply.OTHER
    alone = {_WORDS[line] for line in map(_normal, text.splitlines()) if line in _ALONE}
    if alone:
        return Reply.STOP_ALL if Reply.STOP_ALL in alone else Reply.STOP
    if any(phrase in words for phrase in _SOFT):
        return Reply.REVIEW
    return Reply.OTHER
