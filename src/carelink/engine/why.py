"""Why: the recorded facts of a request decided again, so that every rule's verdict can be shown, not only those that
refused. Reads only; nothing of it depends on today's state.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.audit.bodies import PolicyBody
from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.consent.decide import decide
from carelink.consent.facts import Facts
from carelink.consent.pack import parse_pack
from carelink.consent.policy import Policy
from carelink.consent.verdict import Decision
from carelink.errors import CannotJudgeError, NotFoundError
from carelink.model.ids import RequestRef
from carelink.model.moment import Instant
from carelink.ports.store import Reader, Store

__all__ = ["Happened", "Story", "why"]


@attrs.frozen(kw_only=True)
class Happened:
    """One entry of a request: its index in the log, when, its kind, and a short code of what it says."""

    index: int
    at: Instant
    kind: str
    says: str


@attrs.frozen(kw_only=True)
class Story:
    """A request's last decision with everything it saw, and all that happened to it.

    Attributes:
        index: index of the entry that holds the decision.
        agrees: the recorded facts, decided again, give what was recorded.
    """

    index: int
    facts: Facts
    policy: Policy
    decision: Decision
    agrees: bool
    happened: tuple[Happened, ...]


def _policy(reader: Reader, digest: str, entries: Sequence[tuple[int, bytes]]) -> Policy:
    """The policy a decision was made under, from the packs in the store: it may no longer be the one in force."""
    tenant = reader.tenant()
    digests = tenant.packs
    if tenant.policy != digest:
        stop = entries[-1][0]
        digests = ()
        for data in reader.entries(0, stop):
            if b'"kind":"policy"' in data:
                body = parse_entry(data).body
                if isinstance(body, PolicyBody) and body.digest == digest:
                    digests = body.packs
    packs = [reader.pack(pack) for pack in digests]
    found = [data for data in packs if data is not None]
    if not digests or len(found) != len(packs):
        raise CannotJudgeError("the policy of this decision is not in the store")
    return Policy.compose([parse_pack(data) for data in found])


def why(store: Store, request: RequestRef) -> Story:
    """The story of one request.

    Raises:
        NotFoundError: nothing was ever decided for this key.
        CannotJudgeError: the policy it was decided under is missing.
    """
    with store.reader() as reader:
        entries = reader.entries_for(request)
        parsed = [(index, parse_entry(data)) for index, data in entries]
        decisions = [(index, entry.body) for index, entry in parsed if isinstance(entry.body, DecidedBody)]
        if not decisions:
            raise NotFoundError("nothing was decided for this request key", hint="keys are compared exactly")
        index, body = decisions[-1]
        policy = _policy(reader, body.policy, entries)
    decision = decide(body.facts, policy)
    return Story(
        index=index,
        facts=body.facts,
        policy=policy,
        decision=decision,
        agrees=decision.effect is body.effect and decision.earliest == body.earliest,
        happened=tuple(
            Happened(index=number, at=item.at, kind=item.kind.value, says=_says(item.body)) for number, item in parsed
        ),
    )


def _says(body: object) -> str:
    for name in ("outcome", "effect", "cause", "event"):
        value = getattr(body, name, None)
        if value is not None:
            return str(getattr(value, "value", value))
    return ""
