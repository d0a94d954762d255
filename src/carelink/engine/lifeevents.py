"""What happens in a patient's life and ends messages without anybody saying stop: a transfer to another hospital, the
end of a plan of care, such as a pregnancy however it ended.

Both are suppressions with the source `life_event`: they bind from their commit, release what waits, outlive a re-import
and are replayed as every other stop (P3, ADR 0048). Death is a standing, see `carelink.engine.merging`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from carelink.engine.ledger import Ledger, people_of
from carelink.engine.stops import Stopped
from carelink.errors import InvalidInputError
from carelink.model.ids import PatientId, SuppressionId
from carelink.model.scope import ANY, EVERY_PLAN, PROMOTIONAL, Scope
from carelink.ports.rows import StopRow
from carelink.vocabulary import Family, Purpose, StopSource

__all__ = ["BY_WHO_TREATS", "plan_ended", "returned", "transferred"]

BY_WHO_TREATS: Final = tuple(
    sorted(
        {
            *PROMOTIONAL,
            *(each.value for each in Purpose if each.family is Family.CARE and each is not Purpose.CARE_RECALL_SAFETY),
        }
    )
)
"""What only the hospital that treats somebody has to say to them. A safety recall, a public health notice, a bill, a
breach notice and the answer to a request are owed all the same.
"""


def transferred(ledger: Ledger, patient: PatientId) -> Stopped:
    """Another hospital treats the patient now. Saying it twice changes nothing.

    Raises:
        NotFoundError: the patient is unknown.
    """
    return _stop(ledger, patient, Scope(BY_WHO_TREATS, (ANY,)))


def plan_ended(ledger: Ledger, patient: PatientId, plans: Iterable[str]) -> Stopped:
    """These plans of care are over: nothing that belongs to them is sent any more. Other messages go on. Saying it
    twice changes nothing.

    Raises:
        NotFoundError: the patient is unknown.
        InvalidInputError: no plan is named, or a name is malformed.
    """
    named = tuple(plans)
    if not named or ANY in named:
        raise InvalidInputError("the end of a plan names the plan", hint="for example `pregnancy-2026`")
    return _stop(ledger, patient, Scope(BY_WHO_TREATS, (ANY,), named))


def returned(ledger: Ledger, patient: PatientId, *, by: str, plans: Iterable[str] = EVERY_PLAN) -> list[SuppressionId]:
    """The hospital treats the patient again: what `transferred` stopped is lifted. With plans: these go on again, what
    `plan_ended` stopped in them is lifted. Neither does the other's, and nothing that anybody asked to stop is lifted.

    Raises:
        NotFoundError: the patient is unknown.
    """
    named = tuple(plans)

    def meant(stop: StopRow) -> bool:
        whole = tuple(stop.plans) == EVERY_PLAN
        return stop.source is StopSource.LIFE_EVENT and whole == (named == EVERY_PLAN)

    return ledger.lift(patient, Scope(BY_WHO_TREATS, (ANY,), named), by=by, only=meant)


def _stop(ledger: Ledger, patient: PatientId, scope: Scope) -> Stopped:
    with ledger.parts.store.reader() as reader:
        row = people_of(reader, [patient])[patient]
        standing = reader.stops([row.person], ())
    for stop in standing:
        same = (stop.purposes, stop.channels, stop.plans) == (scope.purposes, scope.channels, scope.plans)
        if same and stop.source is StopSource.LIFE_EVENT and stop.until is None:
            return Stopped(suppressions=())
    return ledger.stop(patient=patient, scopes=[scope], source=StopSource.LIFE_EVENT)
