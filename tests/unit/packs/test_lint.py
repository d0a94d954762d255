"""Lint complains about each thing that a pack in good order would not do, and about nothing else."""

from __future__ import annotations

import pytest

from carelink.packs.lint import lint_pack

GOOD = """
[pack]
id = "clinic"
jurisdiction = "CN"
version = "1"
valid_from = 2020-01-01
title = { en = "Clinic", zh = "本院" }

[[rule]]
id = "CLINIC.RULE"
kind = "screening"
authority = "law"
certainty = "T"
in_force = 2021-11-01
encoded = 2026-11-25
title = { en = "a rule", zh = "规则" }
sources = [{ instrument = "个人信息保护法", version = "2021-08-20", article = "24" }]
[rule.params]
categories = ["absolute"]
"""


def complaints(text):
    return [one.says for one in lint_pack(text.encode(), "clinic.toml")]


def test_a_pack_in_good_order():
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"个人信息保护法"', '"24"', "article number"),
        ('"个人信息保护法"', '"第24条"', "article number"),
        ('"个人信息保护法"', '"Art. 24(2)"', "article number"),
        ('"2021-08-20"', '"current"', "not the date of a version"),
        ('"2021-08-20"', '"2027-01-01"', "newer than `encoded`"),
        ('"个人信息保护法"', '"通信短信息服务管理规定"', "certainty T is not open"),
        ('"个人信息保护法"', '"47 CFR 64.1200"', "certainty T is not open"),
        ('version = "2021-08-20", ', "", "`version` is missing"),
        ('instrument = "个人信息保护法", ', "", "`instrument` is missing"),
        ('certainty = "T"\n', "", "`certainty`"),
        ('certainty = "T"', 'certainty = "X"', "`certainty`"),
        ("in_force = 2021-11-01\n", "", "`in_force` is missing"),
        ("encoded = 2026-11-25\n", "", "`encoded` is missing"),
        ("encoded = 2026-11-25", "encoded = 2020-11-25", "before the first release"),
        (', article = "24"', "", "no source names an article"),
        ('zh = "规则"', 'zh = "rule"', "`title.zh`"),
        ('en = "a rule"', 'en = "规则"', "`title.en`"),
        ('zh = "本院"', 'zh = "clinic"', "`title.zh`"),
        ('id = "CLINIC.RULE"', 'id = "CN.PIPL.14"', "could not be adopted together"),
        ('["absolute"]', '["absolutes"]', "no category of screening"),
        ('kind = "screening"', 'kind = "marks"', "`params.categories` is not known"),
        ('kind = "screening"', 'kind = "nonsense"', "is not known"),
    ],
)
def test_what_is_complained_about(old, new, says):
    assert old in GOOD
    found = complaints(GOOD.replace(old, new, 1) if old != '"2021-08-20"' else GOOD.replace(old, new))
    assert any(says in one for one in found), found


def test_marks_that_nobody_looks_for():
    text = GOOD.replace('kind = "screening"', 'kind = "marks"').replace('categories = ["absolute"]', 'marks = ["sun"]')
    assert complaints(text) == ["`sun` is no mark that screening looks for"]


def test_an_unverified_source_may_be_marked_as_what_it_is():
    text = GOOD.replace("个人信息保护法", "通信短信息服务管理规定").replace('certainty = "T"', 'certainty = "S"')
    assert complaints(text) == []
