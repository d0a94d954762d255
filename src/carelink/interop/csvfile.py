"""Patients and grants from CSV, a row each. Columns: docs/reference/csv.md.

A value that cannot be used costs the row only where the row would mean something else without it (its identifier,
whether the patient is dead, the terms of a grant). Any other is reported and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import attrs

from carelink.interop.csvcolumns import GRANT_FIELDS, PATIENT_FIELDS, Columns, bind
from carelink.interop.csvrows import Row, open_sheet
from carelink.interop.dates import Days, is_partial, parse_date
from carelink.interop.lines import Meter, Progress
from carelink.interop.records import (
    ContactRecord,
    Fault,
    GrantRecord,
    Identifier,
    PatientRecord,
    Problem,
    RelatedRecord,
    Source,
)
from carelink.interop.seen import Seen
from carelink.interop.words import is_evidence, is_language, is_notice, is_scope, is_zone, tidy
from carelink.model.scope import ANY, PLAN
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, GrantState, LifecycleStage, RecipientRole, Relation

__all__ = ["read_grants_csv", "read_patients_csv"]

_YES: Final = frozenset({"1", "y", "yes", "true", "是", "已", "已故", "死亡", "已核实", "转院", "已转院"})
_NO: Final = frozenset({"", "0", "n", "no", "false", "否", "未", "无", "未核实"})
_STAGES: Final = {item.value: item for item in LifecycleStage}
_RELATIONS: Final = {
    **{item.value: item for item in Relation},
    "mother": Relation.PARENT, "father": Relation.PARENT, "父母": Relation.PARENT, "父亲": Relation.PARENT,
    "母亲": Relation.PARENT, "父": Relation.PARENT, "母": Relation.PARENT, "监护人": Relation.GUARDIAN,
    "法定监护人": Relation.GUARDIAN, "配偶": Relation.SPOUSE, "子女": Relation.CHILD, "儿子": Relation.CHILD,
    "女儿": Relation.CHILD, "兄弟姐妹": Relation.SIBLING, "其他": Relation.OTHER,
}  # fmt: skip
_ROLES: Final = {"": RecipientRole.SELF, "self": RecipientRole.SELF, "本人": RecipientRole.SELF,
                 "guardian": RecipientRole.GUARDIAN, "监护人": RecipientRole.GUARDIAN}  # fmt: skip
_STATES: Final = {"": GrantState.GIVEN, **{item.value: item for item in GrantState}, "有效": GrantState.GIVEN,
                  "同意": GrantState.GIVEN, "已撤回": GrantState.WITHDRAWN, "撤回": GrantState.WITHDRAWN}  # fmt: skip
_LIST: Final = re.compile(r"[,;|、，；\s]+")


@attrs.define
class _Cells:
    """One row being read: its cells by field, and what was wrong with them."""

    source: Source
    columns: Columns
    row: Row
    found: list[Problem] = attrs.field(factory=list)

    def text(self, field: str) -> str:
        return self.columns.text(self.row.cells, field)

    def texts(self, field: str) -> list[str]:
        return [text for _, text in self.columns.texts(self.row.cells, field)]

    def fault(self, code: Fault, field: str, *, hint: str = "", lost: bool = False) -> None:
        self.found.append(
            Problem(file=self.source.file, line=self.source.line, code=code, field=field, hint=hint, lost=lost)
        )

    @property
    def lost(self) -> bool:
        return any(problem.lost for problem in self.found)

    def answer(self, field: str, *, needed: bool = False) -> bool:
        """Yes or no; a word that is neither costs the row if `needed`, else it means no."""
        text = self.text(field).lower()
        if text not in _YES and text not in _NO:
            self.fault(Fault.BAD_VALUE, field, hint="yes or no", lost=needed)
        return text in _YES

    def identifiers(self) -> tuple[Identifier, ...]:
        return tuple(
            (system, Personal(self.row.cells[place]))
            for system, place in self.columns.systems()
            if self.row.cells[place]
        )


def read_patients_csv(
    path: Path, *, columns: Mapping[str, str] | None = None, progress: Progress | None = None
) -> Iterator[PatientRecord | Problem]:
    """Patients and problems, in the order of the lines; nothing is kept but the identifiers' hashes.

    Args:
        path: the file, UTF-8 or GB18030, plain or gzipped.
        columns: column name to field, from `read_map`.
        progress: called with bytes read and bytes in all.

    Raises:
        InvalidInputError: the first line does not name the columns, or the encoding is neither of the two.
        OSError: the file cannot be read.
    """
    meter, mapped = Meter(path.stat().st_size, progress), columns or {}
    sheet = open_sheet(path, meter, lambda names: _known(names, PATIENT_FIELDS, mapped))
    bound, seen = bind(sheet.columns, PATIENT_FIELDS, mapped, ()), Seen()
    for row in sheet.rows():
        if isinstance(row, Problem):
            yield row
            continue
        cells = _Cells(Source(path.name, row.line), bound, row)
        record = _patient(cells, seen)
        yield from cells.found
        if record is not None:
            yield record


def read_grants_csv(
    path: Path, *, columns: Mapping[str, str] | None = None, zone: str = "", progress: Progress | None = None
) -> Iterator[GrantRecord | Problem]:
    """Grants and problems, in the order of the lines.

    Args:
        path: the file, UTF-8 or GB18030, plain or gzipped.
        columns: column name to field, from `read_map`.
        zone: IANA zone in which dates are days; UTC if empty.
        progress: called with bytes read and bytes in all.

    Raises:
        InvalidInputError: the first line does not name the columns, or the encoding is neither of the two.
        OSError: the file cannot be read.
    """
    meter, mapped = Meter(path.stat().st_size, progress), columns or {}
    sheet = open_sheet(path, meter, lambda names: _known(names, GRANT_FIELDS, mapped))
    bound, days = (
        bind(sheet.columns, GRANT_FIELDS, mapped, ("purposes", "channels", "evidence")),
        Days(zone, local=True),
    )
    for row in sheet.rows():
        if isinstance(row, Problem):
            yield row
            continue
        cells = _Cells(Source(path.name, row.line), bound, row)
        record = _grant(cells, days)
        yield from cells.found
        if record is not None:
            yield record


def _known(names: Sequence[str], fields: Mapping[str, tuple[str, ...]], mapped: Mapping[str, str]) -> int:
    usual = {alias for field, aliases in fields.items() for alias in (field, *aliases)}
    return sum(1 for name in names if name in mapped or name.lower() in usual or name.startswith("id."))


def _patient(cells: _Cells, seen: Seen) -> PatientRecord | None:
    identifiers = cells.identifiers()
    if not identifiers:
        cells.fault(Fault.MISSING_ID, "mrn", lost=True)
        return None
    system, value = identifiers[0]
    key = f"{system}|{value.reveal('compare')}"
    if key in seen:
        cells.fault(Fault.DUPLICATE_ID, "mrn", lost=True)
        return None
    deceased = parse_date(cells.text("deceased")) is not None or cells.answer("deceased", needed=True)
    transferred = parse_date(cells.text("transferred")) is not None or cells.answer("transferred", needed=True)
    ended_plans = _ended_plans(cells)
    if cells.lost:
        return None
    seen.add(key)
    name, language, zone = tidy(cells.text("name")), cells.text("language"), cells.text("zone")
    if cells.text("name") and not name:
        cells.fault(Fault.BAD_NAME, "name")
    if language and not is_language(language):
        cells.fault(Fault.BAD_VALUE, "language", hint="a language tag such as zh-CN")
        language = ""
    if zone and not is_zone(zone):
        cells.fault(Fault.BAD_ZONE, "zone", hint="for example Asia/Shanghai")
        zone = ""
    same_as = cells.text("same_as")
    return PatientRecord(
        identifiers=identifiers,
        name=Personal(name) if name else None,
        birth_date=_birth_date(cells),
        deceased=deceased,
        language=language,
        zone=zone,
        contacts=_contacts(cells),
        related=_guardian(cells),
        same_as=("mrn", Personal(same_as)) if same_as else None,
        stage=_stage(cells),
        transferred=transferred,
        ended_plans=ended_plans,
        source=cells.source,
    )


def _stage(cells: _Cells) -> LifecycleStage | None:
    text = cells.text("stage").lower()
    found = _STAGES.get(text)
    if text and found is None:
        cells.fault(Fault.BAD_VALUE, "stage", hint=f"one of {', '.join(each.value for each in LifecycleStage)}")
    return found


def _ended_plans(cells: _Cells) -> tuple[str, ...]:
    """A plan that cannot be read costs the row: a stop that is lost breaks P3."""
    plans = tuple(plan for plan in _LIST.split(cells.text("ended_plans")) if plan)
    if any(PLAN.fullmatch(plan) is None for plan in plans):
        cells.fault(Fault.BAD_VALUE, "ended_plans", hint="names such as recheck-year", lost=True)
    return plans


def _birth_date(cells: _Cells) -> Personal[date] | None:
    text = cells.text("birth_date")
    born = parse_date(text)
    if text and born is None:
        code = Fault.DATE_PARTIAL if is_partial(text) else Fault.BAD_DATE
        cells.fault(code, "birth_date", hint="the age counts as unknown")
    return None if born is None else Personal(born)


def _contacts(cells: _Cells, whose: str = "") -> tuple[ContactRecord, ...]:
    return tuple(
        ContactRecord(kind=kind, address=Personal(text), rank=rank)
        for kind in (AddressKind.PHONE, AddressKind.EMAIL, AddressKind.CHAT)
        for rank, text in enumerate(cells.texts(f"{whose}{kind.value}"))
    )


def _guardian(cells: _Cells) -> tuple[RelatedRecord, ...]:
    name, contacts = tidy(cells.text("guardian_name")), _contacts(cells, "guardian_")
    if not name:
        if contacts or cells.text("guardian_name"):
            cells.fault(Fault.BAD_NAME, "guardian_name", hint="the guardian was left out")
        return ()
    word = cells.text("guardian_relation").lower()
    relation = _RELATIONS.get(word, Relation.OTHER) if word else Relation.GUARDIAN
    if word and word not in _RELATIONS:
        cells.fault(Fault.BAD_VALUE, "guardian_relation", hint="taken as other")
    verified = cells.answer("guardian_verified")
    return (RelatedRecord(name=Personal(name), relation=relation, contacts=contacts, verified=verified, acts=True),)


def _grant(cells: _Cells, days: Days) -> GrantRecord | None:
    identifiers = cells.identifiers()
    if not identifiers:
        cells.fault(Fault.MISSING_ID, "mrn", lost=True)
    if cells.text("evidence") and not is_evidence(cells.text("evidence")):
        cells.fault(Fault.BAD_VALUE, "evidence", hint="at most 500 characters", lost=True)
    if not cells.text("evidence"):
        cells.fault(Fault.MISSING, "evidence", hint="a grant needs a reference to its evidence", lost=True)
    purposes, channels = _words(cells, "purposes"), _words(cells, "channels")
    role, state = _ROLES.get(cells.text("by").lower()), _STATES.get(cells.text("state").lower())
    if role is None:
        cells.fault(Fault.BAD_VALUE, "by", hint="self or guardian", lost=True)
    if state is None:
        cells.fault(Fault.BAD_VALUE, "state", hint="given or withdrawn", lost=True)
    if not is_notice(cells.text("notice")):
        cells.fault(Fault.BAD_VALUE, "notice", hint="letters, digits, _ . -", lost=True)
    separate = cells.answer("separate", needed=True)
    since, ended = (days.start(cells.text(field)) if cells.text(field) else None for field in ("since", "ended"))
    good, until = days.end(cells.text("until")) if cells.text("until") else (True, None)
    for field, fine in (("since", since is not None), ("ended", ended is not None), ("until", good)):
        if cells.text(field) and not fine:
            cells.fault(Fault.BAD_DATE, field, hint="write 2026-11-24", lost=True)
    if since is not None and until is not None and until <= since:
        cells.fault(Fault.BAD_DATE, "until", hint="it ends before it begins", lost=True)
    if cells.lost or role is None or state is None:
        return None
    if ended is not None and state is GrantState.GIVEN:
        state = GrantState.WITHDRAWN
    return GrantRecord(
        patient=identifiers[0],
        purposes=purposes,
        channels=channels,
        by=role,
        since=since,
        until=until,
        separate=separate,
        notice=cells.text("notice"),
        evidence=Personal(cells.text("evidence")),
        state=state,
        ended_at=ended,
        source=cells.source,
    )


def _words(cells: _Cells, field: str) -> tuple[str, ...]:
    """A list of purposes, or of channel kinds."""
    found = tuple(word for word in _LIST.split(cells.text(field).lower()) if word)
    if not found:
        cells.fault(Fault.MISSING, field, lost=True)
    elif not is_scope(found, field) or (field == "purposes" and ANY in found):
        hint = "see docs/reference/purposes.md" if field == "purposes" else "sms, email, chat, task or *"
        cells.fault(Fault.BAD_VALUE, field, hint=hint, lost=True)
    return found
