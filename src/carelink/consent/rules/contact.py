"""Kind `contact`: there is an address, it is usable, and somebody checked it recently enough (PIPL 8)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Micros
from carelink.vocabulary import ContactStatus

__all__ = ["Contact"]


@attrs.frozen
class Contact:
    """Parameters: `statuses` allowed (default valid, unverified); `max_age` since the last verification, if any."""

    rule: str
    statuses: tuple[str, ...]
    max_age: Micros | None

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Contact:
        """Read the parameters."""
        read = Params(rule, params, {"statuses", "max_age"})
        default = (ContactStatus.VALID.value, ContactStatus.UNVERIFIED.value)
        statuses = read.words("statuses", [status.value for status in ContactStatus], default)
        return cls(rule, statuses, read.length_if_any("max_age"))

    def judge(self, facts: Facts) -> Verdict:
        """Missing, invalid or stale refuses."""
        if (verdict := absent(self.rule, facts.contact, ReasonCode.CONTACT_MISSING)) is not None:
            return verdict
        assert isinstance(facts.contact, Known)
        contact = facts.contact.value
        if facts.address is None:
            return refuse(self.rule, ReasonCode.CONTACT_MISSING)
        if contact.status.value not in self.statuses:
            return refuse(self.rule, ReasonCode.CONTACT_INVALID)
        if self.max_age is not None:
            verified = contact.verified_at
            if verified is None or verified + self.max_age <= facts.at:
                return refuse(self.rule, ReasonCode.CONTACT_STALE)
        return permit(self.rule)
