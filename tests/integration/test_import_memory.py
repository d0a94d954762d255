"""An import of any size holds one batch in memory, and a few bytes for each id. `pytest -m slow`."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from carelink.cli.consent import load_grants
from carelink.cli.patients import import_records
from carelink.interop.csvfile import read_grants_csv, read_patients_csv
from carelink.interop.fhir import stream_fhir
from carelink.testing.world import World

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(900)]

ROWS = 100_000
MIB = 1 << 20


def _csv(path: Path, rows: int) -> Path:
    with gzip.open(path, "wt", encoding="gb18030") as file:
        file.write("病历号,姓名,出生日期,手机\n")
        for n in range(rows):
            file.write('"broken\n' if n % 100 == 0 else f"M-{n},林小满,1970-01-05,138{n:08d}\n")
    return path


def _fhir(path: Path, rows: int) -> Path:
    with gzip.open(path, "wt") as file:
        for n in range(rows):
            patient = {"resourceType": "Patient", "id": f"p-{n}", "name": [{"family": "x", "given": ["y"]}]}
            file.write("{broken\n" if n % 100 == 0 else json.dumps(patient) + "\n")
    return path


def _related(path: Path, rows: int) -> Path:
    with gzip.open(path, "wt") as file:
        for n in range(rows):
            reference = {"patient": {"reference": f"Patient/p-{n}"}, "name": [{"text": "x"}]}
            file.write(json.dumps({"resourceType": "RelatedPerson", "id": f"r-{n}", **reference}) + "\n")
    return path


def _peak(items: Iterable[object]) -> tuple[int, int]:
    """How many there are, and the most memory that was held while they were read."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in items)
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


READERS: dict[str, tuple[Callable[[Path, int], Path], str, Callable[[Path], Iterator[object]]]] = {
    "csv": (_csv, "p.csv.gz", read_patients_csv),
    "patients": (_fhir, "Patient.ndjson.gz", lambda path: stream_fhir(path, ("Patient",))),
    "related": (_related, "RelatedPerson.ndjson.gz", lambda path: stream_fhir(path, ("RelatedPerson",))),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_of_100_000_rows(kind: str, tmp_path: Path) -> None:
    make, name, read = READERS[kind]
    _peak(read(make(tmp_path / name, 10)))  # what is loaded once
    few, low = _peak(read(make(tmp_path / name, ROWS // 10)))
    many, high = _peak(read(make(tmp_path / name, ROWS)))
    assert (few, many) == (ROWS // 10, ROWS)
    assert high < 8 * MIB
    # The table of ids doubles: while it grows, the old and the new one stand side by side, at most 48 bytes an id.
    assert high - low < ROWS * 48 + MIB // 2


def test_an_import_holds_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carelink.keys.store._CACHE", 500)  # the key store keeps so many keys, else ten thousand
    rows = 8_000
    path = tmp_path / "p.csv"
    with path.open("w") as file:
        file.write("mrn,name,phone,guardian_name\n")
        file.writelines(f"M-{n},Person {n},138{n:08d},Guardian {n}\n" for n in range(rows))
    consents = tmp_path / "c.csv"
    with consents.open("w") as file:
        file.write("mrn,purposes,channels,evidence\n")
        file.writelines(f"M-{n},care,sms,form {n}\n" for n in range(rows))
    world = World(tmp_path / "home", sqlite=True)
    held: list[int] = []

    def watched(items: Iterable[object]) -> Iterator[object]:
        for number, item in enumerate(items):
            if number % 1000 == 999:
                held.append(tracemalloc.get_traced_memory()[0])
            yield item

    tracemalloc.start()
    try:
        counts = import_records(world.link, watched(read_patients_csv(path)), lambda _: None)
        patients, held[:] = list(held), []
        granted = load_grants(world.link, watched(read_grants_csv(consents)))
    finally:
        tracemalloc.stop()
        world.link.close()
    assert (counts["created"], granted["recorded"]) == (rows, rows)
    for series in (patients, held):
        assert len(series) == rows // 1000
        assert max(series[len(series) // 2 :]) - max(series[: len(series) // 2]) < MIB
