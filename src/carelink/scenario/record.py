"""What is on record of a patient, for stories that look."""

from __future__ import annotations

from carelink.model.moment import Instant
from carelink.ports.rows import GrantRow, StopRow
from carelink.scenario.cast import Play
from carelink.vocabulary import GrantState

__all__ = ["record_of"]


def record_of(play: Play, label: str, where: str) -> dict[str, object]:
    """What is on record of a patient, at this moment."""
    person = play.person(label, where)
    with play.link.wiring.store.reader() as reader:
        row = reader.patients([person.id])[person.id]
        now = play.clock.now()
        grants = [grant for grant in reader.grants([person.id]).get(person.id, ()) if _holds(grant, now)]
        tokens = [contact.token for contact in reader.contacts([person.id]).get(person.id, ())]
        stops = [stop for stop in reader.stops([row.person], tokens) if _binds(stop, now)]
        bound = [one for one in reader.related([person.id]).get(person.id, ()) if one.until is None or now < one.until]
    return {
        "standing": row.standing.value,
        "stage": "none" if row.stage is None else row.stage.value,
        "grants": len(grants),
        "stops": len(stops),
        "relatives": len(bound),
    }


def _holds(grant: GrantRow, now: Instant) -> bool:
    return grant.state is GrantState.GIVEN and grant.since <= now and (grant.until is None or now < grant.until)


def _binds(stop: StopRow, now: Instant) -> bool:
    return stop.lifted_at is None and (stop.until is None or now < stop.until)
