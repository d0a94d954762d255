"""Scopes: which purposes and channel kinds a grant, a suppression or a rule speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = ["ANY", "PROMOTIONAL", "Scope", "covers_purpose"]

ANY: Final = "*"
"""In a scope: every purpose, or every channel kind."""

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
    """Purposes (exact, family or `*`) on channel kinds (exact or `*`). Empty lists cover nothing.

    Raises:
        InvalidInputError: a word is not in the closed vocabularies.
    """

    purposes: tuple[str, ...] = attrs.field(converter=_sorted)
    channels: tuple[str, ...] = attrs.field(default=(ANY,), converter=_sorted)

    @purposes.validator
    def _known_purposes(self, _: object, value: tuple[str, ...]) -> None:
        if not _PURPOSES.issuperset(value):
            raise InvalidInputError("a scope names an unknown purpose", hint="see docs/reference/purposes.md")

    @channels.validator
    def _known_channels(self, _: object, value: tuple[str, ...]) -> None:
        if not _CHANNELS.issuperset(value):
            raise InvalidInputError("a scope names an unknown channel kind", hint="use sms, email, chat, task or *")

    def covers(self, purpose: Purpose, channel: ChannelKind) -> bool:
        """Whether a message of this purpose on this kind of channel falls within the scope."""
        return covers_purpose(self.purposes, purpose) and (channel.value in self.channels or ANY in self.channels)
