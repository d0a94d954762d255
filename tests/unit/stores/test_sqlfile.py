"""Named statements in a file."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from carelink.errors import StoreError
from carelink.stores import sqlfile


@pytest.fixture
def load(tmp_path, monkeypatch):
    def read(text):
        (tmp_path / "queries.sql").write_text(text, encoding="utf-8")
        monkeypatch.setattr(sqlfile.resources, "files", lambda _: tmp_path)
        return sqlfile.load_queries.__wrapped__("any")

    return read


def test_statements_by_name_without_comments_and_semicolon(load):
    text = "-- a file\n\n-- name: one\n-- why\nSELECT 1\n  FROM t;\n-- name: two \nSELECT 2;\n\n"
    assert load(text) == {"one": "SELECT 1\n  FROM t", "two": "SELECT 2"}


@pytest.mark.parametrize(
    "text", ["-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n", "SELECT 1;\n-- name: one\nSELECT 2;\n"]
)
def test_a_name_twice_or_text_before_the_first_is_refused(load, text):
    with pytest.raises(StoreError):
        load(text)


def test_every_statement_of_the_sqlite_store_is_used_and_there():
    named = set(sqlfile.load_queries("carelink.stores.sqlite"))
    folder = resources.files("carelink.stores.sqlite")
    code = "".join((folder / name).read_text(encoding="utf-8") for name in ("reader.py", "writer.py"))
    used = set(re.findall(r'(?:_all|_many|_one|_replace)\(\s*"(\w+)"', code))
    used |= {"allow", "disallow", "stop_channel", "resume_channel"}
    assert used == named
