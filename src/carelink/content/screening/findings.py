"""What a screening says. Findings hold places and codes, never text of the message (P8)."""

from __future__ import annotations

from typing import Final

import attrs

from carelink.content.screening.codes import REASONS, Action, Category, View

__all__ = ["Finding", "ListVersion", "Screening"]

_PLACES: Final = {category: place for place, category in enumerate(Category)}


@attrs.frozen(order=False, kw_only=True)
class Finding:
    """One listed pattern, or one other thing that the rules ask about, in one part of a rendered text.

    Attributes:
        category: what it is about.
        entry: id of the entry in a list, or of a built-in check.
        action: what follows for the purpose it was screened for.
        part: name of the part of the message, for example `body`.
        start, end: place in the original part, in characters; both 0 where something is missing.
        view: the shallowest reading in which it shows.
    """

    category: Category
    entry: str
    action: Action
    part: str
    start: int = 0
    end: int = 0
    view: View = View.PLAIN

    @property
    def reason(self) -> str:
        """Reason code that the category stands for."""
        return REASONS[self.category]


@attrs.frozen(order=True)
class ListVersion:
    """A list that was screened with: id, version, and SHA-256 of its bytes in hex."""

    id: str
    version: str
    digest: str


@attrs.frozen
class Screening:
    """All findings of one message, and the lists they come from. None found means: no listed pattern; not: lawful.

    Attributes:
        findings: by part, then by place.
        lists: by id.
    """

    findings: tuple[Finding, ...]
    lists: tuple[ListVersion, ...]

    def __bool__(self) -> bool:
        raise TypeError("a screening has no truth value; look at `action`")

    @property
    def action(self) -> Action | None:
        """The strictest action; None where nothing was found."""
        return max((finding.action for finding in self.findings), key=lambda action: action.weight, default=None)

    @property
    def categories(self) -> tuple[tuple[Category, Action], ...]:
        """Each category found with its strictest action, in the order of the codes."""
        strictest: dict[Category, Action] = {}
        for finding in self.findings:
            known = strictest.get(finding.category)
            if known is None or finding.action.weight > known.weight:
                strictest[finding.category] = finding.action
        return tuple(sorted(strictest.items(), key=lambda item: _PLACES[item[0]]))
