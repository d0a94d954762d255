"""The words of stories: every table and key there is. docs/reference/scenario.md is made from this."""

from __future__ import annotations

from typing import Any, Final

import attrs

from carelink.audit.kinds import Kind
from carelink.scenario.expectations import EXPECT, STATE, TOTALS
from carelink.scenario.forms import (
    Field,
    Form,
    flag,
    instant,
    listed,
    mapping,
    number,
    table,
    tables,
    text,
    words,
)
from carelink.vocabulary import (
    AddressKind,
    ChannelKind,
    ContactStatus,
    DataClass,
    DeliveryEvent,
    DisclosureScope,
    GrantMethod,
    LifecycleStage,
    Mode,
    Outcome,
    ProviderState,
    Purpose,
    RecipientRole,
    Relation,
    ReviewRole,
    StopSource,
)

__all__ = ["FORMS", "STORY", "VERBS", "schema"]

_WHO: Final = Field("patient", text(), "label of the patient", required=True)
_SCOPE: Final = (
    Field("purposes", listed(text()), "purposes, families such as `care`, or `*`", required=True),
    Field("channels", listed(text()), "channel kinds (`sms`, `email`, `chat`, `task`), or `*`; left out: `*`"),
    Field("plans", listed(text()), "plans by name; left out: every plan"),
)

CHANNEL: Final = Form(
    "channel",
    (
        Field("name", text(), "name of the channel, such as `wecom`; not the name of a kind", required=True),
        Field("kind", words(ChannelKind), "what it is to a patient; consent and caps speak of kinds", required=True),
        Field("address", words(AddressKind), "addresses it takes; left out: phone for sms and task, else as the kind"),
        Field("lookup", flag(), "the far end can tell whether a message was handed over"),
        Field("outside", flag(), "what it is handed leaves the machine: it works in mode team or live only"),
    ),
)
PACK: Final = Form(
    "pack",
    (
        Field(
            "name", text(), "name by which `packs` and `adopt` call it; not the name of a bundled pack", required=True
        ),
        Field("text", text(), "the pack, as a pack file would hold it", required=True),
    ),
)
STAFF: Final = Form(
    "staff",
    (
        Field("name", text(), "name of the member of staff", required=True),
        Field("roles", listed(words(ReviewRole)), "what they may approve as; left out: clinical"),
        Field("since", instant(), "first moment of the credential; left out: the beginning of the story"),
        Field("until", instant(), "end of the credential; left out: open"),
    ),
)
CONTENT: Final = Form(
    "content",
    (
        Field("name", text(), "name of the template", required=True),
        Field("body", text(), "the text; `{word}` is a place for a variable", required=True),
        Field("subject", text(), "subject line"),
        Field("purposes", listed(text()), "purposes or families it is for", required=True),
        Field("channels", listed(text()), "channel kinds it is for; left out: every kind"),
        Field("version", number(1), "version; left out: 1"),
        Field("author", text(), "who wrote it, and cannot approve it"),
        Field("approved_by", listed(text()), "who approved it; `NAME` or `NAME:commercial`"),
        Field("quorum", number(1), "distinct approvers that make it approved; left out: 1"),
        Field("since", instant(), "first moment of its validity"),
        Field("until", instant(), "end of its validity"),
        Field("data", listed(words(DataClass)), "kinds of personal data that its variables carry"),
        Field("types", mapping("a table of types", {"type": "object"}), "type of each variable that has one"),
        Field("citations", listed(text()), "sources of what it says"),
        Field("byline", text(), "who stands behind it; fills `{byline}`"),
        Field("number", text(), "the regulator's approval number"),
        Field("number_until", instant(), "end of the number's validity"),
        Field("provider", mapping("a table channel to state", {"enum": sorted(ProviderState)}),
              "where it stands with the provider of a channel"),
    ),
)  # fmt: skip
CONSENT: Final = Form(
    "consent",
    (
        *_SCOPE,
        Field("by", words(RecipientRole), "who gave it; left out: the patient"),
        Field("separate", flag(), "given apart from everything else"),
        Field("notice", text(), "version of the notice that was shown"),
        Field("method", words(GrantMethod), "how it came about; left out: explicit"),
        Field("since", instant(), "when it begins; left out: at once"),
        Field("until", instant(), "when it ends; left out: open"),
        Field("evidence", text(), "reference to its evidence; left out: made up"),
    ),
)
_RELATED: Final = (
    Field("name", text(), "label of the relative", required=True),
    Field("relation", words(Relation), "how they are related; left out: other"),
    Field("scopes", listed(words(DisclosureScope)), "what they may be told; left out: nothing"),
    Field("acts", flag(), "acts for the patient, as a guardian does"),
    Field("verified", flag(), "the hospital verified who they are; left out: true"),
    Field("contacts", listed(words(AddressKind)), "addresses they have, made up; left out: one of each kind in use"),
    Field("since", instant(), "when this began; left out: the beginning of the story"),
    Field("until", instant(), "when this ends; left out: open"),
)
RELATED: Final = Form("related", _RELATED)
PATIENT: Final = Form(
    "patient",
    (
        Field("name", text(), "label of the patient in this story", required=True),
        Field("count", number(1), "so many alike, labelled `NAME-1` and so on"),
        Field("born", instant(), "date of birth"),
        Field("age", number(), "age at the beginning of the story, instead of `born`"),
        Field("stage", words(LifecycleStage), "where the patient stands with the hospital"),
        Field("zone", text(), "IANA time zone; left out: the story's"),
        Field("language", text(), "language tag"),
        Field("contacts", listed(words(AddressKind)), "addresses, made up; left out: one of each kind in use"),
        Field("groups", listed(text()), "groups the patient is in; `to` may name a group"),
        Field("consent", tables(CONSENT), "what the patient agreed to"),
        Field("related", tables(RELATED), "relatives and guardians"),
    ),
)
_ASK: Final = (
    Field("to", listed(text()), "patient, patients or group", required=True),
    Field("purpose", words(Purpose), "why", required=True),
    Field("channel", text(), "channel kind or name of a channel", required=True),
    Field("template", text(), "content", required=True),
    Field("version", number(), "version of the content; left out: the newest"),
    Field("variables", mapping("a table of texts", {"type": "string"}), "values of variables"),
    Field("recipient", text(), "label of the relative to write to; left out: the gate chooses"),
    Field("disclosure", words(DisclosureScope), "what the relative would be told"),
    Field("plan", text(), "care plan, programme or series it belongs to"),
    Field("topic", text(), "what the contact is about; one topic is not contacted twice a day"),
    Field("due_from", instant(), "when the plan wants it, from"),
    Field("due_until", instant(), "when the plan wants it, until"),
    Field("not_before", instant(), "earliest moment of use"),
    Field("useless_after", instant(), "end of its use"),
    Field("data", listed(words(DataClass)), "kinds of data that choosing the patient read"),
    Field("clinician", text(), "member of staff who stands behind it"),
    Field("automated", flag(), "a program chose the patient"),
    Field("reply", flag(), "it answers the patient's own message"),
    Field("wait", flag(), "over a cap: later instead of never"),
    Field("key", text(), "the caller's own key; the same key never goes twice; left out: made up"),
)
ASK: Final = Form("ask", _ASK)
PART: Final = Form(
    "part",
    (
        Field("after", instant(), "when, from the beginning of the programme: `+0d`, `+7d 09:00`", required=True),
        *(attrs.evolve(field, required=False, means=f"{field.means}; left out: the programme's") for field in _ASK),
    ),
)
PROGRAMME: Final = Form(
    "programme",
    (
        *_ASK,
        Field("times", number(1), "how many contacts, at even distances"),
        Field("every", number(1), "with `times`: days between two; left out: 1"),
        Field("parts", tables(PART), "instead of `times`: each contact with its own moment, and what differs in it"),
    ),
    one_of=("times", "parts"),
)
REPLY: Final = Form(
    "reply",
    (
        Field("from", text(), "patient or relative who writes", required=True),
        Field("channel", text(), "channel kind or name of a channel", required=True),
        Field("text", text(), "what they write", required=True),
        Field("to", text(), "name of the step whose message it answers"),
    ),
)
REPORT: Final = Form(
    "report",
    (
        Field("of", text(), "name of the step whose message it reports on"),
        Field("from", text(), "instead of `of`: patient or relative it is about, without any message of ours"),
        Field("channel", text(), "with `from`: channel kind or name of a channel"),
        Field("event", words(DeliveryEvent), "what the far end reports", required=True),
        Field("times", number(1), "reported so often; left out: once"),
    ),
    one_of=("of", "from"),
)
SCOPED: Final = Form(
    "scoped",
    (Field("patient", listed(text()), "patient, patients or group", required=True), *_SCOPE),
)
STOP: Final = Form(
    "stop",
    (*SCOPED.fields, Field("source", words(StopSource), "where it came from; left out: staff")),
)
GRANT: Final = Form("grant", (_WHO, *CONSENT.fields))
RELATE: Final = Form("relate", (_WHO, *_RELATED))
STAGE: Final = Form(
    "stage",
    (
        _WHO,
        Field("stage", words(LifecycleStage), "where the patient stands now", required=True),
    ),
)
ENDED: Final = Form("plan_ended", (_WHO, Field("plans", listed(text()), "plans by name", required=True)))
RETURNED: Final = Form("returned", (_WHO, Field("plans", listed(text()), "plans by name; left out: every plan")))
MERGE: Final = Form(
    "merge",
    (
        Field("patient", text(), "record that ends", required=True),
        Field("into", text(), "record that goes on", required=True),
    ),
)
APPROVE: Final = Form(
    "approve",
    (
        Field("template", text(), "content", required=True),
        Field("version", number(1), "its version; left out: 1"),
        Field("by", text(), "who approves", required=True),
        Field("role", words(ReviewRole), "in which role; left out: clinical"),
    ),
)
CREDENTIAL: Final = Form(
    "end_credential",
    (
        Field("name", text(), "member of staff", required=True),
        Field("role", words(ReviewRole), "the role that ends; left out: clinical"),
    ),
)
SCREEN: Final = Form(
    "screen",
    (
        Field("template", text(), "content that is screened as it stands, before anybody is asked for", required=True),
        Field("purpose", words(Purpose), "for this purpose", required=True),
        Field("channel", words(ChannelKind), "on this channel kind", required=True),
    ),
)
QUIRK: Final = Form(
    "provider",
    (
        Field("channel", text(), "name of the channel", required=True),
        Field("answers", listed(words(Outcome)), "what its next attempts come to"),
        Field("takes", number(), "seconds that an attempt takes from now on"),
        Field(
            "dies", words(("before", "after")), "our own process is killed at the next attempt, before or after it left"
        ),
        Field("early", words(DeliveryEvent), "with its next message this report comes before the answer"),
        Field("told", flag(), "whether it knows, when asked later, what it took; left out: as it was"),
    ),
)
_VERSION: Final = (
    Field("template", text(), "content", required=True),
    Field("version", number(1), "its version; left out: 1"),
)
RETRACT: Final = Form("withdraw_content", _VERSION)
REGISTERED: Final = Form(
    "provider_template",
    (
        *_VERSION,
        Field("channel", text(), "name of the channel", required=True),
        Field("state", words(ProviderState), "where it stands with the provider now", required=True),
    ),
)
NUMBER: Final = Form(
    "approval_number",
    (
        *_VERSION,
        Field("number", text(), "the regulator's number; an empty text takes it away", required=True),
        Field("until", instant(), "end of its validity"),
    ),
)
CONTACT: Final = Form(
    "contact",
    (
        _WHO,
        Field("kind", words(AddressKind), "which address", required=True),
        Field("status", words((ContactStatus.VALID, ContactStatus.INVALID)), "what is known of it now", required=True),
    ),
)
TAMPER: Final = Form(
    "tamper", (Field("entry", number(), "number of the entry that is altered in a copy", required=True),)
)

VERBS: Final = (
    Field("send", table(ASK), "ask the gate, and hand over what it permits"),
    Field("permit", table(ASK), "ask the gate and keep the permit; a later `send` with the same key uses it"),
    Field("preview", table(ASK), "what `send` would decide; nothing is kept"),
    Field("programme", table(PROGRAMME), "a series of asks, one every so many days"),
    Field("reply", table(REPLY), "somebody writes back"),
    Field("report", table(REPORT), "the far end reports on a message"),
    Field("grant", table(GRANT), "a patient consents"),
    Field("withdraw", table(SCOPED), "a patient takes consent back"),
    Field("stop", table(STOP), "a patient is suppressed"),
    Field("lift", table(SCOPED), "suppressions of a patient are lifted by staff"),
    Field("patient", table(PATIENT), "a patient is registered"),
    Field("relate", table(RELATE), "a relative is bound, changed or (with `until`) ended"),
    Field("stage", table(STAGE), "a patient enters another stage"),
    Field("died", text(), "a patient died"),
    Field("transferred", text(), "another hospital treats a patient now"),
    Field("plan_ended", table(ENDED), "plans of care are over, such as a pregnancy, however it ended"),
    Field("returned", table(RETURNED), "what a transfer or the end of a plan stopped is lifted"),
    Field("merge", table(MERGE), "two records turn out to be one patient"),
    Field("content", table(CONTENT), "content is registered, and perhaps approved"),
    Field("approve", table(APPROVE), "content is approved once more"),
    Field("credential", table(STAFF), "a member of staff is credentialed, or renewed"),
    Field("end_credential", table(CREDENTIAL), "a credential ends"),
    Field("screen", table(SCREEN), "content is screened without any recipient"),
    Field("provider", table(QUIRK), "how a far end behaves from now on"),
    Field("adopt", listed(text()), "packs in force from now on, as in `scenario.packs`"),
    Field("clock_steps", number(-86_400), "seconds by which the machine's clock is set wrong"),
    Field("withdraw_content", table(RETRACT), "content is taken out of use, for good"),
    Field("provider_template", table(REGISTERED), "a provider approves or rejects content"),
    Field("approval_number", table(NUMBER), "the regulator's number is recorded, or taken away"),
    Field("contact", table(CONTACT), "an address turns out to be good, or over"),
    Field("look", text(), "look at a patient; `expect.state` says what must be there"),
    Field("recover", flag(), "claims of a killed run are settled, as the next `send` would by itself"),
    Field("mode", words(Mode), "how far the deployment may reach from now on"),
    Field("allow", listed(text()), "patients or groups whose phones and mailboxes go on the team's list"),
    Field("restart", flag(), "the process ends and starts again"),
    Field("tamper", table(TAMPER), "one entry of an exported copy is altered, and the copy verified"),
    Field("note", text(), "something the hospital's own people or programs do; the gate is not asked"),
)

STEP: Final = Form(
    "step",
    (
        Field("name", text(), "name, for steps that refer to it"),
        Field("title", text(), "what happens, in words"),
        Field("at", instant(), "when; left out: at the moment of the step before"),
        Field("expect", table(EXPECT), "what must come of it"),
        *VERBS,
    ),
    one_of=tuple(field.name for field in VERBS),
)
HEAD: Final = Form(
    "scenario",
    (
        Field("id", text(), "short name", required=True),
        Field("title", text(), "what the story is about", required=True),
        Field("source", text(), "where the story comes from"),
        Field("packs", listed(text()), "bundled packs, packs of this story, or files beside it", required=True),
        Field("zone", text(), "IANA time zone of the hospital; left out: Asia/Shanghai"),
        Field("start", instant(), "when the story begins", required=True),
        Field("mode", words(Mode), "how far the deployment may reach; left out: sandbox"),
        Field("seed", number(), "makes other pseudonyms; left out: 1"),
    ),
)
STORY: Final = Form(
    "story",
    (
        Field("scenario", table(HEAD), "what the story is about", required=True),
        Field("pack", tables(PACK), "the hospital's own packs, in the story itself"),
        Field("channel", tables(CHANNEL), "channels; left out: one of each kind"),
        Field("staff", tables(STAFF), "credentialed staff"),
        Field("content", tables(CONTENT), "content"),
        Field("patient", tables(PATIENT), "patients"),
        Field("step", tables(STEP), "what happens, in order", required=True),
        Field("totals", table(TOTALS), "what the whole story must come to"),
    ),
)

FORMS: Final = (
    STORY, HEAD, PACK, CHANNEL, STAFF, CONTENT, PATIENT, CONSENT, RELATED, STEP, EXPECT, TOTALS, ASK, PROGRAMME, PART,
    REPLY, REPORT, GRANT, SCOPED, STOP, RELATE, STAGE, ENDED, RETURNED, MERGE, APPROVE, CREDENTIAL, SCREEN, QUIRK,
    RETRACT, REGISTERED, NUMBER, CONTACT, STATE, TAMPER,
)  # fmt: skip
KINDS: Final = frozenset(kind.value for kind in Kind)
"""Words of `entries`."""


def schema() -> dict[str, Any]:
    """JSON schema of a story, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "carelink scenario",
        "$ref": "#/$defs/story",
        "$defs": {form.name: form.schema() for form in FORMS},
    }
