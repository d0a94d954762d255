"""Zone data: names that are zones, transitions to the second, dates at midnight."""

from __future__ import annotations

from datetime import date

import pytest

from carelink.consent.facts import Absent, Known
from carelink.engine.zones import check_zone, local_date, zone_facts
from carelink.errors import InvalidInputError
from carelink.model.moment import HOUR, SECOND, parse_instant

NOON = parse_instant("2026-01-15T12:00:00Z")


@pytest.mark.parametrize("name", ["Asia/Shanghai", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_zones(name):
    assert check_zone(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Nowhere", "../etc/passwd", "Asia", "Asia/", "/Asia/Shanghai", "leapseconds", "tzdata.zi", "zone1970.tab",
     "Asia/Shanghai\x00", "上海"],
)  # fmt: skip
def test_what_is_no_zone(name):
    with pytest.raises(InvalidInputError):
        check_zone(name)
    if name:
        assert zone_facts(NOON, patient=name, address=(), tenant="UTC") is Absent.UNKNOWN


def test_the_patients_zone_before_the_addresses_before_the_tenants():
    def source(**given):
        fact = zone_facts(NOON, **{"patient": "", "address": (), "tenant": ""} | given)
        return fact if fact is Absent.UNKNOWN else fact.value.source

    assert source() is Absent.UNKNOWN
    assert source(tenant="UTC") == "tenant"
    assert source(tenant="UTC", address=("Asia/Tokyo",)) == "address"
    assert source(tenant="UTC", address=("Asia/Tokyo",), patient="Asia/Shanghai") == "patient"
    assert source(tenant="UTC", address=("Asia/Tokyo", "Nowhere")) is Absent.UNKNOWN


def test_a_transition_is_named_to_the_second():
    """Berlin goes to summer time on 29 March 2026 at 01:00 UTC."""
    change = parse_instant("2026-03-29T01:00:00Z")
    fact = zone_facts(NOON, patient="Europe/Berlin", address=(), tenant="")
    assert isinstance(fact, Known)
    (candidate,) = fact.value.candidates
    assert (change, 2 * 3600) in candidate.offsets
    assert candidate.offsets[0][0] <= NOON


def test_zones_that_agree_are_one_candidate():
    fact = zone_facts(NOON, patient="", address=("Asia/Shanghai", "Asia/Chongqing", "Asia/Urumqi"), tenant="")
    assert len(fact.value.candidates) == 2


def test_the_date_turns_at_local_midnight():
    midnight = parse_instant("2026-01-15T00:00:00+08:00")
    assert local_date(midnight, "Asia/Shanghai") == date(2026, 1, 15)
    assert local_date(midnight - SECOND, "Asia/Shanghai") == date(2026, 1, 14)
    assert local_date(midnight + 9 * HOUR, "") == date(2026, 1, 15)
