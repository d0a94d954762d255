"""The report on what a store shows without its keys (crypto.md e5)."""

from __future__ import annotations

from carelink.engine.leakage import leakage

SHARED = "+8613900000042"


def test_a_family_phone_is_seen_and_a_number_of_ones_own_is_not(world):
    for number in range(3):
        world.patient(phone=SHARED if number < 2 else f"+861390000010{number}", email=None)
    surfaces, lengths = leakage(world.link.parts)
    addresses = surfaces[-1]
    assert addresses.name == "address token"
    assert (addresses.spread.rows, addresses.spread.equal, addresses.spread.most) == (3, 2, 2)
    identifiers = surfaces[0]
    assert (identifiers.spread.rows, identifiers.spread.equal) == (3, 0)
    named = {(each.table, each.column): each for each in lengths}
    assert named["contact", "address"].fields == 3
    assert all(sum(count for _, count in each.lengths) == each.fields for each in lengths)


def test_lengths_fall_on_steps_only(world):
    """Names of one to thirty characters have one length or two, not thirty."""
    for size in range(1, 31):
        world.link.register(identifier=f"L-{size}", name="x" * size, phone=f"+86139000002{size:02d}")
    _, lengths = leakage(world.link.parts)
    (names,) = [each for each in lengths if (each.table, each.column) == ("patient", "name")]
    assert names.fields == 30
    assert len(names.lengths) <= 2
