"""Rule kinds: one file a kind. The table below is the whole registry; a kind's released version stays for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from carelink.consent.rules.approval_number import ApprovalNumber
from carelink.consent.rules.ask_again import AskAgain
from carelink.consent.rules.base import Judge
from carelink.consent.rules.clinician import Clinician
from carelink.consent.rules.consent_method import ConsentMethod
from carelink.consent.rules.contact import Contact
from carelink.consent.rules.content import Content
from carelink.consent.rules.data_purpose import DataPurpose
from carelink.consent.rules.disclosure import Disclosure
from carelink.consent.rules.due import Due
from carelink.consent.rules.duplicate import Duplicate
from carelink.consent.rules.frequency_cap import FrequencyCap
from carelink.consent.rules.gate import Gate
from carelink.consent.rules.given_by import GivenBy
from carelink.consent.rules.grant import Grant
from carelink.consent.rules.guardian import Guardian
from carelink.consent.rules.marks import Marks
from carelink.consent.rules.minimum_gap import MinimumGap
from carelink.consent.rules.minors import Minors
from carelink.consent.rules.processor import Processor
from carelink.consent.rules.provider_template import ProviderTemplate
from carelink.consent.rules.quiet_hours import QuietHours
from carelink.consent.rules.reach import Reach
from carelink.consent.rules.reconfirm import Reconfirm
from carelink.consent.rules.review import Review
from carelink.consent.rules.screening import Screening
from carelink.consent.rules.subject import Subject
from carelink.consent.rules.suppression import Suppression
from carelink.consent.rules.time_window import TimeWindow
from carelink.consent.rules.veto import Veto
from carelink.consent.rules.working_days import WorkingDays

__all__ = ["COUNTING", "KINDS"]

KINDS: Final[Mapping[tuple[str, int], Callable[..., Judge]]] = {
    ("gate", 1): Gate.of,
    ("reach", 1): Reach.of,
    ("subject", 1): Subject.of,
    ("contact", 1): Contact.of,
    ("suppression", 1): Suppression.of,
    ("grant", 1): Grant.of,
    ("given_by", 1): GivenBy.of,
    ("guardian", 1): Guardian.of,
    ("disclosure", 1): Disclosure.of,
    ("content", 1): Content.of,
    ("frequency_cap", 1): FrequencyCap.of,
    ("minimum_gap", 1): MinimumGap.of,
    ("quiet_hours", 1): QuietHours.of,
    ("time_window", 1): TimeWindow.of,
    ("veto", 1): Veto.of,
    ("minors_marketing", 1): Minors.of,
    ("approval_number", 1): ApprovalNumber.of,
    ("ask_again", 1): AskAgain.of,
    ("clinician", 1): Clinician.of,
    ("consent_method", 1): ConsentMethod.of,
    ("data_purpose", 1): DataPurpose.of,
    ("due", 1): Due.of,
    ("duplicate", 1): Duplicate.of,
    ("marks", 1): Marks.of,
    ("processor", 1): Processor.of,
    ("provider_template", 1): ProviderTemplate.of,
    ("reconfirm", 1): Reconfirm.of,
    ("review", 1): Review.of,
    ("screening", 1): Screening.of,
    ("working_days", 1): WorkingDays.of,
}
"""(kind, version) to the reader of its parameters."""

COUNTING: Final = frozenset({("frequency_cap", 1), ("minimum_gap", 1)})
"""Kinds whose parameters default to the purposes of the rule's `when`."""
