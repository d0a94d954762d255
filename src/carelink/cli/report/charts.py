"""Small charts as inline SVG, each beside the table that says the same to people who do not see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

__all__ = ["bars", "stacked"]

_EFFECTS: Final = ("permit", "defer", "refuse")
_HEIGHT: Final = 160
_FOOT: Final = 22


def stacked(columns: Sequence[str], values: Mapping[tuple[str, str], int], label: str) -> str:
    """Columns of permits, deferrals and refusals, one for each period."""
    top = max((sum(values.get((column, effect), 0) for effect in _EFFECTS) for column in columns), default=0) or 1
    step = max(10, min(60, 900 // max(1, len(columns))))
    parts = []
    for place, column in enumerate(columns):
        floor = float(_HEIGHT)
        for effect in _EFFECTS:
            height = round(values.get((column, effect), 0) / top * (_HEIGHT - 20), 1)
            floor -= height
            x, width = place * step + 40, step - 2
            parts.append(f'<rect class="{effect}-fill" x="{x}" y="{floor:.1f}" width="{width}" height="{height}"/>')
        if place % max(1, len(columns) // 8) == 0:
            parts.append(f'<text x="{place * step + 40}" y="{_HEIGHT + 15}">{escape(column)}</text>')
    return _svg(len(columns) * step + 110, [f'<text x="0" y="20">{top}</text>', *parts], label)


def bars(columns: Sequence[str], values: Sequence[int], label: str, allowed: Sequence[bool] = ()) -> str:
    """Plain columns; the shaded ground marks columns that a rule allows."""
    top, step = max(values, default=0) or 1, 34
    parts = []
    for place, (column, value) in enumerate(zip(columns, values, strict=True)):
        x = place * step + 40
        if allowed and allowed[place]:
            parts.append(f'<rect x="{x}" y="0" width="{step}" height="{_HEIGHT}" fill="#e6f2ea"/>')
        height = round(value / top * (_HEIGHT - 20), 1)
        y = _HEIGHT - height
        parts.append(f'<rect class="bar-fill" x="{x + 3}" y="{y:.1f}" width="{step - 6}" height="{height}"/>')
        parts.append(f'<text x="{x + 8}" y="{_HEIGHT + 15}">{escape(column)}</text>')
    return _svg(len(columns) * step + 60, [f'<text x="0" y="20">{top}</text>', *parts], label)


def _svg(width: int, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {_HEIGHT + _FOOT}" '
        f'width="{width}" height="{_HEIGHT + _FOOT}">{"".join(parts)}</svg>'
    )
