"""What caps and gaps count: touchpoints of the subject, the recipient and the address, each on its own."""

from __future__ import annotations

from typing import Final

import attrs

from carelink.consent.facts import Touch, TouchHistory
from carelink.consent.rules.base import Params
from carelink.model.moment import Instant
from carelink.model.scope import ANY, covers_purpose
from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = ["COUNTING_KEYS", "Counted"]

COUNTING_KEYS: Final = frozenset({"counts", "purposes", "channels", "except_purposes", "replies", "plans"})
_LETTERS: Final = {"person": "sr", "address": "a", "both": "sra"}
_PURPOSES: Final = (ANY, *(family.value for family in Family), *(purpose.value for purpose in Purpose))
_CHANNELS: Final = (ANY, *(kind.value for kind in ChannelKind))


@attrs.frozen
class Counted:
    """Which touches count. `letters`: s subject, r recipient, a address; each is counted apart."""

    letters: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    spared: tuple[str, ...]
    replies: bool
    plans: str

    @classmethod
    def of(cls, read: Params, default: tuple[str, ...]) -> Counted:
        """Read the counting parameters: `counts` (person, address, both; default both), `purposes` of the touches that
        count (default: those of the rule's `when`), `except_purposes` of those that do not, `channels` (default all:
        caps count across channels, P4), `replies` (default false: a reply to the patient's own message neither counts
        nor is held back), `plans` ("any", the default; "same": touches of the request's own plan; "none": touches that
        belong to no plan).
        """
        return cls(
            _LETTERS[read.word("counts", tuple(_LETTERS), "both")],
            read.words("purposes", _PURPOSES, default),
            read.words("channels", _CHANNELS, (ANY,)),
            read.words("except_purposes", _PURPOSES, ()),
            read.flag("replies", default=False),
            read.word("plans", ("any", "same", "none"), "any"),
        )

    def instants(self, history: TouchHistory, plan: str) -> list[list[Instant]]:
        """The instants of the touches that count for a request of this plan, ascending, for subject, recipient and
        address in turn. One after the decision instant counts as if it had just happened: a clock that ran ahead must
        not open a cap.
        """
        found = [touch for touch in history.items if self._counts(touch, plan)]
        return [sorted(touch.at for touch in found if letter in touch.binds) for letter in self.letters]

    def _counts(self, touch: Touch, plan: str) -> bool:
        if (self.plans == "same" and touch.plan != plan) or (self.plans == "none" and touch.plan):
            return False
        if touch.reply and not self.replies:
            return False
        if not covers_purpose(self.purposes, touch.purpose) or covers_purpose(self.spared, touch.purpose):
            return False
        return ANY in self.channels or touch.channel_kind.value in self.channels
