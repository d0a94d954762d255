"""Marks that rules may ask for, found in a rendered text by simple patterns. Found means: something that looks like one
stands there; not: it is true. The patterns are documented in docs/how-to/review-content.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

__all__ = ["MARKS", "marks_in"]

MARKS: Final[Mapping[str, re.Pattern[str]]] = {
    "adv_label": re.compile(
        r"^\W{0,2}(?:ad|adv|advertisement|广告)(?:\W|$)|[\[(【<《](?:ad|adv|广告)[\])】>》]", re.MULTILINE
    ),
    "approval_number": re.compile(r"医广\W{0,4}[0-9]{4}\W{0,4}第?\s*[0-9-]{1,24}\s*号"),
    "identity": re.compile(
        r"【(?![0-9]+】)[^】]{2,40}】|医院|诊所|门诊部|卫生院|卫生服务中心|医疗中心"
        r"|\b(?:hospital|clinic|medical cent(?:er|re)|health cent(?:er|re))\b"
    ),
    "opt_out": re.compile(
        r"退订|拒收|取消订阅|回复?\s*(?:td|t|r)\b|\bunsubscribe\b|\bopt[ -]?out\b|\b(?:reply|text)\s+(?:stop|r)\b"
    ),
    "postal_address": re.compile(
        r"地址\s*:|[省市区县].{1,30}[路街道巷].{0,12}[0-9]{1,5}\s*号|\bp\.?\s?o\.?\s?box\s+[0-9]"
        r"|\b[0-9]{1,6}\s+(?:(?!(?:a|in|of|on|the)\s)[a-z.'-]+\s+){1,4}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd)\b"
    ),
}
"""Code of a mark, and what it looks like in a text after NFKC and case folding."""


def marks_in(parts: Mapping[str, str], *, number: str = "") -> tuple[str, ...]:
    """Codes of the marks that stand in any part, sorted.

    Args:
        parts: name -> text as it would be sent.
        number: the regulator's approval number of this text; where there is one, only it counts as one.
    """
    texts = [unicodedata.normalize("NFKC", text).casefold() for text in parts.values()]
    found = {code for code, form in MARKS.items() if any(form.search(text) for text in texts)}
    if number:
        wanted = unicodedata.normalize("NFKC", number).casefold()
        found.discard("approval_number")
        if any(wanted in text for text in texts):
            found.add("approval_number")
    return tuple(sorted(found))
