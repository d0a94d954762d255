"""Generated tables of docs/reference/opt-out.md: the grammar's slots, forms and sources, and what it does on the corpora."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[1] / "tests" / "corpora" / "optout"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def forms() -> str:
    from carelink.packs.optout_words import bundled_grammar

    counts: Counter[tuple[str, str, str]] = Counter()
    for form in bundled_grammar().forms:
        how = [word for word in ("strong", "alone", "closing", "anywhere") if getattr(form, word)]
        sources = ", ".join(form.sources)
        counts[form.means.value, ", ".join(how) or "whole", sources] += len(form.phrases)
    return _table(["means", "counts", "rests on", "phrases"], [(*key, count) for key, count in sorted(counts.items())])


def sources() -> str:
    from carelink.packs.optout_words import bundled_grammar

    rows = [
        (f"`{name}`", each["instrument"], each["version"], each["article"], each["certainty"])
        for name, each in sorted(bundled_grammar().sources.items())
    ]
    return _table(["source", "instrument", "version", "article", "certainty"], rows)


def figures() -> str:
    sys.path.insert(0, str(CORPORA))
    import optout_measure

    rows: list[list[object]] = []
    for language in ("zh", "en"):
        for part in optout_measure.PARTS:
            one = optout_measure.measured(language, part)
            rows.append(
                [
                    language,
                    part,
                    one.stops,
                    f"{one.missed} ({one.recall:.2%} found)",
                    one.waiting,
                    one.others,
                    f"{one.false} ({one.false_rate:.2%})",
                    f"{one.reviewed} ({one.reviewed / one.others:.1%})",
                    f"{one.scoped / max(1, one.stops - one.missed):.1%}",
                ]
            )
    heads = ["language", "part", "stops", "missed", "of these wait", "others", "taken for a stop", "wait", "scope as labelled"]
    return _table(heads, rows)
