"""Requests: the wish to contact one patient once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.forgetful import forgetful
from carelink.model.ids import PatientId, RelatedId, is_ref
from carelink.model.moment import Instant, from_datetime
from carelink.model.scope import PLAN
from carelink.vocabulary import DataClass, DisclosureScope, Purpose, word

__all__ = ["Request"]

_CHANNEL: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_TEMPLATE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_MAX_KEY: Final = 200


def _purpose(text: str) -> Purpose:
    return word(Purpose, text)


def _disclosure(text: str | None) -> DisclosureScope | None:
    return None if text is None else word(DisclosureScope, text)


def _copied(values: Mapping[str, str]) -> Mapping[str, str]:
    return dict(values)


def _instant(moment: Instant | datetime | None) -> Instant | None:
    return from_datetime(moment) if isinstance(moment, datetime) else moment


def _classes(names: Iterable[str]) -> tuple[DataClass, ...]:
    return tuple(sorted({word(DataClass, name) for name in names}))


def _plain(text: object) -> bool:
    """Text that has an encoding: a lone surrogate has none, and would break where the text is hashed."""
    return isinstance(text, str) and not any("\ud800" <= mark <= "\udfff" for mark in text)


@forgetful
@attrs.frozen(kw_only=True, repr=False)
class Request:
    """One message wanted.

    Attributes:
        key: the caller's own name for this contact, at most 200 characters. The same key is never sent twice;
            the same key with other content is an error. It may name a case: it is stored only as a keyed hash.
        patient: whom it concerns.
        purpose: why; exactly one.
        channel: a channel's name, or a channel kind (`sms`, `email`) that the settings route to a channel.
        template, version: reviewed content; version 0 is the newest registered.
        variables: values for the template's places.
        recipient: None lets the gate choose (the patient, or the acting guardian of a child under 14);
            else the related person to write to.
        disclosure: what a related person is told.
        automated: the patient was selected by a program.
        reply: it answers the patient's own message.
        wait: over a cap, DEFER instead of REFUSE.
        not_before, useless_after: the window in which the message makes sense, half open; aware `datetime`s.
        plan: the care plan, programme or series it belongs to, `[a-z][a-z0-9-]*`; it stands in the log, so it names no
            disease. "" for none.
        topic: what this contact is about, where policy keeps one contact from being made twice; named like a plan.
        due_from, due_until: when the plan wants it, half open; outside it is not due.
        data: kinds of personal data that the choice of this patient read.
        clinician: name of the clinician who stands behind it, as in `credential`; kept only as a keyed hash.

    Raises:
        InvalidInputError: a field is empty, too long or not in its vocabulary.
    """

    key: str = attrs.field(repr=False)
    patient: PatientId
    purpose: Purpose = attrs.field(converter=_purpose)
    channel: str
    template: str
    version: int = 0
    variables: Mapping[str, str] = attrs.field(factory=dict, converter=_copied, repr=False)
    recipient: RelatedId | None = None
    disclosure: DisclosureScope | None = attrs.field(default=None, converter=_disclosure)
    automated: bool = False
    reply: bool = False
    wait: bool = False
    not_before: Instant | None = attrs.field(default=None, converter=_instant)
    useless_after: Instant | None = attrs.field(default=None, converter=_instant)
    plan: str = ""
    topic: str = ""
    due_from: Instant | None = attrs.field(default=None, converter=_instant)
    due_until: Instant | None = attrs.field(default=None, converter=_instant)
    data: tuple[DataClass, ...] = attrs.field(default=(), converter=_classes)
    clinician: str = attrs.field(default="", repr=False)

    def __attrs_post_init__(self) -> None:
        if not all(map(_plain, (self.key, *self.variables, *self.variables.values()))):
            raise InvalidInputError("a request key and the names and values of variables are text")
        if not _plain(self.clinician) or len(self.clinician) > _MAX_KEY or self.clinician.strip() != self.clinician:
            raise InvalidInputError(f"a clinician is named in at most {_MAX_KEY} characters, without blanks around")
        if not self.key or len(self.key) > _MAX_KEY:
            raise InvalidInputError(f"a request key has 1 to {_MAX_KEY} characters")
        if not is_ref(self.patient):
            raise InvalidInputError("a request names its patient by id", hint="`find` turns an identifier into one")
        if _TEMPLATE.fullmatch(self.template) is None or self.version < 0:
            raise InvalidInputError(
                "a template is named `[a-z0-9_.-]{1,64}`, with a version from 1, or 0 for the newest"
            )
        if _CHANNEL.fullmatch(self.channel) is None:
            raise InvalidInputError("a channel name is `[a-z0-9-]{1,32}`")
        if any(name and PLAN.fullmatch(name) is None for name in (self.plan, self.topic)):
            raise InvalidInputError(
                "a plan or topic is named `[a-z][a-z0-9-]*`, at most 32", hint="for example `recheck`"
            )
        if self.recipient is not None and not is_ref(self.recipient):
            raise InvalidInputError("a recipient is named by the id of a related person")

    def __repr__(self) -> str:
        return f"Request(purpose={self.purpose.value!r}, channel={self.channel!r}, template={self.template!r})"
