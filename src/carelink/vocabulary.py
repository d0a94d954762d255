"""Closed vocabularies: every code that reaches the log, the packs or the command line.

Values are frozen once released. Purposes follow the purpose table of the compliance research
(`docs/reference/purposes.md`); outcomes follow the channel contract.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TypeVar

from carelink.errors import InvalidInputError

__all__ = [
    "AddressKind",
    "AgeBand",
    "Authority",
    "Certainty",
    "ChannelKind",
    "ContactStatus",
    "ContentStatus",
    "DataClass",
    "DeliveryEvent",
    "DisclosureScope",
    "Effect",
    "ErasurePhase",
    "Family",
    "GrantMethod",
    "GrantState",
    "LifecycleStage",
    "Mode",
    "Outcome",
    "ProviderState",
    "Purpose",
    "RecipientRole",
    "Relation",
    "ReservationState",
    "ReviewRole",
    "Standing",
    "StopSource",
    "word",
]

_Word = TypeVar("_Word", bound=StrEnum)


def word(vocabulary: type[_Word], text: str) -> _Word:
    """The member of a closed vocabulary with this text.

    Raises:
        InvalidInputError: it is none of them; the message lists those that are.
    """
    for member in vocabulary:
        if member.value == text:
            return member
    known = ", ".join(member.value for member in vocabulary)
    raise InvalidInputError(f"not a known {vocabulary.__name__}", hint=f"one of {known}")


@unique
class Effect(StrEnum):
    """What a rule, and then the whole decision, says. Weakest wins: REFUSE < DEFER < PERMIT."""

    PERMIT = "permit"
    DEFER = "defer"
    REFUSE = "refuse"


@unique
class Family(StrEnum):
    """First part of a purpose. A grant or a suppression may name a family instead of one purpose."""

    CARE = "care"
    PUBLIC_HEALTH = "public_health"
    EDUCATION = "education"
    EXPERIENCE = "experience"
    MARKETING = "marketing"
    REFERRAL = "referral"
    RESEARCH = "research"
    ADMIN = "admin"
    SYSTEM = "system"


@unique
class Purpose(StrEnum):
    """Why a patient is contacted. Exactly one for each message."""

    CARE_APPOINTMENT = "care.appointment"
    CARE_TREATMENT = "care.treatment"
    CARE_PREPARATION = "care.preparation"
    CARE_RESULT_READY = "care.result_ready"
    CARE_MEDICATION = "care.medication"
    CARE_POSTOP_FOLLOWUP = "care.postop_followup"
    CARE_CHRONIC = "care.chronic"
    CARE_RECALL_SAFETY = "care.recall_safety"
    PUBLIC_HEALTH_NOTICE = "public_health.notice"
    EDUCATION_HEALTH = "education.health"
    EXPERIENCE_SURVEY = "experience.survey"
    MARKETING_SERVICE = "marketing.service"
    MARKETING_EVENT = "marketing.event"
    REFERRAL_INVITATION = "referral.invitation"
    RESEARCH_RECRUITMENT = "research.recruitment"
    ADMIN_BILLING = "admin.billing"
    SYSTEM_CONSENT_REQUEST = "system.consent_request"
    SYSTEM_OPTOUT_CONFIRM = "system.optout_confirm"
    SYSTEM_BREACH_NOTICE = "system.breach_notice"
    SYSTEM_RIGHTS = "system.rights"
    SYSTEM_TEST = "system.test"

    @property
    def family(self) -> Family:
        """The family this purpose belongs to."""
        return Family(self.value.partition(".")[0])


@unique
class ChannelKind(StrEnum):
    """What a channel is to a patient. Consent, suppression and caps speak of kinds, not of vendors."""

    SMS = "sms"
    EMAIL = "email"
    CHAT = "chat"
    TASK = "task"


@unique
class AddressKind(StrEnum):
    """What an address looks like. `phone` is E.164."""

    PHONE = "phone"
    EMAIL = "email"
    CHAT = "chat"


@unique
class AgeBand(StrEnum):
    """Coarse age, the only age a decision sees (Civil Code 17-20: 8 and 18; PIPL 31: 14)."""

    UNDER_8 = "0-7"
    FROM_8 = "8-13"
    FROM_14 = "14-17"
    ADULT = "18+"


@unique
class Standing(StrEnum):
    """Whether a person may be contacted at all."""

    ACTIVE = "active"
    DECEASED = "deceased"
    MERGED = "merged"
    ERASED = "erased"


@unique
class ErasurePhase(StrEnum):
    """How far an erasure is: everything stopped; copies elsewhere told; keys destroyed; rows gone and written down."""

    BEGUN = "begun"
    TOLD = "told"
    SHREDDED = "shredded"
    DONE = "done"


@unique
class ContactStatus(StrEnum):
    """What is known of a contact point."""

    VALID = "valid"
    UNVERIFIED = "unverified"
    INVALID = "invalid"
    RECYCLED = "recycled"


@unique
class RecipientRole(StrEnum):
    """Who receives: the patient, a guardian acting for the patient, or another related person."""

    SELF = "self"
    GUARDIAN = "guardian"
    RELATED = "related"


@unique
class Relation(StrEnum):
    """How a related person is related."""

    PARENT = "parent"
    GUARDIAN = "guardian"
    SPOUSE = "spouse"
    CHILD = "child"
    SIBLING = "sibling"
    OTHER = "other"


@unique
class DisclosureScope(StrEnum):
    """What a related person may be told. Default none."""

    LOGISTICS = "logistics"
    PROGRESS = "progress"
    POSTOP_CARE = "postop_care"
    RESULTS = "results"
    PLAN_AND_COST = "plan_and_cost"


@unique
class GrantState(StrEnum):
    """State of one grant (after DPV consent states). Only GIVEN supports a message."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"


@unique
class GrantMethod(StrEnum):
    """How a grant came about. Consent is voluntary and explicit: what came bundled with a service, as a default, or
    against a gift is recorded as that (PIPL 14 and 16; 消费者权益保护法实施条例 23).
    """

    EXPLICIT = "explicit"
    IMPLIED = "implied"
    BUNDLED = "bundled"
    DEFAULT = "default"
    INCENTIVISED = "incentivised"


@unique
class LifecycleStage(StrEnum):
    """Where a patient stands with the hospital, as the hospital's own software says; caps may differ by stage."""

    POTENTIAL = "potential"
    INTENT = "intent"
    TREATMENT = "treatment"
    RECOVERY = "recovery"
    LOYAL = "loyal"
    CHURN_RISK = "churn_risk"


@unique
class DataClass(StrEnum):
    """Kinds of personal data that choosing a patient, or filling in a text, may read (PIPL 5 and 6)."""

    IDENTITY = "identity"
    DEMOGRAPHICS = "demographics"
    APPOINTMENT = "appointment"
    DIAGNOSIS = "diagnosis"
    RESULT = "result"
    MEDICATION = "medication"
    PROCEDURE = "procedure"
    DEVICE = "device"
    PAYMENT = "payment"
    VALUE_TIER = "value_tier"
    BEHAVIOUR = "behaviour"
    INFERENCE = "inference"
    FAMILY = "family"
    NOTE = "note"


@unique
class StopSource(StrEnum):
    """Where a suppression came from."""

    REPLY = "reply"
    UNSUBSCRIBE = "unsubscribe"
    STAFF = "staff"
    PROVIDER = "provider"
    COMPLAINT = "complaint"
    BOUNCE = "bounce"
    WRONG_PERSON = "wrong_person"
    IMPORT = "import"
    CARRIED = "carried"
    LIFE_EVENT = "life_event"
    RESTRICTION = "restriction"


@unique
class ContentStatus(StrEnum):
    """Where a template version stands."""

    DRAFT = "draft"
    SCREENED = "screened"
    REVIEWED = "reviewed"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@unique
class ReviewRole(StrEnum):
    """In which role somebody approves content."""

    CLINICAL = "clinical"
    COMMERCIAL = "commercial"
    ETHICS = "ethics"


@unique
class ProviderState(StrEnum):
    """Where a template stands with the provider of a channel that registers templates."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@unique
class Mode(StrEnum):
    """How far a deployment may reach. Sandbox is the default: nothing leaves the machine."""

    SANDBOX = "sandbox"
    TEAM = "team"
    LIVE = "live"


@unique
class ReservationState(StrEnum):
    """Life of the slots that a permit holds; see `carelink.model.touchpoint.TRANSITIONS`."""

    HELD = "held"
    CLAIMED = "claimed"
    SPENT = "spent"
    RELEASED = "released"


@unique
class Outcome(StrEnum):
    """What one hand-over attempt came to. Closed; a channel returns one of these."""

    ACCEPTED = "accepted"
    AWAITING_HUMAN = "awaiting_human"
    REFUSED = "refused"
    OPTED_OUT = "opted_out"
    RECIPIENT_LIMIT = "recipient_limit"
    THROTTLED = "throttled"
    NOT_SENT = "not_sent"
    ACCOUNT = "account"
    UNKNOWN = "unknown"


@unique
class DeliveryEvent(StrEnum):
    """What a channel reports later about a hand-over, or what comes in on its own."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    BOUNCED_HARD = "bounced_hard"
    BOUNCED_SOFT = "bounced_soft"
    BLOCKED = "blocked"
    COMPLAINED = "complained"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    REPLIED = "replied"
    UNKNOWN = "unknown"


@unique
class Authority(StrEnum):
    """Who stands behind a rule, strongest first; auditors treat them differently."""

    LAW = "law"
    GUIDANCE = "guidance"
    STANDARD = "standard"
    CHANNEL = "channel"
    HOSPITAL = "hospital"


@unique
class Certainty(StrEnum):
    """How well a rule's source was checked.

    T read in the text of the rule itself; S read in a secondary source; K general knowledge, not
    checked; I our interpretation or proposed default.
    """

    TEXT = "T"
    SECONDARY = "S"
    KNOWLEDGE = "K"
    INTERPRETATION = "I"
