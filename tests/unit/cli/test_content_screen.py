"""`carelink content screen`: findings with places and sources, as a table and as JSON; exit codes."""

from __future__ import annotations

import json

import pytest


def test_a_clean_text_says_what_passing_means(desk) -> None:
    ran = desk.run("content", "screen", "--text", "请携带病历本来复查", "--purpose", "care.appointment")
    assert (ran.code, ran.err) == (0, "")
    assert "no listed pattern; that is not yet: allowed" in ran.out
    ran = desk.run("content", "screen", "--text", "请来", "--purpose", "care.appointment", "--lang", "zh")
    assert "不等于合规" in ran.out


def test_findings_are_shown_with_place_and_source(desk) -> None:
    ran = desk.run(
        "content", "screen", "--text", "三天根\u200b治鼻炎", "--purpose", "education.health", "--channel", "chat"
    )
    assert ran.code == 6
    shown = "".join(ran.out.split())
    for part in (
        "refuse",
        "EFFICACY",
        "body2-5",
        "ZH.EFF.CURE",
        "广告法(2021-04-29)16(1)(1)[S]",
        "DISGUISE",
        "\\u{200b}",
    ):
        assert part in shown, part


def test_json(desk) -> None:
    ran = desk.run(
        "content", "screen", "--purpose", "marketing.service", "--json", "--subject", "最佳团队", "--link", "https://t.cn/a", "-",
        stdin="请来".encode(),
    )  # fmt: skip
    assert ran.code == 6
    (told,) = ran.lines()
    assert told["action"] == "refuse"
    assert told["categories"] == {"ABSOLUTE": "refuse", "LINK": "hold", "STRUCTURE": "refuse"}
    first = told["findings"][0]
    assert {key: first[key] for key in ("part", "start", "end", "entry", "view", "reason")} == {
        "part": "subject", "start": 0, "end": 2, "entry": "ZH.ABS.BEST", "view": "V1", "reason": "CLAIM_PROHIBITED",
    }  # fmt: skip
    missing = {one["entry"]: one["source"] for one in told["findings"] if one["category"] == "STRUCTURE"}
    assert "广告法" in missing["OPT_OUT"] and "医疗广告管理办法" in missing["APPROVAL_NUMBER"]
    assert [one["id"] for one in told["lists"]] == ["en", "zh"]


def test_options_reach_the_screening(desk) -> None:
    def code(*more: str) -> int:
        return desk.run("content", "screen", "--text", "抑郁症复诊", "--purpose", "care.appointment", *more).code

    assert code() == 6
    assert code("--detailed") == 0
    assert code("--channel", "chat") == 0
    text = ("content", "screen", "--text", "您患有干眼", "--purpose", "care.chronic")
    assert desk.run(*text).code == 6
    assert desk.run(*text, "--clinician").code == 0


def test_a_file(desk) -> None:
    path = desk.folder / "text.txt"
    path.write_bytes("\ufeff无效退款".encode())
    assert desk.run("content", "screen", str(path), "--purpose", "care.treatment").code == 6
    path.write_bytes(b"\xff\xfe")
    assert desk.run("content", "screen", str(path), "--purpose", "care.treatment").code == 2
    assert desk.run("content", "screen", str(path) + "x", "--purpose", "care.treatment").code == 1


@pytest.mark.parametrize("given", [(), ("--text", "x", "-")])
def test_wrong_usage(desk, given: tuple[str, ...]) -> None:
    assert desk.run("content", "screen", "--purpose", "care.treatment", *given).code == 2


def test_an_unknown_purpose_names_those_that_are_known(desk) -> None:
    ran = desk.run("content", "screen", "--text", "x", "--purpose", "care.love")
    assert ran.code == 2
    assert "care.treatment" in ran.err
    assert json.dumps(ran.out) == '""'
