"""`carelink crypto leakage` on a home with a family phone."""

from __future__ import annotations

import carelink


def test_the_report_counts_a_shared_phone_and_names_who_can_invert_it(desk):
    with carelink.open(desk.home) as link:
        for number in range(2):
            link.register(identifier=f"MRN-{number}", name="Somebody", phone="+8613900000042")
    ran = desk.run("crypto", "leakage")
    assert ran.code == 0
    assert "address token" in ran.out
    assert "2 (100.0%)" in ran.out
    assert "who has the address key too" in " ".join(ran.out.split())
    assert "contact.address" in ran.out
    assert "13900000042" not in ran.out
