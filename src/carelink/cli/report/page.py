"""Puts figures, evidence and the page's own reader together into one HTML file without any outside reference."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import attrs

from carelink.audit.figures import Figures
from carelink.audit.merkle import complete_root
from carelink.cli.report.charts import bars, stacked
from carelink.cli.report.words import WORDS, both, t
from carelink.consent.reasons import ReasonCode
from carelink.consent.sentences import sentence
from carelink.model.moment import DAY, HOUR, Instant, iso

__all__ = ["Evidence", "page"]

_EFFECTS = ("permit", "defer", "refuse")
_BLOCK = 256


@attrs.frozen(kw_only=True)
class Evidence:
    """What the page checks by itself.

    Attributes:
        key: the verifier key line.
        checkpoint: the signed head, verbatim.
        leaves: hashes of all entries, one behind the other.
        shown: (index, bytes) of the entries in the table.
    """

    key: str
    checkpoint: bytes
    leaves: bytes
    shown: Sequence[tuple[int, bytes]]

    def form(self) -> dict[str, Any]:
        """As the page reads it: a block of 256 leaves in which nothing is shown is kept as its root only."""
        blocks, wanted = [], {index // _BLOCK for index, _ in self.shown}
        for number in range(-(-len(self.leaves) // (32 * _BLOCK))):
            held = self.leaves[number * 32 * _BLOCK : (number + 1) * 32 * _BLOCK]
            if number not in wanted and len(held) == 32 * _BLOCK:
                held = complete_root([held[at : at + 32] for at in range(0, len(held), 32)])
            blocks.append(base64.b64encode(held).decode())
        return {
            "key": self.key,
            "checkpoint": self.checkpoint.decode(),
            "blocks": blocks,
            "shown": [[index, base64.b64encode(data).decode()] for index, data in self.shown],
        }


def page(found: Figures, evidence: Evidence, *, verified: Sequence[str], replayed: Sequence[str], version: str) -> str:
    """The report.

    Args:
        found: figures of the log.
        evidence: what the page re-checks.
        verified, replayed: what `verify` and `replay` said when the file was made.
        version: of carelink.
    """
    style, script = _asset("page.css"), _asset("page.js")
    data = _script(evidence.form())
    words = _script({key: list(pair) for key, pair in WORDS.items()})
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = (
        _status(found, evidence, verified, replayed),
        _volumes(found),
        _refusals(found),
        _caps(found),
        _hours(found),
        _coverage(found),
        _outcomes(found),
        _openings(found),
        _changes(found),
        _decisions(),
    )
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>carelink: {escape(WORDS['title'][0])} · {escape(WORDS['title'][1])}</title>",
            f"<style>{style}</style>\n</head>\n<body>",
            f'<a class="skip" href="#content">{t("skip")}</a>',
            (
                f"<header><h1>{t('title')}</h1><div>"
                f'<button id="language" type="button">{t("language")}</button> '
                f'<button id="print" type="button">{t("print")}</button></div></header>'
            ),
            f'<main id="content">{"".join(sections)}</main>',
            f"<footer><p>{t('made_by')} carelink {escape(version)}.</p></footer>",
            f'<script id="evidence" type="application/json">{data}</script>',
            f'<script id="words" type="application/json">{words}</script>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _asset(name: str) -> str:
    return resources.files("carelink.cli.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _script(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _section(key: str, *parts: str, note: str = "") -> str:
    said = f'<p class="soft">{t(note)}</p>' if note else ""
    return f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{t(key)}</h2>{said}{"".join(parts)}</section>'


def _table(head: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Head cells are (HTML, is a number); cells are HTML."""
    cells = "".join(f'<th scope="col"{" class=n" if number else ""}>{text}</th>' for text, number in head)
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if head[at][1] else ''}>{cell}</td>" for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    said = f"<caption>{caption}</caption>" if caption else ""
    table = f"<table>{said}<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _when(at: Instant | None) -> str:
    return "-" if at is None else f'<span class="mono">{iso(at)[:19].replace("T", " ")}Z</span>'


def _status(found: Figures, evidence: Evidence, verified: Sequence[str], replayed: Sequence[str]) -> str:
    head = evidence.checkpoint.decode().split("\n")
    lines = "\n".join((*verified, "", *replayed))
    return _section(
        "status",
        f'<p id="verdict" class="verdict" role="status" aria-live="polite">{t("checking")}</p>',
        f'<noscript><p class="verdict bad">{t("no_script")}</p></noscript>',
        f"<dl><dt>{t('key')}</dt><dd><code id=fingerprint></code></dd>",
        f"<dt>{t('head')}</dt><dd><code>{escape(head[0])}</code>, {int(head[1]):,} {t('entries')}, "
        f"<code>{escape(head[2])}</code></dd>",
        f"<dt>{t('newest')}</dt><dd>{_when(found.last)} · {t('fresh')}</dd></dl>",
        f"<p><strong>{t('trust')}</strong></p><p>{t('limits')}</p>",
        f'<details><summary>{t("made")}</summary><pre class="mono">{escape(lines)}</pre></details>',
    )


def _effect_table(rows: Mapping[tuple[str, str], int], key: str) -> str:
    names = sorted({name for name, _ in rows})
    head = [(t(key), False), *((t(effect), True) for effect in _EFFECTS), (t("total"), True)]
    body = []
    for name in names:
        numbers = [rows.get((name, effect), 0) for effect in _EFFECTS]
        body.append([escape(name), *(f"{number:,}" for number in numbers), f"{sum(numbers):,}"])
    return _table(head, body)


def _volumes(found: Figures) -> str:
    columns = sorted({column for column, _ in found.volumes})
    legend = "".join(f'<span class="key {effect}" aria-hidden="true"></span>{t(effect)}' for effect in _EFFECTS)
    return _section(
        "volume",
        f'<p class="legend">{legend}</p>',
        stacked(columns, found.volumes, "decisions over time / 决定数量变化"),
        f"<details><summary>{t('total')}: {sum(found.effects.values()):,}</summary>",
        _effect_table(found.volumes, "period"),
        "</details>",
        f"<h3>{t('by_purpose')}</h3>",
        _effect_table(found.by_purpose, "purpose"),
        f"<h3>{t('by_channel')}</h3>",
        _effect_table(found.by_channel, "channel"),
        note="figures_note",
    )


def _refusals(found: Figures) -> str:
    head = [(t("rule"), False), (t("reason"), False), (t("count"), True), (t("authority"), False),
            (t("certainty"), False), (t("source"), False)]  # fmt: skip
    rows = []
    for row in found.refusals:
        reasons = "<br>".join(
            f"<code>{code}</code> {both(sentence(ReasonCode(code), 'en'), sentence(ReasonCode(code), 'zh'))}"
            for code, _ in row.reasons
        )
        sources = "<br>".join(
            f"{escape(instrument)}, {escape(version)}{', ' + escape(article) if article else ''}"
            for instrument, version, article in row.sources
        )
        title = f"<br>{both(row.title_en, row.title_zh)}" if row.title_en else ""
        rule = f"<code>{escape(row.rule)}</code>{title}<br><span class=soft>{escape(row.pack)}</span>"
        number = f"{sum(n for _, n in row.reasons):,}"
        rows.append([rule, reasons, number, escape(row.authority), escape(row.certainty), sources])
    return _section("refusals", _table(head, rows), note="refusals_note")


def _caps(found: Figures) -> str:
    head = [(t("rule"), False), (t("window"), False), (t("limit"), True), (t("fullest"), True), ("", False),
            (t("refused_by"), True)]  # fmt: skip
    rows = []
    for use in found.caps:
        fullest = max(use.used, default=0)
        width = 120 * min(fullest, use.maximum) // max(1, use.maximum)
        meter = (
            f'<svg role="img" aria-label="{fullest}/{use.maximum}" width="122" height="12">'
            f'<rect width="121" height="11" fill="none" stroke="#d0d7de"/>'
            f'<rect class="bar-fill" width="{width}" height="11"/></svg>'
        )
        rows.append([f"<code>{escape(use.rule)}</code>", _length(use.window), str(use.maximum), str(fullest), meter,
                     f"{use.refused:,}"])  # fmt: skip
    return _section("caps", _table(head, rows), note="caps_note")


def _length(micros: int) -> str:
    if micros % DAY == 0:
        return both(f"{micros // DAY} d", f"{micros // DAY} 天")
    return both(f"{micros / HOUR:g} h", f"{micros / HOUR:g} 小时")


def _hours(found: Figures) -> str:
    hours = [found.hours.get(hour, 0) for hour in range(24)]
    allowed = [
        any((a <= h * 3600 < b) if a < b else (h * 3600 >= a or h * 3600 < b) for _, a, b in found.windows)
        for h in range(24)
    ]
    rules = "".join(
        f"<li><code>{escape(rule)}</code> {_clock(opens)}-{_clock(closes)}</li>"
        for rule, opens, closes in found.windows
    )
    head = [(t("hour"), True), (t("attempts"), True)]
    rows = [[f"{hour:02d}", f"{number:,}"] for hour, number in enumerate(hours) if number]
    return _section(
        "hours",
        f"<p>{t('hours_note')}</p><ul>{rules}</ul>" if rules else "",
        bars([f"{hour:02d}" for hour in range(24)], hours, "attempts by local hour / 按当地时刻", allowed),
        f"<details><summary>{t('attempts')}: {sum(hours):,}</summary>{_table(head, rows)}</details>",
    )


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _coverage(found: Figures) -> str:
    head = [(t("family"), False), (t("granted"), True), (t("ended"), True), (t("never"), True)]
    rows = [
        [escape(family), f"{given:,}", f"{ended:,}", f"{found.persons - given - ended:,}"]
        for family, (given, ended) in found.coverage.items()
    ]
    return _section("coverage", f"<p>{t('persons')}: {found.persons:,}</p>", _table(head, rows))


def _outcomes(found: Figures) -> str:
    head = [(t("outcome"), False), (t("count"), True)]
    listed = "".join(
        f"<li>{t('entry')} {index}: <code>{escape(request)}</code></li>" for index, request in found.unknown
    )
    attempts, reports = (
        _table(head, [[escape(name), f"{n:,}"] for name, n in counts.most_common()])
        for counts in (found.outcomes, found.delivery)
    )
    return _section(
        "outcomes",
        attempts,
        f"<h3>{t('delivery')}</h3>{reports}" if found.delivery else "",
        f"<details><summary>{t('unknown_list')}: {found.outcomes['unknown']:,}</summary><ul>{listed}</ul></details>",
        note="unknown",
    )


def _openings(found: Figures) -> str:
    if not found.openings:
        return _section("openings", f"<p>{t('no_openings')}</p>")
    head = [(t("entry"), True), (t("at"), False), (t("who"), False), (t("what"), False), (t("purpose"), False)]
    rows = [
        [str(item.index), _when(item.at), f"<code>{escape(item.by)}</code>", escape(item.what), escape(item.purpose)]
        for item in found.openings
    ]
    return _section("openings", _table(head, rows))


def _changes(found: Figures) -> str:
    head = [(t("entry"), True), (t("at"), False), (t("change"), False), (t("what"), False), (t("loosens"), False)]
    rows = [
        [str(item.index), _when(item.at), escape(item.kind), escape(item.what), "!" if item.loosens else ""]
        for item in found.changes
    ]
    return _section("changes", _table(head, rows))


def _decisions() -> str:
    options = "".join(
        f'<option value="{value}">{escape(WORDS[value or "all"][0])}</option>' for value in ("", *_EFFECTS)
    )
    head = [(t("entry"), True), (t("at"), False), (t("request"), False), (t("kind"), False), (t("purpose"), False),
            (t("channel"), False), (t("effect"), False), (t("reason"), False), (t("earliest"), False)]  # fmt: skip
    table = _table(head, []).replace("<tbody>", '<tbody id="rows">')
    return _section(
        "decisions",
        f"<p>{t('newest_only')}</p>",
        f'<div class="tools"><label for="search">{t("search")}<input id="search" type="search"></label>'
        f'<label for="effect">{t("effect")}<select id="effect">{options}</select></label>'
        f'<span id="count" role="status"></span></div>',
        table,
        note="decisions_note",
    )
