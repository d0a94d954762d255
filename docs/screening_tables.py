"""Tables of docs/reference/screening.md, made from the code, the lists and the corpora. Used by check.py."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[1] / "tests" / "corpora" / "screening"

MEANING = {
    "ABSOLUTE": ("the best, the first, the only", "广告法 9(3)"),
    "EFFICACY": ("asserts effect or safety", "广告法 16(1)(1)"),
    "RATE": ("cure, success or survival rates", "广告法 16(1)(2)"),
    "GUARANTEE": ("guarantees, money back", "广告法 16(1)(1)"),
    "ENDORSEMENT": ("patients, experts or authorities as proof", "广告法 16(1)(4)"),
    "COMPARISON": ("better than others", "广告法 16(1)(3)"),
    "INDUCEMENT": ("free treatment, prizes, discounts", "三品一械 11"),
    "MEDICAL_NAME": ("names a disease, procedure, device or drug", "医疗广告管理办法 7(1)"),
    "FEAR": ("frightens", "三品一械 11; 医美指南 5"),
    "SENSITIVE": ("names what others must not learn", "民法典 1226"),
    "LINK": ("sells or books", "互联网广告管理办法 8"),
    "STRUCTURE": ("a mark is missing", "广告法 43(2); 医疗广告管理办法 6, 14"),
    "CITATION": ("statistics or research without a source", "广告法 11(2), 28"),
    "OBFUSCATION": ("hides what it says", "own"),
    "PRESSURE": ("scarcity, countdown, group buying", "own (GRD-09)"),
    "INCENTIVE": ("a reward for reviews, sharing, referral", "网络反不正当竞争暂行规定 9(5)"),
    "OTHERS_EVENTS": ("what other patients did", "民法典 1226; own (GRD-20)"),
    "CLINICAL_ADVICE": ("dose, drug, diagnosis, prediction", "互联网诊疗监管细则（试行）"),
}


def _table(head: list[str], rows: list[list[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def actions() -> str:
    from carelink.content.screening.codes import REASONS, Category, action_of
    from carelink.vocabulary import ChannelKind, Purpose

    places = (Purpose.MARKETING_SERVICE, Purpose.EDUCATION_HEALTH, Purpose.CARE_TREATMENT)
    rows: list[list[object]] = []
    for category in Category:
        cells = []
        for purpose in places:
            shut = action_of(category, purpose, ChannelKind.CHAT)
            wide = action_of(category, purpose, ChannelKind.SMS)
            names = ["-" if one is None else one.value for one in (shut, wide)]
            cells.append(names[0] if names[0] == names[1] else f"{names[0]}; sms, email: {names[1]}")
        rows.append(
            [
                f"`{category.value}`",
                MEANING[category.value][0],
                *cells,
                f"`{REASONS[category]}`",
                MEANING[category.value][1],
            ]
        )
    return _table(["category", "the text", "commercial", "education", "service", "reason", "chief source"], rows)


def lists() -> str:
    from carelink.content.screening.compiled import WordLists
    from carelink.packs.screening_lists import bundled_lists, load_list

    rows: list[list[object]] = []
    for name in bundled_lists():
        one = load_list(name)
        words = sum(len(entry.words) + len(entry.domains) for entry in one.entries)
        benign = sum(len(phrase.words) for phrase in one.benign)
        rows.append(
            [f"`{one.id}`", one.version, len(one.entries), words, len(WordLists([one]).words), benign, one.title_en]
        )
    return _table(["list", "version", "entries", "words", "forms in the automaton", "benign phrases", "title"], rows)


def figures() -> str:
    sys.path.insert(0, str(CORPORA))
    import corpus

    from carelink.content.screening.codes import Action
    from carelink.packs.screening_lists import default_lists

    found = default_lists()
    text = ""
    for prefix, says in (
        ("", "Disguised claims, and ordinary texts"),
        ("fresh_", "Reworded claims, and texts full of listed words"),
    ):
        counted = corpus.figures(found, prefix)
        rows: list[list[object]] = []
        for half in ("seen", "unseen"):
            bad, caught = counted[f"evasion {half}"]
            good, refused = counted[f"benign {half}"]
            held = counted[f"held {half}"][1]
            rows.append(
                [
                    half,
                    bad,
                    f"{caught} ({caught / bad:.1%})",
                    good,
                    f"{refused} ({refused / good:.1%})",
                    f"{held} ({held / good:.1%})",
                ]
            )
        text += f"{says}:\n\n" + _table(["half", "claims", "caught", "benign texts", "refused", "held"], rows) + "\n"
    kinds: Counter[str] = Counter()
    held_kinds: Counter[str] = Counter()
    for line in corpus.lines("benign"):
        kinds[line.label] += 1
        held_kinds[line.label] += line.screened(found).action is Action.HOLD
    rows = [[kind, kinds[kind], held_kinds[kind]] for kind in sorted(kinds) if held_kinds[kind]]
    return text + "Kinds of ordinary texts of which some are held:\n\n" + _table(["kind", "texts", "held"], rows)
