"""`CareLink.patients`: everybody once, page by page, without those merged into another."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from carelink.testing.world import World


def test_everybody_once_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    made = [world.patient() for _ in range(5)]
    everybody = [row.id for row in world.link.patients()]
    assert everybody == sorted(made)
    monkeypatch.setattr("carelink.app._PAGE", 2)
    assert [row.id for row in world.link.patients()] == everybody


def test_a_merged_record_is_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, survivor = world.patient(), world.patient()
    world.link.registration.merge(old, survivor)
    assert [row.id for row in world.link.patients()] == [survivor]


def test_a_row_holds_nothing_personal(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.link.register(identifier="MRN-77", name="林小满", email="lin@example.invalid", phone="+1 212 555 0111")
    (row,) = world.link.patients()
    shown = repr(attrs.astuple(row, recurse=False))
    assert not any(text in shown for text in ("MRN-77", "林小满", "lin@", "5550111"))
