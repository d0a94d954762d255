"""Screening for the gate: the text as it would be sent, and what the word lists find in it. No flag turns it off: rules
decide what a finding means, and where the lists cannot be had nobody knows what they would have found (P2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import attrs

from carelink.consent.facts import Absent, Fact, Known, ScreeningFact
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.marks import marks_in
from carelink.content.screening.screen import screen_rendered
from carelink.content.template import PATIENT_NAME, Template
from carelink.model.scope import ANY, covers_purpose
from carelink.vocabulary import ChannelKind, Purpose

__all__ = ["PLACEHOLDER", "Screened", "Screener", "lists_digest"]

Screened = dict[Any, Fact[ScreeningFact | None]]
"""Results by what they depend on: digest of the form, number, purpose, channel kind, clinician, values."""

PLACEHOLDER: Final = "某某"
"""Stands for the patient's name, which is sealed, and at registration for every value."""

_MOST_KEPT: Final = 1024
_FAILED: Final = "lists"
"""Key of a chunk's results that says that the lists could not be had for it."""
_NOTHING: Final[Fact[ScreeningFact | None]] = Known(None)


def lists_digest(lists: WordLists) -> str:
    """SHA-256 over id, version and digest of each list, a line each, by id: 64 hex digits."""
    lines = "".join(f"{each.id} {each.version} {each.digest}\n" for each in lists.versions)
    return sha256(lines.encode()).hexdigest()


@attrs.define
class Screener:
    """Screens with the lists that `load` gives; they are loaded once, when a text is first to be screened.

    What a template without values comes to is kept for the life of the process. What values make of one is kept by the
    caller, for one chunk: they are personal data.
    """

    load: Callable[[], WordLists]
    _lists: WordLists | None = attrs.field(default=None, init=False)
    _digest: str = attrs.field(default="", init=False)
    _kept: Screened = attrs.field(factory=dict, init=False)

    def lists(self) -> WordLists | None:
        """The lists; None where they cannot be had now."""
        if self._lists is None:
            try:
                lists = self.load()
                self._digest = lists_digest(lists)
            except Exception:  # noqa: BLE001  whatever it is, there are no lists, and nothing that needs them permits
                return None
            self._lists = lists
        return self._lists

    @property
    def digest(self) -> str:
        """Digest of the lists; "" before they were loaded."""
        return self._digest

    def fact(
        self,
        form: Template | None,
        *,
        digest: str,
        number: str,
        purpose: Purpose,
        kind: ChannelKind,
        values: Mapping[str, str],
        clinician: bool,
        chunk: Screened,
    ) -> Fact[ScreeningFact | None]:
        """What a decision is told of a text.

        Args:
            form: the approved form; None where the stored text is another: no hand-over makes anything of it, so there
                is nothing to screen.
            digest: of the approved form.
            number: the regulator's approval number of the text, "" for none.
            purpose, kind: of the message.
            values: of its variables, checked.
            clinician: a clinician with a valid credential stands behind it.
            chunk: what was screened for this chunk so far; taken further.
        """
        if form is None:
            return _NOTHING
        key = (digest, number, purpose, kind, clinician, tuple(sorted(values.items())))
        kept = chunk if values else self._kept
        found = kept.get(key)
        if found is not None:
            return found
        lists = None if _FAILED in chunk else self.lists()
        if lists is None:
            chunk[_FAILED] = Absent.UNKNOWN  # tried once a chunk: the lists may be there for the next
            return Absent.UNKNOWN
        try:
            rendered = form.fill(kind, {PATIENT_NAME: PLACEHOLDER, **values})
            parts = {"subject": rendered.subject, "body": rendered.body}
            parts = {name: text for name, text in parts.items() if text}
            screening = screen_rendered(parts, purpose=purpose, channel_kind=kind, lists=lists, clinician=clinician)
            findings = {(each.category.value.lower(), each.action.value) for each in screening.findings}
            marks = marks_in(parts, number=number)
        except Exception:  # noqa: BLE001  a text that cannot be screened is not screened, and nobody knows what is in it
            return Absent.UNKNOWN
        found = Known(ScreeningFact(lists=self._digest, findings=tuple(sorted(findings)), marks=marks))
        if kept is self._kept and len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[key] = found
        return found

    def template(self, form: Template) -> tuple[str, tuple[tuple[str, str], ...]] | None:
        """The digest of the lists, and category and action of what they find in a template's own texts, for every
        purpose and channel kind it is for; None where the lists cannot be had.
        """
        values = dict.fromkeys((*form.variables, PATIENT_NAME), PLACEHOLDER)
        purposes = [each for each in Purpose if covers_purpose(form.scope.purposes, each)]
        kinds = [each for each in ChannelKind if ANY in form.scope.channels or each.value in form.scope.channels]
        found: set[tuple[str, str]] = set()
        plain = attrs.evolve(form, types=())
        chunk: Screened = {}
        for purpose in purposes:
            for kind in kinds:
                fact = self.fact(
                    plain, digest="", number="", purpose=purpose, kind=kind, values=values, clinician=False, chunk=chunk
                )
                if not isinstance(fact, Known) or fact.value is None:
                    return None
                found.update(fact.value.findings)
        return (self._digest, tuple(sorted(found))) if self._digest else None
