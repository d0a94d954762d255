"""The pages on imports name every column, element and problem there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from carelink.interop import fhirconsent, fhirpatient, fhirrelated
from carelink.interop import records as module
from carelink.interop.csvcolumns import GRANT_FIELDS, PATIENT_FIELDS
from carelink.interop.fhirparts import EXTENSIONS
from carelink.interop.records import Fault

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference"


def _page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def _rows(text: str) -> dict[str, list[str]]:
    """Cells after the first, by the first cell, of every table row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows}


def test_every_problem_with_its_meaning() -> None:
    rows = _rows(_page("import-problems.md"))
    says = dict(re.findall(r'= "([a-z_0-9]+)"\n    """([^"]*)"""', inspect.getsource(module)))
    assert set(says) == {fault.value for fault in Fault}
    for fault in Fault:
        assert rows[f"`{fault.value}`"] == [" ".join(says[fault.value].split())]


@pytest.mark.parametrize(("fields", "title"), [(PATIENT_FIELDS, "## Patients"), (GRANT_FIELDS, "## Consent")])
def test_every_column_with_its_other_names(fields: dict[str, tuple[str, ...]], title: str) -> None:
    part = _page("csv.md").split(title)[1].split("\n## ")[0]
    rows = _rows(part)
    for field, aliases in fields.items():
        if field == "mrn" and title == "## Consent":
            continue
        assert rows[f"`{field}`"][0] == ", ".join(aliases)
    named = {name.strip("`") for first in rows for name in first.split(", ") if name.startswith("`")}
    assert named == {*fields, "id.SYSTEM"}


def test_every_extension_and_code() -> None:
    text = _page("fhir.md")
    source = "".join(inspect.getsource(part) for part in (fhirconsent, fhirpatient, fhirrelated))
    used = {*re.findall(r"{EXTENSIONS}/([a-z]+)", source), *re.findall(r'flagged\(\S+, "([a-z]+)"\)', source)}
    assert used >= {"channel", "ended", "acts", "purpose"}
    for name in used - {"purpose"}:
        assert f"| `{name}` |" in text
    assert EXTENSIONS in text
    for code in (*fhirconsent._REASONS, *fhirconsent._NARROWER):
        assert f"`{code}`" in text
    for code in fhirpatient._NOT_NEEDED | fhirrelated._NOBODY:
        assert re.search(rf"\b{code}\b", text)
