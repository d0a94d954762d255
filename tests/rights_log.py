"""A small log with what patients may ask and who looked: openings, refused ones, an approval, an emergency and its
review, a copy, a restriction and its end, a refusal, an erasure.

`python tests/rights_log.py DIR` makes the export that is kept as `tests/unit/audit/golden_rights`.
"""

from __future__ import annotations

import contextlib
import sys
from datetime import date
from pathlib import Path

from carelink.errors import AccessDeniedError
from carelink.model.access import Finding, PurposeOfUse, Refusal, Right
from carelink.model.moment import DAY, MINUTE
from carelink.testing.world import World


def build(folder: Path) -> tuple[Path, str]:
    """Tell the story; the export and the key to judge it by."""
    world = World(folder / "home", seed=55)
    world.content()
    link = world.link
    grown, child = world.patient(consent=("care", "education")), world.patient(birth=date(2015, 3, 1))
    chief = link.as_actor("chief", roles=("compliance",), purpose="rights")
    doctor = link.as_actor("doctor", roles=("clinician",), purpose="treatment")
    night = link.as_actor("night", roles=("operator",), purpose="emergency")
    link.send(world.ask(grown, key="one"))
    link.why("one", actor="desk")
    link.person(grown, what="record", actor=chief)
    with contextlib.suppress(AccessDeniedError):
        link.person(child, what="identity", actor=doctor)
    link.access.approve(
        child, actor=doctor.ref, by=chief, until=world.clock.now() + DAY, purpose=PurposeOfUse.TREATMENT
    )
    link.person(child, what="identity", actor=doctor)
    world.clock.advance(MINUTE)
    link.person(child, what="contact", actor=night)
    link.access.review(link.access.reviews()[0].id, Finding.JUSTIFIED, by=chief)
    link.rights.show(Right.COPY, grown, chief)
    link.rights.restrict(grown, chief)
    link.send(world.ask(grown, key="restricted"))
    link.rights.unrestrict(grown, chief)
    link.rights.refuse(Right.ERASE, child, Refusal.IDENTITY, chief)
    link.stop(grown, purposes=("marketing",))
    link.permit_many([world.ask(grown, key="waits")])
    link.erase(grown, actor="officer")
    link.send(world.ask(grown, key="after"))
    link.export(folder / "export", actor=chief)
    link.close()
    return folder / "export", link.key.text


if __name__ == "__main__":
    target, key = build(Path(sys.argv[1]))
    print(target, key)  # noqa: T201  what to keep, and the key for the test
