"""Whatever garbage lies between them, exactly the good rows come out, each with its own line number."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.interop.csvfile import read_grants_csv, read_patients_csv
from carelink.interop.fhir import PEOPLE, stream_fhir
from carelink.interop.lines import MAX_LINE
from carelink.interop.records import GrantRecord, PatientRecord, Problem

pytestmark = pytest.mark.property

CANARY = "CANARY"
"""Stands in every good row; no problem may show it."""

_HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=4)
_NAMES = st.one_of(_HAN, st.text("abcdefgÄéü '-·", min_size=1, max_size=12).map(lambda text: f"x{text}"))
_JUNK_BYTES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b" ", b"\r", b"\x00" * 5, b'"', b'"a', b'a"b', b'""', b"," * 3, b'x,"', b'","', b'x,y,"', b'z"', b'",', b'x,"y,z', b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\x1f\x8b\x08\x00",
         b"{", b"{}", b"[]", b"[" * 3000, b'{"resourceType":"Patient"}', b'{"resourceType":"Patient","id":1}',
         b'{"resourceType":"Patient","id":"z","birthDate":[]}', b'{"resourceType":"Patient","id":"z","a":NaN}',
         b'{"resourceType":"Patient","id":"z","a":1,"a":2}', b"x" * MAX_LINE, b'"' + b"y" * (MAX_LINE + 9)]
    ),
).map(lambda data: data.replace(b"\n", b""))  # fmt: skip
_ENDS = st.sampled_from([b"\n", b"\r\n"])


@st.composite
def _mixed(draw: st.DrawFn, make):
    """Lines, good (from `make`) and bad; the numbers of the good ones."""
    lines, good = [], {}
    for kind in draw(st.lists(st.booleans(), max_size=14)):
        if kind:
            number = len(good)
            value = draw(_NAMES)
            lines.append(make(number, value))
            good[len(lines)] = (number, " ".join(value.split()))
        else:
            lines.append(draw(_JUNK_BYTES))
    return lines, good


def _check(found, good: dict[int, tuple[int, str]], *, first: int = 0) -> None:
    records = [item for item in found if not isinstance(item, Problem)]
    shown = {
        item.source.line - first: (item.identifiers[-1][1].reveal("test"), item.name.reveal("test")) for item in records
    }
    assert len(shown) == len(records)
    assert shown == {line: (f"{CANARY}-{number}", f"{CANARY}{name}") for line, (number, name) in good.items()}
    for item in found:
        if isinstance(item, Problem):
            assert item.line - first not in good or not item.lost
            assert CANARY not in str(item)


def _fhir_line(number: int, name: str) -> bytes:
    resource = {"resourceType": "Patient", "id": f"{CANARY}-{number}", "name": [{"text": f"{CANARY}{name}"}]}
    return json.dumps(resource, ensure_ascii=number % 2 == 0).encode()


@given(mixed=_mixed(_fhir_line), end=_ENDS, packed=st.booleans(), last=st.booleans())
def test_fhir(mixed, end: bytes, *, packed: bool, last: bool) -> None:
    lines, good = mixed
    data = end.join(lines) + (end if last else b"")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Patient.ndjson").write_bytes(gzip.compress(data) if packed else data)
        _check(list(stream_fhir(Path(folder), PEOPLE)), good)


def _csv_line(encoding: str):
    def make(number: int, name: str) -> bytes:
        cell = f'"{CANARY}{name}"' if number % 3 == 0 else f"{CANARY}{name}"
        return f"{CANARY}-{number},{cell},".encode(encoding)

    return make


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@given(data=st.data())
def test_csv(encoding: str, data: st.DataObject) -> None:
    lines, good = data.draw(_mixed(_csv_line("utf-8" if encoding == "utf-8-sig" else encoding)))
    end, packed = data.draw(_ENDS), data.draw(st.booleans())
    # A junk line of three cells whose first is not empty is a good row by itself; there are none of these here.
    text = end.join(["病历号,姓名,邮箱".encode(encoding), *(line for line in lines)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        path.write_bytes(gzip.compress(text) if packed else text)
        found = list(read_patients_csv(path))
        extra = [item for item in found if isinstance(item, PatientRecord) and item.source.line - 1 not in good]
        for item in extra:  # junk that happens to be a row
            assert lines[item.source.line - 2].count(b",") >= 2
        _check([item for item in found if item not in extra], good, first=1)


@given(
    rows=st.lists(st.tuples(st.booleans(), _JUNK_BYTES), max_size=14),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
)
def test_csv_grants(rows: list[tuple[bool, bytes]], encoding: str) -> None:
    good = {place for place, (keep, _) in enumerate(rows, 2) if keep}
    lines = [
        f"M-{n},care,sms,{CANARY} 表格 {n}".encode(encoding) if keep else junk for n, (keep, junk) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.csv"
        path.write_bytes(b"\n".join(["病历号,目的,渠道,证据".encode(encoding), *lines]))
        found = list(read_grants_csv(path))
    assert {item.source.line for item in found if isinstance(item, GrantRecord)} == good
    assert all(CANARY not in str(item) for item in found if isinstance(item, Problem))
