"""Answers by mail: is it a person who wrote, and what did they write above what they quote.

A machine's answer (RFC 3834) is no reply. What the words mean is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser
from typing import Any, Final

__all__ = ["automatic", "header_text", "written"]

_MACHINES: Final = frozenset(("mailer-daemon", "postmaster", "no-reply", "noreply", "do-not-reply"))
_BULK: Final = frozenset(("auto_reply", "bulk", "junk", "list"))
_MARKS: Final = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoreply-from", "list-id", "feedback-id")
_OUT_OF_OFFICE: Final = re.compile(
    r"\s*(automatic reply|auto[- ]?reply|autoreply|auto response|out of (the )?office|自动回复|自動回覆|自动答复)",
    re.IGNORECASE,
)
_REPLIED: Final = re.compile(r"\s*((re|aw|sv|回复|回覆|答复|答覆)\s*(\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)
_CUTS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"-- ?",  # RFC 3676 signature mark
        r"[-_]{5,}.*",  # rules, and -----Original Message-----, ------------------ 原始邮件 ------------------
        r"on .{4,200}(\bwrote\s*[:：]|<[^<>]+@[^<>]+>)",  # long ones break before "wrote:"
        r".{4,200}(写道|寫道|编写)\s*[:：]",
        r"(from|发件人|寄件者|寄件人)\s*[:：].*",
        r"(sent from my|sent with|get outlook for) .{1,40}",
        r"(发自|發自|来自|從|从)我的.{1,20}",
    )
)


class _Text(HTMLParser):
    """The text of a page, quoted parts left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Line ends where a browser would make them; nothing inside of quotes, styles and scripts."""
        del attrs
        if tag in ("blockquote", "style", "script", "head"):
            self._hidden += 1
        elif tag in ("br", "p", "div", "tr", "li"):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Leave what was hidden."""
        if tag in ("blockquote", "style", "script", "head"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in ("p", "div", "tr", "li"):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._hidden:
            self.parts.append(data)


def _decoded(data: bytes, charset: str) -> str:
    # What calls itself GB2312 is GB18030 in practice, and some mails name no charset or a wrong one.
    wanted = "gb18030" if charset.lower() in ("gb2312", "gbk", "gb18030", "x-gbk") else charset
    for name in (wanted, "utf-8", "gb18030"):
        try:
            return data.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("utf-8", errors="replace")


def _word(part: str | bytes, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    # `decode_header` gives what stands between encoded words in this form.
    return part.decode("raw-unicode-escape") if charset is None else _decoded(part, charset)


def header_text(mail: Message, name: str) -> str:
    """A header's text, its encoded words decoded; raw UTF-8 and GB18030 are read too."""
    raw = next((str(value) for found, value in mail.raw_items() if found.lower() == name), "")
    text = raw if raw.isascii() else _decoded(raw.encode("utf-8", "surrogateescape"), "utf-8")
    try:
        text = "".join(_word(part, charset) for part, charset in decode_header(text))
    except Exception:  # noqa: BLE001  whatever the library makes of a malformed header
        return raw
    return " ".join(text.split())


def automatic(mail: Message, sender: str) -> bool:
    """Whether a machine wrote it: vacation notes, lists, reports, and our own messages coming round."""
    submitted = str(mail.get("auto-submitted", "no")).partition(";")[0].strip().lower()
    return (
        submitted != "no"
        or str(mail.get("precedence", "")).strip().lower() in _BULK
        or any(name in mail for name in _MARKS)
        or str(mail.get("return-path", "")).strip() == "<>"
        or mail.get_content_type() == "multipart/report"
        or sender.partition("@")[0].lower() in _MACHINES
        or _OUT_OF_OFFICE.match(header_text(mail, "subject")) is not None
    )


def _parts(mail: Message) -> Iterator[Message]:
    """The parts that the writer wrote: nothing out of mails that are attached or forwarded."""
    content = mail.get_payload()
    if not isinstance(content, list):
        yield mail
    elif mail.get_content_maintype() == "multipart":
        for part in content:
            if isinstance(part, Message):
                yield from _parts(part)


def _body(mail: Message) -> str:
    texts: dict[str, str] = {}
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and kind not in texts and part.get_content_disposition() != "attachment":
            data = part.get_payload(decode=True)
            if isinstance(data, bytes):
                texts[kind] = _decoded(data, part.get_content_charset() or "utf-8")
    if texts.get("text/plain", "").strip():
        return texts["text/plain"]
    page = _Text()
    page.feed(texts.get("text/html", ""))
    page.close()
    return "".join(page.parts)


def _own(text: str) -> list[str]:
    lines: list[str] = []
    for raw in text.splitlines():
        line = " ".join(raw.split())
        if any(cut.fullmatch(line) for cut in _CUTS):
            break
        if line and not line.startswith((">", "＞")):
            lines.append(line)
    return lines


def written(mail: Message) -> str:
    """What the person wrote: the subject, where it is no "Re:", and the text above the first quote or signature."""
    subject = header_text(mail, "subject")
    lines = _own(_body(mail))
    return "\n".join(lines if not subject or _REPLIED.match(subject) else [subject, *lines])
