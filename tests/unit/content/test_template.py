"""Templates: what may be registered, what a value may be, and that filling in changes nothing else."""

from __future__ import annotations

import hashlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.content.template import MAX_VALUE, PATIENT_NAME, Rendered, Template, check_variables, render
from carelink.errors import InvalidInputError
from carelink.model.scope import Scope

SCOPE = Scope(("care",), ("sms", "email"))


def template(**changes):
    plain = {
        "name": "recheck",
        "version": 1,
        "scope": SCOPE,
        "body": "Hello {patient_name}, see {ward}.",
        "subject": "At {ward}",
    }
    return Template(**{**plain, **changes})


def test_variables_are_those_of_subject_and_body():
    assert template().variables == ("patient_name", "ward")
    assert template(subject="{other}").variables == ("other", "patient_name", "ward")
    assert template(body="plain", subject="").variables == ()


@pytest.mark.parametrize("name", ["a", "recheck-6m", "a_b.c", "0", "a" * 64])
def test_names(name):
    assert template(name=name).name == name


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "Recheck"},
        {"name": "-a"},
        {"name": "a" * 65},
        {"name": "a b"},
        {"version": 0},
        {"version": -1},
        {"body": ""},
        {"body": "x" * 20_001},
        {"body": "{"},
        {"body": "}"},
        {"body": "{Ward}"},
        {"body": "{{ward}}"},
        {"body": "{ ward }"},
        {"body": "{1a}"},
        {"body": "{" + "a" * 33 + "}"},
        {"subject": "{x"},
        {"subject": "a\nb"},
        {"subject": "a\rb"},
        {"subject": "a\tb"},
        {"subject": "a\x00"},
        {"subject": "a\x85"},
        {"body": "a\x00"},
        {"body": "a\x1b[2J"},
        {"body": "a\x7f"},
        {"body": "half \ud800"},
        {"subject": "half \udfff"},
        {"scope": Scope((), ("sms",))},
        {"scope": Scope(("care",), ())},
    ],
)
def test_what_is_no_template(changes):
    with pytest.raises(InvalidInputError):
        template(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "x" * 20_000},
        {"body": "a\r\n\tb"},
        {"subject": ""},
        {"body": "您好,{ward}。"},
        {"body": "{" + "a" * 32 + "}"},
    ],
)
def test_what_is_a_template(changes):
    assert template(**changes)


def test_the_digest_is_frozen():
    # Approvals of released versions stand on it.
    text = (
        '{"body":"Hello {patient_name}, see {ward}.","channels":["email","sms"],"language":"und","name":"recheck",'
        '"purposes":["care"],"subject":"At {ward}","version":1}'
    )
    assert template().digest == hashlib.sha256(b"carelink/template/v1\n" + text.encode()).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "Hello {patient_name}, see {ward}. "},
        {"subject": "At  {ward}"},
        {"name": "recheck2"},
        {"version": 2},
        {"language": "zh"},
        {"scope": Scope(("care",), ("sms",))},
        {"scope": Scope(("care.chronic",), ("sms", "email"))},
    ],
)
def test_any_change_is_another_digest(changes):
    assert attrs.evolve(template(), **changes).digest != template().digest


def test_filling_in():
    rendered = render(
        "At {ward}", "{ward}: {ward}, {patient_name}", {"ward": "三病区", "patient_name": "张三", "more": "x"}
    )
    assert (rendered.subject, rendered.body) == ("At 三病区", "三病区: 三病区, 张三")
    assert rendered.to_bytes() == "At 三病区\n\n三病区: 三病区, 张三".encode()
    assert repr(rendered) == "Rendered(...)"
    assert str(Rendered("Zhang San", "")) == "Rendered(...)"


def test_a_value_cannot_open_a_place():
    assert render("", "{a}{b}", {"a": "{b}", "b": "{a}"}).body == "{b}{a}"


def test_a_place_without_value():
    for subject, body in (("{a}", "x"), ("", "{a}")):
        with pytest.raises(InvalidInputError, match="`a`"):
            render(subject, body, {"b": "x"})


BAD = [
    "",
    " ",
    "\u3000",
    "x" * 201,
    "a\nb",
    "a\x00",
    "a\u202eb",
    "a\u200bb",
    "a\u2028b",
    "a\u2029b",
    "\ud83d",
    5,
    None,
    ["x"],
]


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_value(value):
    with pytest.raises(InvalidInputError, match="`a`"):
        render("", "{a}", {"a": value})
    with pytest.raises(InvalidInputError, match="`a`"):
        check_variables(("a",), {"a": value})


@pytest.mark.parametrize("value", ["x" * MAX_VALUE, " x ", "O'Brien 😀", "𠮷", "Zoë", "\ue000"])
def test_what_is_a_value(value):
    check_variables(("a",), {"a": value})
    assert render("", "{a}", {"a": value}).body == value


def test_exactly_the_declared_variables_are_given():
    check_variables((), {})
    check_variables(("a", PATIENT_NAME), {"a": "x"})
    with pytest.raises(InvalidInputError, match="`b`"):
        check_variables(("a", "b"), {"a": "x"})
    for surplus in ("c", "Zhang San 13800000000", PATIENT_NAME, ""):
        with pytest.raises(InvalidInputError, match="does not have") as caught:
            check_variables(("a", PATIENT_NAME), {"a": "x", surplus: "y"})
        assert "138" not in str(caught.value)


def test_no_error_shows_a_value():
    secret = "secret\nvalue"
    with pytest.raises(InvalidInputError) as caught:
        check_variables(("a",), {"a": secret})
    assert "secret" not in f"{caught.value!r}{caught.value}{caught.value.hint}"
    assert caught.value.__context__ is None


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters="{}"), max_size=20)
VALUES = TEXTS.filter(lambda text: text.strip())


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["a", "b", "c"])), max_size=4), TEXTS, VALUES, VALUES, VALUES)
def test_all_but_the_places_is_kept(pieces, tail, a, b, c):
    values = {"a": a, "b": b, "c": c}
    body = "".join(f"{text}{{{name}}}" for text, name in pieces) + tail
    expected = "".join(f"{text}{values[name]}" for text, name in pieces) + tail
    assert render(tail, body, values) == Rendered(tail, expected)
