"""`carelink content`: register, approve, withdraw, show."""

from __future__ import annotations

import pytest

ADD = ("content", "add", "note", "--purposes", "care.appointment", "--channels", "email,sms", "--actor", "author")


def _file(desk, text: bytes) -> str:
    (desk.folder / "note.txt").write_bytes(text)
    return "note.txt"


def test_a_text_goes_from_draft_to_approved_to_withdrawn(desk) -> None:
    desk.people(2)
    added = desk.run(*ADD, "--body", _file(desk, b"Your recheck is due.\n"), "--subject", "Recheck")
    assert added.code == 0
    assert added.out.startswith("draft note@1  ")
    assert "Next: carelink content approve note --version 1 --actor REVIEWER" in added.out
    ask = ("preview", "--purpose", "care.appointment", "--template", "note", "--channel", "email")
    assert "CONTENT_UNREVIEWED │ 2" in desk.run(*ask).out
    assert desk.run("content", "approve", "note", "--actor", "Dr Chen").out == "note@1: approved by 1\n"
    assert desk.run("content", "approve", "note", "--actor", "Dr Chen").out == "note@1: approved by 1\n"
    assert desk.run("content", "approve", "note", "--actor", "Dr Novak").out == "note@1: approved by 2\n"
    assert "permit │ 2" in desk.run(*ask).out
    shown = desk.run("content", "show", "note").out
    assert "Your recheck is due." in shown
    assert "approved by │ 2" in shown
    assert desk.run("content", "withdraw", "note", "--actor", "Dr Chen").code == 0
    assert "CONTENT_WITHDRAWN │ 2" in desk.run(*ask).out
    again = desk.run("content", "approve", "note", "--actor", "Dr Chen")
    assert (again.code, "register a new version" in again.err) == (1, True)


def test_the_body_may_come_from_standard_input_and_with_a_byte_order_mark(desk) -> None:
    assert desk.run(*ADD, "--body", "-", stdin="\ufeff您的复查时间到了。\r\n".encode()).code == 0
    assert "│ 您的复查时间到了。" in desk.run("content", "show", "note").out


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("您好".encode("gb18030"), 2, "save the file as UTF-8"),
        (b"", 2, "1 to 20000"),
        (b"Dear {Name}", 2, "a brace"),
    ],
)
def test_a_body_that_cannot_be_one_is_told(desk, body: bytes, code: int, says: str) -> None:
    answer = desk.run(*ADD, "--body", _file(desk, body))
    assert answer.code == code
    assert says in answer.err


def test_a_version_is_never_another_text(desk) -> None:
    desk.run(*ADD, "--body", _file(desk, b"one"))
    assert desk.run(*ADD, "--body", _file(desk, b"one")).code == 0
    other = desk.run(*ADD, "--body", _file(desk, b"two"))
    assert (other.code, "use the next version" in other.err) == (1, True)
    assert desk.run(*ADD, "--body", _file(desk, b"two"), "--version", "2").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("content", "show", "other"), 1, "carelink content add"),
        (("content", "approve", "other", "--actor", "A"), 1, "no such template version"),
        (("content", "withdraw", "other", "--actor", "A"), 1, "no such template version"),
        (("content", "approve", "recheck", "--actor", " "), 2, "named actor"),
        (
            (
                "content",
                "add",
                "Bad Name",
                "--body",
                "note.txt",
                "--purposes",
                "care",
                "--channels",
                "email",
                "--actor",
                "A",
            ),
            2,
            "template name",
        ),
        (
            (
                "content",
                "add",
                "note",
                "--body",
                "note.txt",
                "--purposes",
                "cure",
                "--channels",
                "email",
                "--actor",
                "A",
            ),
            2,
            "unknown purpose",
        ),
        (
            ("content", "add", "note", "--body", "note.txt", "--purposes", "care", "--channels", "fax", "--actor", "A"),
            2,
            "unknown channel",
        ),
        (
            (
                "content",
                "add",
                "note",
                "--body",
                "missing.txt",
                "--purposes",
                "care",
                "--channels",
                "email",
                "--actor",
                "A",
            ),
            1,
            "missing.txt",
        ),
        (
            (
                "content",
                "add",
                "note",
                "--body",
                "note.txt",
                "--purposes",
                "care",
                "--channels",
                "email",
                "--actor",
                "A",
                "--until",
                "2026",
            ),
            2,
            "--until",
        ),
    ],
)
def test_what_is_wrong_is_told(desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    _file(desk, b"text")
    answer = desk.run(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err


def test_types_texts_by_line_and_quorum_are_registered_and_shown(desk) -> None:
    desk.people(1)
    (desk.folder / "short.txt").write_bytes("短讯 {day}".encode())
    added = desk.run(
        *ADD, "--body", _file(desk, b"On {day}, {eye}. {byline}"), "--text", "sms=short.txt", "--byline", "A, B",
        "--variable", "day=date,min=2026-01-01", "--variable", "eye=choice,of=left|right", "--citation", "WHO 2025",
        "--data", "appointment,diagnosis", "--quorum", "2",
    )  # fmt: skip
    assert added.code == 0, added.err
    assert (
        desk.run("content", "number", "note", "--number", "A-1", "--until", "2100-01-01T00:00:00Z", "--actor", "O").code
        == 0
    )
    assert desk.run("content", "provider", "note", "--channel", "outbox-sms", "--state", "approved", "--id", "S_1",
                    "--actor", "O").out == "note@1: approved at outbox-sms\n"  # fmt: skip
    desk.run("content", "approve", "note", "--actor", "Dr Chen", "--role", "commercial")
    shown = desk.run("content", "show", "note").out
    for part in ("reviewed", "quorum │ 2", "appointment, diagnosis", "outbox-sms:approved:S_1", "A-1"):
        assert part in " ".join(shown.split()), part
    ask = ("preview", "--purpose", "care.appointment", "--template", "note", "--channel", "email", "--var", "eye=left")
    wrong = desk.run(*ask, "--var", "day=soon")
    assert "variable `day`" in wrong.out + wrong.err
    assert "soon" not in wrong.out + wrong.err


def test_the_author_is_told_to_ask_somebody_else(desk) -> None:
    desk.run(*ADD, "--body", _file(desk, b"one"))
    own = desk.run("content", "approve", "note", "--actor", "author")
    assert (own.code, "content.self_approval" in own.err, "ask somebody else" in own.err) == (1, True, True)


def test_credentials_are_recorded_renewed_and_ended(desk) -> None:
    add = ("credentials", "add", "Dr Chen", "--actor", "registrar")
    assert desk.run(*add, "--until", "2100-01-01T00:00:00Z").out.startswith("clinical since ")
    assert "until 2101" in desk.run(*add, "--until", "2101-01-01T00:00:00Z").out
    assert desk.run("credentials", "end", "Dr Chen", "--actor", "registrar").out == "1 ended\n"
    assert desk.run("credentials", "end", "Dr Chen", "--actor", "registrar").code == 1
    assert "clinical" in desk.run("credentials", "list", "Dr Chen").out
    assert desk.run(*add, "--until", "2001-01-01T00:00:00Z").code == 2


def test_what_screening_finds_in_a_new_text_is_told(desk) -> None:
    held = desk.run(*ADD, "--body", _file(desk, "根治白内障".encode()))
    assert "screening: efficacy (hold)" in held.out
    plain = desk.run(*ADD, "--body", _file(desk, b"Your recheck is due."), "--version", "2")
    assert "screening" not in plain.out


def test_what_ends_soon_is_listed(desk) -> None:
    body = desk.home / "body.txt"
    body.write_text("Open day.", encoding="utf-8")
    common = ("--body", str(body), "--purposes", "marketing.event", "--channels", "email", "--actor", "author")
    for name, until in (
        ("soon", "2026-02-01T00:00:00Z"),
        ("later", "2026-12-01T00:00:00Z"),
        ("past", "2026-01-02T00:00:00Z"),
    ):
        assert desk.run("content", "add", name, *common, "--until", until).code == 0
    assert desk.run("content", "add", "numbered", *common).code == 0
    number = ("--number", "AD-1", "--until", "2026-01-20T00:00:00Z", "--actor", "author")
    assert desk.run("content", "number", "numbered", *number).code == 0
    every = desk.run("content", "list").out
    assert all(f"{name}@1" in every for name in ("soon", "later", "past", "numbered"))
    ending = desk.run("content", "list", "--ending", "30").out
    assert [name for name in ("soon", "later", "past", "numbered") if f"{name}@1" in ending] == ["soon", "numbered"]
    assert "AD-1" in ending
