"""Closed codes of the screening, and what follows from a category: an action for each class of purposes, and a reason.

Sources of the table of actions: `docs/reference/screening.md`.
"""

from __future__ import annotations

from enum import StrEnum, unique
from functools import cache
from typing import Final

from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = ["OPEN_CHANNELS", "REASONS", "Action", "Category", "PurposeClass", "View", "action_of", "class_of"]


@unique
class Category(StrEnum):
    """What a finding is about."""

    ABSOLUTE = "ABSOLUTE"
    EFFICACY = "EFFICACY"
    RATE = "RATE"
    GUARANTEE = "GUARANTEE"
    ENDORSEMENT = "ENDORSEMENT"
    COMPARISON = "COMPARISON"
    INDUCEMENT = "INDUCEMENT"
    MEDICAL_NAME = "MEDICAL_NAME"
    FEAR = "FEAR"
    SENSITIVE = "SENSITIVE"
    LINK = "LINK"
    STRUCTURE = "STRUCTURE"
    CITATION = "CITATION"
    OBFUSCATION = "OBFUSCATION"
    PRESSURE = "PRESSURE"
    INCENTIVE = "INCENTIVE"
    OTHERS_EVENTS = "OTHERS_EVENTS"
    CLINICAL_ADVICE = "CLINICAL_ADVICE"


@unique
class Action(StrEnum):
    """What a finding asks for. `annotate` is a note, not an effect."""

    ANNOTATE = "annotate"
    HOLD = "hold"
    REFUSE = "refuse"

    @property
    def weight(self) -> int:
        """Greater is stricter."""
        return (Action.ANNOTATE, Action.HOLD, Action.REFUSE).index(self)


@unique
class PurposeClass(StrEnum):
    """Purposes that the rules of advertising treat alike."""

    COMMERCIAL = "commercial"
    EDUCATION = "education"
    SERVICE = "service"


@unique
class View(StrEnum):
    """The shallowest reading of the text in which a finding shows."""

    PLAIN = "V1"
    JOINED = "V2"
    HOMOPHONE = "V3"
    NUMERAL = "V4"
    PINYIN = "V5"
    SPLIT = "V6"


OPEN_CHANNELS: Final = frozenset({ChannelKind.SMS, ChannelKind.EMAIL})
"""Others than the patient may read along: a lock screen, a shared mailbox, a carrier."""

REASONS: Final[dict[Category, str]] = {
    Category.ABSOLUTE: "CLAIM_PROHIBITED",
    Category.EFFICACY: "CLAIM_PROHIBITED",
    Category.RATE: "CLAIM_PROHIBITED",
    Category.GUARANTEE: "CLAIM_PROHIBITED",
    Category.ENDORSEMENT: "CLAIM_PROHIBITED",
    Category.COMPARISON: "CLAIM_PROHIBITED",
    Category.INDUCEMENT: "PRESSURE_PROMO",
    Category.MEDICAL_NAME: "CLAIM_PROHIBITED",
    Category.FEAR: "CLAIM_PROHIBITED",
    Category.SENSITIVE: "SENSITIVE_CONTENT",
    Category.LINK: "MIXED_PURPOSE",
    Category.STRUCTURE: "MARK_MISSING",
    Category.CITATION: "CLAIM_PROHIBITED",
    Category.OBFUSCATION: "CONTENT_OBFUSCATED",
    Category.PRESSURE: "PRESSURE_PROMO",
    Category.INCENTIVE: "INCENTIVE_PROHIBITED",
    Category.OTHERS_EVENTS: "PRESSURE_PROMO",
    Category.CLINICAL_ADVICE: "CLINICIAN_REQUIRED",
}
"""Reason code of each category, as a word: the screening does not know the reasons of decisions."""

_EDUCATION: Final = frozenset({Family.EDUCATION, Family.RESEARCH})
_COMMERCIAL: Final = frozenset({Family.MARKETING, Family.REFERRAL})
_LETTER: Final = {"A": Action.ANNOTATE, "H": Action.HOLD, "R": Action.REFUSE, "-": None}
_ACTIONS: Final[dict[Category, str]] = {  # commercial, education, service
    Category.ABSOLUTE: "RHA",
    Category.EFFICACY: "RRH",
    Category.RATE: "RHH",
    Category.GUARANTEE: "RRH",
    Category.ENDORSEMENT: "RR-",
    Category.COMPARISON: "RRH",
    Category.INDUCEMENT: "RRH",
    Category.MEDICAL_NAME: "R--",
    Category.FEAR: "RHH",
    Category.SENSITIVE: "RA-",
    Category.LINK: "HRA",
    Category.STRUCTURE: "R--",
    Category.CITATION: "RHA",
    Category.OBFUSCATION: "HHH",
    Category.PRESSURE: "RRH",
    Category.INCENTIVE: "RRH",
    Category.OTHERS_EVENTS: "RRH",
    Category.CLINICAL_ADVICE: "RHH",
}
_OPEN: Final = {Category.SENSITIVE: "RHR"}
"""Where the channel is open, instead of the row above."""

_PURPOSES: Final = {
    (Category.INDUCEMENT, Purpose.PUBLIC_HEALTH_NOTICE): Action.ANNOTATE,  # programmes that are free by statute
    (Category.INCENTIVE, Purpose.EXPERIENCE_SURVEY): Action.REFUSE,  # a reward makes an opinion worthless
}


def _classed(family: Family) -> PurposeClass:
    if family in _COMMERCIAL:
        return PurposeClass.COMMERCIAL
    return PurposeClass.EDUCATION if family in _EDUCATION else PurposeClass.SERVICE


_CLASSES: Final = {purpose: _classed(purpose.family) for purpose in Purpose}


def class_of(purpose: Purpose) -> PurposeClass:
    """The class that the rules of advertising put a purpose in."""
    return _CLASSES[purpose]


@cache
def action_of(category: Category, purpose: Purpose, channel_kind: ChannelKind) -> Action | None:
    """What a finding of this category asks for; None: nothing, the category is not looked at.

    A safety recall goes out whatever is found in it: its findings are notes.
    """
    place = tuple(PurposeClass).index(class_of(purpose))
    row = _OPEN.get(category, _ACTIONS[category]) if channel_kind in OPEN_CHANNELS else _ACTIONS[category]
    action = _PURPOSES.get((category, purpose), _LETTER[row[place]])
    return Action.ANNOTATE if action is not None and purpose is Purpose.CARE_RECALL_SAFETY else action
