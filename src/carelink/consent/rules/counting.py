"""What caps and gaps count: touchpoints of the subject, the recipient and the address, each on its own."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from carelink.consent.facts import Facts, TouchHistory
from carelink.consent.rules.base import Params
from carelink.model.moment import Instant
from carelink.model.scope import ANY, PROMOTIONAL, covers_purpose
from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = ["COUNTING_KEYS", "Counted"]

COUNTING_KEYS = {"counts", "purposes", "channels", "except_purposes", "replies"}
_LETTERS = {"person": "sr", "address": "a", "both": "sra"}
_PURPOSES = (ANY, *(family.value for family in Family), *(purpose.value for purpose in Purpose))
_CHANNELS = (ANY, *(kind.value for kind in ChannelKind))


@attrs.frozen
class Counted:
    """Which touches count. `letters`: s subject, r recipient, a address; each is counted apart."""

    letters: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    spared: tuple[str, ...]
    replies: bool

    @classmethod
    def of(cls, read: Params, default: tuple[str, ...]) -> Counted:
        """Read the counting parameters: `counts` (person, address, both), `purposes` and `channels` of the touches
        that count (default: those of the rule), `except_purposes`, `replies` (default false: a reply to the
        patient's own message is not counted).
        """
        return cls(
            _LETTERS[read.word("counts", tuple(_LETTERS), "both")],
            read.words("purposes", _PURPOSES, default) or default,
            read.words("channels", _CHANNELS, (ANY,)) or (ANY,),
            read.words("except_purposes", _PURPOSES, ()) or (),
            read.flag("replies", default=False),
        )

    def instants(self, history: TouchHistory, facts: Facts) -> Iterator[tuple[str, list[Instant]]]:
        """For each letter, the instants of the touches that count, ascending. Instants after the decision instant
        count as if they had just happened: a clock that runs ahead must not open a cap.
        """
        found = [touch for touch in history.items if self._counts(touch)]
        for letter in self.letters:
            at = sorted(touch.at for touch in found if letter in touch.binds)
            yield letter, at
        del facts

    def _counts(self, touch: object) -> bool:
        purpose, kind = touch.purpose, touch.channel_kind  # type: ignore[attr-defined]
        if touch.reply and not self.replies:  # type: ignore[attr-defined]
            return False
        if not covers_purpose(self.purposes, purpose) or (self.spared and covers_purpose(self.spared, purpose)):
            return False
        return ANY in self.channels or kind.value in self.channels


_ = PROMOTIONAL
