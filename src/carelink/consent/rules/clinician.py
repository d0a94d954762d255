"""Kind `clinician`: what only a clinician may say has a clinician behind it (互联网诊疗监管细则; domain GRD-17)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Clinician"]


_ADVICE = "clinical_advice"


@attrs.frozen
class Clinician:
    """Parameter: `always` (default false: only where screening found clinical advice)."""

    rule: str
    always: bool

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Clinician:
        """Read the parameters."""
        return cls(rule, Params(rule, params, {"always"}).flag("always", default=False))

    def judge(self, facts: Facts) -> Verdict:
        """Without a named clinician, or with one whose credential is not valid: refuse."""
        for fact in (facts.screening, facts.clinician):
            if (verdict := absent(self.rule, fact)) is not None:
                return verdict
        assert isinstance(facts.screening, Known) and isinstance(facts.clinician, Known)  # noqa: PT018
        found = () if facts.screening.value is None else facts.screening.value.findings
        if not (self.always or any(category == _ADVICE for category, _ in found)):
            return permit(self.rule)
        credential, at = facts.clinician.value, facts.at
        if not facts.ask.clinician or credential is None:
            return refuse(self.rule, ReasonCode.CLINICIAN_REQUIRED)
        if credential.until is not None and credential.until <= max(at, credential.since):
            return refuse(self.rule, ReasonCode.CREDENTIAL_INVALID)
        if at < credential.since:
            return refuse(self.rule, ReasonCode.CREDENTIAL_INVALID, earliest=credential.since)
        return permit(self.rule)
