"""Tables of docs/reference/scenario.md, made from the forms of stories. Used by check.py."""

from __future__ import annotations

from collections.abc import Callable

from carelink.scenario.forms import Type
from carelink.scenario.vocabulary import FORMS

MOST = 16
"""Words that are listed in a cell; longer vocabularies have a page of their own."""


def tables(table: Callable[[list[str], list[list[object]]], str]) -> str:
    """A heading and a table for each form."""
    parts = []
    for form in FORMS:
        rows = [[f"`{f.name}`", in_words(f.type), "yes" if f.required else "", f.means] for f in form.fields]
        note = f"\n\nExactly one of {', '.join(f'`{name}`' for name in form.one_of)}." if form.one_of else ""
        parts.append(f"### {form.name}\n\n{table(['key', 'value', 'needed', 'meaning'], rows)}{note}")
    return "\n\n".join(parts)


def in_words(kind: Type) -> str:
    """A type, for people."""
    if kind.form is not None:
        many = kind.many and kind.says == "tables"
        return f"{'tables' if many else 'table'} [{kind.form.name}](#{kind.form.name})"
    says = kind.says
    if kind.words and len(kind.words) <= MOST:
        says = "one of " + ", ".join(f"`{word}`" for word in sorted(kind.words))
    return f"{says}; or a list" if kind.many else says
