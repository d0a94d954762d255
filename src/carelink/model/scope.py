"""Scopes: which purposes and channel kinds a grant, a suppression or a rule speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = ["ANY", "EVERY_PLAN", "PLAN", "PROMOTIONAL", "Scope", "covers_purpose"]

ANY: Final = "*"
"""In a scope: every purpose, or every channel kind."""

EVERY_PLAN: Final = (ANY,)
"""Plans of a scope that speaks of every plan, and of messages that belong to none."""

PLAN: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
"""Name of a plan or of a topic: a care plan, a programme, a series. The hospital's own word; it stands in the log, so
it names no disease.
"""

PROMOTIONAL: Final = (
    Family.EDUCATION.value,
    Family.EXPERIENCE.value,
    Family.MARKETING.value,
    Family.REFERRAL.value,
    Family.RESEARCH.value,
    Purpose.SYSTEM_CONSENT_REQUEST.value,
)
"""What a plain stop ends everywhere: all that is not care, billing, duty or a system notice."""

_PURPOSES: Final = frozenset({ANY, *(p.value for p in Purpose), *(f.value for f in Family)})
_CHANNELS: Final = frozenset({ANY, *(k.value for k in ChannelKind)})


@lru_cache(maxsize=4096)
def covers_purpose(names: tuple[str, ...], purpose: Purpose) -> bool:
    """Whether the list of purposes, families or `*` covers the purpose."""
    return purpose.value in names or purpose.family.value in names or ANY in names


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


@attrs.frozen
class Scope:
    """Purposes (exact, family or `*`) on channel kinds (exact or `*`), within plans (by name or `*`). Empty lists cover
    nothing. A scope that names a plan speaks only of messages that belong to it.

    Raises:
        InvalidInputError: a word is not in the closed vocabularies, or a plan is no name.
    """

    purposes: tuple[str, ...] = attrs.field(converter=_sorted)
    channels: tuple[str, ...] = attrs.field(default=(ANY,), converter=_sorted)
    plans: tuple[str, ...] = attrs.field(default=EVERY_PLAN, converter=_sorted)

    @purposes.validator
    def _known_purposes(self, _: object, value: tuple[str, ...]) -> None:
        if not _PURPOSES.issuperset(value):
            raise InvalidInputError("a scope names an unknown purpose", hint="see docs/reference/purposes.md")

    @channels.validator
    def _known_channels(self, _: object, value: tuple[str, ...]) -> None:
        if not _CHANNELS.issuperset(value):
            raise InvalidInputError("a scope names an unknown channel kind", hint="use sms, email, chat, task or *")

    @plans.validator
    def _named_plans(self, _: object, value: tuple[str, ...]) -> None:
        if any(plan != ANY and PLAN.fullmatch(plan) is None for plan in value):
            raise InvalidInputError("a plan is named `[a-z][a-z0-9-]*`, at most 32", hint="for example `recheck-year`")

    def covers(self, purpose: Purpose, channel: ChannelKind, plan: str = "") -> bool:
        """Whether a message of this purpose on this kind of channel, of this plan (or of none), is within the scope."""
        if not covers_purpose(self.purposes, purpose):
            return False
        if channel.value not in self.channels and ANY not in self.channels:
            return False
        return ANY in self.plans or plan in self.plans
