"""Kind `data_purpose`: choice of patient and text read only what the purpose allows (PIPL 5, 6; domain GRD-11)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import DataClass

__all__ = ["DataPurpose"]


@attrs.frozen
class DataPurpose:
    """Parameter: `allowed`, kinds of personal data that may be read."""

    rule: str
    allowed: tuple[str, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> DataPurpose:
        """Read the parameters."""
        read = Params(rule, params, {"allowed"})
        allowed = read.words("allowed", tuple(name.value for name in DataClass), ())
        if not allowed:
            raise read.fail("`params.allowed` is missing")
        return cls(rule, allowed)

    def judge(self, facts: Facts) -> Verdict:
        """Another kind of data was read: refuse."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        surplus = {*facts.ask.data, *facts.content.value.data} - set(self.allowed)
        return refuse(self.rule, ReasonCode.PURPOSE_MISMATCH, classes=len(surplus)) if surplus else permit(self.rule)
