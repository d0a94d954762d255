"""Which column of a CSV file is which field: by its own name, by a usual Chinese name, or as a `--map` file says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from carelink.errors import InvalidInputError

__all__ = ["GRANT_FIELDS", "ID_PREFIX", "PATIENT_FIELDS", "Columns", "bind", "read_map"]

ID_PREFIX: Final = "id."
"""`id.SYSTEM` is an identifier of that system; `mrn` is short for `id.mrn`."""

PATIENT_FIELDS: Final = {
    "mrn": ("病历号", "住院号", "门诊号", "患者编号", "medical_record_number"),
    "name": ("姓名", "患者姓名", "patient_name"),
    "birth_date": ("出生日期", "生日", "birthdate", "dob"),
    "deceased": ("是否死亡", "死亡", "死亡日期"),
    "stage": ("阶段", "患者阶段"),
    "transferred": ("是否转院", "转院", "转院日期"),
    "ended_plans": ("已结束计划", "结束计划"),
    "language": ("语言",),
    "zone": ("时区", "timezone"),
    "phone": ("手机", "手机号", "手机号码", "电话", "联系电话", "mobile"),
    "email": ("邮箱", "电子邮箱", "电子邮件"),
    "chat": ("聊天账号", "企业微信客户"),
    "same_as": ("并入病历号", "合并到"),
    "guardian_name": ("监护人姓名", "监护人"),
    "guardian_relation": ("监护人关系", "与患者关系"),
    "guardian_phone": ("监护人电话", "监护人手机"),
    "guardian_email": ("监护人邮箱",),
    "guardian_chat": ("监护人聊天账号",),
    "guardian_verified": ("监护人已核实",),
}
"""Fields of a patient row, each with the other names by which its column is known."""

GRANT_FIELDS: Final = {
    "mrn": PATIENT_FIELDS["mrn"],
    "purposes": ("目的", "用途", "purpose"),
    "channels": ("渠道", "channel"),
    "evidence": ("证据", "证据编号", "同意书编号"),
    "since": ("同意日期", "签署日期"),
    "until": ("有效期至", "截止日期"),
    "by": ("同意人",),
    "separate": ("单独同意",),
    "notice": ("告知书版本",),
    "state": ("状态",),
    "ended": ("撤回日期",),
}
"""Fields of a consent row, each with the other names by which its column is known."""

_MANY: Final = ("phone", "email", "chat")
"""Fields that several columns may fill; the one further left is preferred."""


@attrs.frozen
class Columns:
    """Where each field stands: column numbers from 0, and which columns nobody uses."""

    places: Mapping[str, tuple[int, ...]]
    unused: tuple[int, ...]

    def texts(self, cells: Sequence[str], field: str) -> list[tuple[int, str]]:
        """(column, text) of every cell of the field that holds something."""
        return [(place, cells[place]) for place in self.places.get(field, ()) if cells[place]]

    def text(self, cells: Sequence[str], field: str) -> str:
        """The field's first text, or an empty one."""
        return next((text for _, text in self.texts(cells, field)), "")

    def systems(self) -> list[tuple[str, int]]:
        """(system, column) of every identifier."""
        return [
            ("mrn" if field == "mrn" else field.removeprefix(ID_PREFIX), place)
            for field, places in self.places.items()
            if field == "mrn" or field.startswith(ID_PREFIX)
            for place in places
        ]


def read_map(path: Path, fields: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """A map file: TOML, `"column name" = "field"` a line.

    Raises:
        InvalidInputError: it is no such file, or names an unknown field.
    """
    data: dict[str, object] | None = None
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        data = None
    if data is None:
        raise InvalidInputError("the map file is not TOML in UTF-8", hint='write "病历号" = "mrn", a column a line')
    found: dict[str, str] = {}
    for column, field in data.items():
        if not isinstance(field, str) or not _is_field(field, fields):
            raise InvalidInputError(
                "the map file names an unknown field", hint=f"one of {', '.join(fields)}, or {ID_PREFIX}SYSTEM"
            )
        found[column.strip()] = field
    return found


def bind(
    names: Sequence[str], fields: Mapping[str, tuple[str, ...]], mapped: Mapping[str, str], needed: Sequence[str]
) -> Columns:
    """Find the fields among the names of the columns. With a map, columns it does not name go by their own names.

    Raises:
        InvalidInputError: a field that is needed, or that the map names, has no column, or one field has two.
    """
    known = {alias: field for field, aliases in fields.items() for alias in (field, *aliases)}
    places: dict[str, list[int]] = {}
    unused = []
    for place, name in enumerate(names):
        field = mapped.get(name) or known.get(name.lower()) or (name if _is_field(name, fields) else "")
        if field:
            places.setdefault(field, []).append(place)
        else:
            unused.append(place)
    absent = sorted({field for column, field in mapped.items() if column not in names})
    if absent:
        raise InvalidInputError(f"the map names a column for `{absent[0]}` that the first line does not have")
    for field, found in places.items():
        if len(found) > 1 and field not in _MANY and field != "mrn" and not field.startswith(ID_PREFIX):
            raise InvalidInputError(
                f"columns {found[0] + 1} and {found[1] + 1} are both `{field}`", hint="say which with --map FILE"
            )
    if not any(field == "mrn" or field.startswith(ID_PREFIX) for field in places):
        raise InvalidInputError("no column is an identifier", hint='name one with --map FILE, such as "病历号" = "mrn"')
    for field in needed:
        if field not in places:
            raise InvalidInputError(f"no column is `{field}`", hint="name one with --map FILE")
    return Columns({field: tuple(found) for field, found in places.items()}, tuple(unused))


def _is_field(name: str, fields: Mapping[str, tuple[str, ...]]) -> bool:
    return name in fields or (name.startswith(ID_PREFIX) and len(name) > len(ID_PREFIX) and "|" not in name)
