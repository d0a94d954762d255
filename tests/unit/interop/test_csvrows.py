"""CSV rows: quoting, width, encodings, and that one bad row costs no other."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from carelink.errors import InvalidInputError
from carelink.interop.csvrows import Row, open_sheet
from carelink.interop.lines import Meter
from carelink.interop.records import Fault


def _known(names) -> int:
    return sum(name in ("mrn", "病历号", "姓名") for name in names)


def _open(tmp_path: Path, data: bytes):
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    return open_sheet(path, Meter(len(data)), _known)


def _read(tmp_path: Path, data: bytes) -> list[tuple[int, tuple[str, ...]] | tuple[int, Fault]]:
    rows = list(_open(tmp_path, data).rows())
    return [(row.line, row.cells) if isinstance(row, Row) else (row.line, row.code) for row in rows]


def test_quotes_commas_and_line_ends(tmp_path: Path) -> None:
    data = b'mrn,name\r\n1,"a, ""b"""\r\n\r\n2, c \n3,'
    assert _read(tmp_path, data) == [(2, ("1", 'a, "b"')), (4, ("2", "c")), (5, ("3", ""))]


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_the_delimiter_is_the_one_of_the_first_line(tmp_path: Path, mark: str) -> None:
    assert _read(tmp_path, f"mrn{mark}name\n1{mark}a b\n".encode()) == [(2, ("1", "a b"))]


def test_a_cell_may_hold_line_breaks(tmp_path: Path) -> None:
    data = b'mrn,name\n1,"a\nb\r\nc"\n2,d\n'
    assert _read(tmp_path, data) == [(2, ("1", "a\nb\nc")), (5, ("2", "d"))]


def test_a_quote_nobody_closed_does_not_swallow_the_rows_below(tmp_path: Path) -> None:
    data = b'mrn,name\n1,"a\n2,b\n3,"c"\n4,d\n'
    assert _read(tmp_path, data) == [(2, Fault.UNCLOSED_QUOTE), (3, ("2", "b")), (4, ("3", "c")), (5, ("4", "d"))]


def test_two_broken_quotes_do_not_join_over_good_rows(tmp_path: Path) -> None:
    data = b'mrn,name\n"\n2,b\n"\n4,d\n'
    assert _read(tmp_path, data) == [
        (2, Fault.UNCLOSED_QUOTE), (3, ("2", "b")), (4, Fault.UNCLOSED_QUOTE), (5, ("4", "d")),
    ]  # fmt: skip


def test_a_row_that_stands_alone_is_never_a_part_of_a_quoted_cell(tmp_path: Path) -> None:
    # Read as one row of two cells, this would be well formed; it would also swallow the patient on line 3.
    data = b'mrn,name\n1,"a\n2,b\n3,c"\n4,d\n'
    found = _read(tmp_path, data)
    assert found[:2] == [(2, Fault.UNCLOSED_QUOTE), (3, ("2", "b"))]
    assert found[-1] == (5, ("4", "d"))


def test_text_after_a_closing_quote_is_no_cell(tmp_path: Path) -> None:
    assert _read(tmp_path, b'mrn,name\n1,"a"b\n2,c\n') == [(2, Fault.UNCLOSED_QUOTE), (3, ("2", "c"))]


def test_a_quoted_cell_is_given_up_after_64_lines(tmp_path: Path) -> None:
    long = b'1,"' + b"x\n" * 100 + b'"\n'
    found = _read(tmp_path, b"mrn,name\n" + long + b"2,b\n")
    assert found[0] == (2, Fault.UNCLOSED_QUOTE)
    assert found[-1] == (103, ("2", "b"))
    assert all(what is Fault.WRONG_COLUMNS for _, what in found[1:-2])


def test_rows_of_another_width_are_told(tmp_path: Path) -> None:
    data = b"mrn,name\n1\n2,a,b\n3,c\n,\n"
    found = list(_open(tmp_path, data).rows())
    assert [(item.line, getattr(item, "code", None)) for item in found] == [
        (2, Fault.WRONG_COLUMNS), (3, Fault.WRONG_COLUMNS), (4, None),
    ]  # fmt: skip
    assert "1 cells, the first line has 2" in str(found[0])


def test_nul_and_control_characters_cost_their_row(tmp_path: Path) -> None:
    data = b"mrn,name\n1,a\x00b\n\x00\x00\x00,\x00\n2,c\x1b[31m\n3,d\n"
    assert _read(tmp_path, data) == [
        (2, Fault.CONTROL_CHARACTER), (3, Fault.CONTROL_CHARACTER), (4, Fault.CONTROL_CHARACTER), (5, ("3", "d")),
    ]  # fmt: skip


def test_a_line_of_two_mebibytes_costs_itself(tmp_path: Path) -> None:
    data = b"mrn,name\n1,a\n2," + b"x" * (2 << 20) + b"\n3,c\n"
    assert _read(tmp_path, data) == [(2, ("1", "a")), (3, Fault.LINE_TOO_LONG), (4, ("3", "c"))]


def test_gzip(tmp_path: Path) -> None:
    assert _read(tmp_path, gzip.compress(b"mrn,name\n1,a\n")) == [(2, ("1", "a"))]


# -- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "is_called"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gb18030", "gb18030"), ("gbk", "gb18030")]
)
def test_chinese_column_names_tell_the_encoding(tmp_path: Path, encoding: str, is_called: str) -> None:
    sheet = _open(tmp_path, "病历号,姓名\n1,林小满\n".encode(encoding))
    assert (sheet.encoding, sheet.columns) == (is_called, ("病历号", "姓名"))
    assert list(sheet.rows()) == [Row(2, ("1", "林小满"))]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_with_ascii_column_names_the_rows_tell(tmp_path: Path, encoding: str) -> None:
    names = ["林小满", "魏平", "陈安", "欧阳静宜", "买买提·吐尔逊", "𠮷田"]
    text = "mrn,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(names))
    assert [row.cells[1] for row in _open(tmp_path, text.encode(encoding)).rows()] == names


def test_an_ascii_file_is_utf8(tmp_path: Path) -> None:
    assert _open(tmp_path, b"mrn,name\n1,Lin\n").encoding == "utf-8"


def test_a_few_rows_in_another_encoding_are_told_and_never_guessed_at(tmp_path: Path) -> None:
    good = "".join(f"{n},林小满\n" for n in range(9)).encode()
    data = b"mrn,name\n" + good + "9,欧阳静宜\n".encode("gb18030")
    found = _read(tmp_path, data)
    assert found[-1] == (11, Fault.NOT_UTF8)
    assert [cells for _, cells in found[:-1]] == [(str(n), "林小满") for n in range(9)]


def test_bytes_that_are_no_gb18030_are_told(tmp_path: Path) -> None:
    data = "病历号,姓名\n1,林小满\n".encode("gb18030") + b"2,\x80\xff\n" + "3,魏平\n".encode("gb18030")
    assert _read(tmp_path, data) == [(2, ("1", "林小满")), (3, Fault.NOT_GB18030), (4, ("3", "魏平"))]


def test_a_file_of_both_encodings_is_refused(tmp_path: Path) -> None:
    data = b"mrn,name\n" + "1,林小满\n".encode() + "2,欧阳静宜\n".encode("gb18030")
    with pytest.raises(InvalidInputError, match="mixes encodings"):
        _open(tmp_path, data)


def test_a_byte_order_mark_ends_the_question(tmp_path: Path) -> None:
    data = "\ufeffmrn,name\n".encode() + "1,林小满\n".encode() + "2,欧阳静宜\n".encode("gb18030")
    assert _read(tmp_path, data) == [(2, ("1", "林小满")), (3, Fault.NOT_UTF8)]


def test_a_name_that_is_valid_in_both_encodings_does_not_decide(tmp_path: Path) -> None:
    assert "魏平".encode("gb18030").decode("utf-8") == "κƽ"
    data = ("mrn,name\n" + "1,魏平\n2,欧阳静宜\n3,林小满\n").encode("gb18030")
    assert [cells[1] for _, cells in _read(tmp_path, data)] == ["魏平", "欧阳静宜", "林小满"]


def test_accents_in_utf8_with_some_latin_1_rows(tmp_path: Path) -> None:
    data = "mrn,name\n1,José\n2,Zoë\n".encode() + "3,René\n".encode("latin-1")
    assert _read(tmp_path, data) == [(2, ("1", "José")), (3, ("2", "Zoë")), (4, Fault.NOT_UTF8)]


def test_little_against_little_is_not_enough_to_tell(tmp_path: Path) -> None:
    data = "mrn,name\n1,José\n2,Zoë\n3,Noé\n".encode() + "4,欧阳静宜\n".encode("gb18030")
    with pytest.raises(InvalidInputError, match="mixes encodings"):
        _open(tmp_path, data)


def test_garbage_does_not_speak_for_an_encoding(tmp_path: Path) -> None:
    garbage = b"".join(b"\xc4\xe3\xba\xc3\n" for _ in range(50))  # GB18030, but not a row of two cells
    data = b"mrn,name\n" + garbage + "1,林小满\n".encode()
    assert _read(tmp_path, data)[-1] == (52, ("1", "林小满"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no first line"),
        (b"\n\n", "no first line"),
        ("mrn,name\n".encode("utf-16"), "UTF-16"),
        (b'mrn,"name\n1,a\n', "unclosed quotation mark"),
        ("M-1,林小满\nM-2,魏平\n".encode(), "names no column that carelink knows"),
        (b"x" * (2 << 20), "no first line"),
    ],
)
def test_a_first_line_that_names_no_columns(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        _open(tmp_path, data)
    assert "林" not in str(caught.value)


def test_a_row_does_not_show_its_cells() -> None:
    assert "secret" not in repr(Row(1, ("secret",)))
