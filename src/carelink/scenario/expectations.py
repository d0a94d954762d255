"""The words of expectations: what a step, and the whole story, must come to."""

from __future__ import annotations

from typing import Final

from carelink.consent.optout.reading import Reply
from carelink.consent.reasons import ReasonCode
from carelink.scenario.forms import Field, Form, flag, instant, listed, mapping, number, table, text, words
from carelink.vocabulary import Effect, LifecycleStage, Outcome, RecipientRole, Standing

__all__ = ["EXPECT", "STATE", "TOTALS"]

_COUNTS: Final = {"type": "integer", "minimum": 0}

STATE: Final = Form(
    "state",
    (
        Field("standing", words(Standing), "whether the patient may be contacted at all"),
        Field("stage", words([*LifecycleStage, "none"]), "where the patient stands with the hospital"),
        Field("grants", number(), "grants in force"),
        Field("stops", number(), "suppressions in force, of the patient and of the patient's addresses"),
        Field("relatives", number(), "relatives bound now"),
    ),
)
EXPECT: Final = Form(
    "expect",
    (
        Field("effect", words(Effect), "what the gate says"),
        Field("reasons", listed(words(ReasonCode)), "every reason, no more and no less; of a group: of anybody"),
        Field("among", listed(words(ReasonCode)), "reasons that must be among the others"),
        Field("rules", listed(text()), "rules that must have failed, by id"),
        Field("earliest", instant(), "when it would first be permitted"),
        Field("outcome", words(Outcome), "what the hand-over came to"),
        Field("role", words(RecipientRole), "who was written to: the patient, the guardian, a relative"),
        Field("channel", text(), "channel by which it left"),
        Field("contains", listed(text()), "words that the text that left holds"),
        Field("omits", listed(text()), "words that the text that left must not hold"),
        Field("left", number(), "messages that left in this step"),
        Field("counts", mapping("a table of numbers", _COUNTS), "of a group: how often each effect and reason came"),
        Field("repeated", flag(), "the key was used before, and nothing was sent now"),
        Field("released", text(), "why the permit ended without an attempt"),
        Field("reply", words([reply.value for reply in Reply]), "what the words were taken for"),
        Field("actions", listed(text()), "what was done about them"),
        Field("findings", listed(words(ReasonCode)), "what screening found, as reasons"),
        Field("fails_at", number(), "the entry that verification names"),
        Field("state", table(STATE), "of a `look`: what is on record"),
        Field("killed", flag(), "our own process was killed in this step"),
        Field("error", text(), "code of the error that the call ends with"),
        Field("entries", mapping("a table of numbers", _COUNTS), "entries of the log that this step made, by kind"),
    ),
)
TOTALS: Final = Form(
    "totals",
    (
        Field("left", mapping("a table of numbers", _COUNTS), "messages that left, by channel"),
        Field("entries", mapping("a table of numbers", _COUNTS), "entries of the log since the first step, by kind"),
    ),
)
